"""What a clearance says to whom it refuses, what its statement binds, and when the base branch has outdated it."""

from __future__ import annotations

import dataclasses

import pytest

from pilothouse.guard.clearance import (
    ACCOUNT,
    SIGNATURE,
    STANDING,
    Clearance,
    Requirement,
    clearance_of,
    differences,
    may_approve,
    outdated,
    statement,
)
from pilothouse.settings import Approver
from story import approved, opened

ANN, BOB = Approver("ann", ("ceo",), ("ann",), "ssh-ed25519 AAAA"), Approver("bob", ("security",))
ONE = Clearance((Requirement("ceo", 1, "go"),), (ANN, BOB), (ACCOUNT, SIGNATURE), "require", "carl", "b" * 40)


def test_a_statement_binds_run_checkpoint_and_digest():
    assert (
        statement("r-1", "go", "d" * 64)
        == f"pilothouse approval 1\nrun r-1\ncheckpoint go\ndigest {'d' * 64}\n".encode()
    )


def test_a_refusal_says_what_policy_takes():
    assert (
        may_approve(ONE, (), "ann", "pin").message
        == "ann is known here by pin, and policy takes account or ssh-signature"
    )
    nothing = dataclasses.replace(ONE, authentications=())
    assert may_approve(nothing, (), "ann", ACCOUNT).message == "ann is known here by account, and policy takes nothing"
    assert may_approve(ONE, (), "bob", ACCOUNT).message == "bob is in none of the groups that are asked: ceo"


@pytest.mark.parametrize("rows", [{"group": "ceo"}, {}, "ceo", "", None, 1, [["group", "ceo"]], [None]])
def test_rows_that_are_none_are_no_clearance(rows):
    assert clearance_of({"clearance": {**ONE.as_json(), "requires": rows}}) is None
    assert clearance_of({"clearance": {**ONE.as_json(), "approvers": rows}}) is None


def test_one_odd_row_among_good_ones_spoils_all_of_them():
    good = ONE.as_json()
    assert clearance_of({"clearance": {**good, "requires": [*good["requires"], 1]}}) is None


def test_a_clearance_is_outdated_once_the_base_branch_says_otherwise():
    assert outdated(ONE, ONE, ("ann",)) is None
    other_key = dataclasses.replace(ONE, approvers=(dataclasses.replace(ANN, key="ssh-ed25519 BBBB"), BOB))
    assert outdated(ONE, other_key, ("ann",)).reason_code == "approver-changed"
    assert outdated(ONE, other_key, ("bob",)) is None
    assert outdated(ONE, other_key, ("bob", "ann")).reason_code == "approver-changed"
    gone = dataclasses.replace(ONE, approvers=(BOB,))
    assert outdated(ONE, gone, ("ann",)).reason_code == "approver-changed"
    more = dataclasses.replace(ONE, requires=(*ONE.requires, Requirement("security", 1, "ci")))
    assert outdated(ONE, more, ("ann",)).reason_code == "clearance-changed"
    assert outdated(more, ONE, ("ann",)) is None  # what is asked no longer may have been given
    for change in ({"four_eyes": "record"}, {"starter": "ann"}):
        assert outdated(ONE, dataclasses.replace(ONE, **change), ("ann",)).reason_code == "clearance-changed"
        assert outdated(dataclasses.replace(ONE, **change), ONE, ("ann",)).reason_code == "clearance-changed"
    assert outdated(ONE, dataclasses.replace(ONE, source="c" * 40), ("ann",)) is None


MORE = dataclasses.replace(ONE, requires=(*ONE.requires, Requirement("security", 1, "ci")))
FEWER = dataclasses.replace(ONE, approvers=(BOB,))
OTHER_KEY = dataclasses.replace(ONE, approvers=(dataclasses.replace(ANN, key="ssh-ed25519 BBBB"), BOB))
FREE = dataclasses.replace(ONE, four_eyes="record")
UNSIGNED = dataclasses.replace(ONE, authentications=(ACCOUNT,))


@pytest.mark.parametrize(
    ("shown", "now", "told"),
    [
        (ONE, ONE, ()),
        (None, None, ()),
        (None, ONE, ("who may approve changed on the base branch",)),
        (ONE, None, ("who may approve changed on the base branch",)),
        (ONE, MORE, ("needed now, too: 1 of security (ci)",)),
        (MORE, ONE, ("no longer needed: 1 of security (ci)",)),
        (ONE, FEWER, ("ann is no approver any more",)),
        (FEWER, ONE, ("ann is an approver now",)),
        (ONE, OTHER_KEY, ("ann changed on the base branch (groups, accounts or key)",)),
        (ONE, FREE, ("who started the run may approve now",)),
        (FREE, ONE, ("who started the run may not approve now",)),
        (ONE, UNSIGNED, ("approvals count by account now",)),
        (UNSIGNED, ONE, ("approvals count by account or ssh-signature now",)),
        (ONE, dataclasses.replace(ONE, source="c" * 40), ()),
    ],
)
def test_a_card_says_what_changed_of_who_must_approve(shown, now, told):
    assert differences(shown, now) == told


def test_a_standing_approval_is_one_of_the_first_group_and_leaves_the_second_to_a_look():
    both = dataclasses.replace(MORE, authentications=(ACCOUNT, STANDING))
    assert may_approve(both, (), "bob", STANDING).message == "bob is in none of the groups that are asked: ceo"
    assert may_approve(both, (), "bob", ACCOUNT) is None
    twice = dataclasses.replace(both, approvers=(dataclasses.replace(ANN, groups=("ceo", "security")),))
    stands = dataclasses.replace(approved(opened()), who="ann", authentication=STANDING)
    assert may_approve(twice, (stands,), "ann", ACCOUNT) is None
    assert may_approve(twice, (stands,), "ann", STANDING).reason_code == "approved-before"
