"""The facts of the ledger: one frozen class a kind of event, and a strict codec.

Field types are str, int, bool, ``str | None``, ``tuple[str, ...]`` and ``dict`` (JSON). Reading refuses an unknown
kind, a missing or unknown field and a wrong type: what the ledger holds is either understood whole or not at all (I32).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pilothouse.canonical import Json
from pilothouse.errors import LedgerCorrupt

VERSION = 1  # of the event format; a newer one halts, an older one is upcast

JsonObject: TypeAlias = dict[str, Json]

PRODUCT_LINE = "_product"  # the run of facts that belong to a product and to no run
GLOBAL_CHAIN = "_global"  # the chain of what holds for every product
WAY_BACK = "way_back"  # the input of a run that freezes and locks never hold


@dataclass(frozen=True, slots=True)
class Started:
    """A run began: everything it is bound to, by value. ``global_head`` names the head of the chain ``_global``.

    ``outline`` lists the workflow's steps (id, title, agent, kind, phase, branch), so that readers need no parser.
    Of ``inputs``, those that nobody is asked for are set by ``starting`` alone.
    """

    product: str
    workflow: str
    workflow_source: str
    config_source: str
    prompts: JsonObject
    inputs: JsonObject
    started_by: str
    channel: str
    started_on: str  # date, pinned
    from_version: str
    from_sha: str
    to_sha: str
    base_ref: str
    targets: JsonObject
    global_head: str
    supersedes: str | None
    outline: tuple[JsonObject, ...]
    tool_version: str

    @property
    def way_back(self) -> bool:
        """Whether this is the rollback that nothing holds: judged by its text when it started, not by its name."""
        return self.inputs.get(WAY_BACK) is True


@dataclass(frozen=True, slots=True)
class Observed:
    """Evidence: an observe or draft tool's result, or a watch's baseline. ``evidence`` is its id within the run."""

    step: str
    evidence: str
    tool: str
    arguments: JsonObject
    facts: JsonObject
    digest: str
    sha: str
    summary: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A gate was judged on evidence."""

    step: str
    gate: str
    passed: bool
    reason_code: str
    message: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerdictGiven:
    """An agent's verdict on a step."""

    step: str
    agent: str
    answer: str
    reasons: tuple[str, ...]
    cites: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Consulted:
    """An agent is asked on a model.

    ``about`` is what for: ``verdict``, ``draft``, ``advice`` (on trouble) or ``watch``. ``prefix`` is the digest of
    persona and tools, ``prompt`` the question as put.
    """

    step: str
    agent: str
    about: str
    model: str
    prefix: str
    prompt: str


@dataclass(frozen=True, slots=True)
class ModelAnswered:
    """One whole reply of a model, before anything is done with it.

    ``tokens`` is what budgets count, ``cost`` is in millionths of a dollar, ``took`` in milliseconds.
    """

    step: str
    turn: int
    model: str
    content: tuple[JsonObject, ...]
    stop: str
    usage: JsonObject
    tokens: int
    cost: int
    took: int


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """What a tool that an agent called said, as the model is told it."""

    step: str
    turn: int
    call: str
    tool: str
    arguments: JsonObject
    result: str
    failed: bool


@dataclass(frozen=True, slots=True)
class FellBack:
    """No model answered so that it could be used, or a budget was spent: the scripted agent went on."""

    step: str
    agent: str
    reason_code: str
    message: str


@dataclass(frozen=True, slots=True)
class ModelMissed:
    """No model answered, and policy lets the run wait for one (``models.outage: wait``). ``took`` milliseconds."""

    step: str
    agent: str
    reason_code: str
    message: str
    took: int


@dataclass(frozen=True, slots=True)
class Advised:
    """What an agent says of trouble, or of users in a watch. It decides nothing: a person or the workflow chooses.

    Attributes:
        step: where the trouble is.
        agent: who says it.
        about: ``advice`` or ``watch``.
        kind: ``flake``, ``failure``, ``environment``, ``data``, ``users`` or ``unknown``.
        severity: ``none``, ``low``, ``medium``, ``high`` or ``critical``.
        message: the explanation.
        recommends: the id of one of the remedies that the workflow allows here, or empty.
        plan: what to do in which order, or what to run again: one sentence each.
        cites: evidence ids.
        by: the model.
    """

    step: str
    agent: str
    about: str
    kind: str
    severity: str
    message: str
    recommends: str
    plan: tuple[str, ...]
    cites: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class HandedOff:
    """An agent hands a question over, along an edge that its role allows (I36). ``refs`` are evidence ids."""

    step: str
    giver: str
    receiver: str
    reason_code: str
    refs: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class HoldLifted:
    """A person lifted a hold: an exception on the record."""

    step: str
    who: str
    channel: str
    reason: str


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan was compiled."""

    digest: str
    acts: tuple[JsonObject, ...]
    basis: JsonObject


@dataclass(frozen=True, slots=True)
class Skipped:
    """A step does not apply to this run (its condition is false)."""

    step: str
    why: str


@dataclass(frozen=True, slots=True)
class CheckpointOpened:
    """A checkpoint awaits a person. ``basis`` is all that the approval digest covers, ``card`` what was shown."""

    checkpoint: str
    approval_digest: str
    card: str
    basis: JsonObject
    pins: JsonObject
    expires_at: str
    difference: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CardVoided:
    """What a card showed is not so any more while it still waits; the checkpoint opens again with the difference."""

    checkpoint: str
    approval_digest: str
    difference: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WordDrawn:
    """A word was drawn for a checkpoint; the word itself is nowhere while it lives."""

    checkpoint: str
    approval_digest: str
    channel: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class WordSpent:
    """A word was spent: by a right entry, a wrong one, or its expiry. Now it may be written down."""

    checkpoint: str
    approval_digest: str
    presented: str
    entered: str
    matched: bool
    channel: str


@dataclass(frozen=True, slots=True)
class Approved:
    """A person approved exactly this digest.

    ``who`` is an approver's id, ``authentication`` how they were known: account, ssh-signature or standing;
    ``signature`` is the armoured SSH signature, else empty.
    """

    checkpoint: str
    approval_digest: str
    who: str
    channel: str
    authentication: str
    exception: str | None
    signature: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A person rejected the checkpoint; durable."""

    checkpoint: str
    who: str
    channel: str
    reason: str


@dataclass(frozen=True, slots=True)
class CheckpointExpired:
    """The checkpoint's time ran out; durable."""

    checkpoint: str
    approval_digest: str


@dataclass(frozen=True, slots=True)
class Intended:
    """About to act: durable before anything moves."""

    step: str
    tool: str
    arguments: JsonObject
    key: str
    plan_digest: str
    approval_digest: str | None
    branch: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Done:
    """The act's effect was read back. ``found``: it was there already and was not done again."""

    step: str
    evidence: str
    facts: JsonObject
    moves: JsonObject
    found: bool
    summary: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The act did not succeed, or was called off before it moved anything."""

    step: str
    reason_code: str
    message: str
    hint: str
    detail: str
    moved: bool = True  # False: called off before it was applied


@dataclass(frozen=True, slots=True)
class Refused:
    """The guard said no at a step; the run rests. ``resume`` asks the gates again.

    ``detail`` is the end of what a look that failed has written, where there is any.
    """

    step: str
    reason_code: str
    message: str
    hint: str
    evidence: tuple[str, ...]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A person or a job asked a resting run to go on."""

    who: str
    channel: str


@dataclass(frozen=True, slots=True)
class WatchOpened:
    """The watch began; its window is part of the plan and is never shortened."""

    step: str
    ends_at: str
    baseline: JsonObject
    rule: JsonObject


@dataclass(frozen=True, slots=True)
class Sampled:
    """One look during the watch, with the judgement of the samples so far."""

    step: str
    evidence: str
    sample: JsonObject
    outcome: str  # healthy | worse | no-data | thin
    message: str


@dataclass(frozen=True, slots=True)
class WatchClosed:
    """The watch ended."""

    step: str
    outcome: str
    message: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branched:
    """The run left its main line for a contingent branch of the plan.

    One that ``returns`` ends in a halt, from which a resume goes back to the main line.
    """

    branch: str
    at_step: str
    severity: str
    reason_code: str
    message: str
    returns: bool


@dataclass(frozen=True, slots=True)
class Halted:
    """A person must look: a conflict, an unknown outcome, a rollback that failed."""

    step: str
    reason_code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A person said what became of an act whose outcome code could not tell (class H, conflicts)."""

    step: str
    presence: str  # applied | absent
    who: str
    channel: str
    reason: str
    facts: JsonObject  # what the act was asked for, as what stands now


@dataclass(frozen=True, slots=True)
class Aborted:
    """A person ended the run; durable."""

    who: str
    channel: str
    reason: str


@dataclass(frozen=True, slots=True)
class Superseded:
    """A resting run gave way to another one."""

    by: str


@dataclass(frozen=True, slots=True)
class Notified:
    """People were told, or could not be told, where the run stands. It changes nothing of the run.

    ``occasion`` is what was told (``waiting:`` and the approval digest, ``done`` …), ``channel`` where, ``message``
    the text, or why it was not delivered.
    """

    occasion: str
    channel: str
    delivered: bool
    message: str


@dataclass(frozen=True, slots=True)
class Overridden:
    """A permitted person let a run through a freeze or a lock: an exception on the record.

    ``name`` is the block's id: freeze/NAME, lock/NAME or lock-all/NAME.
    """

    name: str
    who: str
    channel: str
    authentication: str
    reason: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """A permitted person let one act happen, in a workflow that asks before each act."""

    step: str
    who: str
    channel: str
    authentication: str


@dataclass(frozen=True, slots=True)
class Locked:
    """A product is held, or every product (chain ``_global``). ``expires_at`` is empty: until it is unlocked.

    ``cause`` is the run after whose rollback it was locked, else empty.
    """

    name: str
    reason: str
    owner: str
    channel: str
    expires_at: str
    cause: str


@dataclass(frozen=True, slots=True)
class Unlocked:
    """A lock was taken off."""

    name: str
    who: str
    channel: str
    authentication: str
    reason: str


@dataclass(frozen=True, slots=True)
class Validated:
    """A person answered a manual check for one commit: yes or no."""

    item: str
    sha: str
    answer: str
    note: str
    who: str
    channel: str
    authentication: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The run reached an end: done or rolled-back."""

    outcome: str
    message: str


Fact: TypeAlias = (
    Started | Observed | Judged | VerdictGiven | Consulted | ModelAnswered | ToolAnswered | FellBack
    | ModelMissed | Advised | HandedOff | HoldLifted | Planned | Skipped | CheckpointOpened | CardVoided
    | WordDrawn | WordSpent | Approved | Rejected | CheckpointExpired | Intended | Done | Failed | Refused
    | Resumed | WatchOpened | Sampled | WatchClosed | Branched | Halted | Settled | Aborted | Superseded
    | Overridden | Allowed | Locked | Unlocked | Validated | Ended | Notified
)  # fmt: skip

_KINDS: dict[str, type[Fact]] = {
    kind.__name__: kind
    for kind in (
        Started, Observed, Judged, VerdictGiven, Consulted, ModelAnswered, ToolAnswered, FellBack,
        ModelMissed, Advised, HandedOff, HoldLifted, Planned, Skipped, CheckpointOpened, CardVoided,
        WordDrawn, WordSpent,
        Approved, Rejected, CheckpointExpired, Intended, Done, Failed, Refused, Resumed, WatchOpened, Sampled,
        WatchClosed, Branched, Halted, Settled, Aborted, Superseded, Overridden, Allowed, Locked,
        Unlocked, Validated, Ended, Notified,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a chain. ``hash`` is the SHA-256 of its canonical bytes, which hold the previous hash."""

    chain: str
    seq: int
    prev: str
    run: str
    at: str  # ISO 8601 UTC with microseconds
    fact: Fact
    hash: str

    @property
    def kind(self) -> str:
        """The name of the fact's class."""
        return type(self.fact).__name__


def fact_to_json(fact: Fact) -> JsonObject:
    """The payload of a fact as canonical-ready JSON (tuples become lists)."""
    out: JsonObject = {}
    for field in dataclasses.fields(fact):
        value = getattr(fact, field.name)
        out[field.name] = list(value) if isinstance(value, tuple) else value
    return out


def fact_from_json(kind: str, data: object) -> Fact:
    """The fact of a kind from its payload.

    Raises:
        LedgerCorrupt: unknown kind, missing or unknown field, wrong type.
    """
    cls = _KINDS.get(kind)
    if cls is None:
        raise LedgerCorrupt("ledger-unknown-kind", f"the ledger holds an event of the unknown kind {kind!r}")
    if not isinstance(data, dict):
        raise LedgerCorrupt("ledger-malformed", f"{kind}: the payload is not an object")
    fields = {field.name: str(field.type) for field in dataclasses.fields(cls)}
    if fields.keys() != data.keys():
        odd = sorted(fields.keys() ^ data.keys())
        raise LedgerCorrupt("ledger-malformed", f"{kind}: missing or unknown fields: {', '.join(odd)}")
    build: Callable[..., Fact] = cls
    return build(**{name: _typed(kind, name, fields[name], value) for name, value in data.items()})


_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "bool": (bool,), "str | None": (str, type(None)), "JsonObject": (dict,),
}  # fmt: skip


def _typed(kind: str, name: str, declared: str, value: object) -> object:
    if declared.startswith("tuple["):
        item = str if declared == "tuple[str, ...]" else dict
        if isinstance(value, list) and all(type(entry) is item for entry in value):
            return tuple(value)
    elif type(value) in _PLAIN[declared]:
        return value
    raise LedgerCorrupt("ledger-malformed", f"{kind}.{name}: expected {declared}, found {type(value).__name__}")
