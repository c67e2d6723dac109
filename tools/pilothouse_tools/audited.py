"""What an auditor holds the records against: the base branch's first-parent line, the audit branch, the deployments.

The git part needs no more than a function that runs one git command in a repository in which the commits are, so that
the export (in the scratch repository) and the proof (in an auditor's clone) read the same things in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse_tools import forge, grammar
from pilothouse_tools.records import ROOT
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

Read = Callable[..., bytes]  # the arguments of a git command to its whole output; stdin= is what it reads
Row = dict[str, str]

ANCHOR = re.compile(r"^Pilothouse-Ledger: ([0-9]{1,16}) ([0-9a-f]{64})$", re.MULTILINE)
_COVERING = ("git.promote", "git.merge")  # the acts that move the base branch


def moment(text: str) -> str:
    """A time in UTC to the second, so that times of all sources compare as text; empty: it is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return ""


def within(at: str, start: str, end: str) -> bool:
    """Whether a time lies in a period of days, both ends included (YYYY-MM-DD, UTC)."""
    return start <= moment(at)[:10] <= end


def of_period(line: list[Row], start: str, end: str) -> list[Row]:
    """The commits of a first-parent line that belong to a period.

    A commit came onto the line after all that it stands on, whatever time it carries. So the latest time up to it
    counts: one that is dated back stays in the period in which it came. Its own time counts, too, because one that is
    dated ahead must not take along all that follows it.

    Args:
        line: the whole line, oldest first; see ``line_of``.
        start: the first day, YYYY-MM-DD in UTC.
        end: the last day.
    """
    latest, found = "", []
    for row in line:
        latest = max(latest, row["at"])
        if within(latest, start, end) or within(row["at"], start, end):
            found.append(row)
    return found


def line_of(read: Read, head: str) -> list[Row]:
    """The first-parent line up to a commit, oldest first: ``sha``, ``at`` (committed, UTC), ``author``, ``subject``."""
    log = read("log", "-z", "--first-parent", "--reverse", "--no-color", "--no-show-signature", "--no-notes",
               "--format=%H%x1f%cI%x1f%an%x1f%s", "--end-of-options", head, "--")  # fmt: skip
    rows = []
    for line in log.decode("utf-8", "replace").split("\0"):
        if line:
            sha, at, author, subject = line.split("\x1f", 3)
            rows.append({"sha": sha, "at": moment(at), "author": author, "subject": one_line(subject)})
    return rows


def reached(read: Read, record: dict[str, Json]) -> frozenset[str]:
    """The commits that a record answers for: the range that its acts brought to the base branch, and its own."""
    own = record.get("own_commits")
    mine = frozenset(str(sha) for sha in own) if isinstance(own, list) else frozenset()
    acts, one, other = record.get("acts"), record.get("from"), record.get("to")
    landed = isinstance(acts, list) and any(
        isinstance(act, dict) and act.get("tool") in _COVERING and act.get("state") == "done" for act in acts
    )
    if not landed or not isinstance(one, dict) or not isinstance(other, dict):
        return mine
    start, end = str(one.get("sha")), str(other.get("sha"))
    if not grammar.is_sha(start) or not grammar.is_sha(end):
        return mine
    try:
        listed = read("rev-list", "--end-of-options", end, f"^{start}", "--")
    except ToolFailed:  # a commit that no branch has any more: then it is on no line, either
        return mine
    return mine | frozenset(listed.decode().split())


def files_on(read: Read, commit: str) -> dict[str, bytes]:
    """Every file below releases/ at a commit, path to bytes."""
    found = []
    for line in read("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit, "--", ROOT).split(b"\0")[:-1]:
        head, _, path = line.decode("utf-8", "surrogateescape").partition("\t")
        _, kind, sha = head.split(" ")
        if kind == "blob" and grammar.is_path(path):
            found.append((path, sha))
    data = read("cat-file", "--batch", stdin="".join(f"{sha}\n" for _, sha in found).encode()) if found else b""
    files, at = {}, 0
    for path, sha in found:
        end = data.index(b"\n", at)
        name, _, size = data[at:end].decode().split(" ")
        if name != sha:
            raise ToolFailed("git-failed", "git cat-file answered another object than was asked for")
        files[path] = data[end + 1 : end + 1 + int(size)]
        at = end + 2 + int(size)
    return files


def rewritten(read: Read, commit: str) -> list[str]:
    """Files below releases/ that some commit of a branch's history changed or removed, each once."""
    log = read("log", "-m", "-z", "--no-color", "--no-show-signature", "--no-notes", "--no-renames", "--no-ext-diff",
               "--diff-filter=MDT", "--name-only", "--format=", "--end-of-options", commit, "--", ROOT)  # fmt: skip
    return sorted({name.decode("utf-8", "replace").strip("\n") for name in log.split(b"\0") if name.strip(b"\n")})


def anchors(read: Read) -> list[tuple[str, int, str]]:
    """What the messages of annotated tags say of the ledger: tag, sequence number, hash."""
    listed = read("for-each-ref", "--format=%(refname:strip=2)%00%(contents)%00%1e", "refs/tags")
    found = []
    for block in listed.decode("utf-8", "replace").split("\x1e"):
        name, _, body = block.strip("\n").partition("\0")
        found += [(name, int(hit[1]), hit[2]) for hit in ANCHOR.finditer(body)]
    return found


def deployments(context: Context, start: str, end: str) -> list[Row]:
    """The forge's deployments to the product's production of a period: ``id``, ``sha``, ``at``, ``environment``.

    Raises:
        ToolFailed, Unreachable: the forge could not be asked; whoever exports lists that, never an empty list.
    """
    promotion = context.product.promotion
    name = promotion.deployment if promotion else "production"
    rows = []
    for item in forge.pages(context, forge.path(context, "deployments"), {"environment": name}):
        at = moment(forge.word(item, "created_at"))
        if within(at, start, end):
            rows.append({"id": str(forge.number(item, "id")), "sha": forge.word(item, "sha"), "at": at,
                         "environment": forge.word(item, "environment")})  # fmt: skip
    return rows
