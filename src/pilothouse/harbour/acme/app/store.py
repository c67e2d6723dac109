"""The items of the shop, kept in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COLUMNS = ("id", "name", "price", "stock", "category")
Item = dict[str, object]


class Rejected(ValueError):
    """What the customer sent is no item."""


class Store:
    """One database file; a connection a call, so that threads and a restore get along."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(f"file:{self.path}?mode=rw", uri=True, timeout=5)
        connection.row_factory = sqlite3.Row
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def items(self, query: str = "") -> list[Item]:
        """All items, newest first; with a query those whose name contains it."""
        with self._open() as connection:
            rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM items ORDER BY id DESC LIMIT 200")
            found = [dict(row) for row in rows]
        return [item for item in found if query.lower() in str(item["name"]).lower()]

    def add(self, item: Item) -> Item:
        """Keeps a new item and answers it with its number."""
        name, price = item.get("name"), item.get("price", 0)
        if not isinstance(name, str) or not isinstance(price, int):
            raise Rejected("an item has a name and a price in cents")
        with self._open() as connection:
            cursor = connection.execute("INSERT INTO items (name, price) VALUES (?, ?)", (name, price))
            return {"id": cursor.lastrowid, "name": name, "price": price}

    def identity(self) -> str:
        """The database's own name; fails where the schema is not the one this code needs."""
        with self._open() as connection:
            connection.execute(f"SELECT {', '.join(COLUMNS)} FROM items LIMIT 1").fetchall()
            return str(connection.execute("SELECT name FROM identity").fetchone()[0])
