"""What is said while a run is followed or rehearsed: nothing that was not seen, and no run that does not exist."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.sample import lately, project
from pilothouse.app import Pilothouse
from pilothouse.cli import following
from pilothouse.cli import main as program
from pilothouse.cli.surface import Surface
from pilothouse.events import Done, Event
from render import story


def said_of(tmp_path: Path, capsys: pytest.CaptureFixture[str], *, found: bool) -> str:
    made = story.crashed(lately())
    app = Pilothouse(project(tmp_path / "p", made), environ={})
    following._told_of_crash(Surface(), app, made.state)
    fact = Done("production-deploy", "e-020", {}, {}, found=found, summary="production answers 1.4.0")
    app.listen(Event("acme", 99, "", made.run, made.events[-1].at, fact, ""), made.state)
    app.close()
    return " ".join(capsys.readouterr().out.split())


def test_an_effect_that_was_found_is_told_as_what_was_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = said_of(tmp_path, capsys, found=True)
    assert "Looked: production answers 1.4.0 → it had landed; not done again. Going on." in said


def test_what_was_seen_after_doing_it_is_no_witness_that_it_had_not_landed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = said_of(tmp_path, capsys, found=False)
    assert "Looked: it had not landed. Done now: production answers 1.4.0. Going on." in said


@pytest.mark.parametrize("json", [False, True], ids=["text", "json"])
def test_a_rehearsal_names_no_run_and_says_who_has_the_product(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], json: bool
) -> None:
    rehearsed = story.Story(run="r-2026-11-21-77")
    state = story.readied(rehearsed).state
    monkeypatch.chdir(project(tmp_path / "p", story.waiting(lately())))
    monkeypatch.setattr(Pilothouse, "rehearse", lambda *_: (state, []))
    assert program.run(["ship", "acme", "--dry-run", *(["--json"] if json else [])]) == os.EX_OK
    said = capsys.readouterr().out
    assert "r-2026-11-21-77" not in said
    assert f"{story.RUN} has acme now (waiting)" in " ".join(said.split())
