"""The words of Pilothouse as frozen types (docs/adr/0001 and the architecture name them); plain inside, no I/O.

Nothing here decides anything: the guard does. Nothing here reads anything: the tools do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pilothouse.canonical import Json


class Kind(StrEnum):
    """The six kinds of step."""

    OBSERVE = "observe"
    DRAFT = "draft"
    ACT = "act"
    VERDICT = "verdict"
    CHECKPOINT = "checkpoint"
    WATCH = "watch"


class Reach(StrEnum):
    """How far an act reaches, ordered by what it can break."""

    WORKSPACE = "workspace"
    STAGING = "staging"
    PRODUCTION = "production"


class EffectClass(StrEnum):
    """How an act survives a crash: keyed or compare-and-swap, quiesce and observe twice, or ask a human."""

    KEYED = "K"
    QUIESCE = "Q"
    HUMAN = "H"


# The types that arguments and results may have; a tool's door checks their grammar.
ARGUMENT_TYPES = (
    "sha", "ref", "version", "tag", "environment", "suite", "text", "names", "labels", "integer", "flag", "object",
    "key",
)  # fmt: skip


# The act that writes a release record on the remote. It is the ledger's own hand, not the release's: it touches nothing
# that ships, is never taken back, and must follow even a rejected card; so no checkpoint covers it (docs/adr/0016).
RECORD = "record.write"
INTENT, OUTCOME = "intent", "outcome"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a tool: its type, and whether it is a text body.

    A text body (notes, an issue's text) is prose: it is no part of the plan digest, only of the approval digest.
    """

    type: str
    required: bool = True
    text_body: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a tool declares: enough to check a workflow at load time without running anything.

    ``reach`` is None where the argument ``environment`` decides it. ``results`` are the typed facts that later steps
    may reference as ``{ref: step.fact}``.
    """

    name: str
    kind: Kind
    about: str
    arguments: Mapping[str, Argument]
    results: Mapping[str, str]
    reach: Reach | None = Reach.WORKSPACE
    undoable: bool = True
    effect: EffectClass | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate as the workflow declares it: a rule of the guard, applied to the latest evidence of one step."""

    id: str
    rule: str
    on: str
    max_age: int | None  # seconds; None: evidence of this run does not age (it is bound to the pinned sha)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a workflow. ``target`` is the tool, the verdict's template, or the checkpoint's question."""

    id: str
    agent: str
    kind: Kind
    target: str
    title: str = ""
    phase: str = ""
    arguments: Mapping[str, Json] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    checkpoint: str | None = None
    on_failure: str | None = None
    when: Mapping[str, Json] | None = None
    asks_unless: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Phase:
    """A named stretch of steps; one row of the timeline."""

    id: str
    title: str
    agent: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """A contingent branch of the plan: what is done when the main line fails, and how the run ends after it."""

    name: str
    title: str
    phases: tuple[Phase, ...]
    ends: str  # rolled-back | halted | failed | aborted


EACH_ACT = "each-act"


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow: phases in order, gates by id, contingent branches by name, and the source it was read from."""

    name: str
    title: str
    summary: str
    phases: tuple[Phase, ...]
    gates: Mapping[str, Gate]
    branches: Mapping[str, Branch]
    source: str
    path: str = ""
    asks: str = ""  # each-act: every act that no checkpoint covers waits for a person's go

    def steps(self, branch: str = "main") -> tuple[Step, ...]:
        """The steps of the main line or of one contingent branch, in order."""
        phases = self.phases if branch == "main" else self.branches[branch].phases
        return tuple(step for phase in phases for step in phase.steps)

    def every_step(self) -> tuple[Step, ...]:
        """All steps: the main line first, then each branch."""
        return tuple(step for branch in ("main", *self.branches) for step in self.steps(branch))

    def step(self, step_id: str) -> Step:
        """The step of that id.

        Raises:
            KeyError: no such step.
        """
        for step in self.every_step():
            if step.id == step_id:
                return step
        raise KeyError(step_id)


@dataclass(frozen=True, slots=True)
class PlannedAct:
    """One act of the plan: its arguments are values, or typed references ``{"ref": "step.fact", "type": T}``."""

    step: str
    tool: str
    branch: str
    arguments: Mapping[str, Json]
    reach: Reach
    undoable: bool
    effect: EffectClass
    checkpoint: str | None

    def as_json(self) -> dict[str, Json]:
        """The act as it enters the plan digest."""
        return {
            "step": self.step, "tool": self.tool, "branch": self.branch, "arguments": dict(self.arguments),
            "reach": str(self.reach), "undoable": self.undoable, "effect": str(self.effect),
            "checkpoint": self.checkpoint,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """A run's acts in order with every argument resolved or typed, and what they rest on."""

    acts: tuple[PlannedAct, ...]
    basis: Mapping[str, Json]  # digests of workflow, configuration, policy; shas, base ref, date, target identities
    digest: str

    def act(self, step_id: str) -> PlannedAct | None:
        """The planned act of a step, or None where the plan leaves the step out."""
        return next((act for act in self.acts if act.step == step_id), None)


@dataclass(frozen=True, slots=True)
class Observation:
    """What an observe or draft tool answers: facts for the ledger. ``sha`` is the commit the facts are about."""

    facts: dict[str, Json]
    sha: str = ""
    summary: str = ""  # one line for the timeline, made by code


class Presence(StrEnum):
    """What a probe sees of an act's effect."""

    ABSENT = "absent"
    APPLIED = "applied"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Probe:
    """A look at the world before or after an act: is its effect there? ``facts`` become the evidence when it is.

    ``moves`` are the new expected values of pins once the effect is there (our own merge moves main).
    """

    presence: Presence
    detail: str = ""
    facts: dict[str, Json] = field(default_factory=dict)
    moves: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Permit:
    """What the guard issues for one act. ``perform`` checks it again against the ledger before anything moves."""

    run: str
    step: str
    tool: str
    arguments_digest: str
    plan_digest: str
    approval_digest: str | None
    branch: str
    key: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: a person or a time is awaited. Nothing sleeps inside the engine."""

    reason_code: str
    message: str
    until: str | None = None  # ISO 8601 UTC, where a time is awaited
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One gate's judgement."""

    gate: str
    passed: bool
    reason_code: str
    message: str
    evidence: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """No, with every reason at once."""

    reason_code: str
    message: str
    hint: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """An agent's verdict: ``go`` opens nothing, ``hold`` stops the step; reasons cite evidence ids that must exist."""

    answer: str  # go | hold
    reasons: tuple[str, ...]
    cites: tuple[str, ...]
    by: str = "scripted"


@dataclass(frozen=True, slots=True)
class Person:
    """Who: identity, the channel they spoke on, and how the channel knew them."""

    identity: str
    channel: str
    authentication: str = "unauthenticated"


@dataclass(frozen=True, slots=True)
class Approver:
    """One who may approve. ``key`` is an SSH public key or empty; ``accounts`` are operating system accounts."""

    id: str
    groups: tuple[str, ...]
    accounts: tuple[str, ...] = ()
    key: str = ""
    name: str = ""
    email: str = ""
