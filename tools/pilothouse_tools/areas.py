"""Which part of a product a path belongs to, by the globs of ``audit.areas``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pilothouse.canonical import Json

OTHER = "other"
_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_MEANING = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def pattern(glob: str) -> re.Pattern[str]:
    """A glob as a regular expression: ``*`` and ``?`` stay within a folder, ``**`` crosses folders.

    A glob that names a folder means everything in it.
    """
    parts = _PARTS.findall(glob.removeprefix("./").rstrip("/"))
    return re.compile("".join(_MEANING.get(part) or re.escape(part) for part in parts) + "(?:/.*)?", re.DOTALL)


@dataclass(slots=True)
class Changes:
    """Files and lines that changed."""

    files: int = 0
    insertions: int = 0
    deletions: int = 0

    def add(self, insertions: int, deletions: int) -> None:
        """Another file; a binary one has no lines."""
        self.files += 1
        self.insertions += insertions
        self.deletions += deletions

    def facts(self) -> dict[str, Json]:
        """As the facts have it."""
        return {"files": self.files, "insertions": self.insertions, "deletions": self.deletions}


def changes(data: bytes, areas: Mapping[str, Sequence[str]], folder: str = "") -> tuple[list[Json], Changes]:
    """Changes by area, in the configured order, and all of them.

    Args:
        data: what ``git diff-tree -r -z --numstat --no-renames`` says.
        areas: globs by the area's name, relative to the product; the first area that matches has the file.
        folder: the product's in the repository, empty where it is the whole; what lies outside is ``other``.

    Raises:
        ValueError: that is no such output.
    """
    known = {name: [pattern(glob) for glob in globs] for name, globs in areas.items() if name != OTHER}
    by_area = {name: Changes() for name in (*known, OTHER)}
    everything = Changes()
    prefix = f"{folder}/" if folder else ""
    for record in data.split(b"\0")[:-1]:
        added, removed, raw = record.split(b"\t", 2)
        lines = (0, 0) if added == b"-" else (int(added), int(removed))
        path = raw.decode("utf-8", "surrogateescape")
        inside = path.removeprefix(prefix) if path.startswith(prefix) else None
        area = next(
            (name for name, globs in known.items() if inside and any(g.fullmatch(inside) for g in globs)), OTHER
        )
        by_area[area].add(*lines)
        everything.add(*lines)
    listed: list[Json] = [{"area": name, **found.facts()} for name, found in by_area.items()]
    return listed, everything
