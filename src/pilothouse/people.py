"""What people do to a run besides approving: reject, abort, resume. Each is one durable fact, by compare-and-swap."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pilothouse import locking
from pilothouse.clearances import known_as
from pilothouse.engine.world import iso
from pilothouse.errors import ChainMoved, ImpossibleHistory, RequestRefused, UsageError
from pilothouse.events import (
    Aborted,
    Event,
    Fact,
    HoldLifted,
    Notified,
    Rejected,
    Resumed,
    Settled,
)
from pilothouse.guard.clearance import clearance_of, may_reject
from pilothouse.guard.fold import fold, step_on
from pilothouse.guard.state import CheckpointState, RunState
from pilothouse.model import Person, Presence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilothouse.workspace import Workspace


_TRIES = 3  # of an append that lost its compare-and-swap to something that is not this run's


def append(app: Workspace, state: RunState, *facts: Fact) -> RunState:
    """Append a person's facts where the run still is as this person saw it; the state after.

    Raises:
        ChainMoved: something happened meanwhile; look again.
    """
    for left in reversed(range(_TRIES)):
        try:
            _append(app, state, facts)
        except ChainMoved:
            # A notice or another run came first: that changes nothing of what this person saw.
            if not left:
                raise
        else:
            break
    return app.find(state.run)


def _append(app: Workspace, state: RunState, facts: tuple[Fact, ...]) -> None:
    from pilothouse.ports import Head

    chain = state.started.product
    head = app.journal.head(chain)
    if head.seq != state.head_seq:
        # Other runs share the chain, so only events of this run since then count as a change.
        newer = app.journal.read(chain, after=state.head_seq)
        if any(event.run == state.run and not isinstance(event.fact, Notified) for event in newer):
            raise RequestRefused("run-moved", f"{state.run} went on meanwhile", "look again: pilothouse status")
    at = iso(app.clock.now())
    _demand_possible(app, state, facts, at)
    app.journal.append(chain, state.run, facts, at, expect=Head(head.seq, head.hash))


def _demand_possible(app: Workspace, state: RunState, facts: tuple[Fact, ...], at: str) -> None:
    """Refuse facts that could not be read back: whatever a person asks for, the ledger stays one that folds."""
    chain = state.started.product
    after = fold(event for event in app.journal.read(chain) if event.run == state.run)
    for number, fact in enumerate(facts, 1):
        try:
            step_on(after, Event(chain, state.head_seq + number, "", state.run, at, fact, ""))
        except ImpossibleHistory as error:
            raise RequestRefused(
                "does-not-fit", f"{state.run} is {state.standing()}: {error.message}", "see: pilothouse status"
            ) from error


def open_checkpoint(state: RunState) -> tuple[str, CheckpointState]:
    """The checkpoint that waits for a person.

    Raises:
        RequestRefused: none does.
    """
    for name, known in state.checkpoints.items():
        if known.opened is not None and known.approved is None and not known.closed and not state.over:
            return name, known
    standing = state.standing()
    raise RequestRefused("nothing-to-approve", f"{state.run} is {standing}; nothing waits for approval",
                         f"see: pilothouse status {state.run}")  # fmt: skip


def reject(app: Workspace, state: RunState, who: Person, reason: str) -> RunState:
    """See ``app.Pilothouse.reject``."""
    name, known = open_checkpoint(state)
    assert known.opened is not None
    cleared = clearance_of(known.opened.basis)
    rejecting = known_as(cleared, who) if cleared else who.identity
    if not may_reject(cleared, rejecting):
        raise RequestRefused(
            "may-not-reject", f"{rejecting} is no approver of this product and did not start {state.run}",
            f"whoever may not approve can still end the run: pilothouse abort {state.run} --reason …",
        )  # fmt: skip
    return append(app, state, Rejected(name, rejecting, who.channel, _reason(reason)))


def abort(app: Workspace, state: RunState, who: Person, reason: str) -> RunState:
    """See ``app.Pilothouse.abort``."""
    if state.over:
        raise RequestRefused("run-over", f"{state.run} is {state.standing()} already")
    return append(app, state, Aborted(who.identity, who.channel, _reason(reason)))


def resume(
    app: Workspace, state: RunState, who: Person, *, lift_hold: str, settle: str, reason: str,
    override: Sequence[str] = (), go: str = "",
) -> str:  # fmt: skip
    """See ``app.Pilothouse.resume``."""
    if state.over:
        raise RequestRefused("run-over", f"{state.run} is {state.standing()}; there is nothing to go on with")
    if lift_hold:
        held = state.verdicts.get(lift_hold)
        if held is None or held.answer != "hold" or lift_hold in state.lifted:
            raise UsageError("no-such-hold", f"no hold at {lift_hold!r}", f"see: pilothouse status {state.run}")
        approver = locking.permitted_now(app, state, who)
        state = append(app, state, HoldLifted(lift_hold, approver.id, who.channel, _reason(reason)))
    if settle:
        fact = _settled(state, settle, who, _reason(reason))
        state = append(app, state, replace(fact, who=locking.permitted_now(app, state, who).id))
    overridden = locking.override_run(app, state, who, override, reason)
    if overridden:
        state = append(app, state, *overridden)
    if go:
        state = append(app, state, locking.go(app, state, who, go))
    if state.refused or state.halted:
        append(app, state, Resumed(who.identity, who.channel))
    return state.run


def _settled(state: RunState, settle: str, who: Person, reason: str) -> Settled:
    step, _, presence = settle.partition("=")
    act = state.acts.get(step)
    # Only where the run has halted: a conductor that is inside this very act records its outcome itself.
    if act is None or act.open is None or state.halted is None:
        raise UsageError(
            "nothing-to-settle", f"the act {step!r} awaits no settlement", f"see: pilothouse status {state.run}"
        )
    if presence not in {Presence.APPLIED, Presence.ABSENT}:
        raise UsageError("bad-settlement", f"{settle!r} says neither applied nor absent", f"--settle {step}=applied")
    arguments = act.open.arguments
    # What later steps refer to is what was asked for, since a person says that it is there.
    facts = {"sha": arguments["commit"], **arguments} if "commit" in arguments else dict(arguments)
    return Settled(step, presence, who.identity, who.channel, reason, facts)


def _reason(text: str) -> str:
    if not text.strip():
        raise UsageError("reason-missing", "this goes on the record and needs a reason", "add: --reason '…'")
    return text.strip()[:500]
