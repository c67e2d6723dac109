"""The ledger against the least that the same promises cost: a durable write of the same bytes, a hash of the same bytes."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import measure

from pilothouse.canonical import digest
from pilothouse.events import Observed
from pilothouse.ledger.chain import verify
from pilothouse.ledger.sqlite import SqliteJournal

ROUNDS = 7
APPENDS = 60
ENTRIES = 4_000
CHAIN = "acme"


def rows(folder: Path) -> list[measure.Row]:
    """The two ledger rows."""
    return [_appending(folder), _verifying(folder)]


def _fact(number: int) -> Observed:
    """A tool's result as a release records it: between 500 and about 900 bytes as an entry."""
    facts = {
        "total": number, "failed": 0, "passed": True, "suite": "end-to-end", "log": "ok\n" * (40 + number % 100),
        "url": "https://staging.acme.test/", "checks": [{"name": "unit", "state": "success"}, {"name": "lint", "state": "success"}],
    }  # fmt: skip
    arguments = {"suite": "e2e", "sha": sha256(str(number).encode()).hexdigest()[:40], "environment": "staging"}
    return Observed(
        "e2e", f"e-{number:05d}", "tests.run", arguments, facts, digest(facts), "0" * 40, f"e2e: {number} of {number}"
    )


def _now(number: int = 0) -> str:
    return (datetime.now(UTC) + timedelta(microseconds=number)).isoformat(timespec="microseconds")


def _appending(folder: Path) -> measure.Row:
    """Appends as the engine makes them: one fact, compare-and-swap on the head, fenced by the lease, chained, durable."""
    journal = SqliteJournal(folder / "append" / "ledger.db")
    lease = journal.acquire(CHAIN, "bench", _now(), 3600)
    raw = os.open(folder / "append" / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ratios = []
    for round_ in range(ROUNDS):
        facts = [_fact(round_ * APPENDS + number) for number in range(APPENDS)]
        start = journal.head(CHAIN).seq
        ours = _timed(lambda facts=facts: [
            journal.append(CHAIN, "r-1", [fact], _now(), expect=journal.head(CHAIN), lease=lease) for fact in facts
        ])  # fmt: skip
        data = [entry for _, _, entry in journal.entries(CHAIN, start=start + 1)]
        theirs = _timed(lambda data=data: [_written(raw, entry) for entry in data])
        if round_:  # the first one warms up
            ratios.append(theirs / ours)
    os.close(raw)
    journal.close()
    return measure.Row(
        "ledger append, throughput / write + fdatasync (wall)", statistics.median(ratios), 0.3, at_least=True,
        note=f"entries of {min(map(len, data))} to {max(map(len, data))} bytes",
    )  # fmt: skip


def _written(descriptor: int, data: bytes) -> None:
    os.write(descriptor, data)
    os.fdatasync(descriptor)


def _verifying(folder: Path) -> measure.Row:
    """The whole chain verified, against one ``hashlib.sha256`` call an entry over the same bytes."""
    journal = SqliteJournal(folder / "verify" / "ledger.db")
    for first in range(0, ENTRIES, 500):
        journal.append(CHAIN, "r-1", [_fact(number) for number in range(first, first + 500)], _now())
    entries = journal.entries(CHAIN)
    journal.close()
    smallest = min(len(entry) for _, _, entry in entries)
    if smallest < 500:
        raise SystemExit(f"bench: an entry has {smallest} bytes, fewer than 500")
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
