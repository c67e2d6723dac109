"""A conductor whose disk vanishes with it: killed at every boundary, and at every push, it goes on elsewhere (FACE-5, I33).

Machines share nothing but the remote and the outside world. The toy world's effects are counted; real releases are in
``tests/release/test_two_jobs.py``.
"""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from functools import partial

import pytest

from laws.worlds import BOUNDARIES, Clock, Killed, approve, events_of, state_of, tell, world_of
from ledger.quay import Quay
from pilothouse import events as e
from pilothouse.engine.advance import advance
from pilothouse.engine.world import iso
from pilothouse.errors import LeaseLost
from story import started
from toyworld import ToyTools

ALONE = os.environ.get("PILOTHOUSE_CRASH") == "exhaustive"
ACTS = ("stage", "one", "two", "three")
TARGETS = {"staging/s": 1, "production/1": 1, "production/2": 1, "production/3": 1}
SECONDS = 30


class Machine:
    """One job: an empty disk, a process, its conductor."""

    def __init__(self, quay, name, tools, clock, boundary=lambda _name, _step: None):
        self.name, self.journal = name, quay.machine(name)
        self.world = world_of(tools, journal=self.journal, clock=clock, boundary=boundary)

    def begin(self):
        self.journal.append("acme", "r-1", [started(workflow="toy")], iso(self.world.now()))

    def conduct(self, *, approving=True):
        """What ``Pilothouse.follow`` does, with the lease held and given back as there."""
        while True:
            lease = self.journal.acquire("acme", self.name, iso(self.world.now()), SECONDS)
            self.world.lease = partial(_same, lease)
            standing = advance("r-1", self.world)
            self.world.lease = lambda: None
            self.journal.release(lease)
            if not (approving and standing.wait and standing.wait.checkpoint):
                return standing
            approve(self.world)


def _same(lease):
    return lease


class Relay:
    """Jobs one after another, each on a disk that nobody has seen; the one before is dead, and its lease runs out."""

    def __init__(self, quay, *, watched=False):
        self.quay, self.tools, self.clock, self.lives = quay, ToyTools(), Clock(), 0
        if watched:
            self.watch()

    def watch(self):
        """No effect moves unless its intent is on the remote (I33)."""
        real = self.tools.apply

        def apply(name, arguments, permit):
            there = self.quay.machine("an-outsider").read("acme")
            meant = [event.fact for event in there if event.kind == "Intended"]
            assert meant and meant[-1].arguments == arguments, "its intent is not on the remote"
            real(name, arguments, permit)

        self.tools.apply = apply

    def job(self, boundary=lambda _name, _step: None, *, disk=None):
        self.lives += 1
        if self.lives > 1:
            self.clock.slept += SECONDS + 1
        return Machine(self.quay, disk or f"job-{self.lives}", self.tools, self.clock, boundary)

    def to_the_end(self, boundary=lambda _name, _step: None):
        for _ in range(40):
            machine = self.job(boundary)
            try:
                if not machine.journal.chains():
                    machine.begin()
                return machine, machine.conduct()
            except Killed:
                shutil.rmtree(self.quay.folder / machine.name)
        raise AssertionError("it never came to an end")


@pytest.fixture
def quay(tmp_path):
    return Quay(tmp_path)


def demand_whole(quay, relay):
    """As if nobody had been killed: each effect once, each act intended and done once, in order."""
    events = quay.machine("an-auditor").read("acme")
    assert relay.tools.calls == TARGETS
    assert [event.fact.step for event in events if event.kind == "Intended"] == list(ACTS)
    assert [event.fact.step for event in events if event.kind == "Done"] == list(ACTS)
    assert events[-1].kind == "Ended"
    assert len([event for event in events if event.kind == "Approved"]) == 1


def kill_at(moments):
    left = list(moments)

    def hook(name, step):
        if (name, step) in left:
            left.remove((name, step))
            raise Killed

    hook.left = left
    return hook


@pytest.mark.parametrize("steps", [(step,) for step in ACTS] if ALONE else [ACTS], ids="-".join)
def test_a_job_that_is_killed_at_a_boundary_goes_on_from_an_empty_disk(quay, steps):
    relay, hook = Relay(quay, watched=True), kill_at((name, step) for step in steps for name in BOUNDARIES)
    _, standing = relay.to_the_end(hook)
    assert hook.left == []
    assert standing.state.standing() == "done"
    demand_whole(quay, relay)


class Dying:
    """A carrier whose process is killed at chosen pushes: before the push left, or after it landed unanswered."""

    def __init__(self, carrier, deaths):
        self.carrier, self.deaths = carrier, deaths

    def __getattr__(self, name):
        return getattr(self.carrier, name)

    def push(self, *arguments):
        self.deaths.pushes += 1
        if self.deaths.pushes in self.deaths.before:
            raise Killed
        tip = self.carrier.push(*arguments)
        if self.deaths.pushes in self.deaths.after:
            raise Killed
        return tip


class Deaths:
    def __init__(self, before=(), after=()):
        self.pushes, self.before, self.after = 0, set(before), set(after)


def relayed(quay, deaths):
    relay = Relay(quay, watched=True)
    job = relay.job

    def dying(boundary=lambda _name, _step: None, **options):
        machine = job(boundary, **options)
        machine.journal._carrier = Dying(machine.journal._carrier, deaths)
        return machine

    relay.job = dying
    _, standing = relay.to_the_end()
    assert standing.state.standing() == "done"
    demand_whole(quay, relay)
    return deaths.pushes


def test_a_job_that_is_killed_at_a_push_goes_on_from_an_empty_disk(tmp_path):
    """Several deaths a run; each push of a run alone: PILOTHOUSE_CRASH=exhaustive."""
    plans = [{"before": range(2, 60, 6), "after": range(5, 60, 6)}]
    if ALONE:
        (tmp_path / "calm").mkdir()
        most = relayed(Quay(tmp_path / "calm"), Deaths())
        assert most >= 2 * len(ACTS) + 3
        plans = [{way: [number]} for way in ("before", "after") for number in range(1, most + 1)]
    for number, plan in enumerate(plans):
        (tmp_path / str(number)).mkdir()
        relayed(Quay(tmp_path / str(number)), Deaths(**plan))


def test_a_disk_that_survived_goes_on_with_what_its_job_had_not_pushed(quay):
    relay = Relay(quay)
    first = relay.job(disk="disk")
    first.begin()
    first.conduct(approving=False)
    approve(first.world)
    deaths = Deaths(before=[2])  # the lease; then the push of the first intent on production
    first.journal._carrier = Dying(first.journal._carrier, deaths)
    with pytest.raises(Killed):
        first.conduct()
    assert "production/1" not in relay.tools.calls
    again = relay.job(disk="disk")
    assert state_of(again.world).open_act == "one"
    assert again.conduct().state.standing() == "done"
    demand_whole(quay, relay)


def test_of_two_jobs_at_once_one_works_and_the_other_moves_nothing(quay):
    relay = Relay(quay)
    first, second = relay.job(), Machine(quay, "rival", relay.tools, relay.clock)
    first.begin()
    assert state_of(second.world).run == "r-1"
    told = []

    def meanwhile(name, step):
        if (name, step) == ("after-intent", "stage"):
            before = dict(relay.tools.calls)
            with pytest.raises(LeaseLost, match="held by job-1") as lost:
                second.conduct()
            told.append(lost.value.reason_code)
            assert relay.tools.calls == before

    first.world.boundary = meanwhile
    assert first.conduct().state.standing() == "done"
    assert told == ["lease-held"]
    demand_whole(quay, relay)
    assert second.conduct().state.standing() == "done"  # and it finds that there is nothing left to do
    demand_whole(quay, relay)


def test_a_job_that_hung_and_was_taken_over_moves_nothing_when_it_goes_on(quay):
    relay = Relay(quay)
    first = relay.job()
    first.begin()
    first.conduct(approving=False)
    approve(first.world)
    seen = []

    def hangs(name, step):
        if (name, step) == ("before-intent", "two"):  # and the next one comes, thinking that it is dead
            taker = relay.job()
            assert taker.conduct().state.standing() == "done"
            seen.append(dict(relay.tools.calls))

    first.world.boundary = hangs
    with pytest.raises(LeaseLost):
        first.conduct()
    assert seen == [relay.tools.calls]
    demand_whole(quay, relay)
    again = relay.job(disk=first.name)
    assert again.conduct().state.standing() == "done"
    demand_whole(quay, relay)


@pytest.mark.parametrize("moment", BOUNDARIES if ALONE else BOUNDARIES[1:3])
def test_a_person_elsewhere_ends_the_run_and_no_further_act_moves(quay, moment):
    relay = Relay(quay)
    first, elsewhere = relay.job(), Machine(quay, "elsewhere", relay.tools, relay.clock)
    first.begin()

    def aborts(name, step):
        if (name, step) == (moment, "one"):
            tell(elsewhere.world, e.Aborted("ana", "terminal", "stop"))

    first.world.boundary = aborts
    assert first.conduct().state.standing() == "aborted"
    moved = moment in {"after-apply", "after-outcome"}
    assert relay.tools.calls == {"staging/s": 1, **({"production/1": 1} if moved else {})}
    events = quay.machine("an-auditor").read("acme")
    outcomes = [event.kind for event in events if event.kind in {"Done", "Failed"} and event.fact.step == "one"]
    # An outcome always follows an intent that is on the remote; an intent that lost its swap was never there.
    assert outcomes == {"before-intent": [], "after-intent": ["Failed"]}.get(moment, ["Done"])
    assert len([event for event in events if event.kind == "Intended"]) == 1 + len(outcomes)


def test_an_outcome_that_lost_its_swap_is_written_again(quay):
    relay = Relay(quay)
    first, elsewhere = relay.job(), Machine(quay, "elsewhere", relay.tools, relay.clock)
    first.begin()
    carrier = first.journal._carrier

    class Crowded(Dying):
        """Somebody else is told of something at the very moment of the outcome's push."""

        def push(self, chain, tip, rows, lease):
            if any(b'"kind":"Done"' in data and b'"one"' in data for _, _, data in rows) and not self.deaths.pushes:
                self.deaths.pushes += 1
                tell(elsewhere.world, e.Notified("waiting", "file", True, "told"))
            return self.carrier.push(chain, tip, rows, lease)

    deaths = Deaths()
    first.journal._carrier = Crowded(carrier, deaths)
    assert first.conduct().state.standing() == "done"
    assert deaths.pushes == 1
    demand_whole(quay, relay)
    assert not any(event.fact.found for event in events_of(first.world) if event.kind == "Done")


def test_an_approval_given_on_another_machine_is_found_by_the_next_job(quay):
    relay = Relay(quay)
    first = relay.job()
    first.begin()
    assert first.conduct(approving=False).wait.checkpoint == "go"
    shutil.rmtree(quay.folder / first.name)
    approve(Machine(quay, "a-laptop", relay.tools, relay.clock).world)
    second = relay.job()
    assert second.conduct(approving=False).state.standing() == "done"
    demand_whole(quay, relay)
    assert relay.clock.slept < timedelta(minutes=5).total_seconds()
