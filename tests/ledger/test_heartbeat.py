"""Holding a lease while one works."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.errors import LeaseLost
from pilothouse.events import Skipped
from pilothouse.ledger.heartbeat import holding
from pilothouse.ledger.sqlite import SqliteJournal
from pilothouse.ports import Lease

FACT = Skipped(step="s", why="w")


class Now:
    """Real time, plus what a test adds."""

    def __init__(self) -> None:
        self.added = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.added

    def iso(self) -> str:
        return self.now().isoformat(timespec="microseconds")

    def sleep(self, seconds: float) -> None:
        self.added += timedelta(seconds=seconds)


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    return SqliteJournal(tmp_path / "ledger.db")


def until(condition: object, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


def test_the_lease_is_held_within_the_block_and_free_after_it(journal: SqliteJournal) -> None:
    clock = Now()
    with holding(journal, "acme", "one", clock) as held:
        assert not held.lost
        journal.append("acme", "r-1", [FACT], clock.iso(), lease=held.lease)
        with pytest.raises(LeaseLost), holding(journal, "acme", "two", clock):
            pass
    with holding(journal, "acme", "two", clock):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lease-")]
    journal.close()


def test_it_is_renewed_in_the_background(journal: SqliteJournal) -> None:
    clock = Now()
    with holding(journal, "acme", "one", clock, seconds=1) as held:
        first = held.lease.expires_at
        assert until(lambda: held._lease.expires_at > first)
        assert until(lambda: clock.iso() > first)
        assert not held.lost
        journal.append("acme", "r-1", [FACT], clock.iso(), lease=held.lease)
    journal.close()


def test_it_is_renewed_on_the_spot_where_time_has_jumped(journal: SqliteJournal) -> None:
    clock = Now()
    with holding(journal, "acme", "one", clock) as held:
        clock.sleep(3600)
        journal.append("acme", "r-1", [FACT], clock.iso(), lease=held.lease)
        assert not held.lost
    journal.close()


def test_a_lease_that_another_took_is_lost_and_writes_nothing(journal: SqliteJournal) -> None:
    clock = Now()
    with holding(journal, "acme", "one", clock) as held:
        clock.sleep(31)
        assert held.lost
        other = journal.acquire("acme", "two", clock.iso(), 30)
        with pytest.raises(LeaseLost):
            journal.append("acme", "r-1", [FACT], clock.iso(), lease=held.lease)
        assert held.lost
    # Leaving does not give back what is somebody else's.
    journal.append("acme", "r-1", [FACT], clock.iso(), lease=other)
    journal.close()


def test_a_broken_disk_for_a_moment_is_no_loss(journal: SqliteJournal, tmp_path: Path) -> None:
    clock = Now()
    with holding(journal, "acme", "one", clock) as held:
        before: Lease = held.lease
        aside = tmp_path / "aside"
        (tmp_path / "ledger.db").rename(aside)
        held.renew()
        assert held.lease == before
        assert not held.lost
        aside.rename(tmp_path / "ledger.db")
        held.renew()
        assert held.lease.expires_at > before.expires_at
    journal.close()


def test_an_error_within_the_block_gives_the_lease_back(journal: SqliteJournal) -> None:
    clock = Now()
    with pytest.raises(RuntimeError), holding(journal, "acme", "one", clock):
        raise RuntimeError("stop")
    journal.acquire("acme", "two", clock.iso(), 30)
    journal.close()
