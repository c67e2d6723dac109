"""The journal for disks that vanish: a local journal whose chains also stand on a remote (``ledger: git``).

The remote is the truth, and the local file a copy with a tail. A tail is what one conductor wrote since its last sync;
nothing outside moves by it, because ``perform`` syncs between an intent and its act (I33). What is written without a
lease (a run's start, and whatever people do) is pushed before ``append`` returns. Everything goes up by
compare-and-swap on the remote, and the remote's lease goes with it, so that of two jobs on two machines one works and
the other is told who does.

A tail that loses its swap is set aside, word for word in a file, and the remote's entries are taken. Nothing is put
together out of both: an intent in the tail moved nothing, a person is asked again, and an outcome whose intent is on
the remote is written again by the engine's ``append_outcome`` (in the same process) or found by probing (in a later
one), as after any crash. Only a tail with an act that was intended and done in it cannot be explained so: then the two
histories fork, and nothing is changed.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from pilothouse.errors import ChainMoved, LeaseLost, LedgerCorrupt, LedgerError, LedgerUnreachable
from pilothouse.ledger import aside, rules
from pilothouse.ports import EMPTY, Head, Lease, Tip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pilothouse.events import Event, Fact
    from pilothouse.ledger.chain import Row
    from pilothouse.ledger.sqlite import SqliteJournal
    from pilothouse.ports import Carrier

TRIES = 8  # against others who push to the same chain at the same moment
_LOOK = "Nothing of this one moves any more. Look with: pilothouse status"
FRESH = 5.0  # seconds for which a reader that goes on living takes the remote to be as it was


class GitJournal:
    """Implements ``ports.Journal`` around a local journal and a carrier.

    Args:
        local: the copy on this disk.
        carrier: the remote.
        fresh: seconds for which readers do not ask the remote again.
    """

    def __init__(self, local: SqliteJournal, carrier: Carrier, *, fresh: float = FRESH) -> None:
        self._local = local
        self._carrier = carrier
        self._fresh = fresh
        self._lock = threading.RLock()
        self._tips: Mapping[str, Tip] | None = None  # as the remote was when it was asked last
        self._asked = 0.0
        self._held: dict[str, Lease] = {}  # the remote's leases that are ours
        self._gone: dict[str, str] = {}  # those that were, and who has them now
        self._away = ""  # why the remote was not reached
        self._aside = ""  # which entries of this disk the remote has not

    @property
    def note(self) -> str:
        """What a reader should know: the remote was not reached, or did not take what is here; or empty."""
        return "; ".join(filter(None, (self._away, self._aside)))

    # --- writing ------------------------------------------------------------------------------------------------

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
        """Append facts; without a lease they are on the remote when this returns, or nowhere; see ``ports.Journal``.

        Raises:
            ChainMoved: somebody was first, here or on another machine.
            LeaseLost: with a lease: it is not current any more, here or on the remote.
            LedgerUnreachable: without a lease: nothing was recorded.
        """
        if lease is not None:
            self._demand_kept(chain)
            return self._local.append(chain, run, facts, at, expect=expect, lease=lease, first=first)
        told = list(facts)  # read once: a try that lost the swap is followed by another
        with self._lock:
            self._demand_asked()
            for left in reversed(range(TRIES)):
                self._settle(chain)
                self._leave_strangers(chain)
                before = self._local.head(chain)
                written = self._local.append(chain, run, told, at, expect=expect, first=first)
                try:
                    self._push(chain, self._tip(chain).lease)
                except LedgerError as error:
                    self._take_back(chain, before, written)
                    if not left or not isinstance(error, ChainMoved):
                        raise
                    self._ask()
                else:
                    return written
        raise AssertionError  # the last try returns or raises

    def _demand_kept(self, chain: str) -> None:
        """Whoever has lost the remote's lease writes and pushes no more, though the local one is still theirs."""
        if chain in self._gone:
            raise LeaseLost("lease-lost", self._gone[chain], _LOOK)

    def _leave_strangers(self, chain: str) -> None:
        """Set a dead conductor's tail aside where another machine is at work: it is not pushed under its hands."""
        tip, head, here = self._tip(chain), self._local.head(chain), self._local.holder(chain)
        there = tip.lease.holder if tip.lease else ""
        if head != tip.head and there and (here is None or here.holder != there):
            self._aside = aside.told(chain, self._local.entries(chain, start=tip.head.seq + 1))
            self._local.take(chain, [], keep=tip.head, expect=head)

    def _take_back(self, chain: str, before: Head, written: tuple[Event, ...]) -> None:
        """What a person was not told of as recorded is not recorded: the copy on this disk goes back."""
        last = written[-1]
        with suppress(ChainMoved):  # somebody else on this disk counts on it already: it goes up, or aside, with theirs
            self._local.take(chain, [], keep=before, expect=Head(last.seq, last.hash), keeps_lease=True)

    def sync(self) -> None:
        """Push what the remote has not; where there is nothing to push, a conductor takes what others wrote.

        Raises:
            ChainMoved: a person was first; the tail was set aside, and the remote's entries were taken.
            LeaseLost: another conductor was.
            LedgerUnreachable: the remote does not answer.
            LedgerCorrupt: ``ledger-forked``.
        """
        with self._lock:
            self._demand_asked()
            for chain in self._local.chains():
                self._demand_kept(chain)
            pushed = [self._sync(chain, self._tip(chain).lease) for chain in self._local.chains()]
            if self._held and not any(pushed):
                self._ask()
                for chain in tuple(self._held):
                    self._still(chain, None)
                    self._settle(chain)

    def _sync(self, chain: str, lease: Lease | None) -> bool:
        """Whether there was anything to push."""
        for left in reversed(range(TRIES)):
            self._settle(chain)
            tip = self._tip(chain)
            if self._local.head(chain) == tip.head and lease == tip.lease:
                return False
            try:
                self._push(chain, lease)
            except ChainMoved:
                self._ask()
                lease = self._still(chain, lease)
                if not left:
                    raise
            else:
                return True
        raise AssertionError  # the last try returns or raises

    def _still(self, chain: str, lease: Lease | None) -> Lease | None:
        """The lease to push with after somebody else pushed. Raises LeaseLost: it was ours, and is not any more."""
        there, ours = self._tip(chain).lease, self._held.get(chain)
        if ours is None:
            return there
        if not rules.is_current(there, ours):
            raise self._lost(chain, there)
        return lease

    def _lost(self, chain: str, there: Lease | None) -> LeaseLost:
        self._held.pop(chain, None)
        who = f"{there.holder} until {there.expires_at}" if there and there.holder else "nobody now"
        self._gone[chain] = f"another conductor, on another machine, took {chain} over; it is held by {who}"
        return LeaseLost("lease-lost", self._gone[chain], _LOOK)

    def _push(self, chain: str, lease: Lease | None) -> None:
        tip = self._tip(chain)
        rows = self._local.entries(chain, start=tip.head.seq + 1)
        self._keep_tip(chain, self._carrier.push(chain, tip, rows, lease))

    # --- the remote ---------------------------------------------------------------------------------------------

    def _demand_asked(self) -> None:
        if self._tips is None:
            self._ask()

    def _ask(self) -> None:
        self._tips = self._carrier.tips()
        self._asked = time.monotonic()
        self._away = ""

    def _tip(self, chain: str) -> Tip:
        return (self._tips or {}).get(chain, Tip())

    def _keep_tip(self, chain: str, tip: Tip) -> None:
        self._tips = {**(self._tips or {}), chain: tip}
        self._away = ""

    def _settle(self, chain: str, *, reading: bool = False) -> None:
        """Make the local chain continue the remote's.

        Args:
            chain: which.
            reading: a reader takes what is missing, and leaves a tail as it is: somebody may be at work on it.

        Raises:
            ChainMoved: the tail of a run that this journal is advancing had to give way.
            LeaseLost: likewise, and another machine advances it now.
            LedgerCorrupt: ``ledger-forked``, or the remote's rows do not hold together.
        """
        tip, head = self._tip(chain), self._local.head(chain)
        if self._hash_at(chain, tip.head.seq) == tip.head.hash:
            return  # the remote's is the beginning of ours, or both are the same
        rows = self._carrier.rows(chain, tip, min(head.seq, tip.head.seq))
        common = self._common(chain, head, rows)
        if common is None:
            rows = self._carrier.rows(chain, tip, 1)
            common = self._common(chain, head, rows) or EMPTY
        fresh = [row for row in rows if row[0] > common.seq]
        if not fresh or fresh[-1][:2] != (tip.head.seq, tip.head.hash):
            raise LedgerCorrupt("ledger-malformed", f"{chain} on the remote does not end where it says", rules.BROKEN)
        if common == head:
            self._local.take(chain, fresh, keep=head, expect=head)
            return
        tail = self._local.entries(chain, start=common.seq + 1)
        aside.demand_harmless(chain, common, tail)
        if reading:
            self._aside = f"the remote went on without {len(tail)} entries of {chain} that are on this disk"
        else:
            self._give_way(chain, tip, fresh, tail, common)

    def _give_way(self, chain: str, tip: Tip, fresh: list[Row], tail: list[Row], common: Head) -> None:
        ours = self._held.get(chain)
        still = ours is not None and rules.is_current(tip.lease, ours)
        expect = Head(tail[-1][0], tail[-1][1])
        self._local.take(chain, fresh, keep=common, expect=expect, keeps_lease=still)
        self._aside = aside.told(chain, tail)
        if ours is not None and not still:
            raise self._lost(chain, tip.lease)
        if still:
            raise ChainMoved("chain-moved", self._aside, "Read again, and decide again.")

    def _hash_at(self, chain: str, seq: int) -> str:
        rows = self._local.entries(chain, start=seq) if seq else []
        return rows[0][1] if rows and rows[0][0] == seq else "" if seq else EMPTY.hash

    def _common(self, chain: str, head: Head, rows: list[Row]) -> Head | None:
        """The last entry that both have; None where it lies before these rows."""
        if not head.seq or not rows:
            return EMPTY
        own = {seq: entry_hash for seq, entry_hash, _ in self._local.entries(chain, start=rows[0][0])}
        both = [Head(seq, entry_hash) for seq, entry_hash, _ in rows if own.get(seq) == entry_hash]
        return both[-1] if both else None

    # --- reading ------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Take over what others wrote, where that was not done lately; a remote that does not answer is noted.

        Whoever holds a lease hears of others at the next sync, and not in the middle of a decision.
        """
        with self._lock:
            if self._held or (self._asked and time.monotonic() - self._asked < self._fresh):
                return
            try:
                self._ask()
                for chain in sorted(self._tips or {}):
                    with suppress(ChainMoved):  # somebody on this disk appends just now, and settles it
                        self._settle(chain, reading=True)
            except LedgerUnreachable as error:
                self._asked = time.monotonic()
                self._away = f"{error.message.rstrip('.')}; what is told here is what this disk knows"

    def read(self, chain: str, *, after: int = 0) -> tuple[Event, ...]:
        """The events with ``seq > after``."""
        self._look()
        return self._local.read(chain, after=after)

    def head(self, chain: str) -> Head:
        """The end of a chain, with what is not on the remote yet."""
        self._look()
        return self._local.head(chain)

    def entries(self, chain: str, *, start: int = 0) -> list[Row]:
        """The stored rows from a sequence number on."""
        self._look()
        return self._local.entries(chain, start=start)

    def chains(self) -> tuple[str, ...]:
        """The names of all chains that hold an event, sorted."""
        self._look()
        return self._local.chains()

    # --- the lease ----------------------------------------------------------------------------------------------

    def acquire(self, chain: str, holder: str, now: str, seconds: int) -> Lease:
        """Take the lease of a chain, on this disk and on the remote.

        Raises:
            LeaseLost: another holder's has not run out; the message names it.
            LedgerUnreachable: nobody can tell.
        """
        with self._lock:
            self._held.pop(chain, None)
            self._gone.pop(chain, None)
            self._ask()
            for left in reversed(range(TRIES)):
                self._settle(chain)
                lease = self._local.acquire(chain, holder, now, seconds)
                try:
                    there = rules.grant(self._tip(chain).lease, chain, holder, now, seconds)
                    self._push(chain, there)
                except ChainMoved:
                    self._local.release(lease)
                    if not left:
                        raise
                    self._ask()
                except BaseException:
                    self._local.release(lease)
                    raise
                else:
                    self._held[chain] = there
                    return lease
        raise AssertionError  # the last try returns or raises

    def renew(self, lease: Lease, now: str, seconds: int) -> Lease:
        """Extend the lease; the remote's, too, before it is half gone.

        Raises:
            LeaseLost: it is not current any more, or the remote could not be told before it ran out there.
        """
        longer = self._local.renew(lease, now, seconds)
        with self._lock:
            ours = self._held.get(lease.chain)
            if ours is None:
                raise self._lost(lease.chain, self._tip(lease.chain).lease)
            # Each is a push, so only every other beat brings one.
            if rules.moment(ours.expires_at) - rules.moment(now) <= timedelta(seconds=seconds) / 2:
                self._prolong(lease.chain, ours, now, seconds)
        return longer

    def _prolong(self, chain: str, ours: Lease, now: str, seconds: int) -> None:
        """Push the lease alone: the tail belongs to whoever writes it, and goes up when they sync."""
        for _ in range(TRIES):
            there = self._tip(chain).lease
            if not rules.is_current(there, ours):
                raise self._lost(chain, there)
            try:
                longer = rules.extended(there, ours, now, seconds)
                self._keep_tip(chain, self._carrier.push(chain, self._tip(chain), [], longer))
                self._held[chain] = longer
            except ChainMoved:
                self._ask()
            except LedgerUnreachable:
                if rules.moment(now) > rules.moment(ours.expires_at):
                    raise self._lost(chain, ours) from None
                return  # there is time left: the next beat tries again
            else:
                return

    def holder(self, chain: str) -> Lease | None:
        """Who advances the product, on this disk or on another machine."""
        self._look()
        here, there = self._local.holder(chain), self._tip(chain).lease
        return here or (there if there and there.holder else None)

    def release(self, lease: Lease) -> None:
        """Give the lease back, on the remote, too; nothing where it is not current any more."""
        self._local.release(lease)
        with self._lock:
            self._held.pop(lease.chain, None)
            self._gone.pop(lease.chain, None)
            for _ in range(TRIES):
                there = self._tip(lease.chain).lease
                if there is None or there.holder != lease.holder:
                    return
                try:
                    tip = self._carrier.push(lease.chain, self._tip(lease.chain), [], rules.released(there))
                except ChainMoved:
                    self._ask()
                else:
                    self._keep_tip(lease.chain, tip)
                    return

    def close(self) -> None:
        """Close the local file."""
        self._local.close()
