"""A run's course, step by step: what stands where, and how long it took. Pure; views and screens are made from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pilothouse import events as e
from pilothouse.canonical import Json
from pilothouse.guard.clearance import clearance_of, missing
from pilothouse.guard.state import MAIN, RunState, asks
from pilothouse.model import Kind


class Standing(StrEnum):
    """Where one step stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"  # for a person: an open checkpoint, or a hold
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of the workflow, as the run's Started lists it."""

    id: str
    agent: str
    kind: Kind
    phase: str
    phase_title: str
    phase_agent: str
    branch: str


def outline(state: RunState, branch: str | None = None) -> tuple[Entry, ...]:
    """The steps of a run's workflow, in order; of one branch only where one is named."""
    entries = (_entry(row) for row in state.started.outline)
    return tuple(entry for entry in entries if branch is None or entry.branch == branch)


def _entry(row: dict[str, Json]) -> Entry:
    def text(key: str) -> str:
        return str(row.get(key, ""))

    return Entry(
        text("id"), text("agent"), Kind(text("kind")), text("phase"), text("phase_title"), text("phase_agent"),
        text("branch") or MAIN,
    )  # fmt: skip


def complete(entry: Entry, state: RunState) -> bool:
    """Whether a step needs nothing more."""
    name = entry.id
    if name in state.skipped:
        return True
    match entry.kind:
        case Kind.OBSERVE | Kind.DRAFT:
            return name in state.evidence
        case Kind.VERDICT:
            verdict = state.verdicts.get(name)
            return verdict is not None and (verdict.answer == "go" or name in state.lifted)
        case Kind.CHECKPOINT:
            known = state.checkpoints.get(name)
            return known is not None and known.approved is not None
        case Kind.WATCH:
            watch = state.watches.get(name)
            return watch is not None and watch.closed is not None and watch.closed.outcome == "healthy"
        case Kind.ACT:
            act = state.acts.get(name)
            return act is not None and act.done is not None


def current(state: RunState) -> Entry | None:
    """The first step of the run's branch that is not complete, or None at its end."""
    return next((entry for entry in outline(state, state.branch) if not complete(entry, state)), None)


def standing(entry: Entry, state: RunState) -> Standing:
    """Where a step stands."""
    if entry.id in state.skipped:
        return Standing.SKIPPED
    if _troubled(entry.id, state):
        return Standing.FAILED
    if complete(entry, state):
        return Standing.WAITING if not state.over and _holds(entry, state) else Standing.DONE
    if not state.over and _waits(entry, state):
        return Standing.WAITING
    now = current(state)
    if now is not None and now.id == entry.id:
        return Standing.FAILED if state.aborted or state.superseded_by else Standing.RUNNING
    return Standing.PENDING


def _troubled(step: str, state: RunState) -> bool:
    """Whether the run came to rest, to a halt or off its main line at this step."""
    if (state.refused and state.refused.step == step) or (state.halted and state.halted.step == step):
        return True
    return bool(state.branched and state.branched.at_step == step and state.branch != MAIN)


def _waits(entry: Entry, state: RunState) -> bool:
    if entry.kind is Kind.CHECKPOINT:
        known = state.checkpoints.get(entry.id)
        return known is not None and known.opened is not None and known.approved is None and not known.closed
    asked = state.consultations.get(entry.id)
    return _holds(entry, state) or awaits_go(state) == entry.id or bool(asked and asked.missed)


def _holds(entry: Entry, state: RunState) -> bool:
    """Whether a verdict of a step stops what comes after it. In a watch it does so once the watch is over."""
    verdict = state.verdicts.get(entry.id)
    stops = verdict is not None and verdict.answer == "hold" and entry.id not in state.lifted
    return stops and (entry.kind is not Kind.WATCH or complete(entry, state))


def held(state: RunState) -> e.VerdictGiven | None:
    """The hold that the run waits at, or None."""
    if state.over or state.refused or state.halted:
        return None
    return next((state.verdicts[entry.id] for entry in outline(state, state.branch) if _holds(entry, state)), None)


def awaits_go(state: RunState) -> str:
    """The act that waits for a person's go of its own, or an empty string."""
    if state.over or state.refused or state.halted or held(state) is not None:
        return ""
    now = current(state)
    act = state.acts.get(now.id) if now else None
    return now.id if now and asks(state, now.id) and not (act and act.open) else ""


def awaits_model(state: RunState) -> str:
    """Why the run waits for a model, or an empty string."""
    now = None if state.over or state.refused or state.halted else current(state)
    asked = state.consultations.get(now.id) if now else None
    return asked.missed if asked else ""


def state_name(state: RunState) -> str:
    """The run's state as ``status --json`` says it: running, waiting, done, refused, rolled-back, aborted, halted."""
    name = state.standing()
    if name == "superseded":
        return "aborted"
    waits = held(state) is not None or awaits_go(state) or awaits_model(state)
    return "waiting" if name == "running" and waits else name


def open_checkpoint(state: RunState) -> str:
    """The checkpoint that waits for a person, or an empty string."""
    if state.over or state.aborted:
        return ""
    for name, known in state.checkpoints.items():
        if known.opened is not None and known.approved is None and not known.closed:
            return name
    return ""


# --- times ----------------------------------------------------------------------------------------------------------

# A person takes their time; what passed before these is nobody's work.
_BY_PERSONS = (
    e.Approved, e.Rejected, e.Resumed, e.HoldLifted, e.Settled, e.WordDrawn, e.WordSpent, e.Aborted, e.Superseded,
    e.CheckpointExpired, e.Overridden, e.Allowed,
)  # fmt: skip


@dataclass(slots=True)
class StepTime:
    """When a step began and ended (ISO 8601 UTC), and the seconds of work in between (waiting for people left out)."""

    started_at: str
    ended_at: str
    worked: float = 0.0


@dataclass(slots=True)
class Times:
    """When each step was at work, folded from the events of one run; and which agent had which replies of a model."""

    steps: dict[str, StepTime] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    last_at: str = ""
    approved_at: dict[str, str] = field(default_factory=dict)
    ended_at: str = ""
    asked: dict[str, str] = field(default_factory=dict)  # step: the agent that was asked there last
    said: dict[str, list[e.ModelAnswered]] = field(default_factory=dict)  # by agent

    @classmethod
    def of(cls, events: Iterable[e.Event]) -> Times:
        """The times of a run's events, in order."""
        times = cls()
        for event in events:
            times.add(event)
        return times

    def add(self, event: e.Event) -> None:
        """One more event."""
        fact, before = event.fact, self.last_at or event.at
        self.last_at = event.at
        self.kinds[event.kind] = self.kinds.get(event.kind, 0) + 1
        if isinstance(fact, e.Approved):
            self.approved_at[fact.checkpoint] = event.at
        if isinstance(fact, e.Ended | e.Aborted | e.Rejected | e.CheckpointExpired | e.Superseded):
            self.ended_at = event.at
        if isinstance(fact, e.Consulted):
            self.asked[fact.step] = fact.agent
        elif isinstance(fact, e.ModelAnswered):
            self.said.setdefault(self.asked.get(fact.step, ""), []).append(fact)
        name = str(getattr(fact, "step", "") or getattr(fact, "checkpoint", "") or getattr(fact, "at_step", ""))
        if not name:
            return
        by_person = isinstance(fact, _BY_PERSONS)
        known = self.steps.setdefault(name, StepTime(event.at if by_person else before, event.at))
        known.ended_at = event.at
        if not by_person:
            known.worked += max(0.0, seconds_between(before, event.at))


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one ISO 8601 time to another."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def next_action(state: RunState) -> str:
    """The command that brings the run further, or an empty string where nothing is left to do."""
    if state.over:
        return ""
    if open_checkpoint(state) and not (state.refused or state.halted):
        return f"pilothouse approve {state.run}"
    holding = held(state)
    if holding is not None:
        return f"pilothouse resume {state.run} --lift-hold {holding.step} --reason '…'"
    if step := awaits_go(state):
        return f"pilothouse resume {state.run} --go {step}"
    if state.halted and state.open_act:
        return f"pilothouse resume {state.run} --settle {state.open_act}=applied|absent --reason '…'"
    return f"pilothouse resume {state.run}"


def deployed_to(state: RunState, environment: str) -> bool:
    """Whether this run's main line has deployed to an environment: a workflow may end on staging."""
    acts = state.plan.acts if state.plan else ()
    return any(
        item.tool.startswith("deploy.") and item.branch == MAIN and item.arguments.get("environment") == environment
        and (act := state.acts.get(item.step)) is not None and act.done is not None
        for item in acts
    )  # fmt: skip


def versions(state: RunState) -> tuple[str, str]:
    """The version that was live when the run started, and the one it ships (empty where not decided yet)."""
    decided = state.facts().get("version", {}).get("version")
    wanted = decided or state.started.inputs.get("to_version") or ""
    return state.started.from_version, str(wanted)


def shipped_from(state: RunState) -> str:
    """The branch that what is shipped lies on: the promoted one, where a branch is promoted, else the base."""
    return str(state.started.inputs.get("promoted_branch") or state.started.base_ref)


_SPELT = {"qa": "QA", "devops": "DevOps"}


def agent_title(agent: str) -> str:
    """``qa-engineer`` as people write it: QA Engineer."""
    return " ".join(_SPELT.get(word, word.capitalize()) for word in agent.split("-"))


def needed(state: RunState) -> tuple[str, ...]:
    """Whose approval the open checkpoint still needs, one line a requirement; empty where none waits."""
    known = state.checkpoints.get(open_checkpoint(state) or "")
    cleared = clearance_of(known.opened.basis) if known and known.opened else None
    return missing(cleared, known.approvals) if known and cleared else ()
