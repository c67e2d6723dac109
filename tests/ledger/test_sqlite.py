"""The SQLite journal against real files and real processes: concurrency, kills, damage, a full disk."""

from __future__ import annotations

import gc
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilothouse.errors import LedgerCorrupt, LedgerError
from pilothouse.events import Skipped
from pilothouse.ledger import schema
from pilothouse.ledger.chain import verify
from pilothouse.ledger.sqlite import SqliteJournal
from pilothouse.ports import EMPTY

AT = "2026-11-21T09:41:00.000000+00:00"
FACT = Skipped(step="s", why="w" * 300)

# Appends for ever and tells each acknowledged number; with "swap" it reads the head and demands it.
WRITER = """
import sys
from pathlib import Path
from pilothouse.errors import ChainMoved
from pilothouse.events import Skipped
from pilothouse.ledger.sqlite import SqliteJournal
path, who, count, mode = sys.argv[1:]
journal = SqliteJournal(Path(path))
print("ready", flush=True)
sys.stdin.readline()
done = 0
while done < int(count):
    facts = [Skipped(step=f"{who}-{done}-{part}", why="x") for part in range(3)]
    try:
        events = journal.append("acme", who, facts, "2026-11-21T09:41:00.000000+00:00",
                                expect=journal.head("acme") if mode == "swap" else None)
    except ChainMoved:
        continue
    done += 1
    print(events[-1].seq, events[-1].hash, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".pilothouse" / "ledger.db"


def writer(path: Path, who: str, count: int, mode: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), who, str(count), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def filled(path: Path, entries: int = 50) -> None:
    journal = SqliteJournal(path)
    journal.append("acme", "r-1", [FACT] * entries, AT)
    journal.close()


@pytest.mark.parametrize("mode", ["", "swap"])
def test_processes_that_append_at_once_make_one_sound_chain(path: Path, mode: str) -> None:
    writers = [writer(path, who, 40, mode) for who in ("one", "two", "three")]
    for process in writers:  # also: three open a ledger that is not there yet
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    acknowledged = [int(line.split()[0]) for process in writers for line in process.communicate("go\n")[0].splitlines()]
    journal = SqliteJournal(path)
    assert verify(journal.entries("acme"), "acme", journal.head("acme").hash).ok
    events = journal.read("acme")
    assert len(events) == 3 * 40 * 3
    assert sorted(acknowledged) == list(range(3, 361, 3))
    # A batch is never torn by another writer's.
    assert all(len({event.run for event in events[start : start + 3]}) == 1 for start in range(0, 360, 3))
    journal.close()


def test_a_killed_writer_loses_nothing_that_was_acknowledged(path: Path) -> None:
    told: dict[int, str] = {}
    for attempt in range(4):
        process = writer(path, f"w{attempt}", 1_000_000)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        for _ in range(25 * (attempt + 1)):
            seq, entry_hash = process.stdout.readline().split()
            told[int(seq)] = entry_hash
        process.kill()
        rest, _ = process.communicate()
        told |= {
            int(line.split()[0]): line.split()[1]
            for line in rest.splitlines()
            if line.count(" ") == 1 and len(line) > 64
        }
        journal = SqliteJournal(path)
        rows = {seq: entry_hash for seq, entry_hash, _ in journal.entries("acme")}
        assert told.items() <= rows.items()
        assert len(rows) % 3 == 0
        assert verify(journal.entries("acme"), "acme", journal.head("acme").hash).ok
        journal.close()


def test_one_journal_serves_several_threads(path: Path) -> None:
    journal = SqliteJournal(path)
    threads = [
        threading.Thread(target=lambda: [journal.append("acme", "r-1", [FACT], AT) for _ in range(20)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.head("acme").seq == 80
    assert verify(journal.entries("acme"), "acme").ok
    journal.close()


READER = """
import sys
from pathlib import Path
from pilothouse.ledger.sqlite import SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]))
print(journal.head("acme").seq)
journal.close()
"""


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "kept"])
def test_a_second_journal_of_this_process_takes_no_lock_off_the_first(path: Path, *, closed: bool) -> None:
    """A process that closes any descriptor of a file loses all its locks on it; another one would delete the log."""
    first = SqliteJournal(path)
    first.append("acme", "r-1", [FACT], AT)
    second = SqliteJournal(path)
    if closed:
        second.close()

    def seen_by_another_process() -> int:
        return int(subprocess.run([sys.executable, "-c", READER, str(path)], check=True, capture_output=True).stdout)

    assert seen_by_another_process() == 1
    first.append("acme", "r-1", [FACT], AT)
    assert first.head("acme").seq == seen_by_another_process() == 2
    first.close()
    second.close()
    assert seen_by_another_process() == 2


def test_a_reader_sees_the_writer_and_can_change_nothing(path: Path) -> None:
    journal = SqliteJournal(path)
    reader = SqliteJournal(path, read_only=True)
    assert reader.head("acme") == EMPTY
    journal.append("acme", "r-1", [FACT], AT)
    assert reader.read("acme") == journal.read("acme")
    for write in (
        lambda: reader.append("acme", "r-1", [FACT], AT),
        lambda: reader.acquire("acme", "me", AT, 30),
    ):
        with pytest.raises(LedgerError) as caught:
            write()
        assert caught.value.reason_code == "ledger-read-only"
    reader.close()
    journal.close()


def test_reading_makes_no_ledger(path: Path) -> None:
    with pytest.raises(LedgerError) as caught:
        SqliteJournal(path, read_only=True)
    assert caught.value.reason_code == "ledger-missing"
    assert not path.parent.exists()


def test_an_archived_ledger_is_read_where_nothing_can_be_written(path: Path) -> None:
    filled(path)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        reader = SqliteJournal(path, read_only=True)
        assert len(reader.read("acme")) == 50
        reader.close()
    finally:
        path.parent.chmod(0o755)


@pytest.mark.parametrize("keep", [0, 50, 4096, 4096 * 2 + 100, -1])
def test_a_ledger_that_was_cut_short_is_refused_and_kept(path: Path, keep: int) -> None:
    filled(path)
    data = path.read_bytes()[:keep]
    path.write_bytes(data)
    for read_only in (False, True):
        with pytest.raises(LedgerCorrupt) as caught:
            SqliteJournal(path, read_only=read_only)
        assert caught.value.reason_code == "ledger-truncated"
        assert caught.value.hint
        assert path.read_bytes() == data


def test_a_ledger_that_nobody_closed_is_looked_at_again_when_it_is_opened_next(path: Path) -> None:
    filled(path)
    left = SqliteJournal(path)
    del left
    gc.collect()
    path.write_bytes(path.read_bytes()[:4096])
    with pytest.raises(LedgerCorrupt) as caught:
        SqliteJournal(path)
    assert caught.value.reason_code == "ledger-truncated"


@pytest.mark.parametrize("end", ["", "del journal"], ids=["to the end", "dropped"])
def test_a_ledger_that_nobody_closed_ends_a_process_in_silence(path: Path, end: str) -> None:
    filled(path)
    code = (
        f"import pilothouse.ledger.sqlite as s, pathlib; journal = s.SqliteJournal(pathlib.Path({str(path)!r})); {end}"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr == ""


def test_something_else_in_the_ledgers_place_is_refused_and_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, only text " * 100)
    with pytest.raises(LedgerCorrupt) as caught:
        SqliteJournal(path)
    assert caught.value.reason_code == "ledger-foreign"
    assert path.read_bytes().startswith(b"not a database")
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name)")
    other.commit()
    other.close()
    with pytest.raises(LedgerCorrupt) as caught:
        SqliteJournal(path)
    assert caught.value.reason_code == "ledger-foreign"


def test_damaged_pages_are_an_error_of_the_ledger(path: Path) -> None:
    filled(path, 400)
    data = bytearray(path.read_bytes())
    for page in range(3, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)
    journal = SqliteJournal(path)
    with pytest.raises(LedgerCorrupt):
        journal.read("acme")
    with pytest.raises(LedgerCorrupt):
        journal.append("acme", "r-1", [FACT], AT)
    journal.close()


def test_a_newer_ledger_halts(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(LedgerCorrupt) as caught:
        SqliteJournal(path)
    assert caught.value.reason_code == "ledger-newer"


def test_an_older_ledger_is_brought_up_to_date_after_a_backup(path: Path) -> None:
    filled(path)
    newer = (*schema.STEPS, ("CREATE TABLE bookmarks (name TEXT)", "INSERT INTO bookmarks VALUES ('kept')"))
    connection = schema.connect(path, steps=newer)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 2
    assert connection.execute("SELECT name FROM bookmarks").fetchone() == ("kept",)
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (50,)
    connection.close()
    backup = SqliteJournal(path.with_name("ledger.db.v1.backup"), read_only=True)
    assert len(backup.read("acme")) == 50
    backup.close()
    schema.connect(path, steps=newer).close()  # once is enough


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    filled(path)
    broken = (*schema.STEPS, ("CREATE TABLE bookmarks (name TEXT)", "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(LedgerError):
        schema.connect(path, steps=broken)
    journal = SqliteJournal(path)
    assert journal.head("acme").seq == 50
    assert journal.chains() == ("acme",)
    journal.close()


def test_a_full_disk_appends_nothing_and_says_so(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.append("acme", "r-1", [FACT], AT)
    connection = journal._connection
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0] + 1}")
    head = journal.head("acme")
    with pytest.raises(LedgerError) as caught:
        journal.append("acme", "r-1", [FACT] * 500, AT)
    assert caught.value.reason_code == "ledger-disk-full"
    assert journal.head("acme") == head
    connection.execute("PRAGMA max_page_count = 1000000")
    journal.append("acme", "r-1", [FACT], AT, expect=head)
    assert verify(journal.entries("acme"), "acme").ok
    journal.close()


def test_a_disk_that_refuses_to_grow_appends_nothing(path: Path) -> None:
    code = (
        "import sys, resource\nfrom pathlib import Path\nfrom pilothouse.errors import LedgerError\n"
        "from pilothouse.events import Skipped\nfrom pilothouse.ledger.sqlite import SqliteJournal\n"
        "journal = SqliteJournal(Path(sys.argv[1]))\nresource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "fact, told = Skipped(step='s', why='w' * 300), 0\n"
        "try:\n"
        "    while True:\n"
        "        told = journal.append('acme', 'r', [fact] * 20, '2026-11-21T09:41:00+00:00')[-1].seq\n"
        "except LedgerError as error:\n"
        "    print(told, error.reason_code)\n"
    )
    assert resource.RLIMIT_FSIZE
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    told, reason = done.stdout.split()
    assert reason in ("ledger-disk-error", "ledger-disk-full")
    journal = SqliteJournal(path)
    assert journal.head("acme").seq == int(told) > 0
    assert verify(journal.entries("acme"), "acme").ok
    journal.close()


def test_a_ledger_rewritten_behind_our_back_is_not_continued(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.append("acme", "r-1", [FACT] * 5, AT)
    with sqlite3.connect(path) as other:
        other.execute("DELETE FROM events WHERE seq > 3")
    other.close()
    with pytest.raises(LedgerCorrupt) as caught:
        journal.append("acme", "r-1", [FACT], AT)
    assert caught.value.reason_code == "ledger-broken-chain"
    journal.close()


def test_a_changed_last_entry_is_not_continued(path: Path) -> None:
    filled(path, 3)
    with sqlite3.connect(path) as other:
        other.execute("UPDATE events SET entry = replace(entry, 'www', 'vvv') WHERE seq = 3")
    other.close()
    journal = SqliteJournal(path)
    with pytest.raises(LedgerCorrupt):
        journal.append("acme", "r-1", [FACT], AT)
    with pytest.raises(LedgerCorrupt):
        journal.read("acme")
    journal.close()


def test_a_changed_earlier_entry_is_not_read(path: Path) -> None:
    filled(path, 9)
    with sqlite3.connect(path) as other:
        other.execute(
            "UPDATE events SET entry = CAST(replace(CAST(entry AS TEXT), 'www', 'vvv') AS BLOB) WHERE seq = 4"
        )
    other.close()
    journal = SqliteJournal(path)
    with pytest.raises(LedgerCorrupt) as caught:
        journal.read("acme")
    assert caught.value.reason_code == "ledger-broken-chain"
    assert [problem.kind for problem in verify(journal.entries("acme"), "acme").problems] == ["edited"]
    journal.close()


def test_a_ledger_that_was_replaced_while_open_takes_no_entry(path: Path, tmp_path: Path) -> None:
    journal = SqliteJournal(path)
    journal.append("acme", "r-1", [FACT], AT)
    aside = tmp_path / "aside.db"
    shutil.copy(path, aside)
    aside.replace(path)
    with pytest.raises(LedgerCorrupt) as caught:
        journal.append("acme", "r-1", [FACT], AT)
    assert caught.value.reason_code == "ledger-replaced"
    path.unlink()
    with pytest.raises(LedgerCorrupt):
        journal.append("acme", "r-1", [FACT], AT)
    journal.close()


def test_a_folder_that_cannot_hold_a_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError) as caught:
        SqliteJournal(tmp_path / "file" / "ledger.db")
    assert caught.value.reason_code == "ledger-cannot-open"


def test_a_new_ledger_leaves_nothing_else_behind(path: Path) -> None:
    SqliteJournal(path).close()
    assert [file.name for file in path.parent.iterdir()] == ["ledger.db"]


def test_a_journal_that_was_closed_says_so(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.close()
    with pytest.raises(LedgerError):
        journal.head("acme")


def test_a_writer_that_holds_the_file_for_long_is_told_apart_from_damage(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_BUSY_MS", 50)
    journal = SqliteJournal(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    with pytest.raises(LedgerError) as caught:
        journal.append("acme", "r-1", [FACT], AT)
    assert caught.value.reason_code == "ledger-busy"
    assert time.monotonic() - begun < 5
    other.execute("ROLLBACK")
    other.close()
    journal.append("acme", "r-1", [FACT], AT)
    journal.close()


def test_nobody_writes_between_the_look_at_the_head_and_the_append(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = SqliteJournal(path)
    monkeypatch.setattr(schema, "_BUSY_MS", 50)
    other = SqliteJournal(path)

    def facts() -> Iterator[Skipped]:  # asked for after the journal has looked at the head
        with pytest.raises(LedgerError) as caught:
            other.append("acme", "r-2", [FACT], AT)
        assert caught.value.reason_code == "ledger-busy"
        yield FACT

    journal.append("acme", "r-1", facts(), AT)
    other.append("acme", "r-2", [FACT], AT)
    assert [event.run for event in journal.read("acme")] == ["r-1", "r-2"]
    other.close()
    journal.close()
