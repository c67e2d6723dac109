"""Freezes, locks and overrides at their edges, and what is said of them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from pilothouse import events as e
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.fold import fold
from pilothouse.guard.policy import (
    Block,
    Constraints,
    constraints,
    is_held,
    next_window,
    not_overridden,
    opens_at,
    refusal,
    stamp,
    window,
)
from pilothouse.guard.product import ProductState, fold_product
from pilothouse.guard.state import asks
from pilothouse.settings import Freeze, Needed
from story import START, act, approved, chained, failed, intended, opened, planned, started

DAILY = Freeze("d", "quiet", "2026-11-01T00:00:00", "FREQ=DAILY", 36 * 3600, "UTC")
ONCE = Freeze("o", "quiet", "2026-11-21T09:00:00", "", 3600, "UTC")


def test_of_windows_that_overlap_the_one_that_ends_last_counts():
    since, until = window(DAILY, START)
    assert (stamp(since)[:16], stamp(until)[:16]) == ("2026-11-21T00:00", "2026-11-22T12:00")


def test_the_one_that_ends_last_counts_also_where_clocks_leave_out_an_hour():
    # In Berlin 02:00 is followed by 03:00 on 29 March 2026, at 01:00 UTC; these end at 01:45 and at 02:30.
    pairs = Freeze("p", "quiet", "2026-03-28T01:45", "FREQ=MINUTELY;INTERVAL=45;COUNT=2", 24 * 3600, "Europe/Berlin")
    _, until = window(pairs, datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert until >= datetime(2026, 3, 29, 0, 45, tzinfo=UTC)


@pytest.mark.parametrize(("windows", "opens"), [(1, "09:01"), (99, "10:39"), (100, "")])
def test_an_opening_is_told_where_fewer_than_a_hundred_windows_follow_each_other(windows, opens):
    minutes = (stamp(START + timedelta(minutes=number))[:19] for number in range(windows))
    held = [Freeze(f"f{number}", "quiet", start, "", 60, "UTC") for number, start in enumerate(minutes)]
    told = opens_at(held, ProductState(), ProductState(), "acme", START)
    assert told[11:16] == opens


def test_a_rule_is_followed_through_its_first_forty_thousand_windows():
    minutes = Freeze("m", "quiet", "2026-01-01T00:00:00", "FREQ=MINUTELY", 60, "UTC")
    last = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=39_999)
    assert window(minutes, last) == (last, last + timedelta(minutes=1))
    assert window(minutes, last + timedelta(minutes=1)) is None


def test_the_next_window_is_one_that_has_not_begun():
    assert next_window(ONCE, START - timedelta(seconds=1)) == stamp(START)
    assert next_window(ONCE, START) == ""
    assert window(ONCE, START)
    assert window(ONCE, START - timedelta(microseconds=1)) is None
    assert window(ONCE, START + timedelta(hours=1)) is None


def test_when_it_opens_is_told_only_of_what_is_closed():
    free, closed = (
        constraints((ONCE,), ProductState(), ProductState(), "acme", START + timedelta(hours=late), Needed())
        for late in (2, 0)
    )
    assert (free.blocks, free.opens) == ((), "")
    assert closed.opens == stamp(START + timedelta(hours=1))


PLAN = planned(act("one"), act("free", checkpoint=None, reach="workspace"), act("undo", branch="rollback"))
CARD = opened(plan=PLAN)
BEGUN = (started(), PLAN, CARD, approved(CARD))


def of(*facts):
    return fold(chained(*facts))


def test_only_the_way_forward_to_an_environment_is_held():
    state = of(*BEGUN)
    one, free, undo = state.plan.acts
    assert is_held(one, state)
    assert is_held(dataclasses.replace(one, reach="staging"), state)
    assert not is_held(free, state)
    assert not is_held(undo, state)
    branched = of(*BEGUN, e.Branched("rollback", "one", "high", "x", "", returns=False))
    assert not is_held(undo, branched)
    assert not is_held(one, branched)
    touched = of(*BEGUN, intended(PLAN, "one", approval=CARD.approval_digest), failed("one"))
    assert not is_held(one, touched)
    assert not is_held(one, of(started(workflow="rollback", inputs={e.WAY_BACK: True}), PLAN))
    assert is_held(one, of(started(workflow="rollback"), PLAN))


def block(kind, **more):
    fields = {
        "name": "x",
        "reason": "because",
        "owner": "ann",
        "until": "",
        "since": stamp(START + timedelta(seconds=2)),
    }
    return Block(kind, **{**fields, **more})


def overridden(kind, *people):
    return [e.Overridden(f"{kind}/x", who, "t", "account", "urgent") for who in people]


def test_an_override_of_a_lock_is_of_that_very_lock_and_one_of_a_freeze_stands():
    at = chained(started(), *overridden("lock", "ann"))[1].at
    for kind in ("lock", "lock-all"):
        state = of(started(), *overridden(kind, "ann"))
        assert not_overridden(Constraints((block(kind, since=at),)), state).blocks == ()
        later = stamp(START + timedelta(seconds=2))  # with its microseconds: a later text
        assert not_overridden(Constraints((block(kind, since=later),)), state).blocks != ()
    state = of(started(), *overridden("freeze", "ann"))
    assert not_overridden(Constraints((block("freeze", since=stamp(START + timedelta(days=1))),)), state).blocks == ()
    assert not_overridden(Constraints((block("lock"),)), state).blocks != ()
    assert not_overridden(Constraints((block("freeze", name="y"),)), state).blocks != ()


def test_so_many_distinct_people_override_as_policy_says():
    held = Constraints((block("freeze"),), override=Needed("ceo", 2))
    assert not_overridden(held, of(started(), *overridden("freeze", "ann"))).blocks
    assert not not_overridden(held, of(started(), *overridden("freeze", "ann", "bob"))).blocks


UNTIL = "2026-11-21T10:00:00.000000+00:00"


def test_a_refusal_says_what_holds_it_until_when_and_who_may_override():
    assert refusal(Constraints(), "r-1") is None
    held = Constraints((block("freeze", until=UNTIL), block("lock")), UNTIL, Needed("ceo", 1))
    told = refusal(held, "r-1")
    assert told.reason_code == "frozen"
    assert told.message == (
        "frozen by x until 2026-11-21 10:00 UTC: because; locked by ann (x) until it is unlocked: because. Open again: 2026-11-21 10:00 UTC"
    )
    assert (
        told.hint == "wait; or, by one of ceo: pilothouse resume r-1 --override freeze/x --override lock/x --reason '…'"
    )
    other = refusal(Constraints((block("lock-all"),), "", Needed("ops", 2)), "")
    assert (other.reason_code, other.message) == (
        "locked",
        "every product is locked by ann (x) until it is unlocked: because",
    )
    assert other.hint.startswith("wait; or, by 2 of ops: pilothouse ship PRODUCT --override")


def locked(**changes):
    fields = {"name": "x", "reason": "because", "owner": "ann", "channel": "t", "expires_at": "", "cause": ""}
    return e.Locked(**{**fields, **changes})


def test_a_lock_has_a_name_a_reason_an_owner_and_a_later_end():
    def line(*facts):
        return fold_product(chained(*facts, run=e.PRODUCT_LINE))

    assert line(locked(expires_at=stamp(START + timedelta(seconds=1, microseconds=1)))).locks
    for odd in ({"name": ""}, {"reason": ""}, {"owner": ""}, {"expires_at": chained(locked())[0].at}):
        with pytest.raises(ImpossibleHistory):
            line(locked(**odd))


def test_only_the_steps_that_ask_wait_for_a_go():
    outline = (
        {"id": "one", "kind": "act", "branch": "main", "asks": True},
        {"id": "two", "kind": "act", "branch": "main"},
    )
    state = of(started(outline=outline))
    assert [bool(asks(state, name)) for name in ("one", "two", "three")] == [True, False, False]


def test_a_card_that_is_void_waits_for_nobody():
    state = of(*BEGUN, intended(PLAN, "one", approval=CARD.approval_digest), failed("one", "plan-changed"))
    assert state.standing() == "running"
