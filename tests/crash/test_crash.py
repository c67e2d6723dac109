"""Kill a real release at every boundary of every act, resume it, and compare the world with that of a golden run (I28)."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import SteppingClock
from pilothouse import harbour as sandbox
from pilothouse.app import Request, os_user
from pilothouse.harbour import Variant
from pilothouse.model import RECORD, Kind
from pilothouse.playbook.workflow import parse
from shipping import acts, follow, refs, rows, ship, tables

ROOT = Path(__file__).resolve().parents[2]
BOUNDARIES = ("before-intent", "after-intent", "after-apply", "after-outcome")


def workflow(name):
    return parse((ROOT / "workflows" / f"{name}.yml").read_text(), f"workflows/{name}.yml")


def acts_of(name, branch="main"):
    return [step.id for step in workflow(name).steps(branch) if step.kind is Kind.ACT]


def recording(name, branch="main"):
    return [step.id for step in workflow(name).steps(branch) if step.target == RECORD]


def others(name, branch="main"):
    """The acts that happen where neither records are written nor a branch is promoted."""
    promoted = {"setting": "has_promotion"}
    steps = [step for step in workflow(name).steps(branch) if step.kind is Kind.ACT and step.target != RECORD]
    return [step.id for step in steps if step.when != promoted]


RELEASE = others("release")
UNDO = others("release", "rollback")
BY_HAND = acts_of("release", "merge-by-hand")
ROLLBACK = others("rollback")
PROMOTE = acts_of("promote-audited")
BACK = ["intent", "revert", "promote", "issue", "announce", "outcome"]


class Killed(BaseException):
    """A kill: nothing of ours catches it."""


def kill_at(steps, boundaries):
    """Kill at each of these boundaries of these acts, the first time that each is reached."""

    def hook(name, act):
        if (act, name) in hook.left:
            hook.left.remove((act, name))
            raise Killed

    hook.left = [(step, boundary) for step in steps for boundary in boundaries]
    return hook


# In the timeline of a post-mortem; which commit of the archive branch a record is in; where the ledger stood.
MOMENT = re.compile(
    r"\b\d\d:\d\d:\d\d\b|(?<=/tree/)[0-9a-f]{40}(?=/releases/)|(?<=compliance-archives at )[0-9a-f]{12}"
    r"|(?<=Pilothouse-Ledger: )\d+ [0-9a-f]{64}"
)


def snapshot(world, app, run):
    return {name: MOMENT.sub("hh:mm:ss", repr(found)) for name, found in description(world, app, run).items()}


def description(world, app, run):
    pointed = refs(world)
    if pointed.pop("refs/heads/compliance-archives", None):
        # A tag's message holds where the ledger stood; what it names counts.
        pointed = {name: to.split()[-1] if name.startswith("refs/tags/") else to for name, to in pointed.items()}
    return {
        "refs": pointed,
        "records": records(world),
        "tickets": rows(linear, "SELECT ticket, body FROM comments ORDER BY ticket") if (linear := world.folder / "linear.db").exists() else [],
        "forge": {name: kept for name, kept in tables(world.folder / "forge.db").items()
                  if name in {"releases", "threads", "comments", "labels"}},
        "deployments": [deployments(world, name) for name in ("staging", "production")],
        "production": tables(world.database("production")),
        "staging": tables(world.database("staging")),
        # A record tells of each try and its moment; that it was written once and whole, "records" says.
        "acts": [(step, tool, given["kind"] if tool == RECORD else given) for step, tool, given in acts(app, run)],
    }  # fmt: skip


def records(world):
    """Every file of a record with how often it was written, and what it says of the release (moments left out)."""
    branch, git = "refs/heads/compliance-archives", ["git", "-C", str(world.origin)]
    if branch not in refs(world):
        return {}
    listed = [*git, "log", "--format=", "--name-only", branch, "--", "releases"]
    written = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.splitlines()
    found = {}
    for path in sorted(set(written)):
        said = subprocess.run([*git, "show", f"{branch}:{path}"], check=True, capture_output=True, text=True).stdout
        whole = json.loads(said) if path.endswith(".json") else {}
        told = {
            key: whole.get(key) for key in ("release", "kind", "from", "to", "counts", "pulls", "tickets", "outcome")
        }
        found[path] = (written.count(path), told)
    return found


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
            ship(app, by_hand=True, workflow="promote-audited" if variant.layout == "promotion" else "")
            app.close()
            # A day later to the millisecond, however long the release took: the rollback's commits get the same dates.
            clock = SteppingClock(clock.start + timedelta(days=1))
            app = open_project(world, clock=clock)
        app.boundary = hook
        run = None
        for _ in range(TOGETHER * len(BOUNDARIES) + 1):
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
    "promoted": {
        "request": Request("acme", workflow="promote-audited"), "ends": "done", "variant": Variant(layout="promotion"),
    },
    "promoted-back": {
        "ends": "rolled-back", "variant": Variant(layout="promotion"),
        "request": Request("acme", workflow="rollback", inputs={"severity": "high", "reason": "errors"}),
    },
    "recorded": {"request": Request("acme"), "ends": "done", "variant": Variant(recorded=True)},
    "recorded-undo": {
        "request": Request("acme"), "ends": "rolled-back", "faults": ("production-unhealthy",),
        "variant": Variant(recorded=True),
    },
}  # fmt: skip
KILLED = {
    "release": RELEASE,
    "undo": UNDO,
    "by-hand": ["production-deploy", *BY_HAND],
    "rollback": ROLLBACK,
    "promoted": PROMOTE,
}
# The same acts as above on another way, or records whose four boundaries the promotion has met already: `make crash`.
LATER = {
    "promoted-back": BACK, "recorded": recording("release"), "recorded-undo": recording("release", "rollback"),
}  # fmt: skip
ACTS = [(scenario, step) for scenario, steps in KILLED.items() for step in steps]
# A run of its own for each single boundary takes twelve times as long: `make crash`. Otherwise the four kills of each of
# three acts follow one another in one run.
ALONE = os.environ.get("PILOTHOUSE_CRASH") == "exhaustive"
TOGETHER = 3


def kills():
    if ALONE:
        whole = [*KILLED.items(), *LATER.items()]
        return [(name, [step], [boundary]) for name, steps in whole for step in steps for boundary in BOUNDARIES]
    return [
        (name, steps[first : first + TOGETHER], BOUNDARIES)
        for name, steps in KILLED.items()
        for first in range(0, len(steps), TOGETHER)
    ]


def test_no_act_of_these_workflows_is_left_out():
    # How a run closes that a person aborted, or that failed, is killed in the toy world (tests/engine/test_closing.py).
    known = {(name, step.id) for name in ("release", "rollback", "promote-audited")
             for branch in ("main", *workflow(name).branches) if branch not in {"aborted", "failure"}
             for step in workflow(name).steps(branch) if step.kind is Kind.ACT}  # fmt: skip
    every = [*ACTS, *((name, step) for name, steps in LATER.items() for step in steps)]
    assert {(SCENARIOS[scenario]["request"].workflow or "release", step) for scenario, step in every} == known


@pytest.mark.parametrize(("scenario", "steps", "boundaries"), kills())
def test_a_killed_run_ends_like_the_golden_one(scenario, steps, boundaries, golden, tmp_path, ports, conduct):
    expected = golden(scenario, conduct)
    hook = kill_at(steps, boundaries)
    found = scenario_run(tmp_path / "world", ports, scenario, conduct, hook)
    assert hook.left == [], f"they never came to {hook.left}"
    assert found == expected
