"""Holding a lease while one works: taken, renewed in the background, given back."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pilothouse.errors import LeaseLost, LedgerError
from pilothouse.ledger.rules import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilothouse.ports import Clock, Journal, Lease


class Held:
    """A lease that is kept alive. Made by ``holding``."""

    def __init__(self, journal: Journal, lease: Lease, clock: Clock, seconds: int) -> None:
        self._journal = journal
        self._lease = lease
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._gone = False

    @property
    def lease(self) -> Lease:
        """The latest lease, renewed on the spot where the background has not come to it.

        A lost one is returned as it was: the journal refuses an append with it.
        """
        left = moment(self._lease.expires_at) - self._clock.now()
        if left < timedelta(seconds=self._seconds / 3):
            self.renew()
        return self._lease

    @property
    def lost(self) -> bool:
        """Whether somebody else took it, or it ran out unrenewed: nothing may be done in its name any more."""
        return self._gone or self._clock.now() > moment(self._lease.expires_at)

    def renew(self) -> None:
        """Extend it once. A busy or full disk is no loss as long as time remains; the next beat tries again."""
        with self._lock:
            if self._gone:
                return
            try:
                self._lease = self._journal.renew(self._lease, _iso(self._clock.now()), self._seconds)
            except LeaseLost:
                self._gone = True
            except LedgerError:
                pass

    def release(self) -> None:
        """Give it back, so that the next one need not wait for its end."""
        # What cannot be given back runs out by itself.
        with self._lock, suppress(LedgerError):
            self._journal.release(self._lease)


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds")


@contextmanager
def holding(journal: Journal, chain: str, holder: str, clock: Clock, seconds: int = 30) -> Iterator[Held]:
    """Hold the lease of a chain for the length of a ``with`` block.

    Args:
        journal: used from a second thread, too.
        chain: the product's chain.
        holder: who: unique to this process.
        clock: what the lease's end is measured by; the beat itself, every third of ``seconds``, is real time.
        seconds: how long the lease outlives a holder that dies.

    Raises:
        LeaseLost: another holder has it.
    """
    held = Held(journal, journal.acquire(chain, holder, _iso(clock.now()), seconds), clock, seconds)
    over = threading.Event()

    def beat() -> None:
        while not over.wait(seconds / 3):
            held.renew()

    thread = threading.Thread(target=beat, name=f"lease-{chain}", daemon=True)
    thread.start()
    try:
        yield held
    finally:
        over.set()
        thread.join()
        held.release()
