"""What one run's engine is given: ports, the pinned workflow, and the product's configuration. Nothing is global."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pilothouse.canonical import Json, digest
from pilothouse.errors import ChainMoved, PilothouseError
from pilothouse.events import Done, Event, Fact, Failed, Observed, Started
from pilothouse.guard.bound import Bound
from pilothouse.guard.fold import fold, step_on
from pilothouse.guard.policy import Constraints
from pilothouse.guard.references import Unresolved, fact_of
from pilothouse.guard.state import RunState
from pilothouse.model import Workflow
from pilothouse.ports import Boundary, Clock, Head, Journal, Lease, Personas, Tools
from pilothouse.settings import Configuration, Product

if TYPE_CHECKING:
    from pilothouse.engine.agents import Thinking

LIVE = "live"  # the step that looks what production runs, in workflows that go back to it (as starting.py reads it)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds: sorts as text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def no_boundary(_name: str, _step: str) -> None:
    """The boundary hook outside of the crash suite."""


def no_lease() -> Lease | None:
    """Where no lease is needed: what is appended is fenced by the head alone."""
    return None


def nobody_listens(_event: Event, _state: RunState) -> None:
    """The listener where nobody follows the run."""


@dataclass(slots=True)
class World:
    """The ports and data of one run. ``lease`` answers the current lease, or None where none is needed.

    ``thinking`` is how agents reach a model; None: every agent is scripted. ``constraints`` reads policy from the
    remote; ``held_now`` asks the ledger and the clock by the policy that was read last, without leaving this machine.
    """

    journal: Journal
    tools: Tools
    personas: Personas
    clock: Clock
    workflow: Workflow
    configuration: Configuration
    chain: str
    thinking: Thinking | None = None
    lease: Callable[[], Lease | None] = no_lease
    boundary: Boundary = no_boundary
    listen: Callable[[Event, RunState], None] = nobody_listens
    clearance: Callable[[RunState, str], dict[str, Json]] = field(default=lambda _s, _c: {})
    constraints: Callable[[RunState], Constraints] = field(default=lambda _s: Constraints())
    held_now: Callable[[RunState], Constraints] = field(default=lambda _s: Constraints())
    locks_after_rollback: Callable[[], bool] = field(default=lambda: False)
    render_card: Callable[[RunState, str, dict[str, Json]], str] = field(default=lambda _s, _c, _b: "")

    @property
    def product(self) -> Product:
        """The configuration of the product that this world ships."""
        return self.configuration.products[self.chain]

    def now(self) -> datetime:
        """The present."""
        return self.clock.now()


@dataclass(slots=True)
class Log:
    """One run's open log: its folded state, kept in step with what is appended (compare-and-swap on the head)."""

    world: World
    state: RunState
    head: Head

    @classmethod
    def open(cls, world: World, run: str) -> Log:
        """Read and fold a run.

        Raises:
            LedgerError: the chain cannot be read, or the history is impossible.
        """
        state: RunState | None = None
        head = world.journal.head(world.chain)
        for event in world.journal.read(world.chain):
            if event.run == run and event.seq <= head.seq:
                state = step_on(state, event)
        if state is None:
            state = fold(())  # raises: no such run
        return cls(world, state, head)

    def append(self, *facts: Fact, first: tuple[str, Fact] | None = None) -> None:
        """Fold facts, then make them durable: what could not be read back is never written.

        What counts afterwards is what was written, which is less where a net took a held value out of it.

        Args:
            facts: of this run.
            first: a fact of another run, or of the product's line, that goes before them in the same batch.

        Raises:
            ChainMoved: somebody else appended meanwhile (an approval, an abort): read again and decide anew.
            LeaseLost: another conductor took over.
            ImpossibleHistory: the facts cannot follow; nothing was written.
        """
        at, chain, run = iso(self.world.now()), self.world.chain, self.state.run
        try:
            for seq, fact in enumerate(facts, self.head.seq + (2 if first else 1)):
                step_on(self.state, Event(chain, seq, "", run, at, fact, ""))
            written = self.world.journal.append(
                chain, run, facts, at, expect=self.head, lease=self.world.lease(), first=first
            )
        except PilothouseError:
            self.refresh()  # the state is what is durable, again
            raise
        own = written[-len(facts) :]
        self.head = Head(written[-1].seq, written[-1].hash)
        if any(event.fact != fact for event, fact in zip(own, facts, strict=True)):
            self.refresh()
        for event in own:
            self.world.listen(event, self.state)

    def confirm(self) -> None:
        """Read again where others appended, and make sure that the lease is still ours.

        Raises:
            LeaseLost: it is not.
            ChainMoved: somebody else appended on another machine, and what was not there yet must be decided again.
        """
        lease = self.world.lease()
        if lease is not None:
            self.world.journal.renew(lease, iso(self.world.now()), 30)
        self.world.journal.sync()
        if self.world.journal.head(self.world.chain) != self.head:
            self.refresh()

    def append_outcome(self, *facts: Fact) -> None:
        """Make an act's outcome durable even where somebody else appended meanwhile: an outcome always follows.

        Where it is not kept on this disk alone, the sync belongs to it: what loses its swap is written again, after the
        others' entries were folded.
        """
        while True:
            try:
                # Of a run that is over only the outcome itself is left to say.
                kept = [fact for fact in facts if isinstance(fact, Done | Failed)] if self.state.over else facts
                if kept:
                    self.append(*kept)
                self.world.journal.sync()
            except ChainMoved:
                self.refresh()
            else:
                return

    def refresh(self) -> None:
        """Read what others appended since."""
        fresh = Log.open(self.world, self.state.run)
        self.state, self.head = fresh.state, fresh.head

    def evidence_id(self) -> str:
        """The id of the run's next piece of evidence: e-001, e-002 and so on."""
        return f"e-{len(self.state.evidence_by_id) + 1:03d}"


def bound_of(world: World, state: RunState) -> Bound:
    """What the gates of a run are bound to."""
    facts = state.facts()
    own = {str(item["sha"]) for step, item in facts.items() if step in state.acts and "sha" in item}
    live = facts.get(LIVE, {})
    return Bound(world.product, world.configuration.policy, state.started.to_sha, frozenset(own), live)


def look_up(world: World, state: RunState) -> Callable[[str, str], Json]:
    """How a reference of any form is answered for this run, now.

    Raises (when called):
        Unresolved: not known.
    """
    started = state.started

    def answer(form: str, name: str) -> Json:
        match form:
            case "ref":
                return fact_of(state.facts(), name)
            case "input":
                if name in started.inputs:
                    return started.inputs[name]
            case "setting":
                value: Json = dict(world.configuration.settings.get(started.product, {}))
                for part in name.split("."):
                    value = value.get(part) if isinstance(value, dict) else None
                if value is not None:
                    return value
            case "run" if name == "ledger_head":
                head = world.journal.head(world.chain)
                return {"chain": world.chain, "seq": head.seq, "hash": head.hash}
            case "run" if name == "record":
                from pilothouse.engine.recording import record_of  # most runs write none

                return record_of(
                    state, world.journal.head(world.chain), world.product, world.workflow,
                    world.journal.read(world.chain),
                )  # fmt: skip
            case "run":
                return run_value(state, name)
            case _:
                pass
        raise Unresolved(f"{form}: {name}")

    return answer


def run_value(state: RunState, name: str) -> Json:
    """What ``{run: name}`` is worth.

    Raises:
        Unresolved: there is no such value.
    """
    started = state.started
    match name:
        case "to_sha" | "from_sha" | "from_version" | "base_ref" | "product" | "started_on":
            return str(getattr(started, name))
        case "run_id":
            return state.run
        case "release":
            return release_of(state)
        case "superseded_branch" | "to_version" | "backup":
            return started.inputs.get(name, "")
        case "failure":
            return failure_text(state)
        case "timeline":
            return timeline(state)
        case _:
            raise Unresolved(f"run: {name}")


def release_of(state: RunState) -> str:
    """What the release of a run is called: ``acme-2026-11-21-01``; a product at the run's end is not said twice."""
    product = state.started.product
    return f"{product}-{state.run.removeprefix('r-').removesuffix(f'-{product}')}"


def failure_text(state: RunState) -> str:
    """Why the run left its main line, in one sentence."""
    return state.branched.message if state.branched else ""


def timeline(state: RunState) -> list[Json]:
    """The run so far, one line an act or verdict, for a post-mortem."""
    lines: list[tuple[str, str]] = [(state.started_at, f"started by {state.started.started_by}")]
    for step, act in state.acts.items():
        told = act.done.summary if act.done else f"failed: {act.failed.message}" if act.failed else "outcome unknown"
        lines.append((act.started_at, f"{step}: {told}"))
    lines.extend(
        (w.opened_at, f"{step}: {w.last.message if w.last else 'opened'}") for step, w in state.watches.items()
    )
    return [f"{at[11:19]} {text}" for at, text in sorted(lines)]


def evidence_fact(log: Log, step: str, tool: str, arguments: dict[str, Json], facts: dict[str, Json], sha: str,
                  summary: str) -> Observed:  # fmt: skip
    """A tool result as evidence, with the next id."""
    return Observed(step, log.evidence_id(), tool, arguments, facts, digest(facts), sha, summary)


def ends_at(start: datetime, milliseconds: int) -> str:
    """The end of a window that starts now."""
    return iso(start + timedelta(milliseconds=milliseconds))


__all__ = [
    "Log", "Started", "World", "bound_of", "ends_at", "evidence_fact", "failure_text", "iso", "look_up", "run_value",
]  # fmt: skip
