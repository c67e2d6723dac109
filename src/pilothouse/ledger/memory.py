"""The journal in memory: for tests, dry runs and the fold of a plan; the same contract, nothing survives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pilothouse.ledger import rules
from pilothouse.ports import EMPTY, Head, Lease

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilothouse.events import Event, Fact
    from pilothouse.ledger.chain import Row


class MemoryJournal:
    """Implements ``ports.Journal``; holds the same bytes as the durable adapters, so that a chain can be verified."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = {}
        self._leases: dict[str, Lease] = {}
        self._lock = threading.RLock()

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
        """Append facts as one batch; see ``ports.Journal``."""
        with self._lock:
            head = self.head(chain)
            rules.demand_lease(self._leases.get(chain), lease, chain, at)
            rules.demand_head(chain, expect, head)
            grown = rules.extend(chain, head, run, facts, at, first)
            self._rows.setdefault(chain, []).extend((event.seq, event.hash, data) for event, data in grown)
        return tuple(event for event, _ in grown)

    def read(self, chain: str, *, after: int = 0) -> tuple[Event, ...]:
        """The events with ``seq > after``."""
        rows = self.entries(chain)
        start = Head(after, rows[after - 1][1]) if 0 < after <= len(rows) else EMPTY
        return rules.follow(chain, start, rows[after:])

    def entries(self, chain: str, *, start: int = 0) -> list[Row]:
        """The stored rows from a sequence number on, for ``chain.verify`` and exports."""
        with self._lock:
            return self._rows.get(chain, [])[max(0, start - 1) :]

    def head(self, chain: str) -> Head:
        """The end of a chain."""
        with self._lock:
            rows = self._rows.get(chain)
            return Head(rows[-1][0], rows[-1][1]) if rows else EMPTY

    def chains(self) -> tuple[str, ...]:
        """The names of all chains that hold an event, sorted."""
        with self._lock:
            return tuple(sorted(self._rows))

    def acquire(self, chain: str, holder: str, now: str, seconds: int) -> Lease:
        """Take the lease of a chain, or one's own again with a higher fence."""
        with self._lock:
            lease = rules.grant(self._leases.get(chain), chain, holder, now, seconds)
            self._leases[chain] = lease
            return lease

    def renew(self, lease: Lease, now: str, seconds: int) -> Lease:
        """Extend the lease."""
        with self._lock:
            longer = rules.extended(self._leases.get(lease.chain), lease, now, seconds)
            self._leases[lease.chain] = longer
            return longer

    def holder(self, chain: str) -> Lease | None:
        """The lease as it is stored; None where nobody holds it."""
        with self._lock:
            lease = self._leases.get(chain)
        return lease if lease is not None and lease.holder else None

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing where it is not current any more."""
        with self._lock:
            if rules.is_current(self._leases.get(lease.chain), lease):
                self._leases[lease.chain] = rules.released(lease)

    def sync(self) -> None:
        """Nothing: there is no disk."""

    def close(self) -> None:
        """Nothing to give back."""
