"""The forge's memory: DIR/forge.db."""

from __future__ import annotations

import json
import sqlite3
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SCHEMA = """
CREATE TABLE labels (name TEXT PRIMARY KEY, color TEXT NOT NULL, description TEXT NOT NULL);
CREATE TABLE threads (
  number INTEGER PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL, author TEXT NOT NULL,
  state TEXT NOT NULL, labels TEXT NOT NULL DEFAULT '[]', created TEXT NOT NULL, updated TEXT NOT NULL, closed TEXT,
  head TEXT NOT NULL DEFAULT '', base TEXT NOT NULL DEFAULT '', head_sha TEXT NOT NULL DEFAULT '',
  base_sha TEXT NOT NULL DEFAULT '', draft INTEGER NOT NULL DEFAULT 0,
  merge_sha TEXT NOT NULL DEFAULT '', merged TEXT, merged_by TEXT NOT NULL DEFAULT '',
  reviews TEXT NOT NULL DEFAULT '[]',
  landed TEXT NOT NULL DEFAULT '[]'); -- the commits of its base that a rebase made of it
CREATE TABLE comments (
  id INTEGER PRIMARY KEY, thread INTEGER NOT NULL, author TEXT NOT NULL, body TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE releases (
  id INTEGER PRIMARY KEY, tag TEXT NOT NULL UNIQUE, name TEXT NOT NULL, body TEXT NOT NULL, author TEXT NOT NULL,
  target TEXT NOT NULL, draft INTEGER NOT NULL, prerelease INTEGER NOT NULL, created TEXT NOT NULL, published TEXT);
CREATE TABLE checks (
  id INTEGER PRIMARY KEY, sha TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, conclusion TEXT,
  started TEXT NOT NULL, completed TEXT, summary TEXT NOT NULL, branch TEXT NOT NULL DEFAULT '', UNIQUE (sha, name));
CREATE TABLE statuses (
  id INTEGER PRIMARY KEY, sha TEXT NOT NULL, context TEXT NOT NULL, state TEXT NOT NULL, description TEXT NOT NULL,
  created TEXT NOT NULL);
CREATE TABLE milestones (
  number INTEGER PRIMARY KEY, title TEXT NOT NULL, state TEXT NOT NULL, created TEXT NOT NULL, closed TEXT);
CREATE TABLE deployments (
  id INTEGER PRIMARY KEY, environment TEXT NOT NULL, sha TEXT NOT NULL, ref TEXT NOT NULL, state TEXT NOT NULL,
  description TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE required (
  branch TEXT NOT NULL, source TEXT NOT NULL CHECK (source IN ('protection', 'rules')), context TEXT NOT NULL);
"""
Row = dict[str, Any]


def now() -> str:
    """The time as GitHub writes it."""
    return stamp(datetime.now(UTC).timestamp())


def stamp(seconds: float) -> str:
    """A time since 1970 as GitHub writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """One connection under one lock: the supervisor's threads share it."""

    def __init__(self, file: Path) -> None:
        fresh = not file.exists()
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        # The world does not outlive a power cut; waiting for the disk would make every test slower.
        self._connection.execute("PRAGMA synchronous = OFF")
        if fresh:
            self._connection.executescript(SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def rows(self, sql: str, *values: object) -> list[Row]:
        """The rows of a query."""
        with self._lock:
            return [dict(row) for row in self._connection.execute(sql, values)]

    def row(self, sql: str, *values: object) -> Row | None:
        """The first row of a query."""
        return next(iter(self.rows(sql, *values)), None)

    def put(self, table: str, **values: object) -> int:
        """Inserts or replaces a row and returns its number."""
        columns = ", ".join(values)
        marks = ", ".join("?" * len(values))
        flat = [json.dumps(value) if isinstance(value, (list, dict)) else value for value in values.values()]
        with self._lock:
            cursor = self._connection.execute(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})", flat)
            return cursor.lastrowid or 0

    def put_all(self, rows: Iterable[tuple[str, Row]]) -> None:
        """Inserts many rows in one transaction."""
        with self._lock:
            self._connection.execute("BEGIN")
            for table, values in rows:
                self.put(table, **values)
            self._connection.execute("COMMIT")

    def open_thread(self, kind: str, author: str, **values: Any) -> Row:
        """Opens an issue or a pull request under the next number."""
        with self._lock:
            number = self.rows("SELECT coalesce(max(number), 0) + 1 AS number FROM threads")[0]["number"]
            common = {
                "number": number,
                "kind": kind,
                "author": author,
                "state": "OPEN",
                "created": now(),
                "updated": now(),
            }
            self.put("threads", **common, **values)
            return self.thread(number, kind) or {}

    def thread(self, number: int, kind: str) -> Row | None:
        """An issue or a pull request."""
        return self.row("SELECT * FROM threads WHERE number = ? AND kind = ?", number, kind)

    def threads(self, kind: str) -> list[Row]:
        """All issues or all pull requests, newest first."""
        return self.rows("SELECT * FROM threads WHERE kind = ? ORDER BY number DESC", kind)

    def update(self, number: int, **values: Any) -> Row:
        """Changes fields of an issue or a pull request, and returns it."""
        with self._lock:
            row = self.rows("SELECT * FROM threads WHERE number = ?", number)[0]
            changed = {**row, **values, "updated": now()}
            self.put("threads", **changed)
            return self.thread(number, row["kind"]) or {}

    def queued(self, sha: str, name: str, branch: str) -> None:
        """Records a check run that waits (see ci.Board)."""
        self.put("checks", sha=sha, name=name, branch=branch, status="queued", started=now(), summary="")

    def check(self, sha: str, name: str, status: str, conclusion: str | None, summary: str) -> None:
        """Records a check run's state (see ci.Board)."""
        old = self.row("SELECT id, branch, started FROM checks WHERE sha = ? AND name = ?", sha, name)
        kept: Row = dict(old) if old else {"started": now()}
        completed = now() if status == "completed" else None
        values: Row = {"sha": sha, "name": name, "status": status, "conclusion": conclusion}
        self.put("checks", **kept, **values, completed=completed, summary=summary)

    def status(self, sha: str, context: str, state: str, description: str) -> None:
        """Records a commit status (see ci.Board); the newest one of a context counts."""
        self.put("statuses", sha=sha, context=context, state=state, description=description, created=now())
