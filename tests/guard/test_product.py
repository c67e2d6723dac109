"""What a product's line says: locks and answers, and histories that cannot be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pilothouse import events as e
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.policy import stamp
from pilothouse.guard.product import fold_product
from story import START, started

LATER = stamp(START + timedelta(hours=1))
SHA = "a" * 40


def line(*facts, chain="acme", run=e.PRODUCT_LINE):
    """Facts of a product's line, a second apart."""
    return [
        e.Event(chain, seq, "0" * 64, run, stamp(START + timedelta(seconds=seq)), fact, f"{seq:064d}")
        for seq, fact in enumerate(facts, 1)
    ]


def locked(name="look", reason="orders get lost", owner="ann", expires_at="", cause=""):
    return e.Locked(name, reason, owner, "terminal", expires_at, cause)


def unlocked(name="look"):
    return e.Unlocked(name, "ann", "terminal", "account", "mended")


def validated(answer="yes", sha=SHA, item="wording"):
    return e.Validated(item, sha, answer, "", "ann", "terminal", "account")


def names(state, now):
    return [lock.fact.name for lock in state.held(now)]


def test_a_lock_holds_until_it_is_taken_off():
    assert names(fold_product(line(locked())), LATER) == ["look"]
    assert names(fold_product(line(locked(), unlocked())), LATER) == []
    assert names(fold_product(line(locked(), unlocked(), locked())), LATER) == ["look"]


def test_a_lock_with_an_end_holds_until_then_and_no_longer():
    state = fold_product(line(locked(expires_at=LATER)))
    assert names(state, stamp(START + timedelta(minutes=59))) == ["look"]
    assert names(state, LATER) == []


def test_a_lock_that_ran_out_may_be_set_again():
    soon = stamp(START + timedelta(seconds=1, milliseconds=500))
    assert names(fold_product(line(locked(expires_at=soon), locked())), LATER) == ["look"]


def test_facts_of_runs_on_the_same_chain_are_passed_over():
    assert fold_product([*line(started(), run="r-1"), *line(locked())]).locks.keys() == {"look"}


def test_the_latest_answer_for_a_commit_counts_and_one_for_another_commit_is_another():
    state = fold_product(line(validated("yes"), validated("no"), validated("yes", "b" * 40)))
    assert state.answers["wording", SHA].fact.answer == "no"
    assert state.answers["wording", "b" * 40].fact.answer == "yes"


IMPOSSIBLE = {
    "locked twice": line(locked(), locked()),
    "unlocked without a lock": line(unlocked()),
    "unlocked twice": line(locked(), unlocked(), unlocked()),
    "unlocked under another name": line(locked(), unlocked("other")),
    "a lock that ran out is taken off": line(
        locked(expires_at=stamp(START + timedelta(seconds=1, milliseconds=500))), unlocked()
    ),
    "a lock without a reason": line(locked(reason="")),
    "a lock without an owner": line(locked(owner="")),
    "a lock that ends before it begins": line(locked(expires_at=stamp(START))),
    "neither yes nor no": line(validated("maybe")),
    "an answer for every product": line(validated(), chain=e.GLOBAL_CHAIN),
    "a fact of a run": line(started()),
}


@pytest.mark.parametrize("told", IMPOSSIBLE)
def test_what_cannot_be_is_refused(told):
    with pytest.raises(ImpossibleHistory):
        fold_product(IMPOSSIBLE[told])
