"""lock, unlock, freeze, override and validate on the command line: what is said, and what a pipe cannot do."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time

import pytest

from pilothouse.app import SystemClock, os_user
from release.test_policy import FREEZE, pull, push_policy
from shipping import ship

CHECKS = """\
    manual_checks:
      - {id: wording, ask: Is the price page worded as agreed?, max_age: 1d}
"""


def call(world, *argv, code=0):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pilothouse.cli.main", "--project", str(world.project), *argv],
        env={**os.environ, **world.environment}, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done


def typed(world, answers, *argv, code=0):
    """A person at a terminal: each answer is typed once its prompt is there."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "pilothouse.cli.main", "--project", str(world.project), *argv],
        env={**os.environ, **world.environment, "TERM": "dumb"}, stdin=follower, stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    said, left, ends = "", list(answers), time.monotonic() + 120
    while time.monotonic() < ends:
        if not select.select([leader], [], [], 0.2)[0]:
            if child.poll() is not None:
                break
            continue
        try:
            part = os.read(leader, 65536).decode("utf-8", "replace")
        except OSError:
            break
        said += part
        if left and left[0][0] in said:
            said = said.replace(left[0][0], "[asked]", 1)
            os.write(leader, f"{left.pop(0)[1]}\n".encode())
    os.close(leader)
    assert child.wait(10) == code, said
    return said


@pytest.fixture
def project(harbour):
    return harbour()


def test_a_lock_is_told_by_status_in_words_in_json_and_in_state_yml(project):
    call(project, "lock", "acme", "--reason", "orders get lost", "--expires", "3d", "--name", "look")
    shown = call(project, "status").stdout
    assert "Locked acme by ceo@acme.test (lock/look)" in shown and "orders get lost" in " ".join(shown.split())
    (block,) = json.loads(call(project, "status", "--json").stdout)["blocks"]
    assert (block["product"], block["id"], block["reason"]) == ("acme", "lock/look", "orders get lost")
    assert "orders get lost" in (project.project / "state.yml").read_text()
    refused = call(project, "ship", "acme", code=20)
    assert "orders get lost" in refused.stderr and "--override lock/look" in refused.stderr
    call(project, "state", "check")


def test_what_permits_is_refused_from_a_pipe_and_recorded_nowhere(project, conduct):
    call(project, "lock", "acme", "--reason", "x", "--name", "look")
    for argv in (
        ["unlock", "acme", "--reason", "x"], ["ship", "acme", "--override", "look", "--reason", "x"],
        ["validate", "acme"], ["resume", "--settle", "backup=applied", "--reason", "x"],
        ["resume", "--lift-hold", "go", "--reason", "x"],
    ):  # fmt: skip
        assert "terminal" in call(project, *argv, code=20).stderr
    assert [event.kind for event in conduct(project).journal.read("acme")] == ["Locked"]


def test_a_person_at_a_terminal_takes_the_lock_off(project, conduct):
    call(project, "lock", "--all", "--reason", "an incident", "--name", "look")
    assert "every product" in typed(project, [], "unlock", "--all", "--reason", "over")
    assert call(project, "status").stdout.count("Locked") == 0
    assert [event.kind for event in conduct(project).journal.read("_global")] == ["Locked", "Unlocked"]


@pytest.mark.parametrize(
    "argv",
    [
        ["lock", "--reason", "x"], ["lock", "acme", "--all", "--reason", "x"], ["lock", "acme"],
        ["lock", "acme", "--reason", "x", "--expires", "soon"], ["lock", "acme", "--reason", "x", "--name", "rollback-r"],
        ["lock", "nothing", "--reason", "x"],
    ],
)  # fmt: skip
def test_a_lock_that_is_not_said_clearly_locks_nothing(project, argv):
    call(project, *argv, code=2)
    assert json.loads(call(project, "status", "--json").stdout)["blocks"] == []


def test_freezes_are_listed_and_checked_by_the_base_branch(project):
    assert "No freezes" in call(project, "freeze", "list").stdout
    push_policy(project, "policy:\n", FREEZE)
    assert "the sale goes on" in call(project, "freeze", "list").stdout
    held = json.loads(call(project, "--json", "freeze", "check", "--at", "2026-11-21T10:00+00:00", code=20).stdout)
    assert (held["open"], held["opens"][:16]) == (False, "2026-11-27T08:00")
    assert json.loads(call(project, "--json", "freeze", "check", "--at", "2026-11-28T10:00+00:00").stdout)["open"]
    call(project, "freeze", "check", "--at", "tomorrow", code=2)
    for never in ("9999-12-31T23:59+00:00", "9999-12-31T23:59", "0001-01-01T00:00+14:00"):
        assert "2000 to 2100" in call(project, "freeze", "check", "--at", never, code=2).stderr


def test_manual_checks_are_asked_on_the_terminal_and_hold_the_release_until_they_are_yes(project, conduct):
    push_policy(project, "    not_verified:", CHECKS + "    not_verified:")
    pull(project)
    app = conduct(project, clock=SystemClock())  # the same time as at the terminal: an answer of tomorrow is none
    state = ship(app).state
    assert (state.refused.reason_code, state.refused.step) == ("manual-check-open", "go")
    asked = [("yes or no: ", "maybe"), ("yes or no: ", "no"), ("What did you see?", "a typo")]
    assert "price page" in typed(project, asked, "validate", "acme", code=20)
    app.resume(state.run, os_user("test"))
    state = app.follow(state.run).state
    assert state.refused.reason_code == "manual-check-no" and "a typo" in state.refused.message
    typed(project, [("yes or no: ", "yes"), ("What did you see?", "")], "validate", "acme")
    app.resume(state.run, os_user("test"))
    assert app.follow(state.run, approve=app.approve_scripted).wait.checkpoint == "go"  # the range changes policy
    app.approve(state.run, os_user("test"), lambda _card, word: word)
    state = app.follow(state.run).state
    assert state.standing() == "done", (state.refused, state.halted)
    assert state.judged["go", "manual-checks-answered"].passed
