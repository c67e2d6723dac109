"""Histories, one wrong detail at a time: each is refused, and without it the same history folds."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from pilothouse import events as e
from pilothouse.canonical import digest, sha256_hex
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.approval import approval_digest
from pilothouse.guard.clearance import Requirement
from pilothouse.guard.fold import fold
from pilothouse.guard.fold_acts import plan_from_fact
from pilothouse.guard.fold_checkpoints import apply_checkpoint
from pilothouse.guard.history import impossible
from pilothouse.model import EffectClass, Reach
from pilothouse.settings import Approver
from story import START, act, approved, chained, clearance, done, failed, intended, observed, opened, planned, started

PLAN = planned(act("one"), act("two"), act("undo", branch="rollback"))
CARD = opened(plan=PLAN)
APPROVAL = CARD.approval_digest
BEGUN = (started(), PLAN, CARD, approved(CARD))


def of(*facts, **more):
    return fold(chained(*facts, **more))


def refused(*facts, **more):
    """The last fact cannot follow; those before it can. Returns why."""
    before = chained(*facts, **more)
    fold(before[:-1])
    with pytest.raises(ImpossibleHistory) as impossibly:
        fold(before)
    return impossibly.value.message


def one(**changes):
    return dataclasses.replace(intended(PLAN, "one", approval=APPROVAL), **changes)


def test_nothing_is_no_run():
    with pytest.raises(ImpossibleHistory) as none:
        fold(())
    assert none.value.reason_code == "no-such-run"


def test_a_refusal_says_which_event_cannot_follow_and_where_to_look():
    event = chained(started())[0]
    error = impossible(event, "because")
    assert error.message == "acme #1 (Started of r-2026-11-21-01): because"
    assert error.reason_code == "impossible-history"
    assert "audit verify" in error.hint


# --- acts -----------------------------------------------------------------------------------------------------------


def test_an_intent_opens_and_each_outcome_closes():
    state = of(*BEGUN, one())
    assert (state.open_act, state.acts["one"].attempts, state.acts["one"].started_at) == ("one", 1, state.last_at)
    state = of(*BEGUN, one(), failed("one"))
    assert (state.open_act, state.acts["one"].failed.reason_code) == (None, "no-effect")
    again = one(attempt=2)
    state = of(*BEGUN, one(), failed("one"), again)
    assert (state.acts["one"].failed, state.acts["one"].attempts) == (None, 2)
    state = of(*BEGUN, one(), failed("one"), again, done("one", moves={"ref:main": 5}))
    assert (state.acts["one"].open, state.acts["one"].ended_at, state.moves) == (None, state.last_at, {"ref:main": "5"})


def test_one_intent_has_one_outcome():
    refused(*BEGUN, one(), done("one"), done("one", "e-901"))
    refused(*BEGUN, one(), done("one"), failed("one"))
    refused(*BEGUN, one(), failed("one"), failed("one"))
    refused(*BEGUN, one(), failed("one"), done("one"))
    refused(*BEGUN, one(), failed("one"), settled("applied"))


INTENTS = {
    "of a branch that the run is not on": one(branch="rollback"),
    "of another plan": one(plan_digest="0" * 64),
    "of what is not planned": one(step="three"),
    "by another tool": one(tool="git.tag"),
    "with another argument": one(arguments={"environment": "staging"}),
    "with one argument more": one(arguments={"environment": "production", "force": True}),
    "without an approval": one(approval_digest=None),
    "with another approval": one(approval_digest="f" * 64),
    "at its second attempt": one(attempt=2),
    "at no attempt": one(attempt=0),
}


@pytest.mark.parametrize("name", INTENTS)
def test_an_intent_is_what_the_plan_says(name):
    of(*BEGUN, one())
    refused(*BEGUN, INTENTS[name])


def test_the_order_of_each_line_is_its_own():
    branched = e.Branched("rollback", "one", "high", "x", "", returns=False)
    undo = intended(PLAN, "undo", approval=APPROVAL, branch="rollback")
    assert of(*BEGUN, one(), failed("one"), branched, undo).open_act == "undo"
    two = intended(PLAN, "two", approval=APPROVAL)
    assert "comes before two" in refused(*BEGUN, two)
    assert of(*BEGUN, e.Skipped("one", ""), two).open_act == "two"
    refused(*BEGUN, one(), failed("one"), two)
    assert of(*BEGUN, one(), done("one"), two).open_act == "two"


def test_an_argument_that_only_a_later_step_can_tell_is_what_that_step_told():
    plan = planned(act("one"), act("two", arguments={"commit": {"ref": "one.sha", "type": "sha"}}))
    card = opened(plan=plan)
    facts = (started(), plan, card, approved(card), intended(plan, "one", approval=card.approval_digest))
    two = intended(plan, "two", approval=card.approval_digest, arguments={"commit": "abc"})
    assert of(*facts, done("one", facts={"sha": "abc"}), two).open_act == "two"
    refused(*facts, done("one", facts={"sha": "abd"}), two)
    assert "not known yet" in refused(*facts, done("one"), two)


NOTES = planned(act("publish", "forge.release", arguments={"notes": {"ref": "notes.text", "type": "text"}}))


def publishing(shown, text="new", **row):
    listed = {"step": "publish", "arguments": {"notes": shown}, **row}
    card = opened(plan=NOTES, basis={"plan": NOTES.digest, "acts": [listed]})
    intent = intended(NOTES, "publish", approval=card.approval_digest, tool="forge.release", arguments={"notes": text})
    return (started(), NOTES, observed("notes", "e-1", {"text": text}), card, approved(card), intent)


def test_the_card_showed_the_very_text_that_goes_out():
    long = "n" * 500
    assert of(*publishing("new")).open_act == "publish"
    assert of(*publishing({"ref": "notes.text", "type": "text"})).open_act == "publish"
    assert of(*publishing({"sha256": digest(long)}, long)).open_act == "publish"
    assert "is not what was approved" in refused(*publishing("old"))
    refused(*publishing({"sha256": digest("other")}, long))
    refused(*publishing("new", arguments={}))
    refused(*publishing("new", arguments={"notes": "new", "more": 1}))
    refused(*publishing("new", arguments="new"))
    refused(*publishing("new", step="other"))


@pytest.mark.parametrize("acts", [None, "all", ["publish"], [], [{"step": "publish"}]])
def test_a_card_whose_acts_cannot_be_read_covers_none(acts):
    card = opened(plan=NOTES, basis={"plan": NOTES.digest, "acts": acts})
    intent = intended(NOTES, "publish", approval=card.approval_digest, tool="forge.release", arguments={"notes": "new"})
    refused(started(), NOTES, observed("notes", "e-1", {"text": "new"}), card, approved(card), intent)


def test_an_act_that_no_checkpoint_covers_needs_no_approval():
    plan = planned(act("stage", checkpoint=None, reach="staging", effect="Q"))
    state = of(started(), plan, intended(plan, "stage"))
    (known,) = state.plan.acts
    assert (known.reach, known.effect, known.undoable, known.checkpoint) == (
        Reach.STAGING,
        EffectClass.QUIESCE,
        True,
        None,
    )


def test_a_plan_is_read_as_it_was_written_or_not_at_all():
    final = {**act("one"), "undoable": False}
    assert plan_from_fact(planned(final)).acts[0].undoable is False
    with pytest.raises(ImpossibleHistory):
        plan_from_fact(planned({**act("one"), "arguments": ["production"]}))
    with pytest.raises(ImpossibleHistory):
        plan_from_fact(dataclasses.replace(PLAN, basis={"to_sha": "1"}))


def settled(presence, step="one", **facts):
    return e.Settled(step, presence, "ann", "t", "I looked", facts)


HALT = e.Halted("one", "unknown-outcome", "", "")


def test_a_person_settles_what_code_could_not_tell():
    applied = of(*BEGUN, one(), HALT, settled("applied", value="v"))
    assert (applied.acts["one"].done.facts, applied.acts["one"].done.found, applied.open_act) == (
        {"value": "v"},
        True,
        None,
    )
    assert (applied.halted, applied.resumed_seq) == (None, 7)
    assert applied.acts["one"].done.evidence in applied.evidence_by_id
    assert applied.exceptions == ["ann settled one as applied: I looked"]
    absent = of(*BEGUN, one(), HALT, settled("absent"))
    assert (absent.acts["one"].failed.reason_code, absent.acts["one"].failed_seq, absent.open_act) == (
        "settled-absent",
        7,
        None,
    )
    assert (absent.acts["one"].done, absent.halted) == (None, None)
    refused(*BEGUN, one(), HALT, settled("perhaps"))
    refused(*BEGUN, one(), HALT, settled("applied", "two"))
    refused(*BEGUN, settled("applied"))


def test_evidence_has_an_id_of_its_own_whatever_it_is_of():
    plan = planned(act("one"), basis={"watch": {"window_ms": 1}})
    card = opened(plan=plan)
    seen = observed("look", "e-1", {})
    facts = (started(), plan, card, approved(card), seen, intended(plan, "one", approval=card.approval_digest))
    refused(*facts, done("one", "e-1"))
    refused(started(), seen, dataclasses.replace(seen, step="other"))
    ends = (START + timedelta(seconds=9)).isoformat()
    refused(
        started(), plan, seen, e.WatchOpened("w", ends, {}, {"window_ms": 1}), e.Sampled("w", "e-1", {}, "healthy", "")
    )


# --- voided approvals -----------------------------------------------------------------------------------------------

ALONE = clearance(starter="ceo")


def test_a_change_voids_the_approval_it_was_done_under_and_says_so_of_its_exceptions():
    card = opened(plan=PLAN, cleared=ALONE)
    own = dataclasses.replace(approved(card), exception="ceo approved what they started")
    intent = intended(PLAN, "one", approval=card.approval_digest)
    state = of(started(), PLAN, card, own, intent, failed("one", "plan-changed"))
    assert state.exceptions == ["ceo approved what they started (void: something changed)"]
    known = state.checkpoints["go"]
    assert (known.approved, known.opened, known.approvals, known.shown) == (None, None, [], card)
    assert state.void_seq == 6
    kept = of(started(), PLAN, card, own, intent, failed("one", "no-effect"))
    assert (kept.exceptions, kept.void_seq) == (["ceo approved what they started"], 0)
    assert kept.checkpoints["go"].approved == own


def test_a_change_voids_no_other_checkpoint():
    plan = planned(act("one"), act("two", checkpoint="late"))
    first, late = opened(plan=plan), opened("late", plan=plan)
    cards = (first, approved(first), late, approved(late, "late"))
    state = of(
        started(), plan, *cards, intended(plan, "one", approval=first.approval_digest), failed("one", "plan-changed")
    )
    assert state.checkpoints["go"].approved is None
    assert state.checkpoints["late"].approved is not None
    open_only = (late, first, approved(first), intended(plan, "one", approval=first.approval_digest))
    state = of(started(), plan, *open_only, failed("one", "plan-changed"))
    assert state.checkpoints["late"].opened == late


VOIDED = e.CardVoided("go", APPROVAL, ("main moved: a → b",))


def test_a_card_that_waits_is_taken_back_and_the_checkpoint_opens_again():
    waiting = (started(), PLAN, CARD)
    state = of(*waiting, VOIDED)
    known = state.checkpoints["go"]
    assert (known.opened, known.shown, known.openings) == (None, CARD, 1)
    assert (state.void_seq, state.standing()) == (4, "running")
    again = opened(plan=PLAN, pins={"one": {"ref:main": "b"}})
    assert of(*waiting, VOIDED, again, approved(again)).checkpoints["go"].approved == approved(again)
    refused(*waiting, VOIDED, approved(CARD))
    refused(*waiting, VOIDED, again, approved(CARD))


def test_only_the_card_that_waits_is_taken_back_and_for_a_reason():
    waiting = (started(), PLAN, CARD)
    refused(started(), PLAN, VOIDED)
    refused(*waiting, VOIDED, VOIDED)
    refused(*waiting, dataclasses.replace(VOIDED, approval_digest="e" * 64))
    refused(*waiting, dataclasses.replace(VOIDED, difference=()))
    refused(*waiting, approved(CARD), VOIDED)  # what is approved is looked at just before its act


def test_what_was_entered_and_given_for_a_card_goes_with_it():
    waiting = (started(), PLAN, CARD)
    for before in ((DRAWN,), (DRAWN, spent("SHIP", matched=True))):
        known = of(*waiting, *before, VOIDED).checkpoints["go"]
        assert (known.word_open, known.word_matched) == (None, False)
    two = (Requirement("ceo", 2, "go"),)
    people = (Approver("ceo", ("ceo",)), Approver("dan", ("ceo",)))
    card = opened(plan=PLAN, cleared=clearance(*people, requires=two, starter="ceo"))
    own = dataclasses.replace(approved(card), exception="ceo approved what they started")
    assert of(started(), PLAN, card, own).checkpoints["go"].approvals == [own]
    state = of(started(), PLAN, card, own, dataclasses.replace(VOIDED, approval_digest=card.approval_digest))
    assert state.checkpoints["go"].approvals == []
    assert state.exceptions == ["ceo approved what they started (void: something changed)"]


def test_what_the_run_moved_is_forgotten_with_the_next_card():
    again = opened(plan=PLAN, pins={"one": {"ref:main": "2"}})
    facts = (
        *BEGUN,
        one(),
        done("one", moves={"ref:main": "2"}),
        intended(PLAN, "two", approval=APPROVAL),
        failed("two", "plan-changed"),
    )
    assert of(*facts).moves == {"ref:main": "2"}
    state = of(*facts, again)
    assert (state.moves, state.checkpoints["go"].openings, state.checkpoints["go"].opened_at) == ({}, 2, state.last_at)
    assert state.checkpoints["go"].shown == again


# --- checkpoints ----------------------------------------------------------------------------------------------------

DRAWN = e.WordDrawn("go", APPROVAL, "t", (START + timedelta(minutes=15)).isoformat())


def spent(entered, *, matched, presented="SHIP"):
    return e.WordSpent("go", APPROVAL, presented, entered, matched=matched, channel="t")


ASKED = (started(), PLAN, CARD)
TYPED = dataclasses.replace(approved(CARD), authentication="account")


def test_a_word_is_drawn_spent_and_used_in_that_order():
    state = of(*ASKED, DRAWN)
    assert (state.checkpoints["go"].word_open, state.checkpoints["go"].word_matched) == (DRAWN, False)
    state = of(*ASKED, DRAWN, spent("SHIP", matched=True))
    assert (state.checkpoints["go"].word_open, state.checkpoints["go"].word_matched, state.last_word) == (
        None,
        True,
        "SHIP",
    )
    assert of(*ASKED, DRAWN, spent("SHIP", matched=True), TYPED).checkpoints["go"].approved == TYPED
    refused(*ASKED, spent("SHIP", matched=True))
    refused(*ASKED, DRAWN, TYPED)
    refused(*ASKED, DRAWN, spent("ship", matched=True))
    refused(*ASKED, DRAWN, spent("SHIP", matched=False), TYPED)
    refused(*ASKED, DRAWN, spent("SHIP", matched=True), DRAWN, spent("x", matched=False), TYPED)


def test_a_word_that_opens_something_is_of_the_list_the_latest_new_and_in_time():
    right = spent("SHIP", matched=True)
    assert "none of the words" in refused(*ASKED, DRAWN, spent("NOT-A-WORD", matched=True, presented="NOT-A-WORD"))
    assert "none of the words" in refused(*ASKED, DRAWN, spent("", matched=False, presented="NOT-A-WORD"))
    assert "another channel" in refused(*ASKED, DRAWN, dataclasses.replace(right, channel="chat"))
    at = START + timedelta(seconds=5)  # the entry is the fifth event
    of(*ASKED, dataclasses.replace(DRAWN, expires_at=(at + timedelta(microseconds=1)).isoformat()), right)
    late = dataclasses.replace(DRAWN, expires_at=at.isoformat())
    assert "had expired" in refused(*ASKED, late, right)
    assert of(*ASKED, late, spent("SHIP", matched=False)).last_word == "SHIP"  # spent it may be whenever
    again = (*ASKED, DRAWN, spent("", matched=False), DRAWN)
    assert "last time" in refused(*again, right)
    assert of(*again, spent("GO", matched=True, presented="GO")).checkpoints["go"].word_matched


def test_a_right_word_that_opened_nothing_opens_nothing_once_another_is_drawn():
    right = spent("SHIP", matched=True)
    of(*ASKED, DRAWN, right, TYPED)
    assert "no word was entered" in refused(*ASKED, DRAWN, right, DRAWN, TYPED)


def test_of_several_words_that_are_out_each_is_spent_and_a_wrong_one_voids_the_others():
    wrong = spent("x", matched=False)
    both = (*ASKED, DRAWN, DRAWN)
    state = of(*both, wrong, wrong)
    assert (state.checkpoints["go"].wrong_words, state.checkpoints["go"].words_out) == (2, 0)
    assert "no word was drawn" in refused(*both, wrong, wrong, wrong)
    assert "void" in refused(*both, wrong, spent("GO", matched=True, presented="GO"))
    of(*both, wrong, DRAWN, spent("GO", matched=True, presented="GO"), TYPED)


def test_a_word_opens_only_if_it_is_of_the_list_new_in_time_and_entered_where_it_was_drawn():
    right = spent("SHIP", matched=True)
    assert "none of the words" in refused(*ASKED, DRAWN, spent("OPEN", matched=True, presented="OPEN"))
    assert "none of the words" in refused(*ASKED, DRAWN, spent("x", matched=False, presented="OPEN"))
    assert "another channel" in refused(*ASKED, DRAWN, dataclasses.replace(right, channel="web"))
    of(*ASKED, DRAWN, dataclasses.replace(spent("x", matched=False), channel="web"))
    at = START + timedelta(seconds=5)  # the entry is the fifth event
    just, late = (
        dataclasses.replace(DRAWN, expires_at=(at + timedelta(microseconds=more)).isoformat()) for more in (1, 0)
    )
    assert of(*ASKED, just, right).checkpoints["go"].word_matched
    assert "expired" in refused(*ASKED, late, right)
    assert of(*ASKED, late, spent("SHIP", matched=False)).checkpoints["go"].wrong_words == 0
    assert "the word of last time" in refused(*ASKED, DRAWN, spent("x", matched=False), DRAWN, right)
    other = spent("GO", matched=True, presented="GO")
    assert of(*ASKED, DRAWN, spent("x", matched=False), DRAWN, other).checkpoints["go"].word_matched


def test_as_many_words_are_spent_as_were_drawn_and_one_that_was_spent_voids_the_others():
    wrong, other = spent("x", matched=False), spent("GO", matched=True, presented="GO")
    known = of(*ASKED, DRAWN, DRAWN).checkpoints["go"]
    assert (known.words_out, known.word_open) == (2, DRAWN)
    known = of(*ASKED, DRAWN, DRAWN, wrong, wrong).checkpoints["go"]
    assert (known.words_out, known.wrong_words, known.word_open) == (0, 2, None)
    assert "no word was drawn" in refused(*ASKED, DRAWN, DRAWN, wrong, wrong, wrong)
    assert "void" in refused(*ASKED, DRAWN, DRAWN, wrong, other)
    assert of(*ASKED, DRAWN, wrong, DRAWN, other, TYPED).checkpoints["go"].approved == TYPED
    refused(*ASKED, DRAWN, spent("SHIP", matched=True), DRAWN, TYPED)  # a right word that opened nothing
    assert of(*ASKED, DRAWN, VOIDED).checkpoints["go"].words_out == 0
    card = opened(plan=PLAN, pins={"one": {"ref:main": "b"}})
    assert of(*ASKED, DRAWN, VOIDED, card).checkpoints["go"].words_out == 0
    begun = (*ASKED, DRAWN, DRAWN, spent("SHIP", matched=True), TYPED, one(), failed("one", "plan-changed"))
    assert of(*begun, card).checkpoints["go"].words_out == 0


def test_what_names_another_card_is_of_no_card():
    other = "e" * 64
    for fact in (
        dataclasses.replace(DRAWN, approval_digest=other), dataclasses.replace(approved(CARD), approval_digest=other),
    ):  # fmt: skip
        refused(*ASKED, fact)
        refused(started(), PLAN, fact)
    refused(*ASKED, DRAWN, dataclasses.replace(spent("SHIP", matched=True), approval_digest=other))


def test_the_wrong_words_are_counted_and_what_is_left_or_late_is_not():
    counts = {"ship": 1, "": 0, "SHIP": 0, "\n": 1}
    for entered, wrong in counts.items():
        assert of(*ASKED, DRAWN, spent(entered, matched=False)).checkpoints["go"].wrong_words == wrong


def test_a_card_is_of_this_plan_and_of_what_it_says():
    refused(started(), PLAN, dataclasses.replace(CARD, approval_digest="0" * 64))
    stranger = opened(plan=planned(act("other")))
    refused(started(), PLAN, stranger)
    refused(started(), CARD)
    refused(*ASKED, opened(plan=PLAN, pins={"one": {"a": "b"}}))
    assert "not the one that the approval digest covers" in refused(
        started(), PLAN, dataclasses.replace(CARD, card="!")
    )
    unsaid = opened(basis={"checkpoint": "go", "plan": PLAN.digest, "acts": [], "pins": {}, "card": None})
    refused(started(), PLAN, unsaid)
    state = of(*ASKED)
    assert (state.checkpoints["go"].opened, state.checkpoints["go"].openings, state.checkpoints["go"].opened_at) == (
        CARD,
        1,
        state.last_at,
    )


def test_an_approval_comes_before_the_card_expires():
    at = START + timedelta(seconds=4)  # the approval is the fourth event
    just = opened(plan=PLAN, expires=at + timedelta(microseconds=1))
    of(started(), PLAN, just, approved(just))
    late = opened(plan=PLAN, expires=at)
    assert "expired" in refused(started(), PLAN, late, approved(late))


def test_whoever_comes_after_there_were_enough_approves_nothing():
    pair = clearance(Approver("ceo", ("ceo",)), Approver("dan", ("ceo",)))
    card = opened(plan=PLAN, cleared=pair)
    first = approved(card)
    refused(started(), PLAN, card, first, dataclasses.replace(first, who="dan"))


def test_a_word_that_was_drawn_for_an_older_card_is_of_no_use_for_the_new_one():
    again = opened(plan=PLAN, pins={"one": {"ref:main": "2"}})
    changed = (*BEGUN, DRAWN, one(), failed("one", "plan-changed"), again)
    entered = e.WordSpent("go", again.approval_digest, "SHIP", "SHIP", matched=True, channel="t")
    refused(*changed, entered)
    drawn = dataclasses.replace(DRAWN, approval_digest=again.approval_digest)
    assert of(*changed, drawn, entered).checkpoints["go"].word_matched


def test_a_rejection_ends_the_run_also_where_its_card_is_void():
    assert of(*BEGUN, one(), failed("one", "plan-changed"), e.Rejected("go", "ceo", "t", "no")).standing() == "aborted"


def test_only_who_signs_leaves_a_signature():
    refused(*ASKED, dataclasses.replace(approved(CARD), signature="-----BEGIN SSH SIGNATURE-----"))
    refused(*ASKED, dataclasses.replace(approved(CARD), authentication="ssh-signature"))
    signed = dataclasses.replace(
        approved(CARD), authentication="ssh-signature", signature="-----BEGIN SSH SIGNATURE-----"
    )
    assert of(*ASKED, signed).checkpoints["go"].approved == signed


def test_a_card_without_a_clearance_is_opened_by_nobody():
    basis = {
        "checkpoint": "go", "plan": PLAN.digest, "acts": [], "pins": {}, "clearance": {}, "card": sha256_hex(b"card"),
    }  # fmt: skip
    card = e.CheckpointOpened(
        "go", approval_digest(basis), "card", basis, {}, (START + timedelta(days=1)).isoformat(), ()
    )
    assert "nobody may approve" in refused(started(), PLAN, card, approved(card))


def test_an_approval_that_does_not_count_says_what_is_wrong_with_it():
    stranger = dataclasses.replace(approved(CARD), who="mallory")
    assert "mallory is no approver of this product" in refused(*ASKED, stranger)


def test_a_rejection_and_an_expiry_close_for_good():
    rejected = of(*ASKED, e.Rejected("go", "ceo", "t", "no"))
    assert (rejected.checkpoints["go"].closed, rejected.standing()) == ("rejected", "aborted")
    gone = of(*ASKED, e.CheckpointExpired("go", APPROVAL))
    assert (gone.checkpoints["go"].closed, gone.standing()) == ("expired", "aborted")
    assert of(*ASKED, e.Rejected("go", "bob", "t", "mine")).over  # who started it
    refused(*ASKED, e.Rejected("go", "eve", "t", "no"))
    # That the run is over is looked at first; a checkpoint does not rely on it.
    event = chained(*ASKED, approved(CARD))[-1]
    with pytest.raises(ImpossibleHistory, match="closed for good"):
        apply_checkpoint(rejected, event)


# --- the course -----------------------------------------------------------------------------------------------------


def test_a_run_that_was_ended_takes_the_outcome_of_what_was_under_way_and_no_other():
    ended = e.Aborted("ann", "t", "stop")
    assert of(*BEGUN, one(), ended, done("one")).acts["one"].done
    assert "the run is over" in refused(*BEGUN, one(), done("one"), ended, done("one", "e-901"))
    assert "the run is over" in refused(*BEGUN, ended, failed("one"))


def test_a_rest_is_left_by_a_person_only():
    for rest in (e.Refused("one", "x", "", "", ()), e.Halted("one", "x", "", "")):
        resumed = of(*BEGUN, rest, e.Resumed("ann", "t"))
        assert (resumed.refused, resumed.halted, resumed.resumed_seq) == (None, None, 6)
        refused(*BEGUN, rest, one())
        refused(*BEGUN, rest, e.Ended("done", ""))
        assert of(*BEGUN, rest, e.Aborted("ann", "t", "")).over
        assert of(*BEGUN, rest, e.Superseded("r-2")).superseded_by == "r-2"
    refused(*BEGUN, e.Resumed("ann", "t"))


def test_only_a_branch_that_returns_is_left():
    halted = e.Halted("one", "x", "", "")
    stays = e.Branched("rollback", "one", "high", "x", "", returns=False)
    assert of(*BEGUN, stays, halted, e.Resumed("ann", "t")).branch == "rollback"
    back = dataclasses.replace(stays, returns=True)
    assert of(*BEGUN, back, halted, e.Resumed("ann", "t")).branch == "main"
    assert of(*BEGUN, back, e.Refused("one", "x", "", "", ()), e.Resumed("ann", "t")).branch == "rollback"
    assert of(*BEGUN, stays).branched == stays


def test_after_the_end_only_an_outcome_of_an_abort_is_told():
    aborted = e.Aborted("ann", "t", "stop")
    assert of(*BEGUN, one(), aborted, failed("one")).acts["one"].failed is not None
    refused(*BEGUN, aborted, done("one"))
    refused(*BEGUN, one(), aborted, done("two"))
    refused(*BEGUN, one(), aborted, done("one"), failed("one"))
    refused(*BEGUN, one(), aborted, e.Skipped("one", ""))
    refused(*BEGUN, one(), e.Superseded("r-2"), done("one"))


OUTLINE = tuple(
    {"id": name, "kind": kind, "branch": branch}
    for name, kind, branch in (("look", "observe", "main"), ("one", "act", "main"), ("undo", "act", "rollback"))
)


def test_an_end_comes_when_all_of_its_line_is_done():
    whole = (dataclasses.replace(started(), outline=OUTLINE), PLAN, CARD, approved(CARD))
    look, end = observed("look", "e-1", {}), e.Ended("done", "")
    assert "look" in refused(*whole, end)
    assert "one" in refused(*whole, look, end)
    assert of(*whole, look, one(), done("one"), end).ended == end
    branched = e.Branched("rollback", "one", "high", "x", "", returns=False)
    assert "undo" in refused(*whole, branched, end)
    assert of(*whole, branched, e.Skipped("undo", ""), end).over


def test_verdicts_and_judgements_cite_what_exists():
    seen = observed("look", "e-1", {})
    go = e.VerdictGiven("ready", "qa", "go", (), ("e-1",), "model")
    judged = e.Judged("ready", "fine", passed=True, reason_code="ok", message="", evidence=("e-1",))
    state = of(started(), seen, go, judged)
    assert (state.verdicts["ready"], state.judged["ready", "fine"]) == (go, judged)
    refused(started(), go)
    refused(started(), judged)
    refused(started(), seen, dataclasses.replace(go, answer="perhaps"))
    refused(started(), dataclasses.replace(seen, digest="0" * 64))


def test_only_a_hold_is_lifted():
    hold = e.VerdictGiven("ready", "qa", "hold", (), (), "model")
    lifted = e.HoldLifted("ready", "ann", "t", "it cleared")
    state = of(started(), hold, lifted)
    assert (state.lifted["ready"], state.exceptions) == (lifted, ["hold of ready lifted by ann: it cleared"])
    refused(started(), lifted)
    refused(started(), dataclasses.replace(hold, answer="go"), lifted)


# --- the watch ------------------------------------------------------------------------------------------------------

RULE = {"window_ms": 5000}
WATCHED = planned(act("one"), basis={"watch": RULE})


def watching(seconds, **changes):
    ends = (START + timedelta(seconds=seconds)).isoformat()
    return dataclasses.replace(e.WatchOpened("watch", ends, {}, RULE), **changes)


def test_a_watch_is_the_planned_one():
    of(started(), WATCHED, watching(7))
    refused(started(), WATCHED, watching(6.9))
    refused(started(), WATCHED, watching(7, rule={"window_ms": 5000, "more": 1}))
    refused(started(), watching(7))
    for rule in (None, {}, {"window_ms": "5000"}, 5000):
        refused(
            started(),
            planned(act("one"), basis={"watch": rule}),
            watching(7, rule=rule if isinstance(rule, dict) else {}),
        )
    refused(started(), WATCHED, watching(7), watching(8))


def test_a_watch_closes_once_and_healthily_only_at_its_end():
    sampled = e.Sampled("watch", "e-1", {"requests": 1}, "healthy", "fine")
    closed = e.WatchClosed("watch", "healthy", "", ())
    begun = (started(), WATCHED, watching(7), sampled)
    state = of(*begun)
    assert state.watches["watch"].samples == [(state.last_at, {"requests": 1})]
    assert (state.watches["watch"].last, state.evidence_by_id["e-1"].summary) == (sampled, "fine")
    refused(*begun, closed)
    late = (*begun, *(e.Skipped(f"s{number}", "") for number in range(2)), closed)
    assert of(*late).watches["watch"].closed == closed  # the seventh event, at its very end
    worse = dataclasses.replace(closed, outcome="worse")
    assert of(*begun, worse).watches["watch"].closed == worse
    refused(*begun, worse, sampled)
    refused(*begun, worse, worse)
    refused(started(), WATCHED, sampled)
    refused(started(), WATCHED, closed)


def test_a_watch_may_close_badly_whatever_it_saw_last():
    begun = (started(), WATCHED, watching(7))
    for outcome in ("worse", "no-data"):
        closed = e.WatchClosed("watch", outcome, "", ())
        assert of(*begun, closed).watches["watch"].closed == closed
        assert of(*begun, e.Sampled("watch", "e-1", {}, outcome, ""), closed).watches["watch"].closed == closed


# --- beside the course ----------------------------------------------------------------------------------------------


def overridden(name, who, reason="it is urgent"):
    return e.Overridden(name, who, "t", "account", reason)


def test_an_override_is_one_persons_of_one_thing_and_has_a_reason():
    both = (overridden("freeze/a", "ann"), overridden("freeze/b", "ann"), overridden("freeze/a", "bob"))
    state = of(started(), *both)
    assert [fact for fact, _ in state.overridden] == list(both)
    assert state.exceptions[0] == "freeze/a overridden by ann: it is urgent"
    refused(started(), *both, overridden("freeze/a", "bob"))
    refused(started(), overridden("freeze/a", "ann", ""))


def test_what_people_were_told_changes_nothing_and_may_be_told_at_any_time():
    fields = {field.name: "x" for field in dataclasses.fields(e.Notified)}
    kinds = {field.name: str(field.type) for field in dataclasses.fields(e.Notified)}
    told = e.Notified(**{name: {"str": "x", "bool": True, "int": 1}.get(kinds[name], "x") for name in fields})
    before = of(*BEGUN)
    state = of(*BEGUN, told)
    assert state.notified == {(told.occasion, told.channel): told}
    assert (state.last_at, state.standing(), state.head_seq) == (before.last_at, "running", 5)
    for rest in (e.Aborted("ann", "t", ""), e.Refused("one", "x", "", "", ()), e.Ended("done", "")):
        assert of(*BEGUN, rest, told).notified
