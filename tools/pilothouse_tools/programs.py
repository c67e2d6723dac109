"""The programs that Pilothouse calls: the least versions that work, and why. Known to the doctor and to the gates."""

from __future__ import annotations

import re
from collections.abc import Mapping

LEAST: Mapping[str, tuple[tuple[int, ...], str]] = {
    "git": ((2, 38), "merge-tree --write-tree merges without a checkout"),
    "gh": ((2, 20), "api and release with --json"),
}
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


def version_in(said: str) -> str:
    """The first version in what a program says of itself, or an empty text."""
    found = _VERSION.search(said)
    return found.group(0) if found else ""


def too_old(version: str, least: tuple[int, ...]) -> bool:
    """Whether a version, as ``version_in`` found it, comes before the least one that works."""
    return tuple(int(part) for part in version.split(".")) < least
