"""The engine's laws on a toy world: nothing twice, nothing skipped, nothing without its approval (I3, I4, I27 to I29)."""

from __future__ import annotations

import pytest

from pilothouse import events as e
from pilothouse.engine.advance import advance
from pilothouse.engine.world import iso
from pilothouse.errors import ImpossibleHistory, LeaseLost, ToolFailed, Unreachable
from pilothouse.guard.clearance import Requirement
from pilothouse.guard.fold import fold
from pilothouse.guard.policy import Block, Constraints
from pilothouse.model import EffectClass, Presence, Probe, Verdict
from pilothouse.settings import Approver
from story import CEO, clearance
from toyworld import ToyTools, toy

ALL = {"staging/s", "production/1", "production/2", "production/3"}
BOUNDARIES = ("before-intent", "after-intent", "after-apply", "after-outcome")


def approve(world, **changes):
    state = fold(world.journal.read("acme"))
    card = state.checkpoints["go"].opened
    fields = {
        "approval_digest": card.approval_digest,
        "who": "ceo",
        "channel": "t",
        "authentication": "standing",
        "exception": None,
        "signature": "",
    }
    world.journal.append("acme", "r-1", [e.Approved("go", **{**fields, **changes})], iso(world.now()))


def resume(world):
    world.journal.append("acme", "r-1", [e.Resumed("ceo", "t")], iso(world.now()))


def go(world):
    """To the end, approving on the way."""
    standing = advance("r-1", world)
    if standing.wait and standing.wait.checkpoint:
        approve(world)
        standing = advance("r-1", world)
    return standing


def kinds(world):
    return [event.kind for event in world.journal.read("acme")]


def test_the_golden_run_does_everything_once_and_in_order():
    world = toy()
    standing = go(world)
    assert standing.state.standing() == "done"
    assert world.tools.calls == dict.fromkeys(ALL, 1)
    intents = [event.fact.step for event in world.journal.read("acme") if event.kind == "Intended"]
    assert intents == ["stage", "one", "two", "three"]


def test_nothing_reaches_production_before_the_approval():
    world = toy()
    standing = advance("r-1", world)
    assert standing.wait.checkpoint == "go"
    assert set(world.tools.world) == {"staging/s"}
    assert advance("r-1", world).wait.checkpoint == "go"  # asking again changes nothing
    assert set(world.tools.world) == {"staging/s"}


class Killed(BaseException):
    """A kill: nothing of ours catches it."""


def killer(boundary, step):
    def at(here, act):
        if (here, act) == (boundary, step) and not at.fired:
            at.fired = True
            raise Killed

    at.fired = False
    return at


@pytest.mark.parametrize("effect", [EffectClass.KEYED, EffectClass.QUIESCE])
@pytest.mark.parametrize("step", ["stage", "one", "two", "three"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_kill_at_any_boundary_leaves_nothing_undone_and_nothing_done_twice(boundary, step, effect):
    hook = killer(boundary, step)
    world = toy(ToyTools(effect=effect), boundary=hook)
    world.clock.sleep = lambda _seconds: None
    killed = 0
    for _ in range(3):
        try:
            standing = go(world)
            break
        except Killed:
            killed += 1
    assert killed == 1
    assert standing.state.standing() == "done"
    assert world.tools.calls == dict.fromkeys(ALL, 1)


@pytest.mark.parametrize("step", ["stage", "one", "three"])
def test_an_act_of_class_h_that_was_interrupted_asks_a_person(step):
    hook = killer("after-apply", step)
    world = toy(ToyTools(effect=EffectClass.HUMAN), boundary=hook)
    with pytest.raises(Killed):
        go(world)
    standing = advance("r-1", world)
    assert standing.state.halted.reason_code == "unknown-outcome"
    before = dict(world.tools.calls)
    settled = e.Settled(step, "applied", "ceo", "t", "I looked", {})
    world.journal.append("acme", "r-1", [settled], iso(world.now()))
    standing = go(world)
    assert standing.state.standing() == "done"
    assert all(world.tools.calls[target] == count for target, count in before.items())
    assert any("settled" in item for item in standing.state.exceptions)


def test_a_broken_probe_is_found_out():
    """The crash suite stands on probes: one that never sees its effect makes the act happen twice."""
    hook = killer("after-apply", "one")
    tools = ToyTools(probe_lies={"production/1"})
    world = toy(tools, boundary=hook)
    with pytest.raises(Killed):
        go(world)
    advance("r-1", world)
    assert tools.calls["production/1"] == 2


def test_an_answer_that_was_lost_is_no_failure():
    world = toy(ToyTools(lost={"production/1", "staging/s"}))
    assert go(world).state.standing() == "done"
    assert world.tools.calls == dict.fromkeys(ALL, 1)


def test_an_effect_that_cannot_be_read_back_halts_and_is_never_repeated_blindly():
    tools = ToyTools()
    world = toy(tools)
    advance("r-1", world)
    approve(world)
    real = tools.apply

    def apply(name, arguments, permit):
        real(name, arguments, permit)
        tools.blind.add("production/1")

    tools.apply = apply
    standing = advance("r-1", world)
    assert standing.state.standing() == "halted"
    assert standing.state.halted.reason_code == "unknown-outcome"
    tools.blind.clear()
    tools.apply = real
    resume(world)
    assert advance("r-1", world).state.standing() == "done"
    assert tools.calls["production/1"] == 1


def test_a_failure_in_production_takes_the_contingent_branch():
    world = toy(ToyTools(breaks={"production/2"}))
    standing = go(world)
    assert standing.state.standing() == "rolled-back"
    assert set(world.tools.world) == {"staging/s", "production/1", "production/undo-2", "production/undo-1"}


def test_a_failure_before_production_rests_and_goes_on_from_there():
    tools = ToyTools(breaks={"staging/s"})
    world = toy(tools)
    standing = go(world)
    assert standing.state.standing() == "refused"
    assert set(tools.world) == set()
    tools.breaks.clear()
    resume(world)
    assert go(world).state.standing() == "done"
    assert tools.calls["staging/s"] == 2


def test_a_rollback_that_fails_halts_for_a_person():
    tools = ToyTools(breaks={"production/2", "production/undo-1"})
    world = toy(tools)
    standing = go(world)
    assert standing.state.standing() == "halted"
    assert standing.state.halted.reason_code == "rollback-failed"
    tools.breaks.clear()
    resume(world)
    assert advance("r-1", world).state.standing() == "rolled-back"


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("step", ["undo-two", "undo-one"])
def test_a_kill_within_the_rollback_is_survived_too(boundary, step):
    world = toy(ToyTools(breaks={"production/2"}), boundary=killer(boundary, step))
    with pytest.raises(Killed):
        go(world)
    standing = advance("r-1", world)
    assert standing.state.standing() == "rolled-back"
    assert world.tools.calls["production/undo-2"] == 1
    assert world.tools.calls["production/undo-1"] == 1


def test_a_failing_gate_stops_before_the_act_and_is_asked_again_after_a_resume():
    tools = ToyTools(healthy=False)
    world = toy(tools)
    standing = go(world)
    assert standing.state.standing() == "refused"
    assert tools.world == {}
    assert go(world).state.standing() == "refused"  # asking again without a resume changes nothing
    tools.healthy = True
    resume(world)
    assert go(world).state.standing() == "done"


def test_stale_evidence_is_looked_at_again_and_bad_news_stops_the_act():
    tools = ToyTools()
    world = toy(tools)
    advance("r-1", world)
    approve(world)
    world.clock.slept += 3600  # the approval took an hour; the evidence is good for fifteen minutes
    tools.healthy = False
    standing = advance("r-1", world)
    assert standing.state.standing() == "refused"
    assert "production/1" not in tools.world


def test_a_pin_that_changed_voids_the_approval_and_the_card_shows_the_difference():
    tools = ToyTools()
    world = toy(tools)
    advance("r-1", world)
    approve(world)
    tools.pinned["ref:main"] = "b"
    standing = advance("r-1", world)
    assert standing.wait.checkpoint == "go"
    assert "production/1" not in tools.world
    card = standing.state.checkpoints["go"].opened
    assert any("main moved" in line and "a → b" in line for line in card.difference)
    assert standing.state.acts["one"].failed.reason_code == "plan-changed"
    approve(world)
    assert advance("r-1", world).state.standing() == "done"


def test_a_pin_that_changes_between_two_acts_stops_the_second_one():
    tools = ToyTools()
    world = toy(tools)
    advance("r-1", world)
    approve(world)

    def move(name, step):
        if (name, step) == ("after-outcome", "one"):
            tools.pinned["ref:main"] = "b"

    world.boundary = move
    standing = advance("r-1", world)
    assert standing.wait.checkpoint == "go"
    assert "production/2" not in tools.world


def test_what_the_run_moved_itself_voids_nothing():
    tools = ToyTools()
    world = toy(tools)
    real = tools.verify

    def verify(name, arguments, key):
        seen = real(name, arguments, key)
        if arguments["value"] == "1":
            tools.pinned["ref:main"] = "mine"
            seen.moves["ref:main"] = "mine"
        return seen

    tools.verify = verify
    assert go(world).state.standing() == "done"


def test_an_existing_effect_of_somebody_else_halts_and_is_not_touched():
    tools = ToyTools(world={"production/1": "foreign"})
    world = toy(tools)
    standing = go(world)
    assert standing.state.standing() == "halted"
    assert standing.state.halted.reason_code == "conflict"
    assert tools.world["production/1"] == "foreign"
    assert tools.calls.get("production/1") is None


def test_what_stands_in_the_way_of_an_act_that_cannot_be_undone_halts_before_production_is_touched():
    tools = ToyTools(world={"production/3": "foreign"})
    world = toy(tools)
    standing = go(world)
    assert standing.state.halted.reason_code == "conflict"
    assert set(tools.world) == {"staging/s", "production/3"}
    del tools.world["production/3"]
    resume(world)
    assert go(world).state.standing() == "done"


def test_an_abort_stops_a_run_between_two_acts():
    world = toy()
    advance("r-1", world)
    approve(world)

    def abort(name, step):
        if (name, step) == ("after-outcome", "one"):
            world.journal.append("acme", "r-1", [e.Aborted("ceo", "t", "stop")], iso(world.now()))

    world.boundary = abort
    standing = advance("r-1", world)
    assert standing.state.standing() == "aborted"
    assert "production/2" not in world.tools.world


def test_an_abort_during_an_act_still_gets_its_outcome():
    world = toy()
    advance("r-1", world)
    approve(world)

    def abort(name, step):
        if (name, step) == ("after-apply", "one"):
            world.journal.append("acme", "r-1", [e.Aborted("ceo", "t", "stop")], iso(world.now()))

    world.boundary = abort
    standing = advance("r-1", world)
    assert standing.state.standing() == "aborted"
    assert standing.state.acts["one"].done is not None
    assert "production/2" not in world.tools.world


class Holding:
    """An agent that holds at one step, and otherwise goes."""

    def __init__(self, at, cites=()):
        self.at, self.cites = at, cites

    def verdict(self, step, evidence):
        if step.id == self.at:
            return Verdict("hold", ("the fog is thick",), self.cites, "model")
        return Verdict("go", ("clear",), (), "model")


def test_a_hold_keeps_the_ship_in_port_until_a_person_lifts_it():
    world = toy(personas=Holding("ready"))
    standing = advance("r-1", world)
    assert standing.wait.reason_code == "hold"
    assert world.tools.world == {}
    world.journal.append("acme", "r-1", [e.HoldLifted("ready", "ceo", "t", "it cleared")], iso(world.now()))
    standing = go(world)
    assert standing.state.standing() == "done"
    assert any("lifted" in item for item in standing.state.exceptions)


class Lying:
    """An agent that says go to everything, citing what does not exist."""

    def verdict(self, step, evidence):
        return Verdict("go", ("trust me",), ("e-999",), "model")


def test_a_citation_that_does_not_exist_is_a_hold():
    standing = advance("r-1", toy(personas=Lying()))
    assert standing.wait.reason_code == "hold"


def test_a_go_opens_no_gate():
    world = toy(ToyTools(healthy=False), personas=Holding("nothing"))
    assert go(world).state.standing() == "refused"
    assert world.tools.world == {}


def test_a_checkpoint_that_expires_ends_the_run():
    world = toy()
    advance("r-1", world)
    world.clock.slept += 4 * 86400
    standing = advance("r-1", world)
    assert standing.state.standing() == "aborted"
    assert kinds(world)[-1] == "CheckpointExpired"


def test_a_crashed_act_that_landed_is_recorded_whatever_its_gates_say_now():
    tools = ToolsThatCannotLook()
    world = toy(tools, boundary=killer("after-apply", "one"))
    with pytest.raises(Killed):
        go(world)
    world.clock.slept += 3600  # the gate's evidence is stale, and looking fails
    tools.looks = False
    standing = advance("r-1", world)
    assert standing.state.acts["one"].done is not None
    assert tools.calls["production/1"] == 1
    fold(world.journal.read("acme"))  # the ledger folds


class ToolsThatCannotLook(ToyTools):
    """Observing fails on demand."""

    looks = True

    def observe(self, name, arguments):
        if not self.looks:
            raise Unreachable("forge-unreachable", "no answer")
        return super().observe(name, arguments)


def test_trouble_while_an_act_has_no_outcome_halts_and_takes_no_branch():
    tools = ToolsThatCannotLook()
    world = toy(tools, boundary=killer("after-intent", "one"))
    with pytest.raises(Killed):
        go(world)
    world.clock.slept += 3600
    tools.looks = False
    standing = advance("r-1", world)
    assert standing.state.halted.reason_code == "unknown-outcome"
    tools.looks = True
    resume(world)
    assert advance("r-1", world).state.standing() == "done"
    assert tools.calls == dict.fromkeys(ALL, 1)


def test_a_look_that_fails_before_anything_moved_rolls_nothing_back():
    tools = ToyTools()
    world = toy(tools)
    advance("r-1", world)
    approve(world)

    def pins(name, arguments):
        raise Unreachable("remote-unreachable", "no answer")

    tools.pins = pins
    standing = advance("r-1", world)
    assert standing.state.standing() == "refused"
    assert set(tools.world) == {"staging/s"}
    del tools.pins
    resume(world)
    assert advance("r-1", world).state.standing() == "done"


def test_an_abort_that_arrives_while_looking_stops_the_act():
    tools = ToyTools()
    world = toy(tools)
    advance("r-1", world)
    approve(world)
    real = tools.pins

    def pins(name, arguments):
        if not any(event.kind == "Aborted" for event in world.journal.read("acme")):
            world.journal.append("acme", "r-1", [e.Aborted("ceo", "t", "stop")], iso(world.now()))
        return real(name, arguments)

    tools.pins = pins
    standing = advance("r-1", world)
    assert standing.state.standing() == "aborted"
    assert set(tools.world) == {"staging/s"}
    assert standing.state.acts["one"].open is None


class ToolsThatAreSlow(ToyTools):
    """While it looks in one way at ``production/1``, somebody does something."""

    slow, meanwhile = "", staticmethod(lambda: None)

    def probe(self, name, arguments, key):
        if self.slow == "probe" and arguments["value"] == "1":
            self.meanwhile()
        return super().probe(name, arguments, key)

    def pins(self, name, arguments):
        if self.slow == "pins":
            self.meanwhile()
        return super().pins(name, arguments)


@pytest.mark.parametrize("slow", ["probe", "pins"])
@pytest.mark.parametrize(("kind", "code"), [("lock-all", "locked"), ("freeze", "frozen")])
def test_a_lock_or_freeze_that_arrives_while_looking_stops_the_act_and_the_run_goes_on_when_it_opens(slow, kind, code):
    tools, blocks = ToolsThatAreSlow(), []
    asked = {name: lambda _state: Constraints(tuple(blocks)) for name in ("constraints", "held_now")}
    world = toy(tools, **asked)
    advance("r-1", world)
    approve(world)
    tools.slow = slow
    tools.meanwhile = lambda: blocks.append(Block(kind, "incident", "stop", "ann", "", iso(world.now())))
    standing = advance("r-1", world)
    assert (standing.state.standing(), standing.state.refused.reason_code) == ("refused", code)
    assert "--override" in standing.state.refused.hint
    assert set(tools.world) == {"staging/s"}
    assert not standing.state.production_attempted()
    tools.slow = ""
    blocks.clear()
    resume(world)
    assert go(world).state.standing() == "done"
    assert tools.calls == dict.fromkeys(ALL, 1)


def test_policy_that_cannot_be_read_before_the_act_lets_nothing_move():
    tools, reads = ToolsThatAreSlow(), []

    def constraints(_state):
        if reads:
            raise Unreachable("unreachable", "no answer")
        return Constraints()

    world = toy(tools, constraints=constraints)
    advance("r-1", world)
    approve(world)
    tools.slow, tools.meanwhile = "probe", lambda: reads.append(1)
    state = advance("r-1", world).state
    assert (state.standing(), state.refused.reason_code) == ("refused", "unreachable")
    assert set(tools.world) == {"staging/s"}


def test_a_lock_that_arrives_once_production_was_touched_leaves_the_run_to_finish():
    tools, blocks = ToyTools(), []
    world = toy(tools, constraints=lambda _state: Constraints(tuple(blocks)))
    advance("r-1", world)
    approve(world)

    def lock(name, step):
        if (name, step) == ("after-apply", "one"):
            blocks.append(Block("lock", "incident", "stop", "ann", "", iso(world.now())))

    world.boundary = lock
    assert advance("r-1", world).state.standing() == "done"


def test_a_conductor_whose_lease_was_taken_over_performs_nothing():
    tools = ToyTools()
    world = toy(tools)
    advance("r-1", world)
    approve(world)
    lease = world.journal.acquire("acme", "one", iso(world.now()), 30)
    world.lease = lambda: lease
    real = tools.pins

    def pins(name, arguments):
        world.clock.slept += 60
        world.journal.acquire("acme", "two", iso(world.now()), 30)
        return real(name, arguments)

    tools.pins = pins
    with pytest.raises(LeaseLost):
        advance("r-1", world)
    assert set(tools.world) == {"staging/s"}


def test_a_command_without_a_probe_is_tried_once_and_then_a_person_is_asked():
    tools = ToyTools(effect=EffectClass.HUMAN)
    tools.probe = lambda name, arguments, key: Probe(Presence.UNKNOWN, "no probe")
    world = toy(tools)
    standing = advance("r-1", world)
    assert standing.state.halted.reason_code == "unknown-outcome"
    assert tools.calls == {"staging/s": 1}


def test_a_settled_act_leaves_the_facts_that_later_steps_refer_to():
    hook = killer("after-apply", "stage")
    world = toy(ToyTools(effect=EffectClass.HUMAN), boundary=hook)
    with pytest.raises(Killed):
        go(world)
    advance("r-1", world)
    settled = e.Settled("stage", "applied", "ceo", "t", "I looked", {"value": "s"})
    world.journal.append("acme", "r-1", [settled], iso(world.now()))
    assert fold(world.journal.read("acme")).facts()["stage"] == {"value": "s"}


def test_an_approval_outlives_its_card_only_where_production_was_touched():
    world = toy()
    advance("r-1", world)
    approve(world)
    world.clock.slept += 30 * 86_400
    state = advance("r-1", world).state
    assert state.standing() == "aborted"
    assert not [target for target in world.tools.calls if target.startswith("production")]
    world = toy()
    advance("r-1", world)
    approve(world)

    def killed(name, step):
        if (name, step) == ("after-outcome", "one"):
            raise KeyboardInterrupt

    world.boundary = killed
    with pytest.raises(KeyboardInterrupt):
        advance("r-1", world)
    world.boundary = lambda _name, _step: None
    world.clock.slept += 30 * 86_400
    assert advance("r-1", world).state.standing() == "done"


class LateTools(ToyTools):
    """An act that fails visibly, and whose effect lands only after it was looked at once."""

    def apply(self, name, arguments, permit):
        self.late = (f"{arguments['environment']}/{arguments['value']}", permit.key)
        raise ToolFailed("command-failed", "exit 1")

    def verify(self, name, arguments, key):
        seen = super().verify(name, arguments, key)
        target, owner = self.late
        self.world[target] = owner
        return seen


def test_what_failed_visibly_and_landed_late_is_done_and_not_taken_back():
    tools = LateTools(effect=EffectClass.QUIESCE)
    world = toy(tools)
    advance("r-1", world)
    state = fold(world.journal.read("acme"))
    assert state.acts["stage"].done is not None
    assert state.acts["stage"].attempts == 1


def test_what_a_command_left_behind_is_no_conflict_that_a_resume_tries_again():
    class Mistaken(ToyTools):
        def verify(self, name, arguments, key):
            return Probe(Presence.CONFLICT, "somebody else's")

    world = toy(Mistaken(effect=EffectClass.HUMAN))
    for _ in range(3):
        assert advance("r-1", world).state.halted.reason_code == "unknown-outcome"
        resume(world)
    assert world.tools.calls == {"staging/s": 1}


def waiting_card(world):
    known = fold(world.journal.read("acme")).checkpoints["go"]
    return known.opened


def test_what_changes_while_a_card_waits_takes_it_back_and_the_next_one_says_what():
    world = toy()
    advance("r-1", world)
    first = waiting_card(world)
    assert advance("r-1", world).state.checkpoints["go"].openings == 1  # nothing changed: the same card waits on
    world.tools.pinned["ref:main"] = "b"
    standing = advance("r-1", world)
    second = standing.state.checkpoints["go"].opened
    assert standing.wait.checkpoint == "go"
    assert second.approval_digest != first.approval_digest
    assert second.difference == ("main moved: a → b",)
    assert [kind for kind in kinds(world) if kind.startswith("C")] == [
        "CheckpointOpened",
        "CardVoided",
        "CheckpointOpened",
    ]
    with pytest.raises(ImpossibleHistory, match="another card"):
        approve(world, approval_digest=first.approval_digest)
        fold(world.journal.read("acme"))


def test_an_approval_of_two_is_void_where_who_must_approve_changes_before_the_second():
    people = (CEO, Approver("cfo", ("ceo",), ("carl",)))
    world = toy()
    world.clearance = lambda _state, _checkpoint: clearance(*people, requires=(Requirement("ceo", 2, "go"),))
    advance("r-1", world)
    approve(world)
    world.clearance = lambda _state, _checkpoint: clearance(*people)
    state = advance("r-1", world).state
    assert state.checkpoints["go"].approvals == []
    assert state.checkpoints["go"].opened.difference == (
        "needed now, too: 1 of ceo (go)",
        "no longer needed: 2 of ceo (go)",
    )
    assert "production/1" not in world.tools.calls


def test_a_card_that_cannot_be_compared_waits_on():
    world = toy()
    advance("r-1", world)

    def away(_name, _arguments):
        raise Unreachable("no-answer", "the remote is away")

    world.tools.pins = away
    assert advance("r-1", world).wait.checkpoint == "go"
    assert kinds(world).count("CheckpointOpened") == 1


def test_the_world_is_looked_at_after_policy_was_read():
    tools, asked = ToyTools(), []

    def constraints(_state):
        asked.append("policy")
        if asked.count("policy") == 4:  # just before the first act on production: somebody moved main meanwhile
            tools.pinned["ref:main"] = "b"
        return Constraints()

    world = toy(tools, constraints=constraints)
    advance("r-1", world)
    approve(world)
    asked[:] = ["policy"] * 2
    assert advance("r-1", world).state.checkpoints["go"].approved is None
    assert set(tools.world) == {"staging/s"}
