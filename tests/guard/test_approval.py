"""Words and what an approval covers (APR-1 to APR-3, I15)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse import events as e
from pilothouse.guard.approval import (
    WORDS,
    ScriptedApproval,
    approval_digest,
    drawable,
    entry_matches,
    may_ask,
    scripted_applies,
)
from pilothouse.guard.fold import fold
from pilothouse.model import Refuse
from story import START, act, approved, chained, opened, planned, started

LATER = (START + timedelta(minutes=15)).isoformat()
PLAN = planned(act("deploy"))
CARD = opened(plan=PLAN)


@given(st.sampled_from(["", *WORDS]))
def test_the_last_word_is_never_drawn_again(last):
    assert last not in drawable(last)
    assert len(drawable(last)) >= len(WORDS) - 1


LOOK_ALIKES = ["launch", "LAUNCH ", " LAUNCH", "LAUNCH\n", "LAUNCH\r", "LАUNCH", "LAUNCH\u200b", "\u202eHCNUAL", "Launch",
               "LAUNCHH", "", "LAUNC", "ＬＡＵＮＣＨ", "LAUNCH\x00", "'LAUNCH'"]  # fmt: skip


@pytest.mark.parametrize("entered", LOOK_ALIKES)
def test_only_the_exact_word_matches(entered):
    assert not entry_matches("LAUNCH", entered, LATER, START)


def test_the_exact_word_matches_until_it_expires():
    assert entry_matches("LAUNCH", "LAUNCH", LATER, START + timedelta(minutes=14, seconds=59))
    assert not entry_matches("LAUNCH", "LAUNCH", LATER, START + timedelta(minutes=15))


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)),
)
def test_an_approval_of_other_contents_has_another_digest(one, other):
    assert (approval_digest(one) == approval_digest(other)) == (one == other)


def test_a_word_is_drawn_only_while_the_checkpoint_waits():
    waiting = fold(chained(started(), PLAN, CARD))
    assert may_ask(waiting, "go", START) is None
    assert may_ask(waiting, "go", START + timedelta(days=3)).reason_code == "checkpoint-expired"
    assert may_ask(fold(chained(started(), PLAN)), "go", START).reason_code == "nothing-to-approve"
    assert may_ask(fold(chained(started(), PLAN, CARD, approved(CARD))), "go", START).reason_code == "already-approved"
    rejected = fold(chained(started(), PLAN, CARD, e.Rejected("go", "ceo", "terminal", "no")))
    assert may_ask(rejected, "go", START).reason_code == "run-over"


def entry(**changes):
    fields = {"checkpoint": "go", "product": "acme", "workflow": "release", "approver": "ceo@acme.test",
              "expires": (START + timedelta(days=1)).isoformat(), "standing": True}  # fmt: skip
    return ScriptedApproval(**{**fields, **changes})


def test_a_scripted_approval_covers_exactly_what_it_names():
    state = fold(chained(started(), PLAN, CARD))
    assert scripted_applies((entry(),), state, "go", START) == entry()
    for other in ({"checkpoint": "tag"}, {"product": "other"}, {"workflow": "rollback"}, {"standing": False}):
        assert isinstance(scripted_applies((entry(**other),), state, "go", START), Refuse)
    expired = scripted_applies((entry(expires=START.isoformat()),), state, "go", START)
    assert expired.reason_code == "scripted-expired"
    assert scripted_applies((), state, "go", START).reason_code == "no-scripted-approval"


def test_a_scripted_approval_never_covers_a_checkpoint_that_opened_again():
    void = e.Failed("deploy", "plan-changed", "", "", "")
    intent = e.Intended(
        "deploy", "deploy.apply", {"environment": "production"}, "k", PLAN.digest, CARD.approval_digest, "main", 1
    )
    again = opened(plan=PLAN, pins={"deploy": {"main": "2"}})
    state = fold(chained(started(), PLAN, CARD, approved(CARD), intent, void, again))
    assert scripted_applies((entry(),), state, "go", START).reason_code == "changed-since-approved"
