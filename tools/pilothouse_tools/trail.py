"""The commits of a range as the audit sees them: who, when, what was said, and which merge brought each one in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Parents before children: the oldest first, as the facts list them.
LOG = ("log", "-z", "--topo-order", "--reverse", "--no-color", "--no-show-signature", "--no-notes", "--no-patch",
       "--no-ext-diff", "--no-textconv", "--format=%H%x00%P%x00%an%x00%ae%x00%at%x00%s%x00%b")  # fmt: skip
_FIELDS = 7
_OWN = re.compile(r"^Pilothouse-Run: (r-[A-Za-z0-9_-]{1,100})\s*$", re.MULTILINE)
_SQUASH = re.compile(r"\(#(\d{1,9})\)\s*$")
_MERGE = re.compile(r"Merge pull request #(\d{1,9}) |Merge pull request '.*' \(#(\d{1,9})\) from ")


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit. ``at`` is when it was written by its author, ISO 8601 in UTC."""

    sha: str
    parents: tuple[str, ...]
    author: str
    email: str
    at: str
    subject: str
    body: str

    @property
    def named(self) -> int:
        """The pull request that its subject names, as forges write it; 0 where there is none. Anybody may write it."""
        found = _SQUASH.search(self.subject) or _MERGE.match(self.subject)
        return int(next(number for number in found.groups() if number)) if found else 0

    @property
    def run(self) -> str:
        """The run that says in a trailer that it made this commit; empty where none does. Anybody may write it."""
        found = _OWN.findall(self.body)
        return str(found[-1]) if found else ""


def parse(data: bytes) -> Iterator[Entry]:
    """The commits of a log made with LOG's arguments, oldest first. Raises ValueError on anything else."""
    tokens = data.split(b"\0")
    if tokens.pop() or len(tokens) % _FIELDS:  # every record ends with NUL, the last one too
        raise ValueError("not a log of this format")
    for at in range(0, len(tokens), _FIELDS):
        sha, parents, author, email, when, subject, body = (
            part.decode("utf-8", "replace") for part in tokens[at : at + _FIELDS]
        )
        moment = datetime.fromtimestamp(int(when), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield Entry(sha, tuple(parents.split()), author, email, moment, subject, body)


def brought(entries: Sequence[Entry], merges: Mapping[str, int]) -> dict[str, set[int]]:
    """The commits that merges brought in: what is behind their other parents and not behind their first.

    Args:
        entries: a range, parents before children.
        merges: merge commits of the range, and the number of the pull request that each one is of.

    Returns:
        The numbers by commit; the merges themselves are not among them.
    """
    places = {entry.sha: place for place, entry in enumerate(entries)}
    behind: list[int] = []  # for each commit, the places of itself and all before it as the bits of one number
    found: dict[str, set[int]] = {}
    for place, entry in enumerate(entries):
        above = [behind[places[parent]] if parent in places else 0 for parent in entry.parents]
        everything = 1 << place
        for bits in above:
            everything |= bits
        behind.append(everything)
        number = merges.get(entry.sha)
        if number is None or len(above) < 2:
            continue
        theirs = 0
        for bits in above[1:]:
            theirs |= bits
        theirs &= ~above[0]
        while theirs:
            lowest = theirs & -theirs
            found.setdefault(entries[lowest.bit_length() - 1].sha, set()).add(number)
            theirs ^= lowest
    return found
