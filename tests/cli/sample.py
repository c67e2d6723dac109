"""A project folder with a real ledger that tells one of the stories, and the program called as people call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pilothouse.harbour.projectfile import Project
from pilothouse.ledger.sqlite import SqliteJournal
from render.story import Story

PROGRAM = (sys.executable, "-m", "pilothouse.cli.main")


def lately() -> Story:
    """A story that begins a quarter of an hour ago, so that what expires has not."""
    return Story(start=datetime.now(UTC) - timedelta(minutes=15))


def project(folder: Path, *stories: Story) -> Path:
    """A project with what the stories tell in its ledger."""
    folder.mkdir(exist_ok=True)
    urls = {"staging": "http://127.0.0.1:9", "production": "http://127.0.0.1:19"}
    for name, text in Project(urls, 4, scripted_approval=False).files().items():
        (folder / name).write_text(text, encoding="utf-8")
    keep = folder / ".pilothouse"
    keep.mkdir(exist_ok=True)
    journal = SqliteJournal(keep / "ledger.db")
    for made in stories:
        for event in made.events:
            journal.append(made.product, made.run, [event.fact], event.at)
    journal.close()
    return folder


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call of the program came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output; anything else beside it is an error."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


def environment(**more: str) -> dict[str, str]:
    """A quiet environment without this session's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONIOENCODING": "utf-8", "TZ": "UTC", **more}


def pilothouse(*words: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str = "") -> Answer:
    """Call the program."""
    done = subprocess.run(
        [*PROGRAM, *words], cwd=cwd, env=dict(env or environment()), input=stdin, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


Telling = Callable[[Story], Story]
