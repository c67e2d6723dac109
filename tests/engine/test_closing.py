"""Records around production: no effect before its intent is on record, and an outcome follows whatever happens (I33)."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from engine.test_more_perform import Quick, approve, facts_of, tell
from guard_samples import product
from pilothouse import events as e
from pilothouse.engine.advance import advance
from pilothouse.engine.world import Log, bound_of
from pilothouse.errors import ImpossibleHistory, Unreachable
from pilothouse.guard.decide import decide
from pilothouse.guard.fold import fold, step_on
from pilothouse.ledger.memory import MemoryJournal
from pilothouse.model import (
    INTENT,
    OUTCOME,
    RECORD,
    Argument,
    Branch,
    EffectClass,
    Kind,
    Phase,
    Presence,
    Probe,
    Reach,
    Refuse,
    ToolSpec,
    Workflow,
)
from pilothouse.settings import Audit
from pilothouse.starting import outline_of
from story import started
from toyworld import ToyTools, act, step, toy

WRITE = ToolSpec(RECORD, Kind.ACT, "write", {"kind": Argument("text")}, {}, Reach.WORKSPACE, False, EffectClass.KEYED)


class Clerk(ToyTools):
    """A toy world in which records are written, too; ``deaf`` is a remote that does not answer for records."""

    deaf = False
    order: list[str]

    def specs(self):
        return {**super().specs(), RECORD: WRITE}

    def _as_target(self, name, arguments):
        return {"environment": "record", "value": arguments["kind"]} if name == RECORD else arguments

    def pins(self, name, arguments):
        return {} if name == RECORD else super().pins(name, arguments)

    def probe(self, name, arguments, key):
        if name == RECORD and self.deaf:
            raise Unreachable("remote-unreachable", "no answer")
        return super().probe(name, self._as_target(name, arguments), key)

    def apply(self, name, arguments, permit):
        super().apply(name, self._as_target(name, arguments), permit)


def writes(name, kind):
    return step(name, Kind.ACT, RECORD, arguments={"kind": kind})


def workflow(*, first="intent"):
    """Go, the intent, two acts on production, the outcome; where it fails or is aborted, the outcome as well."""
    go = step("go", Kind.CHECKPOINT, "Go?")
    acts = {"intent": writes("intent", INTENT), "one": act("one", "1", on_failure="failure")}
    begin = [acts.pop(first), *acts.values()]
    main = (go, *begin, act("two", "2", on_failure="failure"), writes("outcome", OUTCOME))

    def branch(name, ends):
        return Branch(name, name, (Phase(name, name, "qa", (writes(f"{name}-outcome", OUTCOME),)),), ends)

    branches = {"failure": branch("failure", "failed"), "aborted": branch("aborted", "aborted")}
    return Workflow("toy", "Toy", "", (Phase("all", "All", "qa", main),), {}, branches, "toy")


class Killed(BaseException):
    """The conductor dies."""


def world_of(tools=None, flow=None, kill=None):
    flow = flow or workflow()
    journal = MemoryJournal()
    begun = replace(started(workflow="toy"), outline=outline_of(flow))
    journal.append("acme", "r-1", [begun], "2026-11-21T09:00:00.000000+00:00")

    def boundary(name, here):
        if (name, here) == kill and not fired:
            fired.append(here)
            raise Killed

    fired: list[str] = []
    world = toy(tools or Clerk(), journal, clock=Quick(), boundary=boundary)
    world.workflow = flow
    return world


def begun(tools=None, kill=None):
    """A run that was approved, and gone on with until it was killed or came to rest."""
    world = world_of(tools, kill=kill)
    advance("r-1", world)
    approve(world)
    if kill:
        with pytest.raises(Killed):
            advance("r-1", world)
    else:
        advance("r-1", world)
    return world


def state_of(world):
    return fold(world.journal.read("acme"))


def acts_done(world):
    return [fact.step for fact in facts_of(world, "Done")]


ABORT = e.Aborted("ceo", "t", "the fair is cancelled")


def test_the_intent_is_on_record_before_production_and_the_outcome_after():
    world = begun()
    assert acts_done(world) == ["intent", "one", "two", "outcome"]
    assert state_of(world).standing() == "done"


def test_the_guard_lets_nothing_reach_production_before_its_intent_is_on_record():
    world = world_of(flow=workflow(first="one"))
    advance("r-1", world)
    approve(world)
    advance("r-1", world)
    state = state_of(world)
    assert (state.refused.step, state.refused.reason_code) == ("one", "intent-unrecorded")
    assert world.tools.world == {}


def test_a_ledger_in_which_production_moved_without_its_intent_does_not_fold():
    world = world_of(flow=workflow(first="one"))
    advance("r-1", world)
    approve(world)
    log = Log.open(world, "r-1")
    card = state_of(world).checkpoints["go"].approved.approval_digest
    planned = log.state.plan.act("one")
    fact = e.Intended("one", "set", dict(planned.arguments), "k", log.state.plan.digest, card, "main", 1)
    event = e.Event("acme", log.head.seq + 1, log.head.hash, "r-1", "2026-11-21T09:10:00.000000+00:00", fact, "")
    with pytest.raises(ImpossibleHistory, match="intent record intent is not written"):
        step_on(log.state, event)


def test_a_failure_after_the_intent_ends_as_failed_with_its_outcome_on_record():
    world = begun(Clerk(breaks={"production/2"}))
    state = state_of(world)
    assert (state.standing(), acts_done(world)) == ("failed", ["intent", "one", "failure-outcome"])
    assert state.over


@pytest.mark.parametrize("at", [("after-outcome", "intent"), ("after-outcome", "one"), ("before-intent", "two")])
def test_an_aborted_run_writes_its_outcome_and_nothing_else(at):
    world = begun(kill=at)
    tell(world, ABORT)
    assert (state_of(world).standing(), state_of(world).over) == ("aborted", False)
    before = acts_done(world)
    advance("r-1", world)
    state = state_of(world)
    assert acts_done(world) == [*before, "aborted-outcome"]
    assert (state.ended.outcome, state.ended.message, state.over) == ("aborted", "the fair is cancelled", True)
    assert "production/2" not in world.tools.world


def test_a_run_aborted_before_its_intent_is_over_at_once():
    world = world_of()
    advance("r-1", world)
    tell(world, ABORT)
    advance("r-1", world)
    assert state_of(world).over and acts_done(world) == []


@pytest.mark.parametrize(("landed", "found"), [(True, ["intent", "one"]), (False, ["intent"])])
def test_what_was_under_way_when_a_run_was_aborted_is_looked_for_and_not_tried_again(landed, found):
    world = begun(kill=("after-apply" if landed else "after-intent", "one"))
    tell(world, ABORT)
    advance("r-1", world)
    assert acts_done(world) == [*found, "aborted-outcome"]
    assert [fact.reason_code for fact in facts_of(world, "Failed")] == ([] if landed else ["aborted"])
    assert world.tools.calls.get("production/1", 0) == landed


def test_what_cannot_be_told_of_an_aborted_act_is_for_a_person():
    tools = Clerk()
    world = begun(tools, kill=("after-apply", "one"))
    tell(world, ABORT)
    tools.blind.add("production/1")
    advance("r-1", world)
    state = state_of(world)
    assert (state.standing(), state.halted.reason_code, state.open_act) == ("halted", "unknown-outcome", "one")
    tell(world, e.Settled("one", "applied", "ceo", "t", "I looked", {}))
    advance("r-1", world)
    assert (state_of(world).standing(), state_of(world).over) == ("aborted", True)


def test_an_outcome_that_cannot_be_written_halts_and_is_written_at_the_next_resume():
    tools = Clerk()
    world = begun(tools, kill=("after-outcome", "one"))
    tell(world, ABORT)
    tools.deaf = True
    advance("r-1", world)
    state = state_of(world)
    assert (state.standing(), state.halted.reason_code, state.over) == ("halted", "aborted-failed", False)
    tools.deaf = False
    tell(world, e.Resumed("ceo", "t"))
    advance("r-1", world)
    assert (state_of(world).standing(), acts_done(world)[-1]) == ("aborted", "aborted-outcome")


def test_nothing_but_its_record_happens_to_an_aborted_run():
    world = begun(kill=("after-outcome", "one"))
    tell(world, ABORT)
    log = Log.open(world, "r-1")
    assert log.state.branch == "aborted"
    branched = e.Branched("failure", "two", "high", "x", "y", returns=False)
    for fact in (ABORT, e.Superseded("r-2"), e.Ended("done", "?"), e.Ended("aborted", "too early"), branched):
        event = e.Event("acme", log.head.seq + 1, log.head.hash, "r-1", "2026-11-21T09:10:00.000000+00:00", fact, "")
        with pytest.raises(ImpossibleHistory):
            step_on(Log.open(world, "r-1").state, event)


def test_the_guard_still_answers_for_the_act_that_closes():
    world = begun(kill=("after-outcome", "one"))
    tell(world, ABORT)
    log = Log.open(world, "r-1")
    two = world.workflow.step("two")
    answer = decide(two, world.workflow, log.state, bound_of(world, log.state), world.now()).answer
    assert isinstance(answer, Refuse) and answer.reason_code == "not-in-plan"


def test_a_rejection_after_the_intent_closes_the_run_as_well():
    """The card was taken back between intent and act, and the person said no to the new one."""
    tools = Clerk()
    world = begun(tools, kill=("after-outcome", "intent"))
    tools.pinned["ref:main"] = "b"
    advance("r-1", world)
    assert state_of(world).standing() == "waiting"
    tell(world, e.Rejected("go", "ceo", "t", "not like this"))
    advance("r-1", world)
    state = state_of(world)
    assert (state.standing(), state.over, acts_done(world)) == ("aborted", True, ["intent", "aborted-outcome"])
    assert Probe(Presence.ABSENT) == tools.probe("set", {"environment": "production", "value": "1"}, "k")


def test_a_plan_of_an_audited_product_that_writes_no_intent_reaches_no_production():
    """Whether records are written is the product's to say: a workflow that leaves them out gets nowhere."""
    audited = dataclasses.replace(product(), audit=Audit())
    world = toy(Clerk(), clock=Quick(), product=audited)
    advance("r-1", world)
    approve(world)
    advance("r-1", world)
    state = state_of(world)
    assert (state.refused.step, state.refused.reason_code) == ("one", "intent-unrecorded")
    assert "production/1" not in world.tools.world
    planned = state.plan.act("one")
    card = state.checkpoints["go"].approved.approval_digest
    fact = e.Intended("one", "set", dict(planned.arguments), "k", state.plan.digest, card, "main", 1)
    log = Log.open(world, "r-1")
    tell(world, e.Resumed("ceo", "t"))
    log.refresh()
    event = e.Event("acme", log.head.seq + 1, log.head.hash, "r-1", "2026-11-21T10:00:00.000000+00:00", fact, "")
    with pytest.raises(ImpossibleHistory, match=r"record\.write of kind intent"):
        step_on(log.state, event)


def test_a_record_that_somebody_else_wrote_stops_a_run_that_can_then_be_aborted():
    tools = Clerk()
    tools.world["record/intent"] = "somebody-elses"
    world = begun(tools)
    state = state_of(world)
    assert (state.halted.reason_code, state.recording(), state.production_attempted()) == ("conflict", False, False)
    tell(world, ABORT)
    assert state_of(world).over


def test_an_outcome_that_can_never_be_written_is_given_up_by_a_second_abort():
    tools = Clerk()
    world = begun(tools, kill=("after-outcome", "one"))
    tools.world["record/outcome"] = "somebody-elses"
    tell(world, ABORT)
    advance("r-1", world)
    assert (state_of(world).standing(), state_of(world).over) == ("halted", False)
    tell(world, e.Aborted("ceo", "t", "a record of that name is there already"))
    state = state_of(world)
    assert (state.standing(), state.over) == ("aborted", True)
    assert any("without its outcome on record" in text for text in state.exceptions)
