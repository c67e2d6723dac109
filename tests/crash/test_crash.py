"""Kill a real release at every boundary of every act, resume it, and compare the world with that of a golden run (I28)."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import SteppingClock
from pilothouse import harbour as sandbox
from pilothouse.app import Request, os_user
from pilothouse.harbour import Variant
from pilothouse.model import Kind
from pilothouse.playbook.workflow import parse
from shipping import acts, follow, refs, ship, tables

ROOT = Path(__file__).resolve().parents[2]
BOUNDARIES = ("before-intent", "after-intent", "after-apply", "after-outcome")


def workflow(name):
    return parse((ROOT / "workflows" / f"{name}.yml").read_text(), f"workflows/{name}.yml")


def acts_of(name, branch="main"):
    return [step.id for step in workflow(name).steps(branch) if step.kind is Kind.ACT]


RELEASE = acts_of("release")
UNDO = acts_of("release", "rollback")
BY_HAND = acts_of("release", "merge-by-hand")
ROLLBACK = acts_of("rollback")


class Killed(BaseException):
    """A kill: nothing of ours catches it."""


def kill_at(step, boundaries):
    """Kill at each of these boundaries of an act, the first time that each is reached."""

    def hook(name, act):
        if act == step and name in hook.left:
            hook.left.remove(name)
            raise Killed

    hook.left = list(boundaries)
    return hook


MOMENT = re.compile(r"\b\d\d:\d\d:\d\d\b")  # in the timeline of a post-mortem


def snapshot(world, app, run):
    return {name: MOMENT.sub("hh:mm:ss", repr(found)) for name, found in description(world, app, run).items()}


def description(world, app, run):
    return {
        "refs": refs(world),
        "forge": {name: kept for name, kept in tables(world.folder / "forge.db").items()
                  if name in {"releases", "threads", "comments", "labels"}},
        "deployments": [deployments(world, name) for name in ("staging", "production")],
        "production": tables(world.database("production")),
        "staging": tables(world.database("staging")),
        "acts": acts(app, run),
    }  # fmt: skip


def deployments(world, environment):
    """What was put there: a second time would show here even where no ref tells."""
    lines = (world.folder / environment / "deployments.jsonl").read_text().splitlines()
    return [(entry["sha"], entry["state"]) for entry in map(json.loads, lines)]


@pytest.fixture(scope="module")
def golden(tmp_path_factory, ports):
    """What the world looks like after runs that nobody killed, by scenario (made when first asked for)."""
    known = {}

    def of(scenario, open_project):
        if scenario not in known:
            folder = tmp_path_factory.mktemp("golden") / "world"
            known[scenario] = scenario_run(folder, ports, scenario, open_project, lambda _n, _s: None)
        return known[scenario]

    return of


def scenario_run(folder, ports, scenario, open_project, hook):
    known = SCENARIOS[scenario]
    variant = known.get("variant", Variant())
    world = sandbox.up(folder, faults=known.get("faults", ()), watch_seconds=1.0, ports=ports, variant=variant)
    try:
        clock = SteppingClock()
        app = open_project(world, clock=clock)
        if known["request"].workflow == "rollback":
            ship(app, by_hand=True)
            app.close()
            # A day later to the millisecond, however long the release took: the rollback's commits get the same dates.
            clock = SteppingClock(clock.start + timedelta(days=1))
            app = open_project(world, clock=clock)
        app.boundary = hook
        run = None
        for _ in range(len(BOUNDARIES) + 1):
            try:
                if run is None:
                    run = app.start(known["request"], os_user("test"))
                standing = follow(app, run, by_hand=True)
                break
            except Killed:
                app.close()
                app = open_project(world, clock=clock, boundary=hook)
        state = standing.state
        assert state.standing() == known["ends"], (state.refused, state.halted, state.branched)
        return snapshot(world, app, run)
    finally:
        sandbox.down(folder)


# Each is made so that every act of its workflow happens: migrations on both sides of the code, a restore. The merge by
# hand is that of a project with a deploy command of its own, whose act is of class Q, which a push is not.
SCENARIOS = {
    "release": {"request": Request("acme"), "ends": "done", "variant": Variant(contracting=True)},
    "undo": {"request": Request("acme"), "ends": "rolled-back", "faults": ("production-unhealthy",)},
    "by-hand": {
        "request": Request("acme"), "ends": "halted", "faults": ("main-conflicts-after-deploy",),
        "variant": Variant(deploy="command"),
    },
    "rollback": {
        "ends": "rolled-back",
        "request": Request(
            "acme", workflow="rollback", inputs={"severity": "high", "reason": "errors", "restore_database": True}
        ),
    },
}  # fmt: skip
KILLED = {"release": RELEASE, "undo": UNDO, "by-hand": ["production-deploy", *BY_HAND], "rollback": ROLLBACK}
ACTS = [(scenario, step) for scenario, steps in KILLED.items() for step in steps]
# A run of its own for each single boundary takes four times as long: `make crash`. Otherwise each act's four kills
# follow one another in one run.
ALONE = os.environ.get("PILOTHOUSE_CRASH") == "exhaustive"
KILLS = [
    (scenario, step, boundaries)
    for scenario, step in ACTS
    for boundaries in ([(boundary,) for boundary in BOUNDARIES] if ALONE else [BOUNDARIES])
]


def test_no_act_of_these_workflows_is_left_out():
    known = {(name, step.id) for name in ("release", "rollback") for branch in ("main", *workflow(name).branches)
             for step in workflow(name).steps(branch) if step.kind is Kind.ACT}  # fmt: skip
    assert {(SCENARIOS[scenario]["request"].workflow or "release", step) for scenario, step in ACTS} == known


@pytest.mark.parametrize(("scenario", "step", "boundaries"), KILLS)
def test_a_killed_run_ends_like_the_golden_one(scenario, step, boundaries, golden, tmp_path, ports, conduct):
    expected = golden(scenario, conduct)
    hook = kill_at(step, boundaries)
    found = scenario_run(tmp_path / "world", ports, scenario, conduct, hook)
    assert hook.left == [], f"{step} never came to {hook.left}"
    assert found == expected
