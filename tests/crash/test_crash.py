"""Kill a real release at every boundary of every act, resume it, and compare the world with that of a golden run (I28)."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import SteppingClock
from pilothouse import harbour as sandbox
from pilothouse.app import Request, os_user
from pilothouse.model import Kind
from pilothouse.playbook.workflow import parse
from shipping import acts, follow, refs, ship, tables

ROOT = Path(__file__).resolve().parents[2]
BOUNDARIES = ("before-intent", "after-intent", "after-apply", "after-outcome")
# The sample's one migration expands; there is nothing to contract, so these acts are skipped in every run.
NOT_IN_THE_SAMPLE = {"staging-contract", "production-contract", "merge-request"}


def acts_of(name, branch="main"):
    workflow = parse((ROOT / "workflows" / f"{name}.yml").read_text(), f"workflows/{name}.yml")
    return [step.id for step in workflow.steps(branch) if step.kind is Kind.ACT and step.id not in NOT_IN_THE_SAMPLE]


RELEASE = acts_of("release")
UNDO = acts_of("release", "rollback")
ROLLBACK = [step for step in acts_of("rollback") if step != "restore"]  # asked for by an option of its own


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
        "production": tables(world.database("production")),
        "staging": tables(world.database("staging")),
        "acts": acts(app, run),
    }  # fmt: skip


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
    world = sandbox.up(folder, faults=SCENARIOS[scenario]["faults"], watch_seconds=2.0, ports=ports)
    try:
        clock = SteppingClock()
        app = open_project(world, clock=clock)
        if scenario == "rollback":
            ship(app)
            app.close()
            # A day later to the millisecond, however long the release took: the rollback's commits get the same dates.
            clock = SteppingClock(clock.start + timedelta(days=1))
            app = open_project(world, clock=clock)
        app.boundary = hook
        run = None
        for _ in range(len(BOUNDARIES) + 1):
            try:
                if run is None:
                    run = app.start(SCENARIOS[scenario]["request"], os_user("test"))
                standing = follow(app, run)
                break
            except Killed:
                app.close()
                app = open_project(world, clock=clock, boundary=hook)
        assert standing.state.standing() == SCENARIOS[scenario]["ends"], (
            standing.state.refused,
            standing.state.branched,
        )
        return snapshot(world, app, run)
    finally:
        sandbox.down(folder)


SCENARIOS = {
    "release": {"faults": (), "request": Request("acme"), "ends": "done"},
    "undo": {"faults": ("production-unhealthy",), "request": Request("acme"), "ends": "rolled-back"},
    "rollback": {
        "faults": (), "ends": "rolled-back",
        "request": Request("acme", workflow="rollback", inputs={"severity": "high", "reason": "errors"}),
    },
}  # fmt: skip
ACTS = [
    (scenario, step)
    for scenario, steps in (("release", RELEASE), ("undo", UNDO), ("rollback", ROLLBACK))
    for step in steps
]
# A run of its own for each single boundary takes four times as long: `make crash`. Otherwise each act's four kills
# follow one another in one run.
ALONE = os.environ.get("PILOTHOUSE_CRASH") == "exhaustive"
KILLS = [
    (scenario, step, boundaries)
    for scenario, step in ACTS
    for boundaries in ([(boundary,) for boundary in BOUNDARIES] if ALONE else [BOUNDARIES])
]


@pytest.mark.parametrize(("scenario", "step", "boundaries"), KILLS)
def test_a_killed_run_ends_like_the_golden_one(scenario, step, boundaries, golden, tmp_path, ports, conduct):
    expected = golden(scenario, conduct)
    hook = kill_at(step, boundaries)
    found = scenario_run(tmp_path / "world", ports, scenario, conduct, hook)
    assert hook.left == [], f"{step} never came to {hook.left}"
    assert found == expected
