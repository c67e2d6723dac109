"""The ledger against the least that the same promises cost: a durable write of the same bytes, a hash of the same bytes."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import measure

from pilothouse.events import Fact, Started
from pilothouse.ledger.chain import verify
from pilothouse.ledger.sqlite import SqliteJournal
from pilothouse.ports import Head

ROUNDS = 7
APPENDS = 60
ENTRIES = 4_000
LEAST = 500  # bytes
CHAIN, RUN = "acme", "r-2026-11-21-01"


def rows(project: Path, folder: Path) -> list[measure.Row]:
    """The two ledger rows.

    Args:
        project: a project in which a release has finished: its own events are what is written and verified here.
        folder: an empty folder on a disk.
    """
    facts = list(itertools.islice(itertools.cycle(_facts(project)), ENTRIES))
    return [_appending(folder, facts), _verifying(folder, facts)]


def _facts(project: Path) -> list[Fact]:
    """What a release recorded, where an entry of it has 500 bytes or more; not its Started, which holds whole files."""
    journal = SqliteJournal(project / ".pilothouse" / "ledger.db", read_only=True)
    large = {seq for seq, _, entry in journal.entries(CHAIN) if len(entry) >= LEAST}
    facts = [event.fact for event in journal.read(CHAIN) if event.seq in large and not isinstance(event.fact, Started)]
    journal.close()
    return facts


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _appending(folder: Path, facts: list[Fact]) -> measure.Row:
    """Appends as the engine makes them: one fact, compare-and-swap on the head, fenced by the lease, chained, durable."""
    journal = SqliteJournal(folder / "append" / "ledger.db")
    lease = journal.acquire(CHAIN, "bench", _now(), 3600)
    raw = os.open(folder / "append" / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ratios = []
    head = journal.head(CHAIN)
    for round_ in range(ROUNDS):
        start, took = head.seq, 0.0
        for fact in facts[round_ * APPENDS :][:APPENDS]:
            began = time.monotonic()
            written = journal.append(CHAIN, RUN, [fact], _now(), expect=head, lease=lease)[-1]
            took += time.monotonic() - began
            head = Head(written.seq, written.hash)
        data = [entry for _, _, entry in journal.entries(CHAIN, start=start + 1)]
        theirs = _timed(lambda data=data: [_written(raw, entry) for entry in data])
        if round_:  # the first one warms up
            ratios.append(theirs / took)
    os.close(raw)
    journal.close()
    return measure.Row(
        "ledger append, throughput / write + fdatasync (wall)", statistics.median(ratios), 0.3, at_least=True,
        note=f"entries of {min(map(len, data))} to {max(map(len, data))} bytes",
    )  # fmt: skip


def _written(descriptor: int, data: bytes) -> None:
    os.write(descriptor, data)
    os.fdatasync(descriptor)


def _verifying(folder: Path, facts: list[Fact]) -> measure.Row:
    """The whole chain verified, against one ``hashlib.sha256`` call an entry over the same bytes."""
    journal = SqliteJournal(folder / "verify" / "ledger.db")
    journal.append(CHAIN, RUN, facts, _now())
    entries = journal.entries(CHAIN)
    journal.close()
    smallest = min(len(entry) for _, _, entry in entries)
    ratios = []
    for _ in range(ROUNDS):
        ours = _timed(lambda: verify(entries, CHAIN, entries[-1][1]), time.process_time)
        theirs = _timed(lambda: [sha256(entry).hexdigest() for _, _, entry in entries], time.process_time)
        ratios.append(ours / theirs)
    size = sum(len(entry) for _, _, entry in entries) // len(entries)
    return measure.Row(
        "ledger verify / sha256 of the same bytes (CPU)", statistics.median(ratios), 12,
        note=f"{ENTRIES} entries of {smallest} bytes or more, {size} on average",
    )  # fmt: skip


def _timed(work: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> float:
    began = clock()
    work()
    return clock() - began
