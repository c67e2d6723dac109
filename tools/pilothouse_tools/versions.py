"""Which version comes next: a pure decision from commits, changelog and what was asked for (semver.org 2.0.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import semver

from pilothouse.errors import ToolFailed
from pilothouse_tools import grammar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ORDER = ("", "patch", "minor", "major")
# What a part of the changelog asks for at least (Keep a Changelog's names); Changed alone may be a mere improvement.
_PARTS = {
    "breaking": "major", "breaking changes": "major", "removed": "major",
    "added": "minor", "deprecated": "minor",
    "changed": "patch", "fixed": "patch", "security": "patch",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """The next version, the part that grows, and why in words."""

    version: str
    bump: str
    why: str


def decide(current: str, requested: str, counts: Mapping[str, int], parts: Sequence[str]) -> Decision:
    """Decide the next version.

    Args:
        current: the version that is released now.
        requested: empty, ``major``, ``minor``, ``patch`` or a whole version.
        counts: how many entries of each list of git.contents there are, and ``commits``.
        parts: the changelog's unreleased parts that hold an entry.

    Raises:
        ToolFailed: ``nothing-to-release``, ``version-contradicts-changes``, ``bad-argument``.
    """
    now = semver.Version.parse(current)
    asked, reasons = _asked_by_changes(counts, parts)
    if not counts.get("commits", 0) or (not asked and not requested):
        raise ToolFailed("nothing-to-release", f"no feature, fix or other change that users see since {current}",
                         "Name the part to raise (--version patch) to release all the same.")  # fmt: skip
    # semver.org, item 4: in 0.x anything may change; by convention a breaking change raises the minor part.
    needed = "minor" if asked == "major" and now.major == 0 else asked
    why = ", ".join(reasons) or "no change that asks for more"
    if needed != asked:
        why += "; before 1.0.0 a breaking change raises the minor part"
    if not requested:
        return Decision(str(now.next_version(needed)), needed, why)
    version, bump = _requested(now, requested)
    if _ORDER.index(bump) < _ORDER.index(needed):
        raise ToolFailed(
            "version-contradicts-changes",
            f"{requested} was asked for, but the changes ask for a {needed} version: {why}",
            f"Ship {now.next_version(needed)}, or leave the version out.",
        )
    return Decision(str(version), bump, f"requested ({requested}); {why}")


def _asked_by_changes(counts: Mapping[str, int], parts: Sequence[str]) -> tuple[str, list[str]]:
    names = (
        ("breaking", "major", "breaking change"), ("features", "minor", "feature"), ("fixes", "patch", "fix"),
        ("improvements", "patch", "improvement"), ("dependencies", "patch", "dependency update"),
    )  # fmt: skip
    asked, reasons = "", []
    for name, part, word in names:
        if number := counts.get(name, 0):
            reasons.append(f"{number} {_plural(word, number)}")
            asked = max(asked, part, key=_ORDER.index)
    for heading in parts:
        part = _PARTS.get(heading.casefold(), "")
        if _ORDER.index(part) > _ORDER.index(asked):
            asked = part
            reasons.append(f"the changelog's {heading}")
    return asked, reasons


def _plural(word: str, number: int) -> str:
    if number == 1:
        return word
    return word + ("es" if word.endswith("x") else "s")


def _requested(now: semver.Version, requested: str) -> tuple[semver.Version, str]:
    if requested in _ORDER[1:]:
        return now.next_version(requested), requested
    if not grammar.is_version(requested):
        raise ToolFailed("bad-argument", f"{requested[:60]!r} is no version and none of major, minor, patch")
    version = semver.Version.parse(requested)
    if version.prerelease or version.build:
        raise ToolFailed("not-supported", f"{requested} is a pre-release or holds build data; only X.Y.Z is released")
    if version <= now:
        raise ToolFailed("version-contradicts-changes", f"{requested} was asked for, but {now} is released already",
                         f"Ask for more than {now}, or leave the version out.")  # fmt: skip
    grown = next(
        part
        for part in ("major", "minor", "patch")
        if version[_ORDER[::-1].index(part)] != now[_ORDER[::-1].index(part)] or part == "patch"
    )
    lower = {"major": (version.minor, version.patch), "minor": (version.patch,), "patch": ()}[grown]
    if any(lower):
        raise ToolFailed(
            "version-contradicts-changes",
            f"{requested} raises the {grown} part of {now}, so the parts after it must be 0",
            f"Ask for {now.next_version(grown)}.",
        )
    return version, grown
