"""Linear's memory in the sandbox: one SQLite file with tickets and comments, looked into with sqlite3 alone."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, title TEXT NOT NULL, status TEXT NOT NULL, url TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS comments (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    ticket TEXT NOT NULL REFERENCES tickets (id), body TEXT NOT NULL, at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS comments_of ON comments (ticket, number);
"""
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as Linear shows it; ``key`` is what people write (ACME-101), the internal id follows from it."""

    key: str
    title: str
    status: str
    url: str

    @property
    def id(self) -> str:
        """Linear's internal id: a UUID, the same in every world."""
        return str(uuid.uuid5(_NAMESPACE, self.key))


def seed(file: Path, tickets: Iterable[Ticket]) -> None:
    """Make the memory where there is none, and write these tickets into it; a ticket that is there is replaced.

    Args:
        file: the SQLite file.
        tickets: what is to be there.
    """
    rows = [(ticket.id, ticket.key, ticket.title, ticket.status, ticket.url) for ticket in tickets]
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(_SCHEMA)
        connection.executemany("INSERT OR REPLACE INTO tickets VALUES (?, ?, ?, ?, ?)", rows)


def comments_of(file: Path, key: str) -> Iterator[str]:
    """The bodies of a ticket's comments, the oldest first: for tests and for a person who looks."""
    query = "SELECT body FROM comments JOIN tickets ON tickets.id = comments.ticket WHERE key = ? ORDER BY number"
    with closing(sqlite3.connect(file)) as connection:
        yield from [str(body) for (body,) in connection.execute(query, (key,))]
