"""A release of a product that configures a performance suite (REL-2)."""

from __future__ import annotations

import subprocess

import pytest

from pilothouse.harbour import settle
from shipping import refs, ship

SUITE = """      performance:
        run: [python3, -c, "import sys, time; t = time.perf_counter(); from app import store; sys.exit(time.perf_counter() - t > {budget})"]
        timeout: 1m
"""


@pytest.fixture
def measured(harbour):
    """A world whose product has a performance suite with a budget in seconds."""

    def make(budget):
        world = harbour()
        file = world.project / "pilothouse.yml"
        text = file.read_text()
        assert text.count("    not_verified:") == 1
        file.write_text(text.replace("    not_verified:", SUITE.format(budget=budget) + "    not_verified:"))
        # On the base branch: the scripted approval does not hold for a configuration that lies about beside it.
        name = ["-c", "user.name=ann", "-c", "user.email=ann@acme.test"]
        for argv in (
            ["add", "pilothouse.yml"],
            [*name, "commit", "-qm", "chore: measure (#261)"],
            ["push", "-q", "origin", "HEAD:main"],
        ):
            subprocess.run(["git", *argv], cwd=world.project, check=True)
        settle(world.folder)
        return world

    return make


def test_a_performance_suite_that_passes_lets_the_release_through(measured, conduct):
    state = ship(conduct(measured(60)), by_hand=True).state
    assert state.standing() == "done", (state.refused, state.halted, state.branched)
    seen = state.facts()["performance"]
    assert (seen["configured"], seen["passed"]) == (True, True)
    judged = state.judged["regression-signoff", "performance-passed"]
    assert judged.passed
    assert judged.evidence  # judged on what it measured, not passed over


def test_a_performance_suite_that_fails_refuses_before_anything_is_made(measured, conduct):
    world = measured(0)
    before = refs(world)
    state = ship(conduct(world), by_hand=True).state
    assert (state.refused.step, state.refused.reason_code) == ("regression-signoff", "tests-red")
    assert "performance" in state.refused.message
    assert refs(world) == before
    assert not state.acts
