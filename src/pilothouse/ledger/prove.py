"""An exported chain, read back and verified: from the bytes alone, without the ledger that they came from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from pilothouse.errors import LedgerCorrupt
from pilothouse.ledger.chain import GENESIS, Row, Verification, decode, verify

if TYPE_CHECKING:
    from pilothouse.events import Event


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain as its file holds it: what verification found, each entry's hash by number, its events if it is sound."""

    name: str
    found: Verification
    hashes: dict[int, str]
    events: tuple[Event, ...]


def rows_of(data: bytes) -> list[Row]:
    """The rows of a chain's file. What an entry's hash was when it was written, the next entry says.

    Args:
        data: one entry a line.
    """
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    said = [_envelope(line) for line in lines]
    rows = []
    for at, line in enumerate(lines):
        seq, _ = said[at]
        follower, noted = said[at + 1] if at + 1 < len(said) else (0, "")
        # Where an entry was dropped or moved, the numbers say so, and only a direct successor can tell of an edit.
        known = follower == seq + 1 and len(noted) == len(GENESIS)
        rows.append((seq or at + 1, noted if known else sha256(line).hexdigest(), line))
    return rows


def _envelope(line: bytes) -> tuple[int, str]:
    try:
        found = json.loads(line)
        seq, prev = found["seq"], found["prev"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0, ""
    return (seq, prev) if type(seq) is int and isinstance(prev, str) else (0, "")


def proved(name: str, data: bytes, head: str) -> Chain:
    """Verify a chain's file against the head that it must still have.

    Args:
        name: the chain's.
        data: the file.
        head: a hash noted when it was exported, or elsewhere; empty: none, so that a missing tail stays unseen.
    """
    rows = rows_of(data)
    found = verify(rows, name, head or None)
    events: tuple[Event, ...] = ()
    if found.ok:
        try:
            events = tuple(decode(line) for _, _, line in rows)
        except LedgerCorrupt:  # sound bytes that this version does not know: the folds are left out, and that is said
            events = ()
    return Chain(name, found, {seq: sha256(line).hexdigest() for seq, _, line in rows}, events)
