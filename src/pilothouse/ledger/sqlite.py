"""The journal on SQLite: one file on a local disk, no server. WAL with full synchronisation, every append durable."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from pilothouse.errors import LedgerCorrupt, LedgerError
from pilothouse.ledger import aside, rules, schema
from pilothouse.ports import EMPTY, Head, Lease

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pilothouse.events import Event, Fact
    from pilothouse.ledger.chain import Row

# The casts: somebody with a shell may have left a text or a number where bytes were.
_LAST = "SELECT seq, CAST(hash AS TEXT), CAST(entry AS BLOB) FROM events WHERE chain = ? ORDER BY seq DESC LIMIT 1"
_AT = "SELECT CAST(hash AS TEXT) FROM events WHERE chain = ? AND seq = ?"
_FROM = (
    "SELECT CAST(seq AS INTEGER), CAST(hash AS TEXT), CAST(entry AS BLOB) FROM events"
    " WHERE chain = ? AND seq >= ? ORDER BY seq"
)
_INSERT = "INSERT INTO events (chain, seq, run, kind, at, hash, entry) VALUES (?, ?, ?, ?, ?, ?, ?)"
_LEASE = "SELECT holder, fence, expires_at FROM lease WHERE chain = ?"
_KEEP_LEASE = "INSERT OR REPLACE INTO lease (chain, holder, fence, expires_at) VALUES (?, ?, ?, ?)"


class SqliteJournal:
    """Implements ``ports.Journal``. One object may be used from several threads; processes open one each.

    Args:
        path: the file; made, with its folder, where it does not exist.
        read_only: for readers: nothing is made or changed, every write is refused.

    Raises:
        LedgerCorrupt: the file is cut short, not a ledger, or of a newer version; it stays as it is.
        LedgerError: it cannot be opened (``ledger-missing`` when only reading).
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._lock = threading.RLock()
        self._connection = schema.connect(path, read_only=read_only)
        with schema.translated(path):
            self._inode = path.stat().st_ino
        self._seen: dict[str, Head] = {}

    def append(
        self,
        chain: str,
        run: str,
        facts: Iterable[Fact],
        at: str,
        *,
        expect: Head | None = None,
        lease: Lease | None = None,
        first: tuple[str, Fact] | None = None,
    ) -> tuple[Event, ...]:
        """Append facts as one atomic, durable batch; see ``ports.Journal``."""
        with self._transaction() as connection:
            if lease is not None:
                rules.demand_lease(self._lease(connection, chain), lease, chain, at)
            head = self._sound_head(connection, chain)
            rules.demand_head(chain, expect, head)
            grown = rules.extend(chain, head, run, facts, at, first)
            rows = [(chain, event.seq, event.run, event.kind, at, event.hash, data) for event, data in grown]
            connection.executemany(_INSERT, rows)
        last = grown[-1][0]
        self._seen[chain] = Head(last.seq, last.hash)
        return tuple(event for event, _ in grown)

    def take(self, chain: str, rows: list[Row], *, keep: Head, expect: Head, keeps_lease: bool = False) -> None:
        """Continue a chain with rows that were written elsewhere, each checked against its hash and the one before.

        Args:
            chain: which.
            rows: the first continues ``keep``.
            keep: after which entry; what stands behind it is set aside first (``ledger/aside.py``).
            expect: the head must still be this one.
            keeps_lease: whether a conductor on this disk keeps its lease although entries are set aside.

        Raises:
            ChainMoved: ``expect`` is not the head any more, or ``keep`` is not there.
            LedgerCorrupt: the rows do not hold together; nothing was changed.
        """
        with self._transaction() as connection:
            head = self._sound_head(connection, chain)
            rules.demand_head(chain, expect, head)
            kept = connection.execute(_AT, (chain, keep.seq)).fetchone()
            rules.demand_head(chain, keep, Head(keep.seq, kept[0]) if kept else EMPTY)
            events = rules.follow(chain, keep, rows)
            if head != keep:
                self._set_aside(connection, chain, keep, keeps_lease=keeps_lease)
            data = [
                (chain, event.seq, event.run, event.kind, event.at, event.hash, row[2])
                for event, row in zip(events, rows, strict=True)
            ]
            connection.executemany(_INSERT, data)
        self._seen[chain] = Head(rows[-1][0], rows[-1][1]) if rows else keep

    def _set_aside(self, connection: sqlite3.Connection, chain: str, keep: Head, *, keeps_lease: bool) -> None:
        tail: list[Row] = connection.execute(_FROM, (chain, keep.seq + 1)).fetchall()
        aside.keep(self.path.parent, chain, tail)
        connection.execute("DELETE FROM events WHERE chain = ? AND seq > ?", (chain, keep.seq))
        lease = self._lease(connection, chain)
        if lease is not None and not keeps_lease:
            # The fence rises, so that a conductor on this disk that counts on these entries appends nothing more.
            self._keep(connection, rules.released(replace(lease, fence=lease.fence + 1)))

    def read(self, chain: str, *, after: int = 0) -> tuple[Event, ...]:
        """The events with ``seq > after``, each checked against its hash and the entry before."""
        rows = self.entries(chain, start=after)
        if after and rows and rows[0][0] == after:
            return rules.follow(chain, Head(after, rows[0][1]), rows[1:])
        return rules.follow(chain, EMPTY, rows)

    def entries(self, chain: str, *, start: int = 0) -> list[Row]:
        """The stored rows from a sequence number on, unchecked, for ``chain.verify`` and exports."""
        with self._lock, schema.translated(self.path):
            return self._connection.execute(_FROM, (chain, start)).fetchall()

    def head(self, chain: str) -> Head:
        """The end of a chain."""
        with self._lock, schema.translated(self.path):
            return self._sound_head(self._connection, chain)

    def chains(self) -> tuple[str, ...]:
        """The names of all chains that hold an event, sorted."""
        # Jumps from name to name in the index; DISTINCT would read every entry.
        query = (
            "WITH RECURSIVE names(chain) AS (SELECT min(chain) FROM events UNION ALL"
            " SELECT (SELECT min(chain) FROM events WHERE chain > names.chain) FROM names"
            " WHERE names.chain IS NOT NULL)"
            " SELECT chain FROM names WHERE chain IS NOT NULL"
        )
        with self._lock, schema.translated(self.path):
            return tuple(name for (name,) in self._connection.execute(query))

    def acquire(self, chain: str, holder: str, now: str, seconds: int) -> Lease:
        """Take the lease of a chain, or one's own again with a higher fence."""
        with self._transaction() as connection:
            lease = rules.grant(self._lease(connection, chain), chain, holder, now, seconds)
            self._keep(connection, lease)
        return lease

    def renew(self, lease: Lease, now: str, seconds: int) -> Lease:
        """Extend the lease."""
        with self._transaction() as connection:
            longer = rules.extended(self._lease(connection, lease.chain), lease, now, seconds)
            self._keep(connection, longer)
        return longer

    def holder(self, chain: str) -> Lease | None:
        """The lease as it is stored; None where nobody holds it."""
        with self._lock, schema.translated(self.path):
            lease = self._lease(self._connection, chain)
        return lease if lease is not None and lease.holder else None

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing where it is not current any more."""
        with self._transaction() as connection:
            if rules.is_current(self._lease(connection, lease.chain), lease):
                self._keep(connection, rules.released(lease))

    def sync(self) -> None:
        """Nothing: every append is on this machine's disk already."""

    def close(self) -> None:
        """Close the file."""
        with self._lock, schema.translated(self.path):
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, alone among writers; whatever fails leaves nothing behind."""
        if self.read_only:
            raise LedgerError("ledger-read-only", f"{self.path} was opened for reading only")
        with self._lock, schema.translated(self.path):
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                self._demand_same_file()
                connection.execute("COMMIT")
            except BaseException:
                # SQLite has ended the transaction by itself where the disk is full.
                with suppress(sqlite3.Error):
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise

    def _demand_same_file(self) -> None:
        """A ledger that was removed or replaced would take our entries and lose them."""
        try:
            same = self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            same = False
        if not same:
            hint = "Nothing was written. Put the ledger back, then: pilothouse resume"
            raise LedgerCorrupt("ledger-replaced", f"{self.path} was removed or replaced while in use", hint)

    def _sound_head(self, connection: sqlite3.Connection, chain: str) -> Head:
        """The head, whose bytes must match its hash, and which must have grown from the head seen last."""
        row = connection.execute(_LAST, (chain,)).fetchone()
        head = Head(row[0], row[1]) if row else EMPTY
        if row and sha256(row[2]).hexdigest() != head.hash:
            raise LedgerCorrupt("ledger-broken-chain", f"{chain}: entry {head.seq} was changed", rules.BROKEN)
        seen = self._seen.get(chain, EMPTY)
        if seen not in (head, EMPTY):
            kept = connection.execute(_AT, (chain, seen.seq)).fetchone()
            gone = kept is None or kept[0] != seen.hash or head.seq < seen.seq
            if gone and not aside.holds(self.path.parent, chain, seen):
                message = f"{chain}: entry {seen.seq}, which was there before, is gone or another one"
                raise LedgerCorrupt("ledger-broken-chain", message, rules.BROKEN)
        self._seen[chain] = head
        return head

    def _lease(self, connection: sqlite3.Connection, chain: str) -> Lease | None:
        row = connection.execute(_LEASE, (chain,)).fetchone()
        if row is None:
            return None
        try:
            lease = Lease(chain, str(row[0]), int(row[1]), str(row[2]))
            if lease.holder:
                rules.moment(lease.expires_at)
        except ValueError as error:
            raise LedgerCorrupt(
                "ledger-malformed", f"the lease of {chain} is unreadable: {error}", rules.BROKEN
            ) from error
        return lease

    def _keep(self, connection: sqlite3.Connection, lease: Lease) -> None:
        connection.execute(_KEEP_LEASE, (lease.chain, lease.holder, lease.fence, lease.expires_at))
