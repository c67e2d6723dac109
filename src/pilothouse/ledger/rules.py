"""What every adapter of the journal has in common: how a chain grows, is followed, and who may extend it. No I/O."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pilothouse.errors import ChainMoved, LeaseLost, LedgerCorrupt
from pilothouse.events import Event, Fact
from pilothouse.ledger.chain import Row, decode, encode
from pilothouse.ports import Head, Lease

if TYPE_CHECKING:
    from collections.abc import Iterable

_FREE = ""  # the holder of a released lease; its row stays, so that the fence never falls


def extend(
    chain: str, head: Head, run: str, facts: Iterable[Fact], at: str, first: tuple[str, Fact] | None = None
) -> list[tuple[Event, bytes]]:
    """The entries that continue a chain after its head, with their bytes; ``first`` belongs to another run.

    Raises:
        ValueError: no fact, or ``at`` is no time in UTC.
        LedgerError: a fact that could not be read again.
    """
    moment(at)
    grown: list[tuple[Event, bytes]] = []
    seq, prev = head.seq, head.hash
    own = [(run, fact) for fact in facts]
    if not own:
        raise ValueError("an append needs at least one fact")
    for of, fact in [first, *own] if first else own:
        seq += 1
        data, entry_hash = encode(chain=chain, seq=seq, prev=prev, run=of, at=at, fact=fact)
        grown.append((Event(chain=chain, seq=seq, prev=prev, run=of, at=at, fact=fact, hash=entry_hash), data))
        prev = entry_hash
    return grown


def follow(chain: str, start: Head, rows: Iterable[Row]) -> tuple[Event, ...]:
    """The events of the rows after ``start``, each checked against its hash and the entry before.

    Raises:
        LedgerCorrupt: ``ledger-broken-chain``, or what ``decode`` refuses.
    """
    events: list[Event] = []
    seq, prev = start.seq, start.hash
    for row_seq, stored, data in rows:
        event = decode(data)
        seq += 1
        if (event.chain, event.seq, event.prev, event.hash, row_seq) != (chain, seq, prev, stored, seq):
            raise LedgerCorrupt("ledger-broken-chain", f"{chain} does not hold together at entry {row_seq}", BROKEN)
        prev = stored
        events.append(event)
    return tuple(events)


BROKEN = "Nothing was changed. See what does not fit: pilothouse audit verify"


def demand_head(chain: str, expect: Head | None, head: Head) -> None:
    """Compare and swap: the head must still be the expected one.

    Raises:
        ChainMoved: it is not.
    """
    if expect is not None and expect != head:
        message = f"{chain} stands at entry {head.seq}, expected was {expect.seq}: somebody else wrote first"
        raise ChainMoved("chain-moved", message, "Read again, and decide again.")


def moment(at: str) -> datetime:
    """The instant of an ISO 8601 text in UTC.

    Raises:
        ValueError: not ISO 8601, or not in UTC; comparing local times would let a lease live an hour too long.
    """
    instant = datetime.fromisoformat(at)
    if instant.utcoffset() != timedelta(0):
        raise ValueError(f"{at!r} is no time in UTC")
    return instant


def _after(now: str, seconds: int) -> str:
    return (moment(now) + timedelta(seconds=seconds)).isoformat(timespec="microseconds")


def grant(current: Lease | None, chain: str, holder: str, now: str, seconds: int) -> Lease:
    """The lease that a holder gets: a free one, an expired one, or one's own again.

    The fence rises every time, one's own included: an older self that hangs somewhere is fenced out.

    Raises:
        LeaseLost: another holder's lease has not run out.
        ValueError: no holder.
    """
    if not holder:
        raise ValueError("a lease needs a holder")
    if current and current.holder not in (_FREE, holder) and moment(now) <= moment(current.expires_at):
        message = f"{chain} is held by {current.holder} until {current.expires_at}"
        raise LeaseLost("lease-held", message, "Another conductor is at work on it; look with: pilothouse status")
    return Lease(chain, holder, (current.fence if current else 0) + 1, _after(now, seconds))


def extended(current: Lease | None, lease: Lease, now: str, seconds: int) -> Lease:
    """The lease with a later end.

    One that ran out, but that nobody took since, is current still: its fence proves that nobody else wrote.

    Raises:
        LeaseLost: it is not current any more.
    """
    if not is_current(current, lease):
        raise _lost(current, lease)
    return Lease(lease.chain, lease.holder, lease.fence, _after(now, seconds))


def released(lease: Lease) -> Lease:
    """What is stored when a lease is given back."""
    return Lease(lease.chain, _FREE, lease.fence, "")


def is_current(current: Lease | None, lease: Lease) -> bool:
    """Whether this is still the chain's lease, run out or not."""
    return current is not None and (current.fence, current.holder) == (lease.fence, lease.holder)


def demand_lease(current: Lease | None, lease: Lease | None, chain: str, at: str) -> None:
    """The fence: who appends with a lease must hold the chain's current one, and it must not have run out at ``at``.

    Raises:
        LeaseLost: it is another chain's, not current any more, or has run out.
    """
    if lease is None:
        return
    if lease.chain != chain:
        raise LeaseLost("lease-lost", f"the lease is for {lease.chain}, not for {chain}")
    if current is None or not is_current(current, lease):
        raise _lost(current, lease)
    if moment(at) > moment(current.expires_at):
        raise LeaseLost("lease-expired", f"the lease of {chain} ran out at {current.expires_at}", _RESUME)


_RESUME = "Nothing was written. Go on with: pilothouse resume"


def _lost(current: Lease | None, lease: Lease) -> LeaseLost:
    holder = current.holder if current and current.holder != _FREE else "nobody"
    message = f"the lease of {lease.chain} (fence {lease.fence}) is not current any more; it is held by {holder}"
    return LeaseLost("lease-lost", message, _RESUME)
