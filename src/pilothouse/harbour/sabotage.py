"""What the faults do that are done at once, when the switch is turned: to a database or to the remote."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from pilothouse.harbour.changes import product
from pilothouse.harbour.history import git

if TYPE_CHECKING:
    from pathlib import Path

TAG = "refs/tags/v1.4.0"
DRIFT = "items_by_label"
SKIPPED = "0006_name_index"


def turn(folder: Path, fault: str, *, on: bool) -> None:
    """Makes or undoes the lasting effect of a fault; does nothing for the others."""
    match fault:
        case "tag-conflict":
            _tag(folder / "origin.git", on=on)
        case "migration-fails":
            _drift(folder / "production" / "app.db", on=on)
        case "unexpected-migration":
            _skip(folder / "production" / "app.db", on=on)


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
