"""Freezes and locks: when they hold, whom they hold, and what lets a run pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.test_product import line, locked
from guard_samples import product
from pilothouse import events as e
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.bound import Bound
from pilothouse.guard.decide import decide
from pilothouse.guard.fold import fold
from pilothouse.guard.gates import RULES
from pilothouse.guard.policy import (
    Block,
    Constraints,
    blocks,
    is_held,
    next_window,
    not_overridden,
    opens_at,
    refusal,
    stamp,
    window,
)
from pilothouse.guard.product import ProductState, fold_product
from pilothouse.model import EACH_ACT, Kind, Permit, Phase, Refuse, Step, Wait, Workflow
from pilothouse.settings import Freeze, ManualCheck, Needed, Policy
from story import SHA, START, act, chained, planned, started

NOTHING = ProductState()
WEEKEND = Freeze("weekend", "nobody is there", "2026-01-02T16:00", "FREQ=WEEKLY;BYDAY=FR", 62 * 3600, "Europe/Berlin")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def held(now, *freezes, product=NOTHING, everything=NOTHING, name="acme"):
    return blocks(freezes, product, everything, name, at(now))


def once(start, hours, zone="UTC", **more):
    return Freeze("holidays", "quiet", start, "", hours * 3600, zone, **more)


@pytest.mark.parametrize(
    ("now", "frozen"),
    [
        ("2026-11-20T14:59:59", False),  # Friday, a second before 16:00 in Berlin
        ("2026-11-20T15:00:00", True),
        ("2026-11-23T04:59:59", True),  # Monday, a second before 06:00
        ("2026-11-23T05:00:00", False),
        ("2026-07-03T13:59:59", False),  # in summer 16:00 in Berlin is 14:00 UTC
        ("2026-07-03T14:00:00", True),
        ("2026-10-26T04:59:59", True),  # the clocks went back on Sunday: it ends at 06:00 local time all the same
        ("2026-10-26T05:00:00", False),
        ("2026-03-30T03:59:59", True),  # the clocks went forward on Sunday
        ("2026-03-30T04:00:00", False),
    ],
)
def test_a_recurring_freeze_holds_in_its_windows_of_local_time(now, frozen):
    assert bool(held(now, WEEKEND)) is frozen


def test_a_window_without_a_rule_comes_once():
    freeze = once("2026-12-18T16:00", 24)
    assert [bool(held(now, freeze)) for now in ("2026-12-18T15:59:59", "2026-12-18T16:00:00", "2026-12-19T16:00:00")] == [
        False, True, False,
    ]  # fmt: skip


def test_an_hour_that_comes_twice_never_shortens_a_window():
    # 02:30 comes twice in Berlin on 25 October 2026: at 00:30 and at 01:30 UTC.
    ends_in_it, begins_in_it = (
        once("2026-10-25T01:30", 1, "Europe/Berlin"),
        once("2026-10-25T02:30", 1, "Europe/Berlin"),
    )
    assert held("2026-10-25T01:29:59", ends_in_it)
    assert not held("2026-10-25T01:30:00", ends_in_it)
    assert held("2026-10-25T00:30:00", begins_in_it)


@pytest.mark.parametrize(
    ("start", "seconds", "held"),
    [("2026-03-29T01:00", 3600, "2026-03-29T00:30"), ("2026-03-28T22:00", 4 * 3600 + 1800, "2026-03-29T01:15")],
    ids=["an hour", "overnight"],
)
def test_an_hour_that_is_skipped_never_shortens_a_window(start, seconds, held):
    freeze = Freeze("nightly", "counted", start, "", seconds, "Europe/Berlin")
    assert window(freeze, datetime.fromisoformat(held).replace(tzinfo=UTC))


def test_a_freeze_of_some_products_holds_those_only():
    freeze = once("2026-12-18T16:00", 24, products=("shop",))
    assert held("2026-12-18T17:00:00", freeze, name="shop")
    assert not held("2026-12-18T17:00:00", freeze, name="acme")


def test_a_block_says_why_and_until_when():
    (block,) = held("2026-11-21T09:00:00", WEEKEND)
    assert (block.id, block.reason, block.until) == (
        "freeze/weekend", "nobody is there", "2026-11-23T05:00:00.000000+00:00"
    )  # fmt: skip


def test_locks_of_the_product_and_of_every_product_hold_it():
    own, every = fold_product(line(locked("mine"))), fold_product(line(locked("all"), chain=e.GLOBAL_CHAIN))
    assert [block.id for block in held("2026-11-21T10:00:00", product=own, everything=every)] == [
        "lock/mine", "lock-all/all",
    ]  # fmt: skip


def test_the_next_opening_is_after_the_last_window_that_follows_at_once():
    friday, rest = once("2026-12-18T16:00", 8), Freeze("sales", "sale", "2026-12-19", "", 48 * 3600, "UTC")
    assert opens_at((friday, rest), NOTHING, NOTHING, "acme", at("2026-12-18T17:00:00")) == stamp(
        at("2026-12-21T00:00:00")
    )
    assert opens_at((friday,), NOTHING, NOTHING, "acme", at("2026-12-18T17:00:00")) == stamp(at("2026-12-19T00:00:00"))


def test_no_opening_is_told_where_a_lock_has_no_end_or_windows_never_leave_a_gap():
    own = fold_product(line(locked()))
    assert opens_at((), own, NOTHING, "acme", at("2026-11-21T10:00:00")) == ""
    always = Freeze("always", "closed", "2026-01-01", "FREQ=DAILY", 86400, "UTC")
    assert opens_at((always,), NOTHING, NOTHING, "acme", at("2026-11-21T10:00:00")) == ""


def test_the_next_window_is_told():
    assert next_window(WEEKEND, at("2026-11-21T09:00:00")) == "2026-11-27T15:00:00.000000+00:00"
    assert next_window(once("2026-01-01", 1), at("2026-11-21T09:00:00")) == ""


def test_not_more_windows_are_walked_than_a_century_of_days_has():
    now = at("2026-11-21T09:00:00")
    old, ancient = (Freeze("f", "r", start, "FREQ=DAILY", 3600, "UTC") for start in ("2000-01-01", "1000-01-01"))
    assert next_window(old, at("2100-12-31T09:00:00")).startswith("2101-01-01")
    assert window(old, at("2100-12-31T00:30:00"))
    assert (window(ancient, now), next_window(ancient, now)) == (None, "")


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31))  # noqa: DTZ001 - made UTC below
RECURRENCES = st.sampled_from(
    ["FREQ=DAILY", "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;BYDAY=FR,MO", "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=YEARLY"]
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])


@settings(deadline=None, max_examples=200)
@given(now=MOMENTS, rule=RECURRENCES, zone=ZONES, hours=st.integers(1, 90 * 24))
def test_what_is_said_of_a_window_is_true(now, rule, zone, hours):
    """At any moment: where a freeze holds, it holds from its start to the instant before its end; at the opening nothing does."""
    freeze, moment = Freeze("f", "r", "2026-01-01T22:30", rule, hours * 3600, zone), now.replace(tzinfo=UTC)
    found = window(freeze, moment)
    if found is not None:
        since, until = found
        assert since <= moment < until
        assert abs((until - since) - timedelta(hours=hours)) <= timedelta(hours=1)
        assert window(freeze, since) is not None
        assert window(freeze, until - timedelta(microseconds=1)) is not None
    opening = opens_at((freeze,), NOTHING, NOTHING, "acme", moment)
    if opening:
        assert opening >= stamp(moment)
        assert window(freeze, datetime.fromisoformat(opening)) is None


# --- whom it holds ---------------------------------------------------------------------------------------------------

STAGING = {"environment": "staging"}
ACTS = (
    act("branch", "git.release_branch", checkpoint=None, reach="workspace"),
    act("stage", checkpoint=None, reach="staging", arguments=STAGING),
    act("backup", "backup.create", checkpoint=None), act("ship", checkpoint=None), act("ship-on", checkpoint=None),
    act("undo", branch="rollback", checkpoint=None),
)  # fmt: skip
PLAN = planned(*ACTS)
BLOCK = Block("freeze", "weekend", "nobody is there", "policy", "2026-11-23T05:00:00.000000+00:00", stamp(START))
HELD = Constraints((BLOCK,), BLOCK.until)


def workflow(name="release", asks=""):
    def step(row):
        return Step(row["step"], "qa-engineer", Kind.ACT, row["tool"], arguments=dict(row["arguments"]))

    main = tuple(step(row) for row in ACTS if row["branch"] == "main")
    return Workflow(name, name, "", (Phase("all", "All", "qa-engineer", main),), {}, {}, "", asks=asks)


def answered(step, *facts, constraints=HELD, name="release", asks="", outline=(), inputs=None):
    state = fold(chained(started(workflow=name, outline=outline, inputs=inputs or {}), PLAN, *facts))
    flow = workflow(name, asks)
    bound = Bound(None, Policy(), state.started.to_sha, frozenset(), held=constraints)
    wanted = next((item for item in flow.steps() if item.id == step), None)
    return decide(wanted, flow, state, bound, START + timedelta(minutes=1)).answer


def shipped(step="ship"):
    return e.Intended(step, "deploy.apply", {"environment": "production"}, "k", PLAN.digest, None, "main", 1)


def skipped(*steps):
    return [e.Skipped(step, "not this time") for step in steps]


@pytest.mark.parametrize("step", ["stage", "backup", "ship"])
def test_a_freeze_refuses_what_reaches_an_environment(step):
    answer = answered(step)
    assert isinstance(answer, Refuse)
    assert answer.reason_code == "frozen"
    assert "2026-11-23 05:00 UTC" in answer.message
    assert "--override freeze/weekend" in answer.hint
    assert isinstance(answered(step, constraints=Constraints()), Permit)


def test_a_lock_refuses_with_its_own_code():
    own = Block("lock", "look", "orders get lost", "ann", "", stamp(START))
    answer = answered("ship", constraints=Constraints((own,)))
    assert (answer.reason_code, "ann" in answer.message, "orders get lost" in answer.message) == ("locked", True, True)


def test_nothing_holds_what_reaches_no_environment():
    assert isinstance(answered("branch"), Permit)


def test_a_rollback_is_exempt_as_a_workflow_and_as_a_branch():
    assert isinstance(answered("ship", name="rollback", inputs={e.WAY_BACK: True}), Permit)
    state = fold(chained(started(), PLAN, e.Branched("rollback", "ship", "high", "unhealthy", "x", returns=False)))
    assert not is_held(state.plan.act("undo"), state)


@pytest.mark.parametrize("inputs", [{}, {e.WAY_BACK: False}, {e.WAY_BACK: "true"}])
def test_a_workflow_is_not_exempt_for_being_called_rollback(inputs):
    answer = answered("ship", name="rollback", inputs=inputs)
    assert (type(answer), answer.reason_code) == (Refuse, "frozen")


def test_a_run_that_has_touched_production_goes_on_and_one_that_only_backed_it_up_does_not():
    done = e.Done("ship", "e-1", {}, {}, found=False, summary="")
    assert isinstance(answered("ship-on", *skipped("branch", "stage", "backup"), shipped(), done), Permit)
    backed = e.Done("backup", "e-1", {}, {}, found=False, summary="")
    first = e.Intended("backup", "backup.create", {"environment": "production"}, "k", PLAN.digest, None, "main", 1)
    assert isinstance(answered("ship", *skipped("branch", "stage"), first, backed), Refuse)


# --- overrides -------------------------------------------------------------------------------------------------------


def overridden(name="freeze/weekend", who="ann", reason="it cannot wait"):
    return e.Overridden(name, who, "terminal", "account", reason)


def test_an_override_lets_the_run_pass_and_is_an_exception_on_its_record():
    assert isinstance(answered("ship", overridden()), Permit)
    state = fold(chained(started(), overridden()))
    assert state.exceptions == ["freeze/weekend overridden by ann: it cannot wait"]


def test_an_override_of_something_else_is_none():
    assert isinstance(answered("ship", overridden("lock/weekend")), Refuse)


def test_policy_may_ask_for_several_people_and_the_same_one_twice_is_refused():
    two = Constraints((BLOCK,), BLOCK.until, Needed("ceo", 2))
    assert isinstance(answered("ship", overridden(), constraints=two), Refuse)
    assert isinstance(answered("ship", overridden(), overridden(who="bob"), constraints=two), Permit)
    with pytest.raises(ImpossibleHistory):
        fold(chained(started(), overridden(), overridden()))


def test_an_override_without_a_reason_cannot_be():
    with pytest.raises(ImpossibleHistory):
        fold(chained(started(), overridden(reason="")))


def test_an_override_of_a_lock_is_one_of_that_very_lock():
    state = fold(chained(started(), overridden("lock/look")))  # at START + 2 s
    first = Block("lock", "look", "r", "ann", "", stamp(START + timedelta(seconds=1)))
    again = Block("lock", "look", "r", "ann", "", stamp(START + timedelta(seconds=3)))
    assert not_overridden(Constraints((first,)), state).blocks == ()
    assert not_overridden(Constraints((again,)), state).blocks == (again,)


def test_a_run_that_rests_can_be_overridden_and_only_then_goes_on():
    rests = e.Refused("ship", "frozen", "frozen", "", ())
    state = fold(chained(started(), PLAN, rests, overridden(), e.Resumed("ann", "terminal")))
    assert state.refused is None
    assert refusal(not_overridden(HELD, state), state.run) is None


# --- each act (PRO-11) -----------------------------------------------------------------------------------------------

ASKING = tuple(
    {"id": row["step"], "agent": "a", "kind": "act", "phase": "p", "branch": row["branch"], "asks": True}
    for row in ACTS
    if row["branch"] == "main"
)


def allowed(step="branch"):
    return e.Allowed(step, "ann", "terminal", "account")


def test_in_a_workflow_that_asks_each_act_waits_for_a_go_of_its_own():
    waits = answered("branch", asks=EACH_ACT, outline=ASKING, constraints=Constraints())
    assert isinstance(waits, Wait)
    assert waits.reason_code == "step-go"
    assert isinstance(answered("branch", allowed(), asks=EACH_ACT, outline=ASKING, constraints=Constraints()), Permit)


def test_a_workflow_that_asks_waits_even_where_its_outline_forgot_to_say_so():
    assert isinstance(answered("branch", asks=EACH_ACT, constraints=Constraints()), Wait)


GOES = {
    "an act without its go": [e.Intended("branch", "git.release_branch", {"environment": "production"}, "k", PLAN.digest, None, "main", 1)],
    "a go for an act that is not next": [allowed("ship")],
    "a go twice": [allowed(), allowed()],
    "a go for what is no act of the run": [allowed("other")],
}  # fmt: skip


@pytest.mark.parametrize("told", GOES)
def test_what_cannot_be_of_a_go_is_refused(told):
    with pytest.raises(ImpossibleHistory):
        fold(chained(started(outline=ASKING), PLAN, *GOES[told]))
    if "without" in told:
        fold(chained(started(outline=ASKING), PLAN, allowed(), *GOES[told]))


# --- manual checks (APR-8) -------------------------------------------------------------------------------------------

CHECK = ManualCheck("wording", "Is it as agreed?")


def row(**changes):
    return {"id": "wording", "answer": "yes", "who": "ann", "note": "", "fresh": True, **changes}


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([row()], "ok"), ([row(answer="no")], "manual-check-no"), ([row(answer="")], "manual-check-open"),
        ([row(fresh=False)], "manual-check-open"), ([row(fresh="yes")], "manual-check-open"),
        ([row(id="other")], "manual-check-open"), ([], "manual-check-open"), ([row(answer="YES")], "manual-check-open"),
        ([row(answer="no", fresh=False)], "manual-check-no"),
    ],
)  # fmt: skip
def test_every_manual_check_is_answered_with_yes_lately_and_for_this_commit(rows, code):
    bound = Bound(product(manual_checks=(CHECK,)), Policy(), SHA, frozenset())
    passed, found, _, _ = RULES["manual-checks-answered"]({"sha": SHA, "checks": rows}, bound)
    assert (passed, found) == (code == "ok", code)
    assert RULES["manual-checks-answered"]({"sha": "9" * 40, "checks": rows}, bound)[0] is False
