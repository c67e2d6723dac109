"""status, audit, explain on a real ledger: the JSON that scripts are written against, and what people see."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.sample import Telling, lately, pilothouse, project
from pilothouse.ledger.sqlite import SqliteJournal
from render import story

RUN_FIELDS = {
    "id", "product", "workflow", "state", "phase", "step", "checkpoint", "version", "from_sha", "to_sha", "plan_digest",
    "started_at", "started_by", "next_action", "events",
}  # fmt: skip
STEP_FIELDS = {"id", "agent", "kind", "state", "started_at", "ended_at", "evidence", "reason_code"}


def only_run(folder: Path) -> dict[str, Any]:
    (run,) = pilothouse("status", "--json", cwd=folder).json["runs"]
    assert isinstance(run, dict)
    return run


@pytest.mark.parametrize(("telling", "state", "step", "next_action"), [
    (story.readied, "running", "go", f"pilothouse resume {story.RUN}"),
    (story.waiting, "waiting", "go", f"pilothouse approve {story.RUN}"),
    (story.held, "waiting", "staging-signoff", f"pilothouse resume {story.RUN} --lift-hold staging-signoff --reason '…'"),
    (story.refused, "refused", "ready", f"pilothouse resume {story.RUN}"),
    (story.done, "done", None, None),
    (story.rolled_back, "rolled-back", None, None),
])  # fmt: skip
def test_the_json_of_a_run_says_where_it_stands_and_what_is_next(
    tmp_path: Path, telling: Telling, state: str, step: str | None, next_action: str | None
) -> None:
    run = only_run(project(tmp_path / "p", telling(lately())))
    assert run.keys() >= RUN_FIELDS
    assert (run["state"], run["step"], run["next_action"]) == (state, step, next_action)
    assert run["events"]["total"] == len(telling(lately()).events)


def test_one_run_has_its_steps(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.waiting(lately()))
    (run,) = pilothouse("status", story.RUN, "--json", cwd=folder).json["runs"]
    steps = {step["id"]: step for step in run["steps"]}
    assert all(step.keys() >= STEP_FIELDS for step in steps.values())
    assert steps["ready"]["state"] == "done"
    assert steps["ready"]["evidence"] == ["e-002", "e-003"]
    assert steps["performance"]["state"] == "skipped"
    assert steps["go"]["state"] == "waiting"
    assert steps["tag"]["state"] == "pending"
    assert run["checkpoint"] == "go"


def test_the_word_is_nowhere_in_what_status_prints(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.waiting(lately()))
    for words in (["status", "--json"], ["status", story.RUN, "--json"], ["status"], ["audit", "show", "--json"]):
        assert "presented" not in pilothouse(*words, cwd=folder).out


def test_people_see_the_timeline_the_card_and_the_two_answers(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.waiting(lately()))
    answer = pilothouse("status", cwd=folder)
    assert answer.code == 0
    assert "◆ Go to production?" in answer.out
    assert "╭ Go to production? " in answer.out
    assert f"pilothouse approve {story.RUN}" in answer.out


def test_the_notes_and_the_card_are_printed_alone(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.waiting(lately()))
    assert pilothouse("status", story.RUN, "--notes", cwd=folder).out == "# 1.4.0\n"
    assert "Approving does this" in pilothouse("status", "--card", cwd=folder).out
    assert pilothouse("status", "--card", "--json", cwd=folder).json["card"] == story.CARD


def test_a_picture_is_written(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.done(lately()))
    assert pilothouse("status", "--svg", "run.svg", cwd=folder).code == 0
    assert (folder / "run.svg").read_text(encoding="utf-8").startswith("<svg ")


def test_before_the_first_run_status_says_what_to_type(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    answer = pilothouse("status", cwd=folder)
    assert (answer.code, answer.err) == (0, "")
    assert "Nothing was shipped from this project yet." in answer.out
    assert "pilothouse ship acme --dry-run" in answer.out
    told = {"schema": "pilothouse.status/1", "runs": [], "blocks": []}
    assert pilothouse("status", "--json", cwd=folder).json == told


def test_a_run_whose_conductor_was_killed_says_so_and_names_resume(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.crashed(lately()))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    hold(folder, dead.pid)
    answer = pilothouse("status", cwd=folder)
    assert "No conductor is at work on it: it was stopped or killed" in answer.out
    assert "It stopped during production-deploy" in " ".join(answer.out.split())
    assert f"Go on: pilothouse resume {story.RUN}" in answer.out
    assert only_run(folder)["conductor"] == "gone"


def test_a_run_that_is_worked_on_says_so(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.readied(lately()))
    hold(folder, os.getpid())
    assert "A conductor is at work on it." in pilothouse("status", cwd=folder).out
    assert only_run(folder)["conductor"] == "at-work"
    assert only_run(project(tmp_path / "q", story.waiting(lately())))["conductor"] is None


def hold(folder: Path, pid: int) -> None:
    """What a conductor of that process id leaves in the ledger."""
    journal = SqliteJournal(folder / ".pilothouse" / "ledger.db")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    journal.acquire("acme", f"{socket.gethostname()}:{pid}:1a", now, 60)
    journal.close()


def test_one_piece_of_evidence_is_shown_whole(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.suite_red(lately()))
    answer = pilothouse("audit", "show", "--evidence", "e-002", cwd=folder)
    assert answer.code == 0
    assert all(f"line {number}\n" in answer.out for number in range(1, 41))
    assert "\x1b" not in answer.out
    assert "<U+001B>" in answer.out
    told = pilothouse("audit", "show", story.RUN, "--evidence", "e-002", "--json", cwd=folder).json
    assert (told["schema"], told["evidence"], told["step"]) == ("pilothouse.evidence/1", "e-002", "e2e")
    assert told["facts"]["log"].startswith("line 1\n")
    none = pilothouse("audit", "show", "--evidence", "e-099", "--json", cwd=folder)
    assert (none.code, none.json["reason_code"]) == (2, "no-such-evidence")
    assert "e-002" in none.json["hint"]


def test_what_a_failed_act_wrote_is_shown_by_the_name_of_its_step(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.command_failed(story.readied_until_branch(lately())))
    answer = pilothouse("audit", "show", "--evidence", "staging-deploy", cwd=folder)
    assert "│ pushing layer 1\n" in answer.out


def test_an_unknown_run_names_those_that_there_are(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.done(lately()))
    error = pilothouse("status", "r-1", "--json", cwd=folder).json
    assert error["reason_code"] == "no-such-run"
    assert story.RUN in error["hint"]


def test_verify_accepts_a_sound_ledger_and_a_known_head(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.done(lately()))
    found = pilothouse("audit", "verify", "--json", cwd=folder)
    assert (found.code, found.json["ok"]) == (0, True)
    head = found.json["chains"][0]["head"]
    assert pilothouse("audit", "verify", "--head", head, cwd=folder).code == 0
    assert pilothouse("audit", "verify", "--head", "f" * 64, cwd=folder).code == 50


def test_verify_finds_an_edited_entry(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.done(lately()))
    with sqlite3.connect(folder / ".pilothouse" / "ledger.db") as ledger:
        for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            ledger.execute(f'DROP TRIGGER "{name}"')
        (table,) = [
            name
            for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            if "entry" in {row[1] for row in ledger.execute(f'PRAGMA table_info("{name}")')}
        ]
        ledger.execute(
            f'UPDATE "{table}" SET entry = replace(entry, ?, ?) WHERE seq = 1', ("ceo@acme.test", "eve@acme.test")
        )
    ledger.close()
    answer = pilothouse("audit", "verify", "--json", cwd=folder)
    assert answer.code == 50
    assert answer.json["ok"] is False
    assert answer.json["chains"][0]["problems"]


def test_the_events_of_a_run_are_shown_in_order(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.done(lately()))
    shown = pilothouse("audit", "show", "--json", cwd=folder).json
    assert [event["kind"] for event in shown["events"]][:2] == ["Started", "Observed"]
    assert shown["events"][-1]["kind"] == "Ended"
    text = pilothouse("audit", "show", cwd=folder).out
    assert "deploy 1.4.0" in text


def test_reject_and_abort_end_a_run_for_good(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.waiting(lately()))
    assert pilothouse("reject", cwd=folder).code == 2
    answer = pilothouse("reject", "--reason", "not today", "--json", cwd=folder)
    assert answer.code == 40
    assert answer.json["runs"][0]["reason_code"] == "rejected"
    again = pilothouse("abort", story.RUN, "--reason", "really", "--json", cwd=folder)
    assert (again.code, again.json["reason_code"]) == (20, "run-over")
