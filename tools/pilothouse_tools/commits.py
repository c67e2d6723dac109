"""What a range of commits means: entries for people, numbers of pull requests, tickets.

The parser is lean on purpose: one pass over the bytes of one ``git log -z``. Fields are separated by NUL, which neither
a message nor a path can hold, so no commit can forge another's fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilothouse.canonical import Json

# --topo-order: children before parents, which reverts and merges rely on.
LOG = ("log", "-z", "--topo-order", "--no-color", "--no-show-signature", "--no-notes", "--no-renames", "--no-ext-diff",
       "--no-textconv", "--numstat", "--format=@%H%x00%P%x00%an%x00%s%x00%b%x00")  # fmt: skip
_CONVENTIONAL = re.compile(r"([a-zA-Z]+)(?:\(([^()]*)\))?(!)?: +(\S.*)")
_SQUASH = re.compile(r"\(#(\d{1,9})\)\s*$")
_MERGE = re.compile(r"Merge pull request #(\d{1,9}) |Merge pull request '.*' \(#(\d{1,9})\) from ")
_BREAKING = re.compile(r"^BREAKING[ -]CHANGE: *(.*(?:\n(?!\n|[A-Za-z-]+: |[A-Za-z-]+ #).*)*)", re.MULTILINE)
_REVERTS = re.compile(r"^This reverts commit ([0-9a-f]{40})\b", re.MULTILINE)
_BUMP = re.compile(r"(?:bump|update|upgrade) (?:dependency )?(\S+) from v?(\S+) to v?(\S+)", re.IGNORECASE)
_TICKET = re.compile(r"\b[A-Z][A-Z0-9]{1,9}-[1-9][0-9]{0,6}\b")
# Standards that look like tickets.
NO_TICKET = frozenset(
    {"AES", "CVE", "HTTP", "IEC", "IEEE", "ISO", "MD", "PEP", "RFC", "RSA", "SHA", "TLS", "UTC", "UTF", "WCAG"}
)
_LISTS = {"feat": "features", "feature": "features", "fix": "fixes", "bugfix": "fixes", "perf": "improvements",
          "refactor": "improvements", "revert": "fixes"}  # fmt: skip
_CAP = 500
_SUMMARY = 300


@dataclass(slots=True)
class Commit:
    """One commit as the log tells it."""

    sha: str
    parents: tuple[str, ...]
    author: str
    subject: str
    body: str
    paths: list[bytes] = field(default_factory=list)
    insertions: int = 0
    deletions: int = 0


def parse(data: bytes) -> Iterator[Commit]:
    """The commits of a log made with LOG's arguments, newest first. Raises ValueError on anything else."""
    tokens = data.split(b"\0")
    at, end = 0, len(tokens)
    while at < end:
        head = tokens[at]
        if not head:  # the separators that git writes between and after records
            at += 1
            continue
        if head[:1] != b"@" or at + 4 >= end:
            raise ValueError("not a log of this format")
        author, subject, body = (tokens[at + part].decode("utf-8", "replace") for part in (2, 3, 4))
        commit = Commit(head[1:].decode(), tuple(tokens[at + 1].decode().split()), author, subject, body)
        at += 5
        # A file's line starts with a line feed, a digit or "-" (binary); only the next record starts with "@".
        while at < end and tokens[at][:1] != b"@":
            if tokens[at]:
                added, removed, path = tokens[at].split(b"\t", 2)
                commit.paths.append(path)
                if added[-1:] != b"-":
                    commit.insertions += int(added)
                    commit.deletions += int(removed)
            at += 1
        yield commit


class Contents:
    """Gathers what a range holds. ``folder``: only commits that touch it count (monorepo), empty: all.

    Args:
        commits: newest first.
        older: the range's lower end, not in it.
    """

    def __init__(self, commits: Iterator[Commit], older: str, folder: bytes = b"") -> None:
        self._entries: dict[str, list[Json]] = {
            name: [] for name in ("features", "fixes", "improvements", "dependencies", "breaking")
        }
        self._omitted = 0
        self._paths: set[bytes] = set()
        self._tickets: dict[str, None] = {}
        self._authors: dict[str, None] = {}
        self._pulls: set[int] = set()
        self.descends = False
        self.commits = self.insertions = self.deletions = self.other = 0
        prefix = folder + b"/" if folder else b""
        everything: dict[str, Commit] = {}
        for commit in commits:
            everything[commit.sha] = commit
            # The commit just above the lower end is in the range exactly when the upper end descends from it.
            self.descends = self.descends or older in commit.parents
        chosen = everything if not prefix else _touching(everything, prefix)
        self._gather(chosen, _owners(everything), prefix)

    def _gather(self, commits: dict[str, Commit], owners: dict[str, Commit], prefix: bytes) -> None:
        undone = _undone(commits)
        named: set[str] = set()  # merges whose own commits make entries
        plain: dict[str, int] = {}  # merge -> its commits that make none
        for commit in commits.values():
            self._count(commit, prefix)
            if len(commit.parents) > 1:
                continue
            owner = owners.get(commit.sha)
            if commit.sha not in undone and self._enter(commit, _number(commit, owner)):
                if owner:
                    named.add(owner.sha)
            elif owner:
                plain[owner.sha] = plain.get(owner.sha, 0) + 1
            else:
                self.other += 1
        for sha, unnamed in plain.items():
            merge = commits.get(sha)
            if merge is None or sha in named or not self._enter_merge(merge):
                self.other += unnamed

    def _count(self, commit: Commit, prefix: bytes) -> None:
        self.commits += 1
        for path in commit.paths:
            if not prefix or path.startswith(prefix):
                self._paths.add(path)
        self.insertions += commit.insertions
        self.deletions += commit.deletions
        if commit.author:
            self._authors.setdefault(commit.author[:100])
        number = _number(commit, None)
        if number:
            self._pulls.add(number)
        for text in (commit.subject, commit.body):
            if "-" in text:
                for ticket in _TICKET.findall(text):
                    if ticket.partition("-")[0] not in NO_TICKET:
                        self._tickets.setdefault(ticket)

    def _enter(self, commit: Commit, number: int, subject: str = "") -> bool:
        """Enter a commit under what its subject says; False where it says nothing that a release notes."""
        text = _SQUASH.sub("", subject or commit.subject).strip()
        found = _CONVENTIONAL.fullmatch(text)
        kind, scope, mark, summary = found.groups() if found else ("", "", None, text)
        kind = kind.lower()
        if not found and text.startswith('Revert "'):
            kind = "revert"
        entered = False
        if mark or "BREAKING" in commit.body:
            entered = self._enter_breaking(commit, summary, mark, number)
        # npm's and Dependabot's: chore(deps): bump left-pad from 1.0 to 1.1
        bump = _BUMP.search(summary) if kind in {"", "chore", "build", "deps", "fix"} else None
        if bump and (kind in {"", "deps"} or "deps" in (scope or "") or scope is None):
            name, old, new = (part.strip("`'\".,")[:100] for part in bump.groups())
            self._add("dependencies", {"name": name, "old": old, "new": new, "number": number})
            return True
        if kind in _LISTS:
            self._add(_LISTS[kind], {
                "sha": commit.sha, "summary": summary[:_SUMMARY], "scope": scope or "", "number": number,
                "author": commit.author[:100],
            })  # fmt: skip
            return True
        return entered

    def _enter_breaking(self, commit: Commit, summary: str, mark: str | None, number: int) -> bool:
        footer = _BREAKING.search(commit.body)
        if not footer and not mark:
            return False
        migration = " ".join(footer.group(1).split()) if footer else ""
        self._add(
            "breaking",
            {"summary": summary[:_SUMMARY], "migration": migration[:2000], "number": number, "sha": commit.sha},
        )
        return True

    def _enter_merge(self, merge: Commit) -> bool:
        title = next((line.strip() for line in merge.body.splitlines() if line.strip()), "")
        return bool(title) and self._enter(merge, _number(merge, None), title)

    def _add(self, name: str, entry: dict[str, Json]) -> None:
        entries = self._entries[name]
        if len(entries) < _CAP:
            entries.append(entry)
        else:
            self._omitted += 1

    def facts(self) -> dict[str, Json]:
        """The facts for the ledger: lists of at most 500 entries, newest first, what is left out counted."""
        pulls, tickets, authors = sorted(self._pulls), sorted(self._tickets), sorted(self._authors)
        omitted = self._omitted + sum(max(0, len(items) - _CAP) for items in (pulls, tickets, authors))
        return {
            "commits": self.commits, **self._entries, "other": self.other, "pulls": list(pulls[:_CAP]),
            "tickets": list(tickets[:_CAP]), "authors": list(authors[:_CAP]), "files": len(self._paths),
            "insertions": self.insertions, "deletions": self.deletions, "omitted": omitted,
        }  # fmt: skip


def _number(commit: Commit, owner: Commit | None) -> int:
    """The pull request that a commit came by: its own squash mark, its own merge subject, or its merge's; 0: none."""
    subject = commit.subject
    if subject.endswith(")") and (found := _SQUASH.search(subject)):
        return int(found.group(1))
    if subject.startswith("Merge pull request ") and (found := _MERGE.match(subject)):
        return int(found.group(1) or found.group(2))
    return _number(owner, None) if owner else 0


def _owners(commits: dict[str, Commit]) -> dict[str, Commit]:
    """Each commit that a merge of the main line brought in, and that merge."""
    line: list[Commit] = []
    at = next(iter(commits.values()), None)
    while at is not None:
        line.append(at)
        at = commits.get(at.parents[0]) if at.parents else None
    main = {commit.sha for commit in line}
    owners: dict[str, Commit] = {}
    for merge in reversed(line):  # the oldest merge that brought a commit in is its own
        waiting = list(merge.parents[1:])
        while waiting:
            sha = waiting.pop()
            if sha in commits and sha not in main and sha not in owners:
                owners[sha] = merge
                waiting.extend(commits[sha].parents)
    return owners


def _undone(commits: dict[str, Commit]) -> set[str]:
    """Commits that another commit of the range takes back, and those other commits: together they are nothing."""
    undone: set[str] = set()
    for commit in commits.values():  # newest first: a revert that was itself reverted takes nothing back
        if (
            "This reverts commit " in commit.body
            and commit.sha not in undone
            and (found := _REVERTS.search(commit.body))
        ):
            target = found.group(1)
            if target in commits:
                undone |= {target, commit.sha}
    return undone


def _touching(commits: dict[str, Commit], prefix: bytes) -> dict[str, Commit]:
    """The commits that touch a folder, and the merges that brought one of them in."""
    touching = {sha for sha, commit in commits.items() if any(path.startswith(prefix) for path in commit.paths)}
    touching |= {merge.sha for sha, merge in _owners(commits).items() if sha in touching}
    return {sha: commit for sha, commit in commits.items() if sha in touching}
