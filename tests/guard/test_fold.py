"""Histories that cannot be are refused: the fold is the guard's memory (I2, I3, I15, I16, I25, I27, I32)."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from pilothouse import events as e
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.approval import shown_value
from pilothouse.guard.fold import fold
from story import START, act, approved, chained, done, failed, intended, observed, opened, planned, started

PLAN = planned(act("deploy"), act("undo", branch="rollback"))
CARD = opened(plan=PLAN)
TWO = planned(act("one"), act("two"))
NOTES = planned(act("publish", "forge.release", arguments={"notes": {"ref": "notes.text", "type": "text"}}))
NOTES_CARD = opened(
    plan=NOTES,
    basis={"plan": NOTES.digest, "acts": [{"step": "publish", "arguments": {"notes": shown_value("Faster. " * 40)}}]},
)
RULE = {"window_ms": 1_800_000}
WATCHED = planned(act("deploy"), basis={"watch": RULE})
HALF_AN_HOUR = (START + timedelta(seconds=2, minutes=30)).isoformat()  # after WATCHED, the second event
OUTLINE = tuple({"id": name, "kind": kind, "branch": "main"} for name, kind in (("seen", "observe"), ("deploy", "act")))


def word(entered, *, matched):
    drawn = e.WordDrawn("go", CARD.approval_digest, "terminal", (START + timedelta(minutes=15)).isoformat())
    return drawn, e.WordSpent("go", CARD.approval_digest, "SHIP", entered, matched=matched, channel="terminal")


def by_word(card=CARD):
    return dataclasses.replace(approved(card), channel="terminal", authentication="account")


def test_a_permitted_act_folds_to_done():
    state = fold(
        chained(
            started(),
            PLAN,
            CARD,
            approved(CARD),
            intended(PLAN, "deploy", approval=CARD.approval_digest),
            done("deploy"),
        )
    )
    assert state.acts["deploy"].done is not None
    assert state.standing() == "running"


IMPOSSIBLE = {
    "a run that does not start": [PLAN],
    "a run that starts twice": [started(), started()],
    "two plans": [started(), PLAN, PLAN],
    "a plan whose digest is another's": [started(), e.Planned("0" * 64, (act("deploy"),), {})],
    "an act without a plan": [started(), intended(PLAN, "deploy")],
    "an act that is not in the plan": [started(), PLAN, CARD, approved(CARD), intended(PLAN, "other")],
    "an act of another branch": [
        started(), PLAN, CARD, approved(CARD), intended(PLAN, "undo", approval=CARD.approval_digest, branch="rollback"),
    ],
    "an act with other arguments": [
        started(), PLAN, CARD, approved(CARD),
        intended(PLAN, "deploy", approval=CARD.approval_digest, arguments={"environment": "staging"}),
    ],
    "an act by another tool": [
        started(), PLAN, CARD, approved(CARD), intended(PLAN, "deploy", approval=CARD.approval_digest, tool="git.tag"),
    ],
    "an act of another plan": [
        started(), PLAN, CARD, approved(CARD),
        intended(planned(act("deploy")), "deploy", approval=CARD.approval_digest),
    ],
    "a covered act before its approval": [started(), PLAN, CARD, intended(PLAN, "deploy")],
    "a covered act with a made-up approval": [started(), PLAN, CARD, intended(PLAN, "deploy", approval="f" * 64)],
    "an outcome without an intent": [started(), PLAN, done("deploy")],
    "a failure without an intent": [started(), PLAN, failed("deploy")],
    "two intents at once": [
        started(), PLAN, CARD, approved(CARD), intended(PLAN, "deploy", approval=CARD.approval_digest),
        intended(PLAN, "deploy", approval=CARD.approval_digest, attempt=2),
    ],
    "an act that is done twice": [
        started(), PLAN, CARD, approved(CARD), intended(PLAN, "deploy", approval=CARD.approval_digest), done("deploy"),
        intended(PLAN, "deploy", approval=CARD.approval_digest, attempt=2),
    ],
    "an attempt that is miscounted": [
        started(), PLAN, CARD, approved(CARD), intended(PLAN, "deploy", approval=CARD.approval_digest, attempt=2),
    ],
    "an end while an act is open": [
        started(), PLAN, CARD, approved(CARD), intended(PLAN, "deploy", approval=CARD.approval_digest),
        e.Ended("done", ""),
    ],
    "a branch while an act is open": [
        started(), PLAN, CARD, approved(CARD), intended(PLAN, "deploy", approval=CARD.approval_digest),
        e.Branched("rollback", "deploy", "high", "x", "", returns=False),
    ],
    "a rollback of a rollback": [
        started(), PLAN, e.Branched("rollback", "deploy", "high", "x", "", returns=False),
        e.Branched("rollback", "undo", "high", "x", "", returns=False),
    ],
    "an approval of what is not open": [started(), PLAN, approved(CARD)],
    "an approval of another card": [started(), PLAN, CARD, approved(opened(plan=PLAN, pins={"a": {"p": "other"}}))],
    "an approval after a rejection": [started(), PLAN, CARD, e.Rejected("go", "ceo", "t", "no"), approved(CARD)],
    "an approval after an expiry": [started(), PLAN, CARD, e.CheckpointExpired("go", CARD.approval_digest), approved(CARD)],
    "two approvals": [started(), PLAN, CARD, approved(CARD), approved(CARD)],
    "a card whose digest is not of what was shown": [
        started(), PLAN, e.CheckpointOpened("go", "0" * 64, "card", {}, {}, START.isoformat(), ()),
    ],
    "a word spent that was not drawn": [
        started(), PLAN, CARD, e.WordSpent("go", CARD.approval_digest, "SHIP", "SHIP", matched=True, channel="t"),
    ],
    "anything after an abort": [started(), e.Aborted("ceo", "t", "enough"), PLAN],
    "anything after an end": [started(), e.Ended("done", ""), PLAN],
    "going on while refused": [started(), e.Refused("ready", "ci-red", "", "", ()), PLAN],
    "going on while halted": [started(), e.Halted("x", "conflict", "", ""), PLAN],
    "a resume of what does not rest": [started(), e.Resumed("ceo", "t")],
    "evidence that exists already": [started(), observed("a", "e-001", {}), observed("b", "e-001", {})],
    "evidence with another digest": [started(), e.Observed("a", "e-001", "t", {}, {"n": 1}, "0" * 64, "", "")],
    "a verdict on evidence that does not exist": [started(), e.VerdictGiven("a", "qa", "go", (), ("e-404",), "model")],
    "a verdict that is neither go nor hold": [started(), e.VerdictGiven("a", "qa", "ship it!", (), (), "model")],
    "a gate judged on evidence that does not exist": [started(), e.Judged("a", "g", True, "ok", "", ("e-404",))],
    "a hold lifted that nobody gave": [started(), e.HoldLifted("a", "ceo", "t", "because")],
    "a sample of a watch that is not open": [started(), e.Sampled("watch", "e-001", {}, "healthy", "")],
    "a watch that is shortened": [
        started(), WATCHED, e.WatchOpened("watch", HALF_AN_HOUR, {}, RULE),
        e.Sampled("watch", "e-1", {}, "healthy", ""), e.WatchClosed("watch", "healthy", "", ()),
    ],
    "a watch whose window is not the planned one": [
        started(), WATCHED, e.WatchOpened("watch", (START + timedelta(minutes=29)).isoformat(), {}, RULE),
    ],
    "a watch by another rule": [
        started(), WATCHED, e.WatchOpened("watch", HALF_AN_HOUR, {}, {"window_ms": 1_800_000, "error_rate": {}}),
    ],
    "a watch that nobody planned": [started(), PLAN, e.WatchOpened("watch", HALF_AN_HOUR, {}, RULE)],
    "an act before the one that the plan has first": [
        started(), TWO, opened(plan=TWO), approved(opened(plan=TWO)),
        intended(TWO, "two", approval=opened(plan=TWO).approval_digest),
    ],
    "an end before all of it is done": [started(outline=OUTLINE), observed("seen", "e-1", {}), e.Ended("done", "")],
    "notes that are not the approved ones": [
        started(), NOTES, observed("notes", "e-1", {"text": "Buy now. " * 40}), NOTES_CARD, approved(NOTES_CARD),
        intended(
            NOTES, "publish", approval=NOTES_CARD.approval_digest, tool="forge.release",
            arguments={"notes": "Buy now. " * 40},
        ),
    ],
    "an act that the approved card does not list": [
        started(), PLAN, opened(basis={"plan": PLAN.digest, "acts": []}),
        approved(opened(basis={"plan": PLAN.digest, "acts": []})),
        intended(PLAN, "deploy", approval=opened(basis={"plan": PLAN.digest, "acts": []}).approval_digest),
    ],
    "a card of another plan": [started(), PLAN, opened(plan=TWO)],
    "a card without a plan": [started(), opened(plan=PLAN)],
    "a word that matches and is another": [started(), PLAN, CARD, *word("SHIP IT", matched=True)],
    "an approval without a word": [started(), PLAN, CARD, by_word()],
    "an approval after a wrong word": [started(), PLAN, CARD, *word("ship", matched=False), by_word()],
    "an approval by a word that was entered for an older card": [
        started(), PLAN, CARD, *word("SHIP", matched=True), approved(CARD),
        intended(PLAN, "deploy", approval=CARD.approval_digest), failed("deploy", "plan-changed"), CARD, by_word(),
    ],
    "an approval of a card that has expired": [
        started(), PLAN, opened(plan=PLAN, expires=START + timedelta(seconds=4)),
        approved(opened(plan=PLAN, expires=START + timedelta(seconds=4))),
    ],
    "a settlement of an act that is not open": [started(), PLAN, e.Settled("deploy", "applied", "ceo", "t", "seen", {})],
}  # fmt: skip


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_history_is_refused(name):
    *before, last = chained(*IMPOSSIBLE[name])
    if before:
        fold(before)  # all of it but the last fact is possible, so it is the last one that is refused
    with pytest.raises(ImpossibleHistory):
        fold([*before, last])


def test_a_watch_that_saw_nothing_healthy_is_not_closed_as_healthy():
    ends = (START + timedelta(hours=2, minutes=30)).isoformat()
    late = [started(), WATCHED, e.WatchOpened("watch", ends, {}, RULE)]
    closed = e.WatchClosed("watch", "healthy", "", ())
    with pytest.raises(ImpossibleHistory, match="healthy"):
        fold(chained(*late, closed, every=3600.0))
    thin = e.Sampled("watch", "e-1", {}, "thin", "")
    with pytest.raises(ImpossibleHistory, match="healthy"):
        fold(chained(*late, thin, closed, every=3600.0))


def test_the_approved_notes_and_a_finished_outline_fold():
    text = "Faster. " * 40
    publish = intended(
        NOTES, "publish", approval=NOTES_CARD.approval_digest, tool="forge.release", arguments={"notes": text}
    )
    state = fold(
        chained(
            started(), NOTES, observed("notes", "e-1", {"text": text}), NOTES_CARD, *word_of(NOTES_CARD),
            by_word(NOTES_CARD), publish, done("publish"), e.Ended("done", ""),
        )
    )  # fmt: skip
    assert state.standing() == "done"


def word_of(card):
    return [dataclasses.replace(fact, approval_digest=card.approval_digest) for fact in word("SHIP", matched=True)]


def test_a_changed_plan_voids_the_approval_and_the_checkpoint_opens_again():
    facts = [
        started(), PLAN, CARD, approved(CARD), intended(PLAN, "deploy", approval=CARD.approval_digest),
        failed("deploy", "plan-changed"),
    ]  # fmt: skip
    state = fold(chained(*facts))
    assert state.checkpoints["go"].approved is None
    again = opened(plan=PLAN, pins={"deploy": {"ref:refs/heads/main": "2" * 40}})
    with pytest.raises(ImpossibleHistory):  # the old approval opens nothing any more
        fold(chained(*facts, intended(PLAN, "deploy", approval=CARD.approval_digest, attempt=2)))
    state = fold(
        chained(*facts, again, approved(again), intended(PLAN, "deploy", approval=again.approval_digest, attempt=2))
    )
    assert state.open_act == "deploy"


def test_an_outcome_is_recorded_even_where_the_run_was_aborted_meanwhile():
    state = fold(
        chained(
            started(), PLAN, CARD, approved(CARD), intended(PLAN, "deploy", approval=CARD.approval_digest),
            e.Aborted("ceo", "terminal", "stop"), done("deploy"),
        )
    )  # fmt: skip
    assert state.standing() == "aborted"
    assert state.acts["deploy"].done is not None


def test_three_wrong_words_are_counted_and_a_late_right_one_is_not():
    def word(entered):
        drawn = e.WordDrawn("go", CARD.approval_digest, "terminal", START.isoformat())
        return drawn, e.WordSpent("go", CARD.approval_digest, "SHIP", entered, matched=False, channel="terminal")

    state = fold(chained(started(), PLAN, CARD, *word("ship"), *word("SHIP"), *word("DEPLOY")))
    assert state.checkpoints["go"].wrong_words == 2
    assert state.last_word == "SHIP"


def test_a_branch_that_returns_goes_back_to_the_main_line_when_resumed():
    state = fold(
        chained(
            started(), PLAN, e.Branched("by-hand", "deploy", "high", "merge-conflict", "", returns=True),
            e.Halted("deploy", "merge-conflict", "", ""), e.Resumed("ceo", "terminal"),
        )
    )  # fmt: skip
    assert state.branch == "main"
