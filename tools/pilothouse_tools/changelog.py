"""Changelogs in the form of Keep a Changelog 1.1.0 (https://keepachangelog.com): read and finalised as text.

Everything that is not touched stays as it was, line endings included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNRELEASED = re.compile(r"## +(\[)?unreleased\]?[ \t]*", re.IGNORECASE)
_SECTION = re.compile(r"## +\S")
_PART = re.compile(r"### +(.*\S)[ \t]*")
_BULLET = re.compile(r" ?[-*+] +(\S.*)")
_LINK = re.compile(r"\[([^\]]+)\]:[ \t]*(\S+)[ \t]*")
_COMPARE = re.compile(r"(.*/)([^/]+?)(\.{2,3})([^/]+)")
_OTHER = "Other"


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Line numbers of one ``##`` section: its heading, and the first line after it."""

    heading: int
    end: int


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _outside_code(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without those within fenced code."""
    fence = ""
    for number, line in enumerate(lines):
        mark = line.lstrip()[:3]
        if mark in {"```", "~~~"} and (not fence or mark == fence):
            fence = "" if fence else mark
        elif not fence:
            yield number, line


def _bounds(lines: list[str], heading: re.Pattern[str]) -> _Bounds | None:
    start = -1
    for number, line in _outside_code(lines):
        if start < 0:
            start = number if heading.fullmatch(line) else -1
        elif _SECTION.match(line) or _LINK.fullmatch(line):
            return _Bounds(start, number)
    return _Bounds(start, len(lines)) if start >= 0 else None


def _version_heading(version: str) -> re.Pattern[str]:
    return re.compile(rf"## +\[?v?{re.escape(version)}\]?(?:[ \t(].*)?")


def unreleased(text: str) -> dict[str, list[str]] | None:
    """The entries of the Unreleased section by part (Added, Fixed …); None where there is no such section."""
    lines = _lines(text)
    bounds = _bounds(lines, _UNRELEASED)
    return None if bounds is None else _entries(lines[bounds.heading + 1 : bounds.end])


def _entries(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    part, open_entry = _OTHER, False
    for line in lines:
        if heading := _PART.fullmatch(line):
            name = heading.group(1)
            part, open_entry = (name if name.isascii() else _OTHER), False
        elif bullet := _BULLET.fullmatch(line):
            found.setdefault(part, []).append(bullet.group(1).strip())
            open_entry = True
        elif open_entry and line.strip():
            found[part][-1] += " " + line.strip()
        else:
            open_entry = False
    return found


def section(text: str, version: str) -> str:
    """The body of one version's section, without its heading; empty where there is none."""
    lines = _lines(text)
    bounds = _bounds(lines, _version_heading(version))
    return "\n".join(lines[bounds.heading + 1 : bounds.end]).strip("\n") if bounds else ""


def finalise(text: str, version: str, previous: str, date: str, prefix: str) -> str:
    """The changelog with its Unreleased section dated as a version, and an empty one above it.

    Args:
        text: the whole changelog.
        version: of the release, without the tag's prefix.
        previous: the version before it.
        date: YYYY-MM-DD.
        prefix: of tags.

    Raises:
        ToolFailed: ``changelog-unreleased-missing``, ``changelog-has-version``.
    """
    lines = _lines(text)
    bounds = _bounds(lines, _UNRELEASED)
    if bounds is None:
        raise ToolFailed("changelog-unreleased-missing", "the changelog has no section Unreleased",
                         "Add the heading: ## [Unreleased]")  # fmt: skip
    if _bounds(lines, _version_heading(version)):
        raise ToolFailed("changelog-has-version", f"the changelog has a section {version} already",
                         "Choose another version, or rename the section to Unreleased.")  # fmt: skip
    heading = lines[bounds.heading]
    matched = _UNRELEASED.fullmatch(heading)
    name = f"[{version}]" if matched and matched.group(1) else version
    body = _without_empty_parts(lines[bounds.heading + 1 : bounds.end])
    rest = lines[bounds.end :]
    new = [
        *lines[: bounds.heading],
        heading,
        "",
        f"## {name} - {date}",
        *body,
        *([""] if rest else []),
        *_linked(rest, version, previous, prefix),
    ]
    if not rest:
        new.append("")
    joined = "\n".join(new)
    return joined.replace("\n", "\r\n") if "\r\n" in text else joined


def _without_empty_parts(lines: list[str]) -> list[str]:
    """The section's lines without headings under which nothing stands."""
    kept: list[str] = []
    waiting: list[str] = []  # a heading and blank lines, until something follows
    for line in lines:
        if _PART.fullmatch(line):
            waiting = ["", line]
        elif not line.strip():
            waiting.append(line)
        else:
            kept += [*waiting, line]
            waiting = []
    return kept


def _linked(lines: list[str], version: str, previous: str, prefix: str) -> list[str]:
    """The lines with the Unreleased link moved on and the version's link added, in the style that is there."""
    for number, line in enumerate(lines):
        found = _LINK.fullmatch(line)
        if found and found.group(1).casefold() == "unreleased":
            parts = _compared(found.group(2), prefix + previous)
            if parts is None:
                return lines
            start, old, dots, head = parts
            tag = f"{prefix}{version}"
            return [
                *lines[:number],
                f"[{found.group(1)}]: {start}{tag}{dots}{head}",
                f"[{version}]: {start}{old}{dots}{tag}",
                *lines[number + 1 :],
            ]
    return lines


def _compared(url: str, previous: str) -> tuple[str, str, str, str] | None:
    """A comparison's URL as what comes before, the older ref, the dots and the newer ref."""
    for dots in ("...", ".."):
        left, found, head = url.rpartition(dots)
        if found and left.endswith("/" + previous):  # a tag may itself hold slashes
            return left.removesuffix(previous), previous, dots, head
    match = _COMPARE.fullmatch(url)
    return (match[1], match[2], match[3], match[4]) if match else None
