"""What is known of a run: folded from its events (``guard.fold``) and never set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pilothouse import events as e
from pilothouse.canonical import Json
from pilothouse.guard.references import fact_of, resolve
from pilothouse.model import INTENT, RECORD, Kind, Plan, PlannedAct, Reach

MAIN = "main"
ABORTED = "aborted"  # the branch that an aborted run closes with
MAX_WORDS = 3  # I15: wrong entries a checkpoint


@dataclass(frozen=True, slots=True)
class Evidence:
    """A recorded tool result: what a gate judges and a verdict cites."""

    id: str
    step: str
    tool: str
    facts: dict[str, Json]
    sha: str
    at: str
    seq: int
    summary: str


@dataclass(slots=True)
class ActState:
    """One act: its open intent if there is one, how often it was tried, what came of it."""

    attempts: int = 0
    open: e.Intended | None = None
    done: e.Done | None = None
    failed: e.Failed | None = None
    failed_seq: int = 0
    moved: bool = False  # it may have changed something
    started_at: str = ""
    ended_at: str = ""


@dataclass(slots=True)
class CheckpointState:
    """One checkpoint: what is open, what was approved; ``closed`` is rejected or expired (durable)."""

    opened: e.CheckpointOpened | None = None
    opened_at: str = ""
    openings: int = 0
    shown: e.CheckpointOpened | None = None  # the last card, also after it was voided
    approvals: list[e.Approved] = field(default_factory=list)  # of the present card
    approved: e.Approved | None = None  # the one with which there were enough
    word_open: e.WordDrawn | None = None  # the latest one, while it may still match
    words_out: int = 0  # drawn for this card and not spent yet: several people may ask at once
    word_matched: bool = False  # and not yet used by an approval
    wrong_words: int = 0
    closed: str = ""


@dataclass(slots=True)
class WatchState:
    """One watch: its window, its samples so far, how it closed."""

    opened: e.WatchOpened
    opened_at: str
    samples: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    last: e.Sampled | None = None
    closed: e.WatchClosed | None = None


@dataclass(slots=True)
class Consultation:
    """One agent's conversation with a model, as far as the ledger has it."""

    opened: e.Consulted
    opened_at: str
    answers: list[e.ModelAnswered] = field(default_factory=list)
    results: list[e.ToolAnswered] = field(default_factory=list)
    missed: str = ""  # why no model answered when it was asked last, where the run waits for one
    lost_ms: int = 0  # that were spent on replies which never came

    def unanswered(self) -> list[dict[str, Json]]:
        """The tool calls of the last reply that have no result yet."""
        if not self.answers:
            return []
        told = {item.call for item in self.results if item.turn == self.answers[-1].turn}
        calls = [item for item in self.answers[-1].content if item.get("type") == "tool_use"]
        return [item for item in calls if str(item.get("id")) not in told]


@dataclass(slots=True)
class RunState:
    """All that is known of a run. Built by ``fold`` alone; readers do not change it."""

    run: str
    started: e.Started
    started_at: str
    head_seq: int = 0
    last_at: str = ""
    events: int = 0
    plan: Plan | None = None
    evidence: dict[str, Evidence] = field(default_factory=dict)  # latest by step
    evidence_by_id: dict[str, Evidence] = field(default_factory=dict)
    verdicts: dict[str, e.VerdictGiven] = field(default_factory=dict)
    consultations: dict[str, Consultation] = field(default_factory=dict)  # that have not come to an end
    model_answers: list[tuple[str, e.ModelAnswered]] = field(default_factory=list)  # and when
    model_misses: list[tuple[str, int]] = field(default_factory=list)  # when, and milliseconds
    advice: dict[str, e.Advised] = field(default_factory=dict)  # the latest by step, since the last resume
    counselled: set[tuple[str, str]] = field(default_factory=set)  # step and agent, since the last resume
    handoffs: list[e.HandedOff] = field(default_factory=list)  # since the last resume
    unheard: int = 0  # how often in a row no model answered
    lifted: dict[str, e.HoldLifted] = field(default_factory=dict)
    judged: dict[tuple[str, str], e.Judged] = field(default_factory=dict)
    acts: dict[str, ActState] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    checkpoints: dict[str, CheckpointState] = field(default_factory=dict)
    watches: dict[str, WatchState] = field(default_factory=dict)
    moves: dict[str, str] = field(default_factory=dict)
    branch: str = MAIN
    branched: e.Branched | None = None
    refused: e.Refused | None = None
    halted: e.Halted | None = None
    resumed_seq: int = 0
    void_seq: int = 0  # when an approval was void because something had changed
    aborted: e.Aborted | e.Rejected | e.CheckpointExpired | None = None
    abandoned: e.Aborted | None = None  # aborted once more: its outcome could not be written
    superseded_by: str = ""
    ended: e.Ended | None = None
    notified: dict[tuple[str, str], e.Notified] = field(default_factory=dict)  # by occasion and channel
    exceptions: list[str] = field(default_factory=list)
    overridden: list[tuple[e.Overridden, str]] = field(default_factory=list)  # and when
    allowed: dict[str, e.Allowed] = field(default_factory=dict)
    last_word: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing can happen any more. An aborted run whose intent is on record still writes its outcome."""
        return bool(self.ended or self.superseded_by or (self.aborted and not self.closing))

    @property
    def closing(self) -> bool:
        """Whether the run was aborted after its intent record was begun, and its outcome is not written yet (I33)."""
        if self.aborted is None or self.ended is not None or self.abandoned is not None or not self.recording():
            return False
        return any(row["branch"] == ABORTED for row in self.started.outline)

    def recording(self) -> bool:
        """Whether an intent record was begun: what follows is on record, whatever comes of it."""
        return self.attempted(act.step for act in intents(self.plan))

    @property
    def open_act(self) -> str | None:
        """The step whose act is intended and has no outcome, or None."""
        return next((step for step, act in self.acts.items() if act.open), None)

    def standing(self) -> str:
        """One word for where the run stands (the ``state`` of ``status --json``)."""
        if self.ended:
            return self.ended.outcome
        if self.aborted and not (self.closing and self.halted):
            return "aborted"
        if self.superseded_by:
            return "superseded"
        if self.halted:
            return "halted"
        if self.refused:
            return "refused"
        waiting = any(c.opened and not c.approved and not c.closed for c in self.checkpoints.values())
        return "waiting" if waiting else "running"

    def facts(self) -> dict[str, dict[str, Json]]:
        """What references may name: the latest facts of observe and draft steps, and of done acts."""
        known = {step: item.facts for step, item in self.evidence.items()}
        known.update({step: act.done.facts for step, act in self.acts.items() if act.done})
        return known

    def attempted(self, steps: Iterable[str]) -> bool:
        """Whether any of these acts was intended at least once."""
        return any(
            (act := self.acts.get(step)) is not None and bool(act.open or act.done or act.moved) for step in steps
        )

    def production_attempted(self) -> bool:
        """Whether anything was attempted that reaches production and changes it (a backup changes nothing)."""
        acts = self.plan.acts if self.plan else ()
        return self.attempted(a.step for a in acts if a.reach is Reach.PRODUCTION and not a.tool.startswith("backup."))


def intents(plan: Plan | None) -> tuple[PlannedAct, ...]:
    """The acts of the main line that write an intent record."""
    acts = plan.acts if plan else ()
    return tuple(
        act for act in acts if act.tool == RECORD and act.branch == MAIN and act.arguments.get("kind") == INTENT
    )


def unrecorded(state: RunState, act: PlannedAct) -> str | None:
    """The intent record that must be on the remote before this act, and is not; None where nothing is missing (I33).

    Whether records are written at all is the product's to say, not the workflow's: a plan that rests on a product with
    an audit has an intent record, or nothing of it reaches production.
    """
    if act.reach is not Reach.PRODUCTION:
        return None
    meant = intents(state.plan)
    missing = next((i.step for i in meant if i.step not in state.skipped and not _is_done(state, i.step)), None)
    demanded = state.plan is not None and state.plan.basis.get("records") is True
    if missing is None and demanded and not any(_is_done(state, item.step) for item in meant):
        return "a record.write of kind intent"
    return missing


def _is_done(state: RunState, step: str) -> bool:
    act = state.acts.get(step)
    return act is not None and act.done is not None


def resolve_planned(act: PlannedAct, state: RunState) -> dict[str, Json]:
    """A planned act's arguments with every typed reference resolved from the run's recorded facts.

    Raises:
        Unresolved: a fact is not known yet.
    """
    facts = state.facts()
    return {name: resolve(value, lambda _form, ref: fact_of(facts, ref)) for name, value in act.arguments.items()}


def approved_digest(state: RunState, checkpoint: str) -> str | None:
    """The approval digest that a person approved at a checkpoint and that still stands, or None."""
    known = state.checkpoints.get(checkpoint)
    return known.approved.approval_digest if known and known.approved else None


def asks(state: RunState, step: str) -> bool:
    """Whether an act waits for a person's go of its own that it does not have yet (PRO-11)."""
    asking = any(row.get("asks") and row["id"] == step for row in state.started.outline)
    return asking and step not in state.allowed


def is_complete(kind: Kind, step: str, state: RunState) -> bool:
    """Whether a step of a kind needs nothing more."""
    if step in state.skipped:
        return True
    match kind:
        case Kind.OBSERVE | Kind.DRAFT:
            return step in state.evidence
        case Kind.VERDICT:
            verdict = state.verdicts.get(step)
            return verdict is not None and (verdict.answer == "go" or step in state.lifted)
        case Kind.CHECKPOINT:
            return approved_digest(state, step) is not None
        case Kind.WATCH:
            watch = state.watches.get(step)
            return watch is not None and watch.closed is not None and watch.closed.outcome == "healthy"
        case Kind.ACT:
            act = state.acts.get(step)
            return act is not None and act.done is not None
