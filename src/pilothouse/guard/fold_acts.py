"""The fold of acts: the plan, intents, outcomes, settlements (I2, I3, I16, I27)."""

from __future__ import annotations

from pilothouse import events as e
from pilothouse.canonical import Json, digest
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.approval import shown_value
from pilothouse.guard.fold_checkpoints import void_exceptions
from pilothouse.guard.history import impossible, new_evidence
from pilothouse.guard.references import Unresolved
from pilothouse.guard.state import ActState, Evidence, RunState, approved_digest, resolve_planned, unrecorded
from pilothouse.model import EffectClass, Plan, PlannedAct, Presence, Reach


def apply_act(state: RunState, event: e.Event) -> None:
    """Fold a fact about the plan or one of its acts."""
    fact = event.fact
    match fact:
        case e.Planned():
            if state.plan is not None:
                raise impossible(event, "a run is planned once")
            state.plan = plan_from_fact(fact)
        case e.Intended():
            _check_intent(state, event, fact)
            act = state.acts.setdefault(fact.step, ActState(started_at=event.at))
            act.attempts, act.open, act.failed = fact.attempt, fact, None
        case e.Done():
            act = _open(state, event, fact.step)
            item = Evidence(fact.evidence, fact.step, "", fact.facts, "", event.at, event.seq, fact.summary)
            new_evidence(state, event, item)
            act.open, act.done, act.ended_at = None, fact, event.at
            state.moves.update({pin: str(value) for pin, value in fact.moves.items()})
        case e.Failed():
            act = _open(state, event, fact.step)
            _void_on_change(state, event, act, fact)
            act.moved = act.moved or fact.moved
            act.open, act.failed, act.failed_seq, act.ended_at = None, fact, event.seq, event.at
        case e.Settled():
            _settle(state, event, fact)


def _void_on_change(state: RunState, event: e.Event, act: ActState, fact: e.Failed) -> None:
    if fact.reason_code == "plan-changed" and act.open and act.open.approval_digest:
        for checkpoint in state.checkpoints.values():
            if checkpoint.approved and checkpoint.approved.approval_digest == act.open.approval_digest:
                void_exceptions(state, checkpoint)
                checkpoint.approved = checkpoint.opened = None
                checkpoint.approvals = []
                state.void_seq = event.seq


def _settle(state: RunState, event: e.Event, fact: e.Settled) -> None:
    act = _open(state, event, fact.step)
    state.exceptions.append(f"{fact.who} settled {fact.step} as {fact.presence}: {fact.reason}")
    if fact.presence == Presence.APPLIED:
        told = f"settled by {fact.who}"
        item = Evidence(f"settled-{event.seq}", fact.step, "", fact.facts, "", event.at, event.seq, told)
        new_evidence(state, event, item)
        act.done = e.Done(fact.step, item.id, fact.facts, {}, found=True, summary=told)
    elif fact.presence == Presence.ABSENT:
        act.failed = e.Failed(fact.step, "settled-absent", f"{fact.who} says that it did not happen", "", "")
        act.failed_seq = event.seq
    else:
        raise impossible(event, f"an act is settled as applied or absent, not {fact.presence!r}")
    act.open = None
    state.halted = None
    state.resumed_seq = event.seq


def _open(state: RunState, event: e.Event, step: str) -> ActState:
    act = state.acts.get(step)
    if act is None or act.open is None:
        raise impossible(event, f"the act {step} was not intended")
    return act


def _check_intent(state: RunState, event: e.Event, fact: e.Intended) -> None:
    planned = state.plan.act(fact.step) if state.plan else None
    if state.plan is None or planned is None:
        raise impossible(event, f"the act {fact.step} is not in the plan")
    if fact.plan_digest != state.plan.digest:
        raise impossible(event, "the intent names another plan")
    if state.open_act:
        raise impossible(event, f"the act {state.open_act} has no outcome yet")
    if planned.branch != state.branch or fact.branch != state.branch:
        raise impossible(event, f"the act {fact.step} belongs to the branch {planned.branch}, not {state.branch}")
    before = state.acts.get(fact.step, ActState())
    if before.done or fact.attempt != before.attempts + 1:
        raise impossible(event, f"the act {fact.step} was done already, or its attempt is miscounted")
    if (first := _left_out(state, planned)) is not None:
        raise impossible(event, f"the act {first} comes before {fact.step}, and is neither done nor skipped")
    try:
        arguments = resolve_planned(planned, state)
    except Unresolved as missing:
        raise impossible(event, f"{missing} is not known yet") from missing
    if fact.tool != planned.tool or fact.arguments != arguments:
        raise impossible(event, "the intent is not what the plan says")
    if (record := unrecorded(state, planned)) is not None:
        raise impossible(event, f"{fact.step} reaches production, and its intent record {record} is not written")
    if planned.checkpoint is not None:
        _check_approved(state, event, fact, planned)


def _left_out(state: RunState, planned: PlannedAct) -> str | None:
    """The first act of the same branch that the plan has before this one and that is neither done nor skipped (I3)."""
    for act in state.plan.acts if state.plan else ():
        if act.step == planned.step:
            return None
        known = state.acts.get(act.step)
        if act.branch == planned.branch and act.step not in state.skipped and not (known and known.done):
            return act.step
    return None


def _check_approved(state: RunState, event: e.Event, fact: e.Intended, planned: PlannedAct) -> None:
    """What is about to be done is what the approved card says, text bodies included (I3, APR-3)."""
    checkpoint = str(planned.checkpoint)
    known = state.checkpoints.get(checkpoint)
    if fact.approval_digest is None or fact.approval_digest != approved_digest(state, checkpoint):
        raise impossible(event, f"the checkpoint {checkpoint} has not approved this")
    listed = known.opened.basis.get("acts") if known and known.opened else None
    cards = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    arguments = next((card.get("arguments") for card in cards if card.get("step") == fact.step), None)
    if not isinstance(arguments, dict) or arguments.keys() != fact.arguments.keys():
        raise impossible(event, f"the approved card does not list the act {fact.step}")
    for name, shown in arguments.items():
        # What the card could not know yet stands there as the plan's reference; the plan itself was compared above.
        if shown != planned.arguments[name] and shown != shown_value(fact.arguments[name]):
            raise impossible(event, f"{name} of {fact.step} is not what was approved")


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
