"""The fold: a run's state from its events, each transition checked where it is made (I2, I3, I16, I25, I32).

The shape follows python-tuf's trusted metadata set: a state machine without I/O, so that a ledger written by anything
else than this engine does not fold.
"""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse import events as e
from pilothouse.canonical import Json, digest
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.references import Unresolved
from pilothouse.guard.state import (
    MAIN,
    MAX_WORDS,
    ActState,
    CheckpointState,
    Evidence,
    RunState,
    WatchState,
    approved_digest,
    resolve_planned,
)
from pilothouse.model import EffectClass, Plan, PlannedAct, Presence, Reach


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
            raise _impossible(event, "a run begins with Started")
        state = RunState(event.run, event.fact, event.at)
    else:
        _check_standing(state, event)
        _apply(state, event)
    state.head_seq, state.last_at, state.events = event.seq, event.at, state.events + 1
    return state


def _impossible(event: e.Event, why: str) -> ImpossibleHistory:
    return ImpossibleHistory(
        "impossible-history",
        f"{event.chain} #{event.seq} ({event.kind} of {event.run}): {why}",
        "the ledger was not written by this engine alone; look at it with: pilothouse audit verify",
    )


_AFTER_REST = (e.Resumed, e.Aborted, e.Superseded, e.HoldLifted, e.Settled)


def _check_standing(state: RunState, event: e.Event) -> None:
    fact = event.fact
    if state.over:
        # An outcome always follows its intent, even where the run was ended meanwhile (I33).
        if isinstance(fact, e.Done | e.Failed) and state.aborted and state.acts.get(fact.step, ActState()).open:
            return
        raise _impossible(event, "the run is over")
    if (state.refused or state.halted) and not isinstance(fact, _AFTER_REST):
        raise _impossible(event, "the run rests, and only a person sets it going again")


def _apply(state: RunState, event: e.Event) -> None:
    match event.fact:
        case e.Started():
            raise _impossible(event, "a run starts once")
        case e.Intended() | e.Done() | e.Failed() | e.Settled() | e.Planned():
            _apply_act(state, event)
        case e.CheckpointOpened() | e.WordDrawn() | e.WordSpent() | e.Approved() | e.Rejected() | e.CheckpointExpired():
            _apply_checkpoint(state, event)
        case e.WatchOpened() | e.Sampled() | e.WatchClosed():
            _apply_watch(state, event)
        case e.Observed() | e.Judged() | e.VerdictGiven() | e.HoldLifted():
            _apply_evidence(state, event)
        case e.Skipped(step, why):
            state.skipped[step] = why
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
                raise _impossible(event, "only a run that rests is resumed")
            if state.halted and state.branched and state.branched.returns:
                state.branch = MAIN
            state.refused = state.halted = None
            state.resumed_seq = event.seq
        case e.Branched() as branched:
            if state.branch != MAIN:
                raise _impossible(
                    event, "a contingent branch has no branch of its own: a rollback is never rolled back"
                )
            if state.open_act:
                raise _impossible(event, f"the act {state.open_act} has no outcome yet")
            state.branch, state.branched = branched.branch, branched
        case e.Aborted() as aborted:
            state.aborted = aborted
        case e.Superseded(by):
            state.superseded_by = by
        case e.Ended() as ended:
            if state.open_act:
                raise _impossible(event, f"the act {state.open_act} has no outcome yet")
            state.ended = ended


def _new_evidence(state: RunState, event: e.Event, evidence: Evidence) -> None:
    if evidence.id in state.evidence_by_id:
        raise _impossible(event, f"evidence {evidence.id} exists already")
    state.evidence_by_id[evidence.id] = evidence


def _apply_evidence(state: RunState, event: e.Event) -> None:
    match event.fact:
        case e.Observed() as seen:
            if digest(seen.facts) != seen.digest:
                raise _impossible(event, "the facts do not have the digest that was recorded for them")
            item = Evidence(
                seen.evidence, seen.step, seen.tool, seen.facts, seen.sha, event.at, event.seq, seen.summary
            )
            _new_evidence(state, event, item)
            state.evidence[seen.step] = item
        case e.Judged() as judged:
            _check_cited(state, event, judged.evidence)
            state.judged[judged.step, judged.gate] = judged
        case e.VerdictGiven() as verdict:
            _check_cited(state, event, verdict.cites)
            if verdict.answer not in {"go", "hold"}:
                raise _impossible(event, f"a verdict is go or hold, not {verdict.answer!r}")
            state.verdicts[verdict.step] = verdict
        case e.HoldLifted() as lifted:
            held = state.verdicts.get(lifted.step)
            if held is None or held.answer != "hold":
                raise _impossible(event, f"step {lifted.step} holds nothing")
            state.lifted[lifted.step] = lifted
            state.exceptions.append(f"hold of {lifted.step} lifted by {lifted.who}: {lifted.reason}")


def _check_cited(state: RunState, event: e.Event, cites: Iterable[str]) -> None:
    for cited in cites:
        if cited not in state.evidence_by_id:
            raise _impossible(event, f"evidence {cited} does not exist")


def _apply_act(state: RunState, event: e.Event) -> None:
    fact = event.fact
    match fact:
        case e.Planned():
            if state.plan is not None:
                raise _impossible(event, "a run is planned once")
            state.plan = plan_from_fact(fact)
        case e.Intended():
            _check_intent(state, event, fact)
            act = state.acts.setdefault(fact.step, ActState(started_at=event.at))
            act.attempts, act.open, act.failed = fact.attempt, fact, None
        case e.Done():
            act = _open(state, event, fact.step)
            item = Evidence(fact.evidence, fact.step, "", fact.facts, "", event.at, event.seq, fact.summary)
            _new_evidence(state, event, item)
            act.open, act.done, act.ended_at = None, fact, event.at
            state.moves.update({pin: str(value) for pin, value in fact.moves.items()})
        case e.Failed():
            act = _open(state, event, fact.step)
            _void_on_change(state, act, fact)
            act.moved = act.moved or fact.moved
            act.open, act.failed, act.failed_seq, act.ended_at = None, fact, event.seq, event.at
        case e.Settled():
            _settle(state, event, fact)


def _void_on_change(state: RunState, act: ActState, fact: e.Failed) -> None:
    if fact.reason_code == "plan-changed" and act.open and act.open.approval_digest:
        for checkpoint in state.checkpoints.values():
            if checkpoint.approved and checkpoint.approved.approval_digest == act.open.approval_digest:
                if checkpoint.approved.exception in state.exceptions:
                    index = state.exceptions.index(checkpoint.approved.exception)
                    state.exceptions[index] += " (void: something changed)"
                checkpoint.approved = checkpoint.opened = None


def _settle(state: RunState, event: e.Event, fact: e.Settled) -> None:
    act = _open(state, event, fact.step)
    state.exceptions.append(f"{fact.who} settled {fact.step} as {fact.presence}: {fact.reason}")
    if fact.presence == Presence.APPLIED:
        act.done = e.Done(
            fact.step, f"settled-{event.seq}", fact.facts, {}, found=True, summary=f"settled by {fact.who}"
        )
    elif fact.presence == Presence.ABSENT:
        act.failed = e.Failed(fact.step, "settled-absent", f"{fact.who} says that it did not happen", "", "")
        act.failed_seq = event.seq
    else:
        raise _impossible(event, f"an act is settled as applied or absent, not {fact.presence!r}")
    act.open = None
    state.halted = None
    state.resumed_seq = event.seq


def _open(state: RunState, event: e.Event, step: str) -> ActState:
    act = state.acts.get(step)
    if act is None or act.open is None:
        raise _impossible(event, f"the act {step} was not intended")
    return act


def _check_intent(state: RunState, event: e.Event, fact: e.Intended) -> None:
    planned = state.plan.act(fact.step) if state.plan else None
    if state.plan is None or planned is None:
        raise _impossible(event, f"the act {fact.step} is not in the plan")
    if fact.plan_digest != state.plan.digest:
        raise _impossible(event, "the intent names another plan")
    if state.open_act:
        raise _impossible(event, f"the act {state.open_act} has no outcome yet")
    if planned.branch != state.branch or fact.branch != state.branch:
        raise _impossible(event, f"the act {fact.step} belongs to the branch {planned.branch}, not {state.branch}")
    before = state.acts.get(fact.step, ActState())
    if before.done or fact.attempt != before.attempts + 1:
        raise _impossible(event, f"the act {fact.step} was done already, or its attempt is miscounted")
    try:
        arguments = resolve_planned(planned, state)
    except Unresolved as missing:
        raise _impossible(event, f"{missing} is not known yet") from missing
    if fact.tool != planned.tool or fact.arguments != arguments:
        raise _impossible(event, "the intent is not what the plan says")
    if planned.checkpoint and fact.approval_digest != approved_digest(state, planned.checkpoint):
        raise _impossible(event, f"the checkpoint {planned.checkpoint} has not approved this")
    if planned.checkpoint and fact.approval_digest is None:
        raise _impossible(event, f"the checkpoint {planned.checkpoint} is not open")


def _apply_checkpoint(state: RunState, event: e.Event) -> None:
    fact = event.fact
    name = fact.checkpoint  # type: ignore[union-attr]  # every fact of this group has it
    known = state.checkpoints.setdefault(name, CheckpointState())
    if known.closed:
        raise _impossible(event, f"the checkpoint {name} is closed for good ({known.closed})")
    match fact:
        case e.CheckpointOpened():
            if known.opened:
                raise _impossible(event, f"the checkpoint {name} is open already")
            if digest(fact.basis) != fact.approval_digest:
                raise _impossible(event, "the approval digest is not that of what was shown")
            known.opened = known.shown = fact
            known.opened_at, known.openings = event.at, known.openings + 1
            known.word_open = None
            state.moves.clear()  # the pins of the new opening already hold what this run moved
        case e.WordDrawn():
            _same_opening(event, known, fact.approval_digest)
            known.word_open = fact
        case e.WordSpent():
            _same_opening(event, known, fact.approval_digest)
            if known.word_open is None:
                raise _impossible(event, "no word was drawn")
            known.word_open = None
            # The right word, too late, is no wrong entry: it is spent, and a new one may be drawn.
            known.wrong_words += 0 if fact.matched or fact.entered == fact.presented else 1
            state.last_word = fact.presented
            if known.wrong_words > MAX_WORDS:
                raise _impossible(event, "more words were spent than a checkpoint has")
        case e.Approved():
            _same_opening(event, known, fact.approval_digest)
            if known.approved:
                raise _impossible(event, f"the checkpoint {name} is approved already")
            known.approved = fact
            if fact.exception:
                state.exceptions.append(fact.exception)
        case e.Rejected() | e.CheckpointExpired():
            known.closed = "rejected" if isinstance(fact, e.Rejected) else "expired"
            state.aborted = fact


def _same_opening(event: e.Event, known: CheckpointState, approval_digest: str) -> None:
    if known.opened is None or known.opened.approval_digest != approval_digest:
        raise _impossible(event, "it names another card than the one that is open")


def _apply_watch(state: RunState, event: e.Event) -> None:
    fact = event.fact
    if isinstance(fact, e.WatchOpened):
        if fact.step in state.watches:
            raise _impossible(event, f"the watch {fact.step} is open already")
        state.watches[fact.step] = WatchState(fact, event.at)
        return
    watch = state.watches.get(fact.step)  # type: ignore[union-attr]
    if watch is None or watch.closed:
        raise _impossible(event, "that watch is not open")
    match fact:
        case e.Sampled():
            item = Evidence(fact.evidence, fact.step, "", fact.sample, "", event.at, event.seq, fact.message)
            _new_evidence(state, event, item)
            watch.samples.append((event.at, fact.sample))
            watch.last = fact
        case e.WatchClosed():
            if fact.outcome == "healthy" and event.at < watch.opened.ends_at:
                raise _impossible(event, "a watch is never shortened")
            watch.closed = fact


def plan_from_fact(fact: e.Planned) -> Plan:
    """The plan as it was recorded.

    Raises:
        ImpossibleHistory: its digest is not that of its acts and basis.
    """
    if digest({"acts": list(fact.acts), "basis": fact.basis}) != fact.digest:
        raise ImpossibleHistory("impossible-history", "the plan does not have the digest that was recorded for it")
    return Plan(tuple(_planned_act(act) for act in fact.acts), fact.basis, fact.digest)


def _planned_act(act: dict[str, Json]) -> PlannedAct:
    arguments, checkpoint = act["arguments"], act["checkpoint"]
    if not isinstance(arguments, dict):
        raise ImpossibleHistory("impossible-history", "a planned act has no arguments object")
    return PlannedAct(
        str(act["step"]), str(act["tool"]), str(act["branch"]), arguments, Reach(str(act["reach"])),
        bool(act["undoable"]), EffectClass(str(act["effect"])), None if checkpoint is None else str(checkpoint),
    )  # fmt: skip
