"""explain RUN, as people and scripts call it (AUT-1, AGT-6)."""

from __future__ import annotations

from pathlib import Path

from cli.sample import lately, pilothouse, project
from pilothouse.reasons import find
from render import story, thinking
from render.thinking import Thinking


def made() -> Thinking:
    return Thinking(start=lately().start)


def test_a_run_is_explained_with_the_question_the_answer_and_the_costs(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", thinking.held(made()))
    answer = pilothouse("explain", story.RUN, cwd=folder)
    assert answer.code == 0
    for part in ("is asked on claude-sonnet-5 for a verdict", "hold, says QA Engineer", "QA Engineer            2"):
        assert part in answer.out
    assert "\x1b" not in answer.out
    assert max(map(len, answer.out.split("\n"))) <= 80


def test_without_a_name_it_is_the_run_that_is_open(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", thinking.held(made()))
    assert pilothouse("explain", cwd=folder).out == pilothouse("explain", story.RUN, cwd=folder).out


def test_the_json_has_the_whole_of_it_only_where_it_is_wanted(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", thinking.held(made()))

    def talk(*more: str) -> dict:
        told = pilothouse("explain", story.RUN, "--step", "staging-signoff", "--json", *more, cwd=folder).json
        assert (told["schema"], told["run"]) == ("pilothouse.explain/1", story.RUN)
        (passage,) = told["passages"]
        return next(entry for entry in passage["entries"] if entry["type"] == "consultation")

    short, full = talk(), talk("--full")
    assert short["question"]["omitted"] == len(thinking.QUESTION.rstrip()) - len(short["question"]["text"])
    assert full["question"] == {"text": thinking.QUESTION, "omitted": 0}
    assert [reply["thinking"] for reply in short["replies"]] == ["", ""]
    assert full["replies"][0]["thinking"] == "The log first."
    assert full["replies"][0]["calls"][0]["result"]["text"] == thinking.RESULT


def test_a_run_without_any_model_is_explained_too(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.done(lately()))
    answer = pilothouse("explain", cwd=folder)
    assert "approved: by ceo@acme.test" in answer.out
    told = pilothouse("explain", "--json", cwd=folder).json
    assert told["models"]["agents"] == []
    assert any(entry.get("gate") == "ci-green" for item in told["passages"] for entry in item["entries"])


def test_a_step_or_an_agent_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.done(lately()))
    step = pilothouse("explain", story.RUN, "--step", "stagin", "--json", cwd=folder)
    assert (step.code, step.json["reason_code"]) == (2, "no-such-step")
    agent = pilothouse("explain", story.RUN, "--agent", "qa", "--json", cwd=folder)
    assert (agent.code, agent.json["reason_code"], "qa-engineer" in agent.json["hint"]) == (2, "no-such-agent", True)
    run = pilothouse("explain", "r-2026-01-01-01", "--json", cwd=folder)
    assert (run.code, run.json["reason_code"]) == (2, "no-such-run")
    code = pilothouse("explain", "ci-red", "--full", "--json", cwd=folder)
    assert (code.code, code.json["reason_code"]) == (2, "usage")


def test_where_nothing_was_said_it_says_that(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.waiting(lately()))
    answer = pilothouse("explain", "--step", "issue", cwd=folder)
    assert (answer.code, "Nothing was said there yet." in answer.out) == (0, True)


def test_the_code_of_a_recording_that_differs_is_explained() -> None:
    assert find("recording-differs").kind.startswith("refused")


def test_status_shows_the_advice_that_a_run_rests_with(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", thinking.advised(made()))
    assert "Advice      QA Engineer on claude-sonnet-5, flake" in pilothouse("status", cwd=folder).out
    (run,) = pilothouse("status", "--json", cwd=folder).json["runs"]
    assert (run["advice"]["kind"], run["models"]["turns"]) == ("flake", 1)
