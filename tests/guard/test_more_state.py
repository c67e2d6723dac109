"""What a run's state answers: where it stands, what was attempted, what is complete, what was waiting when it died."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from pilothouse import events as e
from pilothouse.canonical import digest
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.approval import (
    LONG_TEXT,
    WORD_LIFE,
    ScriptedApproval,
    expired,
    may_ask,
    scripted_applies,
    shown_value,
)
from pilothouse.guard.decide import act_key, next_step, on_trouble, unhandled
from pilothouse.guard.fold import fold
from pilothouse.guard.references import Unresolved, fact_of, form_of, resolve
from pilothouse.guard.state import CheckpointState, is_complete
from pilothouse.model import Kind, Reach
from story import SHA, START, act, approved, chained, done, failed, intended, observed, opened, planned, started
from toyworld import step, toy_workflow

PLAN = planned(
    act("backup", "backup.create"),
    act("deploy"),
    act("stage", reach="staging", checkpoint=None),
    act("undo", branch="rollback"),
)
CARD = opened(plan=PLAN)
BEGUN = (started(), PLAN, CARD)


def of(*facts):
    return fold(chained(*facts))


def meant(name, **more):
    tool = "backup.create" if name == "backup" else "deploy.apply"
    return intended(PLAN, name, approval=CARD.approval_digest, tool=tool, **more)


STANDS = {
    "running": [started()],
    "waiting": BEGUN,
    "done": [started(), e.Ended("done", "")],
    "rolled-back": [started(), e.Ended("rolled-back", "")],
    "aborted": [started(), e.Aborted("ceo", "t", "")],
    "superseded": [started(), e.Superseded("r-2")],
    "halted": [started(), e.Halted("deploy", "conflict", "", "")],
    "refused": [started(), e.Refused("ready", "ci-red", "", "", ())],
}


@pytest.mark.parametrize("word", STANDS)
def test_one_word_says_where_a_run_stands(word):
    state = of(*STANDS[word])
    assert state.standing() == word
    assert state.over == (word in {"done", "rolled-back", "aborted", "superseded"})


def test_an_approved_checkpoint_is_no_longer_waiting_and_a_resumed_run_rests_no_more():
    assert of(*BEGUN, approved(CARD)).standing() == "running"
    assert of(*STANDS["refused"], e.Resumed("ceo", "t")).standing() == "running"
    assert of(*STANDS["halted"], e.Resumed("ceo", "t")).standing() == "running"


def test_a_state_knows_how_far_its_events_go():
    events = chained(*BEGUN)
    state = fold(events)
    assert (state.head_seq, state.events, state.last_at, state.started_at) == (3, 3, events[-1].at, events[0].at)


def test_a_backup_is_no_attempt_on_production_and_what_was_called_off_is_none():
    assert not of(*BEGUN, approved(CARD)).production_attempted()
    backed_up = (*BEGUN, approved(CARD), meant("backup"))
    assert not of(*backed_up).production_attempted()
    assert of(*backed_up).attempted(["backup"])
    assert not of(*backed_up).attempted(["deploy", "nothing"])
    backed_up = (*backed_up, done("backup"))
    assert not of(*backed_up).production_attempted()
    assert of(*backed_up, meant("deploy")).production_attempted()
    assert of(*backed_up, meant("deploy"), done("deploy", "e-2")).production_attempted()
    assert of(*backed_up, meant("deploy"), failed("deploy")).production_attempted()
    called_off = e.Failed("deploy", "plan-changed", "", "", "", moved=False)
    assert not of(*backed_up, meant("deploy"), called_off).production_attempted()
    assert not of(started()).production_attempted()


def test_a_later_failure_that_moved_nothing_takes_back_no_earlier_one_that_did():
    moved = (*BEGUN, approved(CARD), meant("backup"), done("backup"), meant("deploy"), failed("deploy"))
    again = (meant("deploy", attempt=2), e.Failed("deploy", "x", "", "", "", moved=False))
    state = of(*moved, *again)
    assert state.acts["deploy"].moved
    assert (state.acts["deploy"].attempts, state.acts["deploy"].failed_seq) == (2, 10)
    assert state.acts["deploy"].open is None
    assert state.acts["deploy"].ended_at == state.last_at


def test_facts_are_the_latest_looks_and_the_outcomes_of_acts():
    plan = planned(act("stage", checkpoint=None, reach="staging"))
    first, second = observed("look", "e-1", {"a": 1}), observed("look", "e-2", {"a": 2})
    state = of(
        started(),
        plan,
        first,
        second,
        intended(plan, "stage"),
        done("stage", "e-3", facts={"sha": SHA}, moves={"p": "2"}),
    )
    assert state.facts() == {"look": {"a": 2}, "stage": {"sha": SHA}}
    assert state.moves == {"p": "2"}
    assert [item.seq for item in state.evidence_by_id.values()] == [3, 4, 6]
    assert of(started(), plan, first, intended(plan, "stage")).facts() == {"look": {"a": 1}}


WATCH = {"window_ms": 1000}


def watched(outcome, *, closed):
    plan = planned(act("deploy"), basis={"watch": WATCH})
    ends = (START + timedelta(seconds=3)).isoformat()
    facts = [started(), plan, e.WatchOpened("watch", ends, {}, WATCH), e.Sampled("watch", "e-1", {}, "healthy", "")]
    return of(*facts, *([e.WatchClosed("watch", outcome, "worse by far", ())] if closed else []))


def test_a_step_is_complete_when_nothing_more_is_needed():
    go, hold = (e.VerdictGiven("ready", "qa", answer, (), (), "model") for answer in ("go", "hold"))
    assert is_complete(Kind.OBSERVE, "look", of(started(), observed("look", "e-1", {})))
    assert not is_complete(Kind.DRAFT, "look", of(started()))
    assert is_complete(Kind.ACT, "look", of(started(), e.Skipped("look", "")))
    assert is_complete(Kind.VERDICT, "ready", of(started(), go))
    assert not is_complete(Kind.VERDICT, "ready", of(started()))
    assert not is_complete(Kind.VERDICT, "ready", of(started(), hold))
    assert is_complete(Kind.VERDICT, "ready", of(started(), hold, e.HoldLifted("ready", "ceo", "t", "")))
    assert not is_complete(Kind.CHECKPOINT, "go", of(*BEGUN))
    assert not is_complete(Kind.CHECKPOINT, "other", of(*BEGUN, approved(CARD)))
    assert is_complete(Kind.CHECKPOINT, "go", of(*BEGUN, approved(CARD)))
    assert not is_complete(Kind.WATCH, "watch", of(started()))
    assert not is_complete(Kind.WATCH, "watch", watched("healthy", closed=False))
    assert not is_complete(Kind.WATCH, "watch", watched("worse", closed=True))
    assert is_complete(Kind.WATCH, "watch", watched("healthy", closed=True))
    begun = (*BEGUN, approved(CARD), meant("backup"))
    assert not is_complete(Kind.ACT, "backup", of(*BEGUN))
    assert not is_complete(Kind.ACT, "backup", of(*begun))
    assert is_complete(Kind.ACT, "backup", of(*begun, done("backup")))


def test_a_failure_whose_consequence_is_missing_is_found_again():
    act_step, watch_step = step("backup", Kind.ACT, "backup.create"), step("watch", Kind.WATCH, "metrics.sample")
    begun = (*BEGUN, approved(CARD), meant("backup"))
    assert unhandled(act_step, of(*BEGUN)) is None
    assert unhandled(act_step, of(*begun)) is None
    broken = (*begun, e.Failed("backup", "no-space", "the disk is full", "make room", ""))
    assert unhandled(act_step, of(*broken)) == ("no-space", "the disk is full", "make room")
    assert unhandled(act_step, of(*broken, e.Refused("backup", "no-space", "", "", ()), e.Resumed("ceo", "t"))) is None
    settled = e.Settled("backup", "absent", "ann", "t", "I looked", {})
    assert unhandled(act_step, of(*begun, settled)) is None  # a person said what follows: it may be tried again
    assert unhandled(act_step, of(*begun, failed("backup", "plan-changed"))) is None
    assert unhandled(act_step, of(*broken[:-1], failed("backup"), meant("backup", attempt=2))) is None
    again = opened(plan=PLAN, pins={"backup": {"a": "b"}})
    redone = intended(PLAN, "backup", approval=again.approval_digest, tool="backup.create", attempt=2)
    mended = (*begun, failed("backup", "plan-changed"), again, approved(again), redone, done("backup"))
    assert unhandled(act_step, of(*mended)) is None  # it failed once, and is done
    assert unhandled(watch_step, watched("worse", closed=True))[:2] == ("watch-worse", "worse by far")
    assert unhandled(watch_step, watched("worse", closed=False)) is None
    assert unhandled(watch_step, watched("healthy", closed=True)) is None


def test_in_a_branch_a_changed_plan_is_a_failure_like_any_other():
    undo = planned(act("undo", branch="rollback"))
    card = opened(plan=undo)
    facts = [
        started(), undo, card, approved(card), e.Branched("rollback", "deploy", "high", "x", "", returns=False),
        intended(undo, "undo", approval=card.approval_digest, branch="rollback"), failed("undo", "plan-changed"),
    ]  # fmt: skip
    assert unhandled(step("undo", Kind.ACT, "deploy.apply"), of(*facts))[0] == "plan-changed"


def test_trouble_takes_the_branch_only_where_production_was_touched_and_no_branch_has_one():
    flow = toy_workflow()
    one = next(item for item in flow.steps() if item.id == "one")
    three = next(item for item in flow.steps() if item.id == "three")
    plan = planned(act("one"))
    card = opened(plan=plan)
    before = (started(), plan, card, approved(card))
    touched = (*before, intended(plan, "one", approval=card.approval_digest), failed("one"))
    assert on_trouble(one, flow, of(*before)) == "rest"
    assert on_trouble(one, flow, of(*touched)) == "rollback"
    assert on_trouble(three, flow, of(*touched)) == "rest"
    branched = e.Branched("rollback", "one", "high", "x", "", returns=False)
    assert on_trouble(one, flow, of(*touched, branched)) == "halt"
    assert next_step(flow, of(*touched, branched)).id == "undo-two"
    assert next_step(flow, of(*before)).id == "look"


def test_an_acts_key_is_its_own_in_every_run_plan_and_step():
    state = of(*BEGUN)
    other = fold(chained(*BEGUN, run="r-2"))
    later = fold([dataclasses.replace(event, at=event.at.replace("09:", "10:")) for event in chained(*BEGUN)])
    keys = {
        act_key(state, "one"),
        act_key(state, "two"),
        act_key(other, "one"),
        act_key(later, "one"),
        act_key(of(started()), "one"),
    }
    assert len(keys) == 5
    assert {len(key) for key in keys} == {20}
    assert act_key(of(*BEGUN, approved(CARD)), "one") == act_key(state, "one")


# --- approvals ------------------------------------------------------------------------------------------------------


def test_three_wrong_words_are_all_there_are():
    def word(entered):
        drawn = e.WordDrawn("go", CARD.approval_digest, "t", (START + timedelta(minutes=15)).isoformat())
        return drawn, e.WordSpent("go", CARD.approval_digest, "SHIP", entered, matched=False, channel="t")

    two = of(*BEGUN, *word("a"), *word("b"))
    assert may_ask(two, "go", START) is None
    three = of(*BEGUN, *word("a"), *word("b"), *word("c"))
    assert may_ask(three, "go", START).reason_code == "words-spent"
    with pytest.raises(ImpossibleHistory):
        of(*BEGUN, *word("a"), *word("b"), *word("c"), *word("d"))
    assert timedelta(minutes=15) == WORD_LIFE


def test_a_card_expires_at_its_moment_and_one_that_is_not_open_never_does():
    known = of(*BEGUN).checkpoints["go"]
    assert not expired(known, START + timedelta(days=3, seconds=-1))
    assert expired(known, START + timedelta(days=3))
    assert not expired(CheckpointState(), START + timedelta(days=99))


def test_only_long_texts_are_shown_by_their_digest():
    assert LONG_TEXT == 200
    assert shown_value("x" * 200) == "x" * 200
    assert shown_value("x" * 201) == {"sha256": digest("x" * 201)}
    assert shown_value(["x" * 300]) == ["x" * 300]
    assert shown_value(7) == 7


def test_a_standing_approval_that_does_not_fit_hides_none_that_does():
    def entry(**changes):
        fields = {
            "checkpoint": "go",
            "product": "acme",
            "workflow": "release",
            "approver": "ann",
            "expires": "2026-12-01T00:00:00+00:00",
        }
        return ScriptedApproval(**{**fields, "standing": True, **changes})

    state = of(*BEGUN)
    assert (
        scripted_applies(
            (entry(checkpoint="x"), entry(standing=False), entry(approver="bob")), state, "go", START
        ).approver
        == "bob"
    )
    assert scripted_applies((entry(),), of(started()), "go", START) == entry()
    ends = START + timedelta(days=1)
    edge = entry(expires=ends.isoformat())
    assert scripted_applies((edge,), state, "go", ends).reason_code == "scripted-expired"
    assert scripted_applies((edge,), state, "go", ends - timedelta(seconds=1)) == edge


# --- references -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["ref", "input", "setting", "run"])
def test_a_reference_is_one_form_with_a_name_and_perhaps_a_type(form):
    assert form_of({form: "a.b"}) == (form, "a.b")
    assert form_of({form: "a.b", "type": "sha"}) == (form, "a.b")
    for literal in ({form: 1}, {form: "a", "more": 1}, {"type": "sha"}, {}, [form], form, None):
        assert form_of(literal) is None


def test_references_are_resolved_wherever_they_stand():
    value = {"a": {"ref": "x.y"}, "b": [{"ref": "x"}, "ref", 1], "c": {"d": {"run": "id"}}}
    assert resolve(value, lambda form, name: f"<{form} {name}>") == {
        "a": "<ref x.y>", "b": ["<ref x>", "ref", 1], "c": {"d": "<run id>"},
    }  # fmt: skip


def test_a_fact_is_known_or_named_as_missing():
    facts = {"x": {"y": 1, "z": None}}
    assert fact_of(facts, "x.y") == 1
    assert fact_of(facts, "x.z") is None
    assert fact_of(facts, "x") == {"y": 1, "z": None}
    for name in ("w", "w.y", "x.w"):
        with pytest.raises(Unresolved, match=name):
            fact_of(facts, name)


def test_reach_is_as_it_was_planned():
    assert [item.reach for item in of(*BEGUN).plan.acts] == [
        Reach.PRODUCTION,
        Reach.PRODUCTION,
        Reach.STAGING,
        Reach.PRODUCTION,
    ]
