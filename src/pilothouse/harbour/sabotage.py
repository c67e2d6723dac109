"""What the faults do that are done at once, when the switch is turned: to a database or to the remote."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from pilothouse.harbour import promotion, provision, story
from pilothouse.harbour.changes import product
from pilothouse.harbour.history import git, push

if TYPE_CHECKING:
    from pathlib import Path

    from pilothouse.harbour.world import Layout

TAG = "refs/tags/v1.4.0"
DRIFT = "items_by_label"
SKIPPED = "0006_name_index"
PUSHES = {
    "main-diverged": ("README.md", "docs: a word on support", "lin"),
    "main-moves-after-deploy": ("README.md", "docs: a word on opening hours", "lin"),
    "main-conflicts-after-deploy": ("CHANGELOG.md", "docs: the changelog tells about gift cards", "noor"),
}
# On staging the end of README.md has changed: there, what somebody pushes must go together with what is promoted.
BESIDE = "docs/support.md"


def turn(folder: Path, fault: str, *, on: bool) -> None:
    """Makes or undoes the lasting effect of a fault; does nothing for the others."""
    match fault:
        case "tag-conflict":
            _tag(folder / "origin.git", on=on)
        case "migration-fails":
            _drift(folder / "production" / "app.db", on=on)
        case "unexpected-migration":
            _skip(folder / "production" / "app.db", on=on)
        case "archive-missing":
            _unarchive(folder / "origin.git", on=on)
        case "ticket-missing":
            _untrack(folder / "linear.db", on=on)


def somebody(origin: Path, fault: str, layout: Layout) -> tuple[str, str]:
    """Somebody pushes to main what a fault says; returns main's old and new sha."""
    path, message, author = PUSHES[fault]
    text = git("show", f"refs/heads/main:{path}", cwd=origin) + "\n"
    if (fault, layout) == ("main-diverged", "promotion"):
        path, text = BESIDE, "# Support\n"
    if fault == "main-conflicts-after-deploy":
        text = text.replace("## [Unreleased]\n\n", "## [Unreleased]\n\n### Changed\n\n- Gift cards never expire\n\n", 1)
        text = text.replace("...HEAD", "...main", 1)
    else:
        text += f"\n{message.removeprefix('docs: ').capitalize()}: ask in the harbour office.\n"
    return push(origin, "refs/heads/main", path, text, message, author)


def _unarchive(origin: Path, *, on: bool) -> None:
    """An archive that is lost; it comes back as one that is written late. History stays as it is in both cases."""
    path, text = promotion.archive(next(change for change in story.since() if change.number == promotion.UNARCHIVED))
    there = bool(git("ls-tree", "--name-only", promotion.ARCHIVES, "--", path, cwd=origin))
    if there == on:
        what = "lost" if on else "written late"
        message = f"docs(archive): pull request #{promotion.UNARCHIVED} is {what}"
        push(origin, promotion.ARCHIVES, path, None if on else text, message, "noor")


def _untrack(linear: Path, *, on: bool) -> None:
    """Linear shows what it deleted to nobody; the comments of one that comes back are there again."""
    if on:
        with closing(sqlite3.connect(linear, timeout=5)) as connection, connection:
            connection.execute("DELETE FROM tickets WHERE key = ?", (promotion.UNTRACKED,))
    else:
        known = promotion.tickets(story.since())
        provision.linear(linear, [ticket for ticket in known if ticket.key == promotion.UNTRACKED])


def _tag(origin: Path, *, on: bool) -> None:
    other = git("rev-parse", "refs/heads/next", cwd=origin)
    if on:
        git("update-ref", TAG, other, "", cwd=origin)
    elif git("for-each-ref", "--format=%(objectname)", TAG, cwd=origin) == other:
        git("update-ref", "-d", TAG, other, cwd=origin)


def _drift(database: Path, *, on: bool) -> None:
    """Somebody made the index of migration 0007 by hand, on another column: its second statement fails."""
    with closing(sqlite3.connect(database, timeout=5)) as connection, connection:
        table = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (DRIFT,)).fetchone()
        if on and not table:
            connection.execute(f"CREATE INDEX {DRIFT} ON items (category)")
        elif not on and table and "category" in table[0]:
            connection.execute(f"DROP INDEX {DRIFT}")


def _skip(database: Path, *, on: bool) -> None:
    with closing(sqlite3.connect(database, timeout=5)) as connection, connection:
        if on:
            connection.execute("DROP INDEX IF EXISTS items_by_name")
            connection.execute("DELETE FROM migrations WHERE name = ?", (SKIPPED,))
        elif not connection.execute("SELECT 1 FROM migrations WHERE name = ?", (SKIPPED,)).fetchone():
            sql = product()[f"migrations/{SKIPPED}.sql"]
            connection.executescript(sql)
            row = (SKIPPED, hashlib.sha256(sql.encode()).hexdigest())
            connection.execute("INSERT INTO migrations VALUES (?, ?)", row)
