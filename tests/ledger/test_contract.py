"""The journal's contract, the same for every adapter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.quay import Quay
from pilothouse.errors import ChainMoved, LeaseLost, LedgerError
from pilothouse.events import Ended, Resumed, Skipped, Superseded
from pilothouse.ledger.chain import verify
from pilothouse.ledger.gitjournal import GitJournal
from pilothouse.ledger.memory import MemoryJournal
from pilothouse.ledger.sqlite import SqliteJournal
from pilothouse.ports import EMPTY, Head, Journal

START = datetime(2026, 11, 21, 9, 41, tzinfo=UTC)
Adapter = MemoryJournal | SqliteJournal | GitJournal


def at(seconds: float = 0) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds")


def skipped(number: int) -> Skipped:
    return Skipped(step=f"s-{number}", why="nothing to do – übersprungen")


@pytest.fixture(params=["memory", "sqlite", "git"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Adapter]:
    made: Adapter
    match request.param:
        case "memory":
            made = MemoryJournal()
        case "sqlite":
            made = SqliteJournal(tmp_path / "ledger.db")
        case _:
            made = Quay(tmp_path).machine("one")
    yield made
    made.close()


def test_an_adapter_fits_the_port(journal: Adapter) -> None:
    port: Journal = journal  # for the type checker
    assert port.head("acme") == EMPTY


def test_what_is_appended_is_read_back_in_order(journal: Adapter) -> None:
    first = journal.append("acme", "r-1", [skipped(1), Ended(outcome="done", message="")], at())
    second = journal.append("acme", "r-2", [skipped(2)], at(1))
    assert journal.read("acme") == first + second
    assert [event.seq for event in first + second] == [1, 2, 3]
    assert [event.run for event in journal.read("acme")] == ["r-1", "r-1", "r-2"]
    assert journal.head("acme") == Head(3, second[0].hash)


def test_reading_after_a_number_gives_the_rest(journal: Adapter) -> None:
    events = journal.append("acme", "r-1", [skipped(n) for n in range(5)], at())
    assert journal.read("acme", after=3) == events[3:]
    assert journal.read("acme", after=5) == ()
    assert journal.read("acme", after=9) == ()
    assert journal.read("nothing") == ()


def test_chains_do_not_mix(journal: Adapter) -> None:
    journal.append("acme", "r-1", [skipped(1)], at())
    journal.append("_global", "r-1", [skipped(2), skipped(3)], at())
    journal.append("zeta", "r-9", [skipped(4)], at())
    assert journal.chains() == ("_global", "acme", "zeta")
    assert [journal.head(chain).seq for chain in journal.chains()] == [2, 1, 1]
    assert [event.fact for event in journal.read("acme")] == [skipped(1)]


def test_every_chain_verifies_to_its_head(journal: Adapter) -> None:
    for number in range(7):
        journal.append("acme", "r-1", [skipped(number)] * (number + 1), at(number))
    head = journal.head("acme")
    found = verify(journal.entries("acme"), "acme", head.hash)
    assert (found.ok, found.entries, found.head, found.anchor) == (True, 28, head.hash, 28)


def test_an_append_without_facts_is_a_mistake(journal: Adapter) -> None:
    with pytest.raises(ValueError, match="at least one"):
        journal.append("acme", "r-1", [], at())


@pytest.mark.parametrize("when", ["2026-11-21T09:41:00", "2026-11-21T09:41:00+01:00", "yesterday"])
def test_a_time_that_is_not_in_utc_is_a_mistake(journal: Adapter, when: str) -> None:
    with pytest.raises(ValueError, match=r"UTC|isoformat"):
        journal.append("acme", "r-1", [skipped(1)], when)
    assert journal.read("acme") == ()


def test_a_batch_is_written_whole_or_not_at_all(journal: Adapter) -> None:
    journal.append("acme", "r-1", [skipped(1)], at())
    unreadable = Superseded(by=3)  # type: ignore[arg-type]
    with pytest.raises(LedgerError) as caught:
        journal.append("acme", "r-1", [skipped(2), unreadable], at())
    assert caught.value.reason_code == "ledger-bad-fact"
    assert [event.fact for event in journal.read("acme")] == [skipped(1)]


def test_a_batch_whose_making_fails_leaves_nothing(journal: Adapter) -> None:
    def facts() -> Iterator[Skipped]:
        yield skipped(1)
        raise RuntimeError("the source of facts broke")

    with pytest.raises(RuntimeError):
        journal.append("acme", "r-1", facts(), at())
    assert journal.head("acme") == EMPTY
    journal.append("acme", "r-1", [skipped(2)], at())


def test_who_expects_an_older_head_is_refused(journal: Adapter) -> None:
    journal.append("acme", "r-1", [skipped(1)], at(), expect=EMPTY)
    seen = journal.head("acme")
    journal.append("acme", "r-1", [Resumed(who="ana", channel="terminal")], at(), expect=seen)
    with pytest.raises(ChainMoved):
        journal.append("acme", "r-1", [skipped(2)], at(), expect=seen)
    with pytest.raises(ChainMoved):
        journal.append("acme", "r-1", [skipped(2)], at(), expect=EMPTY)
    assert journal.head("acme").seq == 2


def test_two_holders_never_hold_one_chain(journal: Adapter) -> None:
    journal.acquire("acme", "one", at(), 30)
    with pytest.raises(LeaseLost) as caught:
        journal.acquire("acme", "two", at(30), 30)
    assert caught.value.reason_code == "lease-held"
    assert "one" in caught.value.message
    journal.acquire("other", "two", at(), 30)


def test_an_expired_lease_is_taken_over_and_the_stale_holder_writes_nothing(journal: Adapter) -> None:
    stale = journal.acquire("acme", "one", at(), 30)
    journal.append("acme", "r-1", [skipped(1)], at(30), lease=stale)
    fresh = journal.acquire("acme", "two", at(30.000001), 30)
    assert fresh.fence > stale.fence
    for attempt in (at(5), at(31)):  # whatever its own clock says
        with pytest.raises(LeaseLost):
            journal.append("acme", "r-1", [skipped(2)], attempt, lease=stale)
    with pytest.raises(LeaseLost):
        journal.renew(stale, at(31), 30)
    journal.append("acme", "r-1", [skipped(3)], at(40), lease=fresh)
    assert journal.head("acme").seq == 2


def test_an_expired_lease_appends_nothing_even_if_nobody_took_it(journal: Adapter) -> None:
    lease = journal.acquire("acme", "one", at(), 30)
    with pytest.raises(LeaseLost) as caught:
        journal.append("acme", "r-1", [skipped(1)], at(31), lease=lease)
    assert caught.value.reason_code == "lease-expired"
    lease = journal.renew(lease, at(32), 30)  # its fence proves that nobody wrote since
    journal.append("acme", "r-1", [skipped(1)], at(62), lease=lease)


def test_renewing_moves_the_end_and_keeps_the_fence(journal: Adapter) -> None:
    lease = journal.acquire("acme", "one", at(), 30)
    longer = journal.renew(lease, at(20), 30)
    assert (longer.fence, longer.expires_at) == (lease.fence, at(50))
    journal.append("acme", "r-1", [skipped(1)], at(45), lease=lease)  # the same lease, only longer


def test_an_older_self_is_fenced_out(journal: Adapter) -> None:
    older = journal.acquire("acme", "one", at(), 30)
    newer = journal.acquire("acme", "one", at(1), 30)
    assert newer.fence > older.fence
    with pytest.raises(LeaseLost):
        journal.append("acme", "r-1", [skipped(1)], at(2), lease=older)
    journal.append("acme", "r-1", [skipped(1)], at(2), lease=newer)


def test_a_released_lease_is_free_at_once_and_its_fence_never_falls(journal: Adapter) -> None:
    first = journal.acquire("acme", "one", at(), 30)
    journal.release(first)
    with pytest.raises(LeaseLost):
        journal.append("acme", "r-1", [skipped(1)], at(1), lease=first)
    second = journal.acquire("acme", "two", at(1), 30)
    assert second.fence > first.fence
    journal.release(first)  # not current: nothing
    journal.append("acme", "r-1", [skipped(1)], at(2), lease=second)


def test_a_lease_opens_only_its_own_chain(journal: Adapter) -> None:
    lease = journal.acquire("acme", "one", at(), 30)
    journal.acquire("beta", "one", at(), 30)
    with pytest.raises(LeaseLost):
        journal.append("beta", "r-1", [skipped(1)], at(), lease=lease)


def test_an_approval_is_appended_without_the_lease(journal: Adapter) -> None:
    journal.acquire("acme", "one", at(), 30)
    journal.append("acme", "r-1", [Resumed(who="ana", channel="terminal")], at(1), expect=EMPTY)
    assert journal.head("acme").seq == 1


def test_syncing_and_closing_are_always_possible(journal: Adapter) -> None:
    journal.sync()
    journal.close()
    journal.close()


def test_the_holder_is_told_until_the_lease_is_given_back(journal: Adapter) -> None:
    assert journal.holder("acme") is None
    lease = journal.acquire("acme", "one", at(), 30)
    assert journal.holder("acme") == lease
    journal.release(lease)
    assert journal.holder("acme") is None


def test_entries_are_read_from_a_sequence_number_on(journal: Adapter) -> None:
    journal.append("acme", "r-1", [skipped(1), skipped(2), skipped(3)], at())
    assert [seq for seq, _, _ in journal.entries("acme")] == [1, 2, 3]
    assert [seq for seq, _, _ in journal.entries("acme", start=2)] == [2, 3]
