"""The fold: a run's state from its events, each transition checked where it is made (I2, I3, I16, I25, I32).

The shape follows python-tuf's trusted metadata set: a state machine without I/O, so that a ledger written by anything
else than this engine does not fold.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from pilothouse import events as e
from pilothouse.canonical import digest
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.fold_acts import apply_act
from pilothouse.guard.fold_checkpoints import apply_checkpoint
from pilothouse.guard.fold_consultations import (
    ADVICE,
    DRAFT,
    VERDICT,
    WATCH,
    apply_consultation,
    end_consultation,
    is_counsel,
)
from pilothouse.guard.history import impossible, new_evidence
from pilothouse.guard.state import ABORTED, MAIN, ActState, Evidence, RunState, WatchState, asks, is_complete
from pilothouse.model import Kind


def fold(events: Iterable[e.Event]) -> RunState:
    """The state of one run from its events, in order.

    Raises:
        ImpossibleHistory: the first fact is not Started, or a later one contradicts what came before.
    """
    state: RunState | None = None
    for event in events:
        state = step_on(state, event)
    if state is None:
        raise ImpossibleHistory("no-such-run", "the ledger holds no event of that run")
    return state


def step_on(state: RunState | None, event: e.Event) -> RunState:
    """The state after one more event (the state given is changed and returned).

    Raises:
        ImpossibleHistory: the event cannot follow.
    """
    if state is None:
        if not isinstance(event.fact, e.Started):
            raise impossible(event, "a run begins with Started")
        state = RunState(event.run, event.fact, event.at)
    else:
        _check_standing(state, event)
        _apply(state, event)
        _close(state)
    state.head_seq, state.events = event.seq, state.events + 1
    if not isinstance(event.fact, e.Notified):  # telling people is nothing that happened to the run
        state.last_at = event.at
    return state


_AFTER_REST = (e.Resumed, e.Aborted, e.Superseded, e.HoldLifted, e.Settled, e.Overridden)


# What may still happen to an aborted run whose intent is on record: its outcome is looked for and written down.
_CLOSING = (e.Observed, e.Skipped, e.Intended, e.Done, e.Failed, e.Settled, e.Halted, e.Resumed, e.Ended)


def _close(state: RunState) -> None:
    """Lead an aborted run to the steps that write its outcome, once no act is open any more (I33)."""
    if state.closing and state.branch != ABORTED and not state.open_act:
        state.branch = ABORTED
        state.refused = state.halted = None
        state.consultations.clear()


def _check_standing(state: RunState, event: e.Event) -> None:
    fact = event.fact
    if isinstance(fact, e.Notified):
        return  # what people were told of a run changes nothing of it, so it may be told at any time
    if state.over:
        # An outcome always follows its intent, even where the run was ended meanwhile (I33).
        if isinstance(fact, e.Done | e.Failed) and state.aborted and state.acts.get(fact.step, ActState()).open:
            return
        raise impossible(event, "the run is over")
    # Where the outcome cannot be written, a person may give up on it: that is an exception, and a gap that is listed.
    given_up = isinstance(fact, e.Aborted) and state.halted is not None and not state.open_act
    if state.closing and not isinstance(fact, _CLOSING) and not given_up:
        raise impossible(event, "the run was aborted, and only its record is still written")
    if (state.refused or state.halted) and not isinstance(fact, _AFTER_REST) and not is_counsel(state, fact):
        raise impossible(event, "the run rests, and only a person sets it going again")


def _apply(state: RunState, event: e.Event) -> None:
    match event.fact:
        case e.Started():
            raise impossible(event, "a run starts once")
        case e.Intended() | e.Done() | e.Failed() | e.Settled() | e.Planned():
            if isinstance(event.fact, e.Intended) and asks(state, event.fact.step):
                raise impossible(event, f"{event.fact.step} waits for a person's go, and there was none")
            apply_act(state, event)
        case (
            e.CheckpointOpened()
            | e.CardVoided()
            | e.WordDrawn()
            | e.WordSpent()
            | e.Approved()
            | e.Rejected()
            | e.CheckpointExpired()
        ):
            apply_checkpoint(state, event)
        case e.WatchOpened() | e.Sampled() | e.WatchClosed():
            _apply_watch(state, event)
        case (
            e.Consulted()
            | e.ModelAnswered()
            | e.ToolAnswered()
            | e.FellBack()
            | e.ModelMissed()
            | e.Advised()
            | e.HandedOff()
        ):
            apply_consultation(state, event)
        case e.Observed() | e.Judged() | e.VerdictGiven() | e.HoldLifted():
            _apply_evidence(state, event)
        case e.Overridden() | e.Allowed():
            _apply_permission(state, event)
        case e.Skipped(step, why):
            state.skipped[step] = why
        case e.Notified() as told:
            state.notified[told.occasion, told.channel] = told
        case _:
            _apply_course(state, event)


def _apply_course(state: RunState, event: e.Event) -> None:
    match event.fact:
        case e.Refused() as refused:
            state.refused = refused
        case e.Halted() as halted:
            state.halted = halted
        case e.Resumed():
            if not (state.refused or state.halted):
                raise impossible(event, "only a run that rests is resumed")
            if state.halted and state.branched and state.branched.returns and not state.aborted:
                state.branch = MAIN
            state.refused = state.halted = None
            state.resumed_seq = event.seq
            state.unheard = 0
            state.counselled.clear()
            state.handoffs.clear()
            state.advice.clear()
            for step in [step for step, known in state.consultations.items() if known.opened.about == ADVICE]:
                del state.consultations[step]  # what was asked about trouble is asked of what is found next
        case e.Branched() as branched:
            if state.branch != MAIN:
                raise impossible(event, "a contingent branch has no branch of its own: a rollback is never rolled back")
            if state.open_act:
                raise impossible(event, f"the act {state.open_act} has no outcome yet")
            state.branch, state.branched = branched.branch, branched
            state.consultations.clear()
        case e.Aborted() as aborted if state.aborted:
            state.abandoned = aborted
            state.exceptions.append(f"{aborted.who} ended the run without its outcome on record: {aborted.reason}")
        case e.Aborted() as aborted:
            state.aborted = aborted
        case e.Superseded(by):
            state.superseded_by = by
        case e.Ended() as ended:
            _check_end(state, event, ended)
            state.ended = ended


def _check_end(state: RunState, event: e.Event, ended: e.Ended) -> None:
    if state.open_act:
        raise impossible(event, f"the act {state.open_act} has no outcome yet")
    if (missing := _unfinished(state)) is not None:
        raise impossible(event, f"the step {missing} is not complete")
    if state.aborted and ended.outcome != ABORTED:
        raise impossible(event, f"an aborted run does not end as {ended.outcome}")


def _apply_evidence(state: RunState, event: e.Event) -> None:
    match event.fact:
        case e.Observed() as seen:
            if digest(seen.facts) != seen.digest:
                raise impossible(event, "the facts do not have the digest that was recorded for them")
            item = Evidence(
                seen.evidence, seen.step, seen.tool, seen.facts, seen.sha, event.at, event.seq, seen.summary
            )
            new_evidence(state, event, item)
            state.evidence[seen.step] = item
            end_consultation(state, seen.step, DRAFT)
        case e.Judged() as judged:
            _check_cited(state, event, judged.evidence)
            state.judged[judged.step, judged.gate] = judged
        case e.VerdictGiven() as verdict:
            _check_cited(state, event, verdict.cites)
            if verdict.answer not in {"go", "hold"}:
                raise impossible(event, f"a verdict is go or hold, not {verdict.answer!r}")
            state.verdicts[verdict.step] = verdict
            if verdict.answer == "hold":
                state.lifted.pop(verdict.step, None)  # what was lifted was another one
            end_consultation(state, verdict.step, VERDICT)
        case e.HoldLifted() as lifted:
            held = state.verdicts.get(lifted.step)
            if held is None or held.answer != "hold":
                raise impossible(event, f"step {lifted.step} holds nothing")
            state.lifted[lifted.step] = lifted
            end_consultation(state, lifted.step, ADVICE)
            state.exceptions.append(f"hold of {lifted.step} lifted by {lifted.who}: {lifted.reason}")


def _apply_permission(state: RunState, event: e.Event) -> None:
    match event.fact:
        case e.Overridden() as overridden:
            if any(known.name == overridden.name and known.who == overridden.who for known, _ in state.overridden):
                raise impossible(event, f"{overridden.who} has overridden {overridden.name} already")
            if not overridden.reason:
                raise impossible(event, "an exception has a reason")
            state.overridden.append((overridden, event.at))
            state.exceptions.append(f"{overridden.name} overridden by {overridden.who}: {overridden.reason}")
        case e.Allowed() as allowed:
            if not asks(state, allowed.step) or _unfinished(state) != allowed.step:
                raise impossible(event, f"{allowed.step} does not wait for a person's go")
            state.allowed[allowed.step] = allowed


def _check_cited(state: RunState, event: e.Event, cites: Iterable[str]) -> None:
    for cited in cites:
        if cited not in state.evidence_by_id:
            raise impossible(event, f"evidence {cited} does not exist")


def _apply_watch(state: RunState, event: e.Event) -> None:
    fact = event.fact
    if isinstance(fact, e.WatchOpened):
        if fact.step in state.watches:
            raise impossible(event, f"the watch {fact.step} is open already")
        _check_window(state, event, fact)
        state.watches[fact.step] = WatchState(fact, event.at)
        return
    watch = state.watches.get(fact.step)  # type: ignore[union-attr]
    if watch is None or watch.closed:
        raise impossible(event, "that watch is not open")
    match fact:
        case e.Sampled():
            item = Evidence(fact.evidence, fact.step, "", fact.sample, "", event.at, event.seq, fact.message)
            new_evidence(state, event, item)
            watch.samples.append((event.at, fact.sample))
            watch.last = fact
        case e.WatchClosed():
            if fact.outcome == "healthy" and event.at < watch.opened.ends_at:
                raise impossible(event, "a watch is never shortened")
            if fact.outcome == "healthy" and (watch.last is None or watch.last.outcome != "healthy"):
                raise impossible(event, "the last look was not a healthy one")
            watch.closed = fact
            end_consultation(state, fact.step, WATCH)


def _check_window(state: RunState, event: e.Event, fact: e.WatchOpened) -> None:
    """The watch is the planned one, and its window starts no earlier than what was recorded before it (I25)."""
    rule = state.plan.basis.get("watch") if state.plan else None
    window = rule.get("window_ms") if isinstance(rule, dict) else None
    if not isinstance(window, int) or fact.rule != rule:
        raise impossible(event, "the plan has another watch")
    if datetime.fromisoformat(fact.ends_at) - datetime.fromisoformat(state.last_at) < timedelta(milliseconds=window):
        raise impossible(event, "the window is shorter than the planned one")


def _unfinished(state: RunState) -> str | None:
    """The first step of the present branch that is not complete: whoever ends has done all of it."""
    for row in state.started.outline:
        if row["branch"] == state.branch and not is_complete(Kind(str(row["kind"])), str(row["id"]), state):
            return str(row["id"])
    return None
