"""Where a project is. Light on purpose: every command asks this first."""

from __future__ import annotations

import os
from pathlib import Path

from pilothouse.errors import InvalidFile, UsageError

FILE = "pilothouse.yml"
MAX_BYTES = 1_000_000


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


def read_text(path: Path) -> str:
    """The text of a file that people write.

    Raises:
        InvalidFile: it is missing, no plain file, larger than a megabyte, or not UTF-8.
    """
    place = shown(path)
    try:
        if not path.is_file():
            raise InvalidFile(place, 0, "there is no such file")
        data = path.read_bytes()
    except OSError as error:
        raise InvalidFile(place, 0, f"cannot be read: {error.strerror or 'unknown reason'}") from error
    if len(data) > MAX_BYTES:
        raise InvalidFile(place, 0, f"is larger than {MAX_BYTES // 1000} kB", "nothing of that size belongs here")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidFile(place, line, "is not UTF-8 text", "save it as UTF-8") from error
