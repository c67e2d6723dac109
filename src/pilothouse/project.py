"""Where a project is. Light on purpose: every command asks this first."""

from __future__ import annotations

import os
from pathlib import Path

from pilothouse.errors import InvalidFile, UsageError
from pilothouse.yamlfile import MOST_BYTES, decode

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
        "run it inside a project, name one with --project DIR, or make one with: pilothouse init",
    )


def shown(path: Path) -> str:
    """A path as the person knows it: relative where it lies below the present folder."""
    try:
        return os.fspath(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return os.fspath(path)


def read_text(path: Path, name: str = "") -> str:
    """The text of a file that people write; ``name`` is what errors call it.

    Raises:
        InvalidFile: it is missing, no plain file, too large, or not UTF-8.
    """
    place = name or shown(path)
    try:
        if not path.is_file():
            raise InvalidFile(place, 0, "there is no such file")
        with path.open("rb") as file:
            return decode(file.read(MOST_BYTES + 1), place)
    except OSError as error:
        raise InvalidFile(place, 0, f"cannot be read: {error.strerror or 'unknown reason'}") from error
