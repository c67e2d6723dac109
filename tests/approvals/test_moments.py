"""An approval is for this run, this card, now: not for another, not too late, not after a no, not twice (APR-2, APR-3)."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from datetime import timedelta

import pytest

from approvals.quay import CEO, Waiting, outcome, policy
from pilothouse import events as e
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.approval import approval_digest
from pilothouse.guard.clearance import ACCOUNT
from pilothouse.guard.fold import fold
from pilothouse.model import Person
from story import act, chained, planned

CAROL = Person("carol", "terminal", ACCOUNT)


@pytest.mark.parametrize("seconds", [900, 901, 1000, 3600, 86_400, 2 * 86_400])
def test_a_word_that_comes_too_late_approves_nothing(quay, seconds):
    run = quay.waiting()
    assert run.type(meanwhile=lambda: run.clock.sleep(seconds)) == "word-late"
    assert not run.approved
    assert run.type() == "ok"  # a right word too late is no wrong entry


@pytest.mark.parametrize("seconds", [0, 1, 60, 600, 899])
def test_a_word_in_time_approves(quay, seconds):
    run = quay.waiting()
    assert run.type(meanwhile=lambda: run.clock.sleep(seconds)) == "ok"
    assert run.approved


@pytest.mark.parametrize("expires", [60, 600, 86_400])
@pytest.mark.parametrize("late", [0, 1, 3600])
def test_an_expired_checkpoint_is_closed_for_good(quay, expires, late):
    run = quay.waiting(expires=expires)
    run.clock.sleep(expires + late)
    assert run.type() == "checkpoint-expired"
    assert run.state.checkpoints["go"].closed == "expired"
    assert run.type() in {"nothing-to-approve", "run-over"}
    assert run.sign("ceo", "x") in {"nothing-to-approve", "run-over"}
    assert not run.approved


@pytest.mark.parametrize("expires", [60, 600])
def test_a_checkpoint_that_expires_while_the_word_is_on_the_screen_is_closed(quay, expires):
    run = quay.waiting(expires=expires)
    assert run.type(meanwhile=lambda: run.clock.sleep(expires)) == "checkpoint-expired"
    assert run.state.checkpoints["go"].closed == "expired"
    assert not run.approved


ENDS = {
    "rejected": lambda run: run.app.reject(run.run, CAROL, "not today"),
    "aborted": lambda run: run.app.abort(run.run, CAROL, "not today"),
    "ABORT typed": lambda run: run.type(lambda _word: "ABORT"),
    "three wrong words": lambda run: [run.type(str.lower) for _ in range(3)],
    "superseded": lambda run: run.tell(e.Superseded("r-2026-11-21-09")),
}
AGAIN = {
    "approve": lambda run: run.type(),
    "approve as another": lambda run: run.type(account="dan"),
    "sign": lambda run: run.sign("ceo", "x"),
    "reject": lambda run: outcome(lambda: run.app.reject(run.run, CAROL, "no")),
    "resume": lambda run: outcome(lambda: run.app.resume(run.run, CAROL)),
    "abort": lambda run: outcome(lambda: run.app.abort(run.run, CAROL, "no")),
}


@pytest.mark.parametrize(("end", "again"), list(itertools.product(ENDS, AGAIN)))
def test_a_no_is_durable(berth, end, again):
    run = berth(policy(CEO, {"id": "dan", "groups": ["ceo"], "accounts": ["dan"]})).waiting()
    ENDS[end](run)
    count = len(run.facts())
    assert AGAIN[again](run) != "ok"
    assert len(run.facts()) == count
    assert not run.approved
    assert run.state.over


MEANWHILE = {**{name: ENDS[name] for name in ("rejected", "aborted", "superseded")}, "approved by another": lambda run: run.type(account="dan"),
             "a word for another": lambda run: run.type(str.lower, account="dan")}  # fmt: skip


@pytest.mark.parametrize("what", MEANWHILE)
def test_what_happens_while_the_word_is_on_the_screen_is_heard(berth, what):
    run = berth(policy(CEO, {"id": "dan", "groups": ["ceo"], "accounts": ["dan"]})).waiting()
    refused = run.type(meanwhile=lambda: MEANWHILE[what](run))
    assert refused == "run-moved"
    assert "ceo" not in [given.who for given in run.approvals()]


def spent_words(run):
    return [fact for fact in run.facts() if isinstance(fact, e.WordSpent)]


def test_a_wrong_word_counts_whoever_draws_in_between_and_three_end_the_run(quay):
    run = quay.waiting()

    def meanwhile():
        run.tell(e.WordDrawn("go", run.card.approval_digest, "terminal", run.card.expires_at))

    assert [run.type(str.lower, meanwhile=meanwhile) for _ in range(3)] == ["word-wrong", "word-wrong", "words-spent"]
    assert len(spent_words(run)) == 3
    assert run.state.standing() == "aborted"
    assert run.type() in {"nothing-to-approve", "run-over"}


def test_abort_is_heard_whoever_draws_in_between(quay):
    run = quay.waiting()
    assert run.type(lambda _word: "ABORT", meanwhile=lambda: run.type(str.lower)) == "aborted"
    assert run.state.standing() == "aborted"


AT_ONCE = {"right": (str, "run-moved", "ok", 1), "wrong": (str.lower, "word-wrong", "run-moved", 2)}


@pytest.mark.parametrize("first", AT_ONCE)
def test_of_two_prompts_the_later_one_counts_unless_a_wrong_word_came_between(berth, first):
    entry, told_first, told_second, count = AT_ONCE[first]
    run = berth(policy(CEO, {"id": "dan", "groups": ["ceo"], "accounts": ["dan"]})).waiting()
    shown, go_on, told = threading.Event(), threading.Event(), []
    carol = threading.Thread(
        target=lambda: told.append(run.type(entry, meanwhile=lambda: shown.set() or go_on.wait(60)))
    )
    carol.start()
    assert shown.wait(60)
    assert run.type(account="dan", meanwhile=lambda: go_on.set() or carol.join(60)) == told_second
    assert told == [told_first]
    assert len(spent_words(run)) == count
    assert run.approved == (told_second == "ok")
    assert run.approved or run.type(account="dan") == "ok"


def test_a_prompt_that_is_left_while_another_is_open_voids_nothing(quay):
    run = quay.waiting()

    drawn = e.WordDrawn("go", run.card.approval_digest, "terminal", run.card.expires_at)

    def leave(_word):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.type(leave, meanwhile=lambda: run.tell(drawn))
    assert spent_words(run) == []
    assert run.state.checkpoints["go"].word_open is not None


def test_a_card_is_approved_once(quay):
    run = quay.waiting()
    assert run.type() == "ok"
    assert run.type() == "nothing-to-approve"
    assert len(run.approvals()) == 1


def replayed(run, approvals, **changes):
    """Somebody else's word and approval, told to this run as if they were its own."""
    drawn, spent, approved = approvals
    for fact in (drawn, spent, approved):
        run.tell(dataclasses.replace(fact, **changes))


CHANGES = {
    "another run": lambda first: Waiting(first.quay, by="bob", run="r-2026-11-21-07", workflow="release", journal=None,
                                         source=first.quay.config, from_sha=first.quay.head),
    "another card": lambda first: first.quay.waiting(card="another card"),
    "another starter": lambda first: first.quay.waiting(by="dan"),
    "another workflow": lambda first: first.quay.waiting(workflow="rollback"),
    "more time": lambda first: first.quay.waiting(card="4 days", expires=4 * 86_400),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_an_approval_of_something_else_is_none(quay, what):
    first = quay.waiting(run="r-2026-11-21-06")
    assert first.type() == "ok"
    second = CHANGES[what](first)
    if second.card.approval_digest == first.card.approval_digest:
        pytest.fail("the case changes nothing")
    with pytest.raises(ImpossibleHistory):
        replayed(second, first.facts()[-3:]) or second.state


@pytest.mark.parametrize("part", ["plan", "acts", "pins", "card", "clearance", "run", "checkpoint"])
def test_a_card_whose_basis_differs_in_anything_is_another_card(quay, part):
    run = quay.waiting()
    assert run.type() == "ok"
    basis = dict(run.card.basis)
    basis[part] = {"clearance": {**basis["clearance"], "source": "0" * 40}}.get(part, "changed")
    edited = dataclasses.replace(run.card, basis=basis)
    with pytest.raises(ImpossibleHistory, match="not that of what was shown"):
        fold(chained(run.started, run.plan, edited, *run.facts()[3:]))


def test_a_card_that_was_opened_again_after_a_change_starts_from_nobody(berth):
    people = [{"id": name, "groups": ["ceo"], "accounts": [name]} for name in ("carol", "dan")]
    run = berth(policy(*people, approval={"group": "ceo", "number": 1})).waiting()
    assert run.type(account="carol") == "ok"
    first = run.card
    arguments = {"environment": "production"}
    run.tell(e.Intended("deploy", "deploy.apply", arguments, "key", run.plan.digest, first.approval_digest, "main", 1))
    run.tell(e.Failed("deploy", "plan-changed", "main moved", "", ""))
    assert not run.approved
    run.open(card="another", difference=["main moved"])
    assert run.card.approval_digest != first.approval_digest
    assert not run.approved
    with pytest.raises(ImpossibleHistory):
        run.tell(e.Approved("go", first.approval_digest, "carol", "terminal", "account", None, "")) or run.state


@pytest.mark.parametrize("hours", [0, 1, 71])
@pytest.mark.parametrize("delay", [72, 73, 1000])
def test_what_is_written_in_after_the_card_expired_does_not_fold(quay, hours, delay):
    run = quay.waiting()
    run.clock.sleep(hours * 3600)
    now = run.clock.now() + timedelta(minutes=15)
    run.tell(e.WordDrawn("go", run.card.approval_digest, "terminal", now.isoformat()))
    run.tell(e.WordSpent("go", run.card.approval_digest, "GO", "GO", matched=True, channel="terminal"))
    run.clock.sleep((delay - hours) * 3600)
    with pytest.raises(ImpossibleHistory, match="expired"):
        run.tell(e.Approved("go", run.card.approval_digest, "ceo", "terminal", "account", None, "")) or run.state


WRITTEN = {
    "without a word": [],
    "with a word that was drawn only": ["drawn"],
    "with a wrong word": ["drawn", "wrong"],
    "with a word that never was drawn": ["right"],
}


@pytest.mark.parametrize("how", WRITTEN)
@pytest.mark.parametrize("who", ["ceo", "carol", "mallory", ""])
def test_an_approval_without_its_word_does_not_fold(quay, how, who):
    run = quay.waiting()
    digest, until = run.card.approval_digest, (run.clock.now() + timedelta(minutes=15)).isoformat()
    facts = {
        "drawn": e.WordDrawn("go", digest, "terminal", until),
        "wrong": e.WordSpent("go", digest, "GO", "go", matched=False, channel="terminal"),
        "right": e.WordSpent("go", digest, "GO", "GO", matched=True, channel="terminal"),
    }
    with pytest.raises(ImpossibleHistory):
        run.tell(
            *(facts[name] for name in WRITTEN[how]), e.Approved("go", digest, who, "terminal", "account", None, "")
        )
        _ = run.state


def test_a_wrong_entry_that_is_called_right_does_not_fold(quay):
    run = quay.waiting()
    digest, until = run.card.approval_digest, (run.clock.now() + timedelta(minutes=15)).isoformat()
    with pytest.raises(ImpossibleHistory, match="not the word"):
        run.tell(e.WordDrawn("go", digest, "terminal", until), e.WordSpent("go", digest, "GO", "go", matched=True, channel="terminal"))  # fmt: skip
        _ = run.state


def test_one_word_opens_one_approval(berth):
    people = [{"id": name, "groups": ["ceo"], "accounts": [name]} for name in ("carol", "dan")]
    run = berth(policy(*people, approval={"group": "ceo", "number": 2})).waiting()
    assert run.type(account="carol") == "ok"
    with pytest.raises(ImpossibleHistory, match="no word"):
        run.tell(dataclasses.replace(run.approvals()[0], who="dan")) or run.state


def test_the_plan_of_a_card_is_the_runs_own(quay):
    run = quay.waiting()
    other = planned(act("delete-everything"))
    assert other.digest != run.plan.digest
    basis = {**run.card.basis, "plan": other.digest}
    twin = quay.waiting(run="r-2026-11-21-05")
    facts = [
        twin.started,
        twin.plan,
        dataclasses.replace(twin.card, basis=basis, approval_digest=approval_digest(basis)),
    ]
    with pytest.raises(ImpossibleHistory, match="another plan"):
        fold(chained(*facts))
