"""One act to the last detail: permits that do not fit, lost answers, restless targets, what is recorded of each."""

from __future__ import annotations

import dataclasses

import pytest

from conftest import SteppingClock
from pilothouse import events as e
from pilothouse.engine.advance import advance
from pilothouse.engine.perform import LOOKS, SETTLE_SECONDS, TRIES, look_back, perform
from pilothouse.engine.world import Log, iso
from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.guard.bound import Bound
from pilothouse.guard.decide import decide
from pilothouse.guard.fold import fold
from pilothouse.guard.policy import Constraints
from pilothouse.guard.state import approved_digest
from pilothouse.model import EffectClass, Presence, Probe
from pilothouse.settings import Policy
from toyworld import ToyTools, toy


class Quick(SteppingClock):
    """Sleeping passes at once."""

    def sleep(self, seconds):
        self.slept += seconds


class Killed(BaseException):
    """A kill."""


def world_of(tools=None, **options):
    return toy(tools or ToyTools(), clock=Quick(), **options)


def approve(world):
    card = fold(world.journal.read("acme")).checkpoints["go"].opened
    tell(world, e.Approved("go", card.approval_digest, "ceo", "t", "standing", None, ""))


def tell(world, *facts):
    world.journal.append("acme", "r-1", list(facts), iso(world.now()))


def go(world):
    standing = advance("r-1", world)
    if standing.wait and standing.wait.checkpoint:
        approve(world)
        standing = advance("r-1", world)
    return standing


def facts_of(world, kind):
    return [event.fact for event in world.journal.read("acme") if event.kind == kind]


def ready(tools=None):
    """A world whose next act is the first one on production, with its permit."""
    world = world_of(tools)
    advance("r-1", world)
    approve(world)
    log = Log.open(world, "r-1")
    step = world.workflow.step("one")
    bound = Bound(world.product, Policy(), log.state.started.to_sha, frozenset())
    decision = decide(step, world.workflow, log.state, bound, world.now())
    return world, log, log.state.plan.act("one"), decision


CHANGES = {
    "run": "r-2", "step": "two", "plan_digest": "0" * 64, "branch": "rollback", "approval_digest": "0" * 64, "arguments_digest": "0" * 64,
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_permit_that_does_not_fit_the_ledger_opens_nothing(name):
    world, log, act, decision = ready()
    before = len(world.journal.read("acme"))
    with pytest.raises(AssertionError, match="permit"):
        perform(log, act, dataclasses.replace(decision.answer, **{name: CHANGES[name]}), decision.arguments)
    assert len(world.journal.read("acme")) == before
    assert not [target for target in world.tools.calls if target.startswith("production")]
    perform(log, act, decision.answer, decision.arguments)
    assert world.tools.calls["production/1"] == 1


def test_a_permit_without_an_approval_opens_nothing_that_a_checkpoint_covers():
    world = world_of()
    advance("r-1", world)
    log = Log.open(world, "r-1")
    act = log.state.plan.act("one")
    assert approved_digest(log.state, "go") is None
    approve(world)
    *_, decision = ready()
    permit = dataclasses.replace(decision.answer, plan_digest=log.state.plan.digest, approval_digest=None)
    with pytest.raises(AssertionError, match="permit"):
        perform(log, act, permit, decision.arguments)


def test_an_intent_holds_all_that_the_effect_depends_on():
    world = world_of()
    standing = go(world)
    plan = standing.state.plan.digest
    stage, one, *_ = facts_of(world, "Intended")
    assert (stage.step, stage.tool, stage.arguments) == ("stage", "set", {"environment": "staging", "value": "s"})
    assert (stage.plan_digest, stage.approval_digest, stage.branch, stage.attempt) == (plan, None, "main", 1)
    assert one.approval_digest == standing.state.checkpoints["go"].approved.approval_digest
    done = facts_of(world, "Done")
    assert [item.found for item in done] == [False] * 4
    assert [item.facts for item in done] == [
        {"value": f"{place}"} for place in ("staging/s", "production/1", "production/2", "production/3")
    ]
    assert {item.summary for item in done} == {"set"}
    assert len({item.evidence for item in done}) == 4


def test_the_boundaries_of_an_act_come_in_their_order():
    passed = []
    world = world_of(boundary=lambda name, step: passed.append((name, step)))
    go(world)
    assert passed[:4] == [(name, "stage") for name in ("before-intent", "after-intent", "after-apply", "after-outcome")]
    assert len(passed) == 16


class Lossy(ToyTools):
    """The answer of so many applies is lost before they had an effect."""

    lose = 0

    def apply(self, name, arguments, permit):
        target = f"{arguments['environment']}/{arguments['value']}"
        if target == "staging/s" and self.calls.get(target, 0) < self.lose:
            self.calls[target] = self.calls.get(target, 0) + 1
            raise Unreachable("remote-unreachable", "the line went dead")
        super().apply(name, arguments, permit)


@pytest.mark.parametrize(
    ("lose", "calls", "stands"), [(1, 2, "done"), (2, 3, "done"), (3, 3, "halted"), (9, 3, "halted")]
)
def test_a_keyed_act_whose_answer_is_lost_is_tried_so_often_and_then_a_person_looks(lose, calls, stands):
    tools = Lossy()
    tools.lose = lose
    standing = go(world_of(tools))
    assert (tools.calls["staging/s"], standing.state.standing()) == (calls, stands)
    assert (TRIES, LOOKS, SETTLE_SECONDS) == (3, 10, 1.0)
    if stands == "halted":
        assert standing.state.halted.message == "the line went dead"
        assert standing.state.halted.reason_code == "unknown-outcome"
        assert standing.state.acts["stage"].open is not None


@pytest.mark.parametrize("effect", [EffectClass.QUIESCE, EffectClass.HUMAN])
def test_no_other_act_is_tried_again_by_itself(effect):
    tools = Lossy(effect=effect)
    tools.lose = 1
    standing = go(world_of(tools))
    assert tools.calls["staging/s"] == 1
    assert standing.state.halted.reason_code == "unknown-outcome"
    assert standing.state.open_act == "stage"


def test_a_visible_failure_of_a_keyed_act_is_tried_once_and_told_with_its_end():
    tools = ToyTools()
    real = tools.apply

    def apply(name, arguments, permit):
        real(name, arguments, permit)
        tools.world.clear()
        raise ToolFailed("no-space", "the disk is full", "make room", detail="x" * 5000 + "end")

    tools.apply = apply
    world = world_of(tools)
    standing = go(world)
    (failed,) = facts_of(world, "Failed")
    assert (failed.reason_code, failed.message, failed.hint, failed.moved) == (
        "no-space",
        "the disk is full",
        "make room",
        True,
    )
    assert (len(failed.detail), failed.detail[-3:]) == (4000, "end")
    assert standing.state.refused.reason_code == "no-space"
    assert tools.calls == {"staging/s": 1}


def seeing(presence, detail=""):
    """Tools whose read-back sees this after the first apply."""
    tools = ToyTools()
    tools.verify = lambda name, arguments, key: Probe(presence, detail)
    return tools


def test_what_has_no_effect_fails_and_what_cannot_be_read_back_halts():
    world = world_of(seeing(Presence.ABSENT))
    go(world)
    assert facts_of(world, "Failed")[0].reason_code == "no-effect"
    assert facts_of(world, "Failed")[0].message == "stage had no effect"
    world = world_of(seeing(Presence.ABSENT, "nothing there"))
    go(world)
    assert facts_of(world, "Failed")[0].message == "nothing there"
    world = world_of(seeing(Presence.CONFLICT, "somebody else's"))
    go(world)
    assert [(item.reason_code, item.message) for item in facts_of(world, "Failed")] == [("conflict", "somebody else's")]
    world = world_of(seeing(Presence.UNKNOWN))
    assert go(world).state.halted.message == "stage could not be read back"
    world = world_of(seeing(Presence.UNKNOWN, "all is fog"))
    standing = go(world)
    assert (standing.state.halted.message, standing.state.open_act) == ("all is fog", "stage")


@pytest.mark.parametrize("presence", [Presence.CONFLICT, Presence.UNKNOWN])
def test_whatever_a_command_left_behind_is_for_a_person_to_say(presence):
    tools = seeing(presence, "somebody else's")
    tools.effect = EffectClass.HUMAN
    standing = go(world_of(tools))
    assert (standing.state.halted.reason_code, standing.state.halted.message) == ("unknown-outcome", "somebody else's")
    assert standing.state.open_act == "stage"


@pytest.mark.parametrize(("presence", "code"), [(Presence.CONFLICT, "conflict"), (Presence.UNKNOWN, "unknown-state")])
def test_what_is_in_the_way_or_cannot_be_told_halts_before_anything_moves(presence, code):
    tools = ToyTools()
    tools.probe = lambda name, arguments, key: Probe(presence, "a stranger")
    world = world_of(tools)
    standing = go(world)
    assert (standing.state.halted.reason_code, standing.state.halted.message) == (code, "stage: a stranger")
    (failed,) = facts_of(world, "Failed")
    assert failed.reason_code == code
    assert standing.state.open_act is None
    assert tools.calls == {}


def test_what_is_there_already_is_found_and_not_done_again():
    tools = ToyTools()
    world = world_of(tools)
    tools.probe = lambda name, arguments, key: Probe(Presence.APPLIED, "there", {"value": "v"})
    assert go(world).state.standing() == "done"
    assert tools.calls == {}
    assert [item.found for item in facts_of(world, "Done")] == [True] * 4


def test_a_look_that_fails_before_anything_moved_has_moved_nothing():
    tools = ToyTools(blind={"staging/s"})
    world = world_of(tools)
    go(world)
    assert facts_of(world, "Failed")[0].moved is False
    tools = ToyTools()
    world = world_of(tools)
    advance("r-1", world)
    approve(world)
    tools.pins = lambda name, arguments: (_ for _ in ()).throw(Unreachable("remote-unreachable", "no answer"))
    advance("r-1", world)
    assert [(item.reason_code, item.moved) for item in facts_of(world, "Failed")] == [("remote-unreachable", False)]


def test_a_pin_that_changed_fails_the_act_before_it_moves():
    tools = ToyTools()
    world = world_of(tools)
    advance("r-1", world)
    approve(world)
    tools.pinned["ref:main"] = "b"
    advance("r-1", world)
    (failed,) = facts_of(world, "Failed")
    assert (failed.reason_code, failed.moved) == ("plan-changed", False)
    assert failed.message == "changed since it was approved: main moved: a → b"


def test_what_changed_is_told_also_where_policy_cannot_be_read():
    tools, away = ToyTools(), []

    def constraints(state):
        if away:
            raise Unreachable("unreachable", "no answer")
        return Constraints()

    world = world_of(tools, constraints=constraints)
    advance("r-1", world)
    approve(world)
    real = tools.pins

    def pins(name, arguments):
        if name == "set":
            away.append(name)
            tools.pinned["ref:main"] = "b"
        return real(name, arguments)

    log = Log.open(world, "r-1")
    step = world.workflow.step("one")
    bound = Bound(world.product, Policy(), log.state.started.to_sha, frozenset())
    decision = decide(step, world.workflow, log.state, bound, world.now())
    tools.pins = pins
    perform(log, log.state.plan.act("one"), decision.answer, decision.arguments)
    assert [(item.reason_code, item.moved) for item in facts_of(world, "Failed")] == [("plan-changed", False)]


def killed_at(boundary, step, tools):
    def hook(name, here):
        if (name, here) == (boundary, step) and not hook.fired:
            hook.fired = True
            raise Killed

    hook.fired = False
    world = world_of(tools, boundary=hook)
    with pytest.raises(Killed):
        go(world)
    return world


def test_after_a_crash_what_is_called_off_may_have_moved():
    tools = ToyTools()
    world = killed_at("after-intent", "one", tools)
    tools.pinned["ref:main"] = "b"
    advance("r-1", world)
    assert [(item.reason_code, item.moved) for item in facts_of(world, "Failed")] == [("plan-changed", True)]
    tools = ToyTools()
    world = killed_at("after-intent", "one", tools)
    tools.pins = lambda name, arguments: (_ for _ in ()).throw(Unreachable("remote-unreachable", "no answer"))
    advance("r-1", world)
    first = facts_of(world, "Failed")[0]  # what follows is the way back, which cannot look either
    assert (first.reason_code, first.moved) == ("remote-unreachable", True)


@pytest.mark.parametrize("looked", ["pins", "observe"])
def test_what_an_interrupted_act_did_itself_meanwhile_is_nobody_elses_change(looked):
    """Its effect lands after the first look back, before its pins are compared, or before its gates are asked again."""
    tools = ToyTools()
    world = killed_at("after-intent", "one", tools)
    intended = [item for item in facts_of(world, "Intended") if item.step == "one"]
    real = getattr(tools, looked)
    world.clock.slept += 1000  # so that the gates look again
    landed = []

    def late(name, arguments):
        if not landed:
            landed.append(name)
            tools.world["production/1"] = intended[0].key
            tools.pinned["ref:main"] = "b" if looked == "pins" else "a"
            tools.healthy = looked == "pins"
        elif facts_of(world, "Done")[-1].step == "one":
            tools.pinned["ref:main"], tools.healthy = "a", True
        return real(name, arguments)

    setattr(tools, looked, late)
    advance("r-1", world)
    assert landed and not facts_of(world, "Failed")
    assert [item.found for item in facts_of(world, "Done") if item.step == "one"] == [True]
    assert "production/1" not in tools.calls


class Restless(ToyTools):
    """Looks differ so many times before two are equal; what is seen last counts."""

    restless, looks, ends = 0, 0, Presence.ABSENT

    def probe(self, name, arguments, key):
        self.looks += 1
        if self.restless:
            self.restless -= 1
            return Probe(Presence.ABSENT, f"something moves {self.restless}")
        return super().probe(name, arguments, key)


@pytest.mark.parametrize("restless", [1, 2, LOOKS, LOOKS + 1])
def test_a_quiescing_act_is_looked_at_until_two_looks_agree(restless):
    tools = Restless(effect=EffectClass.QUIESCE)
    world = killed_at("after-apply", "stage", tools)
    tools.restless, tools.looks, slept = restless, 0, world.clock.slept
    log = Log.open(world, "r-1")
    found = look_back(log, "stage")
    assert found == (restless < LOOKS)
    assert tools.looks == min(restless + 2, LOOKS + 1)
    assert world.clock.slept - slept == SETTLE_SECONDS * (tools.looks - 1)
    assert (log.state.acts["stage"].done is not None) == found
    if found:
        assert facts_of(world, "Done")[-1].found is True


def test_a_quiescing_act_that_does_not_come_to_rest_halts():
    tools = Restless(effect=EffectClass.QUIESCE)
    world = killed_at("after-apply", "stage", tools)
    tools.restless = 1000
    standing = go(world)
    assert standing.state.halted.reason_code == "unknown-state"
    assert standing.state.halted.message == "stage: it does not come to rest"
    assert tools.calls == {"staging/s": 1}


def test_a_keyed_act_is_looked_at_once_and_at_once():
    tools = Restless()
    world = killed_at("after-apply", "stage", tools)
    tools.looks, slept = 0, world.clock.slept
    assert look_back(Log.open(world, "r-1"), "stage")
    assert (tools.looks, world.clock.slept) == (1, slept)


def test_what_a_quiescing_act_said_after_failing_is_looked_at_twice_and_a_success_once():
    tools = Restless(effect=EffectClass.QUIESCE)
    world = world_of(tools)
    advance("r-1", world)
    assert tools.looks == 3  # before, the read-back, and what the checkpoint looks for in the way of the seal
    assert world.clock.slept == 0


@pytest.mark.parametrize("step", ["stage", "one"])
def test_what_a_person_must_look_at_is_not_looked_at_by_code(step):
    tools = Restless(effect=EffectClass.HUMAN)
    world = killed_at("after-apply", step, tools)
    tools.looks = 0
    log = Log.open(world, "r-1")
    assert look_back(log, step) is False
    assert tools.looks == 0
    standing = advance("r-1", world)
    assert standing.state.halted.reason_code == "unknown-outcome"
    assert f"--settle {step}=applied|absent" in standing.state.halted.hint
    assert standing.state.open_act == step


def test_an_abort_before_anything_moved_is_told_so():
    tools = ToyTools()
    world = world_of(tools)
    advance("r-1", world)
    approve(world)
    real = tools.pins

    def pins(name, arguments):
        if not facts_of(world, "Aborted"):
            tell(world, e.Aborted("ceo", "t", "stop"))
        return real(name, arguments)

    tools.pins = pins
    advance("r-1", world)
    assert [(item.reason_code, item.moved) for item in facts_of(world, "Failed")] == [("aborted", False)]


def test_after_a_crash_an_abort_leaves_open_whether_it_moved():
    tools = ToyTools()
    world = killed_at("after-intent", "one", tools)
    real = tools.pins

    def pins(name, arguments):
        if not facts_of(world, "Aborted"):
            tell(world, e.Aborted("ceo", "t", "stop"))
        return real(name, arguments)

    tools.pins = pins
    advance("r-1", world)
    assert [(item.reason_code, item.moved) for item in facts_of(world, "Failed")] == [("aborted", True)]


def test_outcomes_and_failures_are_made_to_last():
    class Synced(ToyTools):
        pass

    world = world_of(Synced(breaks={"production/2"}))
    safe = []
    world.journal.sync = lambda: safe.append(world.journal.head("acme").seq)
    go(world)
    kinds = {"Intended", "Done", "Failed", "CheckpointOpened", "Ended"}  # the last two: before it waits, and at the end
    assert set(safe) == {event.seq for event in world.journal.read("acme") if event.kind in kinds}


def test_only_a_quiescing_act_waits_for_rest():
    tools = Restless()
    world = killed_at("after-intent", "stage", tools)
    advance("r-1", world)
    assert world.clock.slept == 0
    quick = world_of(Silent(effect=EffectClass.QUIESCE))
    advance("r-1", quick)
    assert [item.reason_code for item in facts_of(quick, "Failed")] == ["no-effect"]
    assert quick.clock.slept == 0  # nothing failed visibly: what was read back is how it is
    landed = world_of(ToyTools(effect=EffectClass.QUIESCE, lost={"staging/s"}))
    advance("r-1", landed)
    assert (landed.clock.slept, landed.tools.calls) == (0, {"staging/s": 1})


class Silent(ToyTools):
    """Nothing happens, and nothing is said."""

    def apply(self, name, arguments, permit):
        self.calls["all"] = self.calls.get("all", 0) + 1


def test_what_the_probe_finds_is_recorded_at_once():
    world, log, act, decision = ready()
    world.tools.probe = lambda name, arguments, key: Probe(Presence.APPLIED, "there", {"value": "v"})
    perform(log, act, decision.answer, decision.arguments)
    assert (log.state.acts["one"].done.facts, log.state.open_act) == ({"value": "v"}, None)


def test_an_answer_that_is_lost_after_the_effect_landed_is_no_reason_to_try_again():
    tools = ToyTools()
    real = tools.apply

    def apply(name, arguments, permit):
        real(name, arguments, permit)
        raise Unreachable("remote-unreachable", "the line went dead")

    tools.apply = apply
    world = world_of(tools)
    assert go(world).state.standing() == "done"
    assert set(tools.calls.values()) == {1}


@pytest.mark.parametrize(
    ("effect", "slept"), [(EffectClass.KEYED, 0), (EffectClass.QUIESCE, SETTLE_SECONDS), (EffectClass.HUMAN, 0)]
)
def test_after_a_visible_failure_a_quiescing_act_is_absent_once_two_looks_agree(effect, slept):
    tools = ToyTools(effect=effect, breaks={"staging/s"})
    world = world_of(tools)
    advance("r-1", world)
    assert [item.reason_code for item in facts_of(world, "Failed")] == ["no-effect"]
    assert (world.clock.slept, tools.calls) == (slept, {"staging/s": 1})


def test_what_an_attempt_complained_of_is_told_before_what_was_found():
    def apply(name, arguments, permit):
        raise ToolFailed("no-space", "the disk is full")

    for presence, code in ((Presence.CONFLICT, "no-space"), (Presence.ABSENT, "no-space")):
        tools = seeing(presence, "somebody else's")
        tools.apply = apply
        world = world_of(tools)
        go(world)
        assert [item.reason_code for item in facts_of(world, "Failed")] == [code]
    tools = seeing(Presence.UNKNOWN)
    tools.apply = apply
    assert go(world_of(tools)).state.halted.message == "the disk is full"
