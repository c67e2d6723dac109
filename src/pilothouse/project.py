"""Where a project is. Light on purpose: every command asks this first."""

from __future__ import annotations

from pathlib import Path

from pilothouse.errors import UsageError

FILE = "pilothouse.yml"


def find_project(start: Path) -> Path:
    """The nearest folder upwards from ``start`` that holds a pilothouse.yml.

    Raises:
        UsageError: ``no-project``, where there is none.
    """
    folder = start.resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / FILE).is_file():
            return candidate
    raise UsageError(
        "no-project",
        f"no {FILE} in {start} or above it",
        "run it inside a project, or name one with --project DIR; how to write one: docs/getting-started.md",
    )
