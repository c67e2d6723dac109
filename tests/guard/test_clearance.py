"""Who may approve, and when enough have: strangers, groups, four eyes, N of M (APR-4, I14)."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse import events as e
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.clearance import (
    ACCOUNT,
    SIGNATURE,
    STANDING,
    Clearance,
    Requirement,
    clearance_of,
    differences,
    may_approve,
    may_reject,
    missing,
)
from pilothouse.guard.fold import fold
from pilothouse.settings import Approver
from story import act, approved, chained, clearance, intended, opened, planned, started

ANN = Approver("ann", ("ceo",), ("ann",), "ssh-ed25519 AAAA")
BOB = Approver("bob", ("ceo", "security"))
EVE = Approver("eve", ("guests",))
TWO = Clearance((Requirement("ceo", 2, "go"),), (ANN, BOB, EVE), (ACCOUNT, SIGNATURE), "require", "bob", "b" * 40)


def given_by(*people):
    return [dataclasses.replace(approved(opened()), who=who, authentication=ACCOUNT) for who in people]


@pytest.mark.parametrize(
    ("who", "how", "before", "code"),
    [
        ("ann", ACCOUNT, (), None),
        ("ann", SIGNATURE, (), None),
        ("ann", STANDING, (), "authentication-refused"),
        ("ann", "unauthenticated", (), "authentication-refused"),
        ("ann", ACCOUNT, ("ann",), "approved-before"),
        ("bob", ACCOUNT, (), "four-eyes"),
        ("eve", ACCOUNT, (), "wrong-group"),
        ("mallory", ACCOUNT, (), "not-an-approver"),
        ("Ann", ACCOUNT, (), "not-an-approver"),
        ("ann ", ACCOUNT, (), "not-an-approver"),
        ("\u0430nn", ACCOUNT, (), "not-an-approver"),  # a Cyrillic a
        ("", ACCOUNT, (), "not-an-approver"),
    ],
)
def test_an_approval_counts_from_whom_it_should_and_from_nobody_else(who, how, before, code):
    refusal = may_approve(TWO, given_by(*before), who, how)
    assert (refusal.reason_code if refusal else None) == code


@pytest.mark.parametrize(
    "nobody",
    [None, dataclasses.replace(TWO, approvers=()), dataclasses.replace(TWO, requires=())],
)
def test_an_empty_list_means_nobody_never_everybody(nobody):
    for who in ("ann", "root", ""):
        assert may_approve(nobody, (), who, ACCOUNT).reason_code == "nobody-may-approve"


@given(st.lists(st.sampled_from(["ann", "bob", "eve", "mallory"]), max_size=6))
def test_enough_is_so_many_distinct_people_of_the_group(people):
    assert (missing(TWO, given_by(*people)) == ()) == ({"ann", "bob"} <= set(people))


def test_every_requirement_must_be_met():
    both = dataclasses.replace(TWO, requires=(Requirement("ceo", 1, "go"), Requirement("security", 1, "changes CI")))
    assert missing(both, given_by("ann")) == ("1 of security (changes CI)",)
    assert missing(both, given_by("ann", "bob")) == ()


MORE = Clearance(
    (Requirement("ceo", 1, "go"), Requirement("ceo", 1, "a migration destroys data"), Requirement("security", 1, "CI")),
    (ANN, BOB, EVE), (ACCOUNT, SIGNATURE, STANDING), "record", "carl", "b" * 40,
)  # fmt: skip


def known_by(*pairs):
    return [dataclasses.replace(approved(opened()), who=who, authentication=how) for who, how in pairs]


def test_a_standing_approval_counts_for_the_first_requirement_alone():
    assert missing(MORE, known_by(("bob", STANDING))) == ("1 of ceo (a migration destroys data)", "1 of security (CI)")
    both = known_by(("bob", STANDING), ("ann", STANDING))
    assert missing(MORE, both) == missing(MORE, known_by(("bob", STANDING)))
    assert missing(MORE, [*both, *known_by(("bob", ACCOUNT))]) == ()
    assert missing(MORE, known_by(("bob", SIGNATURE))) == ()  # one person covers every group they are in
    assert missing(MORE, known_by(("ann", ACCOUNT))) == ("1 of security (CI)",)
    only = dataclasses.replace(MORE, requires=MORE.requires[:1])
    assert missing(only, known_by(("ann", STANDING))) == ()


def test_whose_standing_approval_stands_may_still_look_themselves_and_once():
    def code(given, who, how, cleared=MORE):
        refusal = may_approve(cleared, known_by(*given), who, how)
        return refusal.reason_code if refusal else None

    assert code([("bob", STANDING)], "bob", ACCOUNT) is None
    assert code([("bob", STANDING)], "bob", SIGNATURE) is None
    assert code([("bob", STANDING)], "bob", STANDING) == "approved-before"
    assert code([("bob", ACCOUNT)], "bob", STANDING) == "approved-before"
    assert code([("bob", STANDING), ("bob", ACCOUNT)], "bob", SIGNATURE) == "approved-before"
    only = dataclasses.replace(MORE, requires=MORE.requires[:1])
    assert code([("bob", STANDING)], "bob", ACCOUNT, only) == "approved-before"  # nothing asks them to
    security = dataclasses.replace(MORE, approvers=(dataclasses.replace(BOB, groups=("security",)),))
    assert code([], "bob", STANDING, security) == "wrong-group"
    assert code([], "bob", ACCOUNT, security) is None


def test_any_approver_may_reject_and_so_may_the_starter():
    assert [may_reject(TWO, who) for who in ("ann", "bob", "eve", "mallory")] == [True, True, True, False]
    assert may_reject(dataclasses.replace(TWO, starter="mallory"), "mallory")
    assert not may_reject(None, "ann")


def test_a_clearance_reads_back_and_what_is_misshapen_is_none():
    assert clearance_of({"clearance": TWO.as_json()}) == TWO
    good = TWO.as_json()
    for spoilt in (
        None, [], {}, {**good, "requires": [1]}, {**good, "requires": [{"group": "ceo", "number": 0, "why": ""}]},
        {**good, "requires": [{"group": "ceo", "number": True, "why": ""}]}, {**good, "approvers": "all"},
        {**good, "approvers": [{"id": "ann"}]}, {**good, "starter": None}, {**good, "authentications": "account"},
    ):  # fmt: skip
        assert clearance_of({"clearance": spoilt}) is None


PLAN = planned(act("deploy"))
CARD = opened(plan=PLAN, cleared=clearance(ANN, BOB, requires=(Requirement("ceo", 2, "go"),), four_eyes="require"))


def by(who, **changes):
    return dataclasses.replace(approved(CARD), **{"who": who, **changes})


def test_two_people_open_a_checkpoint_that_needs_two():
    one = [started(), PLAN, CARD, by("ann")]
    assert fold(chained(*one)).checkpoints["go"].approved is None
    with pytest.raises(ImpossibleHistory):
        fold(chained(*one, intended(PLAN, "deploy", approval=CARD.approval_digest)))
    own = clearance(ANN, BOB, requires=(Requirement("ceo", 2, "go"),), starter="carl")
    card = opened(plan=PLAN, cleared=own)
    both = [dataclasses.replace(approved(card), who=who) for who in ("ann", "bob")]
    state = fold(chained(started(), PLAN, card, *both, intended(PLAN, "deploy", approval=card.approval_digest)))
    assert state.open_act == "deploy"


@pytest.mark.parametrize(
    "given",
    [
        [by("bob")],  # who started it: the story's starter is bob
        [by("mallory")],
        [by("ann"), by("ann")],
        [by("ann", authentication="unauthenticated")],
        [by("ann", authentication="account")],  # without a word
        [e.Rejected("go", "mallory", "terminal", "because")],
    ],
)
def test_an_approval_that_should_not_count_does_not_fold(given):
    *before, last = chained(started(), PLAN, CARD, *given)
    fold(before)
    with pytest.raises(ImpossibleHistory):
        fold([*before, last])


def test_who_approves_what_they_started_leaves_an_exception_or_it_does_not_fold():
    card = opened(plan=PLAN, cleared=clearance(BOB))
    silent = dataclasses.replace(approved(card), who="bob")
    with pytest.raises(ImpossibleHistory, match="exception"):
        fold(chained(started(), PLAN, card, silent))
    said = dataclasses.replace(silent, exception="bob approved what they started themselves")
    state = fold(chained(started(), PLAN, card, said))
    assert state.checkpoints["go"].approved is not None
    assert state.exceptions == ["bob approved what they started themselves"]


ALONE = opened(plan=PLAN)


def voided(*difference, card=CARD):
    return e.CardVoided("go", card.approval_digest, difference)


def test_a_card_that_is_taken_back_takes_its_approvals_with_it():
    first = by("ann", exception="a standing approval")
    state = fold(chained(started(), PLAN, CARD, first, voided("main moved: a → b")))
    assert state.checkpoints["go"].opened is None
    assert state.checkpoints["go"].approvals == []
    assert state.exceptions == ["a standing approval (void: something changed)"]
    assert state.void_seq == state.head_seq


@pytest.mark.parametrize(
    "history",
    [
        (CARD, voided()),
        (voided("main moved"),),
        (CARD, voided("main moved", card=opened(plan=PLAN))),
        (CARD, voided("main moved"), by("ann")),
        (ALONE, approved(ALONE), voided("main moved", card=ALONE)),
    ],
    ids=["without a difference", "before any card", "another card", "approved afterwards", "approved before"],
)
def test_a_card_is_taken_back_only_while_it_waits_and_with_what_differs(history):
    with pytest.raises(ImpossibleHistory):
        fold(chained(started(), PLAN, *history))


def test_every_difference_in_who_must_approve_is_said():
    assert differences(TWO, dataclasses.replace(TWO, source="c" * 40)) == ()
    told = {
        "requires": (
            (Requirement("ceo", 1, "go"),),
            ("needed now, too: 1 of ceo (go)", "no longer needed: 2 of ceo (go)"),
        ),
        "approvers": (
            (dataclasses.replace(ANN, key="ssh-ed25519 BBBB"), EVE, Approver("zoe", ("ceo",))),
            (
                "ann changed on the base branch (groups, accounts or key)",
                "bob is no approver any more",
                "zoe is an approver now",
            ),
        ),
        "authentications": ((SIGNATURE,), (f"approvals count by {SIGNATURE} now",)),
        "four_eyes": ("record", ("who started the run may approve now",)),
    }
    for name, (value, lines) in told.items():
        assert differences(TWO, dataclasses.replace(TWO, **{name: value})) == lines
    assert differences(None, None) == ()
    assert differences(TWO, None) == ("who may approve changed on the base branch",)
