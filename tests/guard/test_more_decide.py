"""The guard's answer to an act, condition by condition: planned, on its line, unfrozen, approved, allowed, not held, known."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from guard_samples import product
from pilothouse import events as e
from pilothouse.canonical import digest
from pilothouse.guard.bound import Bound
from pilothouse.guard.decide import act_key, asks_each, decide
from pilothouse.guard.fold import fold
from pilothouse.guard.policy import Block, Constraints
from pilothouse.model import EACH_ACT, Gate, Kind, Permit, Refuse, Wait
from pilothouse.settings import Policy
from story import SHA, START, act, approved, chained, failed, intended, observed, opened, planned, started
from toyworld import step, toy_workflow

BOUND = Bound(product(), Policy(), SHA, frozenset())
REF = {"sha": {"ref": "other.sha", "type": "sha"}}
PLAN = planned(
    act("one"), act("free", checkpoint=None, reach="workspace"), act("needy", arguments=REF), act("undo", branch="rollback"),
)  # fmt: skip
CARD = opened(plan=PLAN)
FLOW = dataclasses.replace(toy_workflow(), gates={"up": Gate("up", "healthy", on="look", max_age=None)})
BEGUN = (started(), PLAN, CARD)
SOON = START + timedelta(minutes=1)
BRANCHED = e.Branched("rollback", "one", "high", "x", "", returns=False)


def of(*facts):
    return fold(chained(*facts))


def an_act(name, **more):
    return step(name, Kind.ACT, "deploy.apply", **more)


def answer(name, *facts, now=SOON, bound=BOUND, flow=FLOW, **more):
    return decide(an_act(name, **more), flow, of(*facts), bound, now).answer


def test_a_permit_is_for_exactly_this():
    state = of(*BEGUN, approved(CARD))
    decision = decide(an_act("one"), FLOW, state, BOUND, SOON)
    arguments = {"environment": "production"}
    assert decision.arguments == arguments
    assert decision.answer == Permit(
        state.run,
        "one",
        "deploy.apply",
        digest(arguments),
        PLAN.digest,
        CARD.approval_digest,
        "main",
        act_key(state, "one"),
    )
    free = decide(an_act("free"), FLOW, of(*BEGUN), BOUND, SOON).answer
    assert (free.approval_digest, free.step, free.branch) == (None, "free", "main")


def test_what_is_not_planned_or_on_another_line_is_refused():
    for facts in ((started(),), BEGUN):
        refusal = answer("other", *facts)
        assert (type(refusal), refusal.reason_code) == (Refuse, "not-in-plan")
    refusal = answer("undo", *BEGUN, approved(CARD))
    assert (type(refusal), refusal.reason_code) == (Refuse, "not-in-plan")
    assert isinstance(answer("undo", *BEGUN, approved(CARD), BRANCHED), Permit)
    assert answer("one", *BEGUN, approved(CARD), BRANCHED).reason_code == "not-in-plan"


def test_a_covered_act_waits_for_its_approval_and_for_a_new_one_once_it_is_old():
    wait = answer("one", *BEGUN)
    assert (type(wait), wait.reason_code, wait.checkpoint) == (Wait, "checkpoint", "go")
    late = START + timedelta(days=3)
    wait = answer("one", *BEGUN, approved(CARD), now=late)
    assert (type(wait), wait.reason_code, wait.checkpoint) == (Wait, "checkpoint", "go")
    assert isinstance(answer("one", *BEGUN, approved(CARD), now=late - timedelta(seconds=1)), Permit)
    touched = (*BEGUN, approved(CARD), intended(PLAN, "one", approval=CARD.approval_digest), failed("one"))
    assert isinstance(answer("one", *touched, now=late), Permit)
    assert isinstance(answer("undo", *touched, BRANCHED, now=late), Permit)
    assert isinstance(answer("undo", *BEGUN, approved(CARD), BRANCHED, now=late), Permit)  # a way back grows no older
    assert isinstance(answer("free", *BEGUN, now=late), Permit)


HELD = dataclasses.replace(
    BOUND, held=Constraints((Block("freeze", "quiet", "holidays", "policy", "", START.isoformat()),))
)


def test_what_is_frozen_is_refused_whatever_was_approved():
    for facts in (BEGUN, (*BEGUN, approved(CARD))):
        refusal = answer("one", *facts, bound=HELD)
        assert (type(refusal), refusal.reason_code) == (Refuse, "frozen")
    assert isinstance(answer("free", *BEGUN, bound=HELD), Permit)  # it reaches no environment


def test_where_each_act_asks_it_waits_for_its_own_go():
    each = dataclasses.replace(FLOW, asks=EACH_ACT)
    outline = ({"id": "free", "kind": "act", "branch": "main", "asks": True},)
    for first in (started(), started(outline=outline)):
        wait = answer("free", first, PLAN, CARD, flow=each)
        assert (type(wait), wait.reason_code) == (Wait, "step-go")
    allowed = e.Allowed("free", "ann", "t", "account")
    assert isinstance(answer("free", started(outline=outline), PLAN, CARD, allowed, flow=each), Permit)
    assert isinstance(answer("one", *BEGUN, approved(CARD), checkpoint="go", flow=each), Permit)
    assert isinstance(answer("free", *BEGUN), Permit)


@pytest.mark.parametrize(
    ("asks", "branch", "kind", "checkpoint", "waits"),
    [
        (EACH_ACT, "main", Kind.ACT, None, True), ("", "main", Kind.ACT, None, False), (EACH_ACT, "rollback", Kind.ACT, None, False),
        (EACH_ACT, "main", Kind.OBSERVE, None, False), (EACH_ACT, "main", Kind.ACT, "go", False),
    ],
)  # fmt: skip
def test_each_act_of_the_main_line_that_no_checkpoint_covers_asks(asks, branch, kind, checkpoint, waits):
    flow = dataclasses.replace(FLOW, asks=asks)
    assert asks_each(flow, step("x", kind, "t", checkpoint=checkpoint), branch) is waits


def test_an_act_that_asks_unless_a_gate_passes_is_held_until_a_person_lifts_it():
    good, bad = (observed("look", "e-1", {"healthy": healthy}) for healthy in (True, False))
    begun = (*BEGUN, approved(CARD))
    assert isinstance(answer("one", *begun, good, asks_unless="up"), Permit)
    wait = answer("one", *begun, bad, asks_unless="up")
    assert (type(wait), wait.reason_code) == (Wait, "hold")
    assert "resume --lift-hold one" in wait.message
    held = decide(an_act("one", asks_unless="up"), FLOW, of(*begun, bad), BOUND, SOON)
    assert [item.gate for item in held.findings] == ["up"]
    given = e.VerdictGiven("one", "qa", "hold", ("what the gate found",), (), "guard")
    lifted = (given, e.HoldLifted("one", "ann", "t", "it is fine"))
    assert isinstance(answer("one", *begun, bad, *lifted, asks_unless="up"), Permit)
    assert isinstance(answer("one", *begun, good, *lifted, asks_unless="up"), Permit)


def test_what_is_not_known_yet_is_refused_by_name():
    refusal = answer("needy", *BEGUN, approved(CARD))
    assert (type(refusal), refusal.reason_code) == (Refuse, "reference-unknown")
    assert "other.sha" in refusal.message
    known = observed("other", "e-1", {"sha": SHA})
    decision = decide(an_act("needy"), FLOW, of(*BEGUN, approved(CARD), known), BOUND, SOON)
    assert decision.arguments == {"sha": SHA}


def verdict(name, says):
    return e.VerdictGiven(name, "qa", says, ("fog", "ice"), (), "model")


def test_a_hold_comes_before_everything_and_says_whose_it_is():
    wait = answer("one", *BEGUN, verdict("ready", "hold"), needs=("other", "ready"), gates=("up",))
    assert (type(wait), wait.reason_code, wait.message) == (Wait, "hold", "qa holds at ready: fog; ice")
    assert isinstance(answer("free", *BEGUN, verdict("ready", "go"), needs=("ready",)), Permit)
    lifted = e.HoldLifted("ready", "ann", "t", "")
    assert isinstance(answer("free", *BEGUN, verdict("ready", "hold"), lifted, needs=("ready",)), Permit)
    assert isinstance(answer("free", *BEGUN, verdict("ready", "hold")), Permit)  # nothing here needs it
    own = decide(step("ready", Kind.VERDICT, "readiness"), FLOW, of(*BEGUN, verdict("ready", "hold")), BOUND, SOON)
    assert own.answer.reason_code == "hold"
    other = decide(step("ready", Kind.OBSERVE, "readiness"), FLOW, of(*BEGUN, verdict("ready", "hold")), BOUND, SOON)
    assert isinstance(other.answer, Permit)


def test_all_failing_gates_are_told_at_once_with_the_first_ones_code_and_hint():
    gates = {
        "up": Gate("up", "healthy", on="look", max_age=None),
        "back": Gate("back", "backed-up", on="look", max_age=None),
    }
    flow = dataclasses.replace(FLOW, gates={**gates, "fine": Gate("fine", "logs-clean", on="look", max_age=None)})
    seen = observed("look", "e-1", {"healthy": False})
    decision = decide(an_act("free", gates=("fine", "up", "back")), flow, of(*BEGUN, seen), BOUND, SOON)
    refusal = decision.answer
    assert (type(refusal), refusal.reason_code) == (Refuse, "unhealthy")
    assert refusal.message == "not healthy: no answer; there is no backup of production"
    assert [item.gate for item in refusal.findings] == ["up", "back"]
    assert refusal.hint == refusal.findings[0].hint != ""
    assert [item.passed for item in decision.findings] == [True, False, False]


def test_what_is_no_act_needs_no_plan():
    free = decide(step("look", Kind.OBSERVE, "look", gates=()), FLOW, of(started()), BOUND, SOON).answer
    assert free == Permit("r-2026-11-21-01", "look", "look", "", "", None, "main", "")
    planned_now = decide(step("look", Kind.OBSERVE, "look"), FLOW, of(*BEGUN), BOUND, SOON).answer
    assert planned_now.plan_digest == PLAN.digest
