"""Real SIGKILLs of the real command in the middle of real acts; afterwards the world is that of a run nobody killed (I28).

The in-process suite beside this one walks every boundary of every act. Here a process dies, with its children and all it
had in memory, while a push, a migration, a backup or a request of its own is under way.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest

from crash.conductor import Conductor, audit, ledger, open_act, resume, rollback, ship, until
from crash.holds import Holds
from crash.outcome import differences, look
from pilothouse import harbour as sandbox
from pilothouse.harbour.faults import Switches

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
EFFECTS = ("push", " migrate ", " backup ", " restore ", "--method POST", "issue create")


@pytest.fixture
def world(tmp_path, ports):
    """A running sandbox whose hooks can be held."""
    with sandboxed(tmp_path / "world", ports) as world:
        yield world


@contextmanager
def sandboxed(folder, ports, *faults):
    world = sandbox.up(folder, faults=faults, watch_seconds=1.0, ports=ports)
    try:
        world_holds[world.folder] = Holds(world)
        yield world
    finally:
        sandbox.down(folder)


world_holds: dict[Path, Holds] = {}


def run_of(world):
    """The id of the latest run."""
    return [run for kind, run, _ in ledger(world) if kind == "Started"][-1]


@pytest.fixture(scope="module")
def golden(tmp_path_factory, ports):
    """What is there after a release, and after its rollback, that nobody killed."""
    with sandboxed(tmp_path_factory.mktemp("golden") / "world", ports) as world:
        ship(world).end(0)
        released = look(world, run_of(world))
        rollback(world).end(30)
        rolled_back = look(world, run_of(world))
        assert audit(world)["ok"]
    return {"release": released, "rollback": rolled_back}


# --- moments at which to kill -----------------------------------------------------------------------------------------


def before_the_push(ref):
    """The remote has the objects of the conductor's push, and moves nothing yet."""
    return lambda world: world_holds[world.folder].on("before", ref), held


def after_the_push(ref):
    """The remote has moved the ref (and deployed), and the conductor has no answer yet."""
    return lambda world: world_holds[world.folder].on("after", ref), held


def held(conductor):
    return world_holds[conductor.world.folder].held and conductor.child("push")


def at_the_backup(name):
    """The backup's own hook runs: before anything is written, or after all of it was."""
    return (
        lambda world: world_holds[world.folder].on(f"{name}-backup"),
        lambda conductor: world_holds[conductor.world.folder].held and conductor.child("manage.py", " backup "),
    )


def in_the_child(*words):
    """A child whose command holds these words is alive."""
    return lambda _world: None, lambda conductor: conductor.child(*words)


def in_a_slow_gh(*words):
    """The same for gh, while the forge takes its time: the window is wide on a fast machine, too."""
    return (
        lambda world: sandbox.fault(world.folder, "forge-slow", on=True),
        lambda conductor: conductor.child("gh", *words),
    )


def lands_late():
    """The push's connection has died, and its effect lands a second and a half later, when the conductor is dead."""
    return (
        lambda world: sandbox.fault(world.folder, "effect-late", on=True),
        lambda conductor: "effect-late" not in Switches(conductor.world.folder / "faults.json"),
    )


def between_samples():
    """The watch has taken a look and waits for the next; no act is under way."""
    return lambda _world: None, lambda conductor: sampled(conductor.world) or None


def sampled(world):
    kinds = [kind for kind, _, _ in ledger(world)]
    return "Sampled" in kinds and "WatchClosed" not in kinds


FIRST = (
    ("branch", before_the_push("refs/heads/release/")),
    ("staging-expand", in_the_child("manage.py", " migrate ")),
    ("staging-deploy", after_the_push("refs/heads/deploy/staging")),
    ("backup", at_the_backup("before")),
    ("production-expand", in_the_child("manage.py", " migrate ")),
    ("production-deploy", lands_late()),
    ("tag", after_the_push("refs/tags/v1.4.0")),
    ("cleanup", before_the_push("refs/heads/release/")),
)
SECOND = (
    ("branch", after_the_push("refs/heads/release/")),
    ("staging-deploy", before_the_push("refs/heads/deploy/staging")),
    ("backup", at_the_backup("after")),
    ("production-deploy", after_the_push("refs/heads/deploy/production")),
    ("watch", between_samples()),
    ("merge", before_the_push("refs/heads/main")),
    ("merge", after_the_push("refs/heads/main")),
    ("publish", in_a_slow_gh("--method POST", "releases")),
)
UNDOING = (
    ("redeploy", before_the_push("refs/heads/deploy/production")),
    ("redeploy", after_the_push("refs/heads/deploy/production")),
    ("restore", in_the_child("manage.py", " restore ")),
    ("issue", in_a_slow_gh("issue create")),
)


def killed_at_each(world, begin, moments):
    """Kill the conductor at one moment after another, resumed in between; the conductor that is to reach the end."""
    holds, start = world_holds[world.folder], begin
    for step, (arm, reached) in moments:
        arm(world)
        conductor = start(world)
        if step != "watch":
            conductor.until_intended(step)
        conductor.until(lambda ready=reached, at=conductor: ready(at), f"the moment within {step}")
        conductor.kill()
        assert open_act(world) == (None if step == "watch" else step), f"{step} was over before the kill"
        holds.off()
        start = resume
    return start(world)


@pytest.mark.parametrize("moments", [FIRST, SECOND], ids=["first", "second"])
def test_a_release_killed_again_and_again_ends_like_one_that_nobody_killed(moments, golden, world):
    killed_at_each(world, ship, moments).end(0)
    assert differences(golden["release"], look(world, run_of(world))) == []
    assert audit(world)["ok"]
    if moments is SECOND:
        killed_at_each(world, rollback, UNDOING).end(30)
        assert differences(golden["rollback"], look(world, run_of(world))) == []
        assert audit(world)["ok"]


ROLLING_BACK = (
    ("rollback-deploy", (lambda _world: None, held)),
    ("rollback-deploy", after_the_push("refs/heads/deploy/production")),
    ("rollback-restore", in_the_child("manage.py", " restore ")),
)


def ship_held_at_the_rollback(world):
    """A release whose own push to production passes; the push that takes it back is held."""
    conductor = ship(world)
    conductor.until(lambda: ("Done", "production-deploy") in steps(world), "the deployment")
    world_holds[world.folder].on("before", "refs/heads/deploy/production")
    return conductor


def test_a_release_that_is_killed_while_it_takes_itself_back_ends_like_one_that_nobody_killed(tmp_path, ports):
    found = []
    for name, begin, moments in (("golden", ship, ()), ("killed", ship_held_at_the_rollback, ROLLING_BACK)):
        with sandboxed(tmp_path / name, ports, "production-unhealthy") as world:
            killed_at_each(world, begin, moments).end(30)
            found.append(look(world, run_of(world)))
            assert audit(world)["ok"]
    assert differences(*found) == []


# --- two at once ------------------------------------------------------------------------------------------------------


def test_of_two_conductors_at_once_one_works_and_the_other_is_refused(golden, world):
    def one_is_refused(first, second):
        until(lambda: not (first.alive() and second.alive()), "the end of one of the two")
        loser, winner = (first, second) if not first.alive() else (second, first)
        assert loser.end(20)["reason_code"] == "product-busy"
        assert winner.alive()
        return winner

    holds = world_holds[world.folder]
    holds.on("before", "refs/heads/release/")
    winner = one_is_refused(ship(world), ship(world))
    winner.until(lambda: held(winner), "the push of the release branch")
    assert resume(world).end(20)["reason_code"] == "product-busy"  # a third, much later
    winner.kill()
    holds.off()
    holds.on("after", "refs/heads/deploy/staging")
    winner = one_is_refused(resume(world), resume(world))
    winner.until(lambda: held(winner), "the push to staging")
    holds.off()
    winner.end(0)
    assert differences(golden["release"], look(world, run_of(world))) == []
    assert audit(world)["ok"]


def test_a_stopped_conductor_whose_lease_was_taken_over_performs_nothing_when_it_goes_on(golden, world, tmp_path):
    log = tmp_path / "children.log"
    short = {"start": (str(HERE / "short_lease.py"),), "environ": recording(world, tmp_path / "bin", log)}
    stale = ship(world, **short)
    stale.until_intended("staging-expand")
    # It has asked whether the migration is there; the answer "absent" reaches it when it goes on, long after.
    stale.until(lambda: stale.child("manage.py", "migrate-status"), "the probe")
    os.kill(stale.pid, signal.SIGSTOP)
    try:
        taker = until(lambda: takes_over(world, short), "the end of the lease")
        taker.end(0)
        before, children = look(world, run_of(world)), log.read_text().splitlines()
    finally:
        os.kill(stale.pid, signal.SIGCONT)
    stale.end(20)
    since = [line for line in log.read_text().splitlines()[len(children) :] if line.startswith(f"{stale.pid} ")]
    assert [line for line in since if any(word in f"{line} " for word in EFFECTS)] == []
    assert differences(before, look(world, run_of(world))) == []
    assert differences(golden["release"], before) == []
    assert audit(world)["ok"]


def takes_over(world, options):
    """A conductor that took the lease and came to its end, or None while the stopped one still has it."""
    conductor = resume(world, **options)
    said = conductor.end()
    if conductor.process.returncode == 20 and said.get("reason_code") == "product-busy":
        return None
    return conductor


def recording(world, folder, log):
    """A PATH on which every child of a conductor is written down (parent, program, arguments) before it runs."""
    folder.mkdir()
    path = world.environment["PATH"]
    for name in ("git", "gh", "python3"):
        real = shutil.which(name, path=path)
        line = f'printf "%s " "$PPID" {name} "$@" | tr "\\n" " " >> {shlex.quote(str(log))}; echo >> {shlex.quote(str(log))}'
        (folder / name).write_text(f'#!/bin/sh\n{line}\nexec {shlex.quote(str(real))} "$@"\n')
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{path}"}


# --- the comparison itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", ["sound", "broken"])
def test_the_comparison_tells_an_effect_that_was_repeated(probe, golden, world):
    holds = world_holds[world.folder]
    holds.on("after", "refs/heads/deploy/staging")
    conductor = ship(world)
    conductor.until(lambda: held(conductor), "the deployment to staging, landed and unanswered")
    conductor.kill()
    holds.off()
    start = ("-m", "pilothouse.cli.main") if probe == "sound" else (str(HERE / "broken_probe.py"),)
    again = resume(world, start=start)
    again.until(lambda: ("Done", "staging-deploy") in steps(world), "the outcome of the deployment")
    again.kill()
    found = look(world, run_of(world))
    staging = {"ref refs/heads/deploy/staging", "deployments staging"}
    assert staging & set(differences(golden["release"], found)) == (set() if probe == "sound" else staging)


def steps(world):
    return {(kind, data.get("step")) for kind, _, data in ledger(world)}


def test_the_look_at_processes_sees_a_child_that_outlives_its_parent(world):
    """The look after a kill must be able to fail."""
    code = "import subprocess, sys, time; subprocess.Popen(['sleep', '30']); time.sleep(30)"
    parent = Conductor(world, "status", start=("-c", code))
    parent.until(lambda: parent.child("sleep", "30"), "the child")
    orphan = parent.child("sleep", "30")
    try:
        with pytest.raises(AssertionError, match="never came"):
            parent.kill()
    finally:
        os.kill(orphan.pid, signal.SIGKILL)
