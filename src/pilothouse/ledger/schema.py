"""The SQLite file of the ledger: how it comes to be, how it is recognised, how an older one is brought up to date."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from pilothouse.errors import LedgerCorrupt, LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPLICATION = 0x50494C4F  # "PILO" in the file's header
_BUSY_MS = 10_000
_HEADER = 100  # bytes

Steps = tuple[tuple[str, ...], ...]

# STEPS[n] brings a file from version n to n + 1; a new file takes them all. `run`, `kind` and `at` are there for eyes
# and queries: the truth is `entry`, and only `entry` is hashed.
STEPS: Steps = (
    (
        (
            "CREATE TABLE events (chain TEXT NOT NULL, seq INTEGER NOT NULL, run TEXT NOT NULL, kind TEXT NOT NULL,"
            " at TEXT NOT NULL, hash TEXT NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (chain, seq)) WITHOUT ROWID"
        ),
        (
            "CREATE TABLE lease (chain TEXT PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL,"
            " expires_at TEXT NOT NULL) WITHOUT ROWID"
        ),
    ),
)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk say into errors of the ledger; nothing is repaired, nothing thrown away."""
    try:
        yield
    except sqlite3.Error as error:
        raise _error(path, error) from error
    except OSError as error:
        raise LedgerError("ledger-cannot-open", f"{path}: {error.strerror or error}", _ACCESS) from error


_ACCESS = "Check that the folder exists, is on a local disk and is writable."
_KEEP = "Nothing was changed. Keep the file, and restore a backup or an export; see: pilothouse audit verify"


def _error(path: Path, error: sqlite3.Error) -> LedgerError:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            hint = "Nothing was written. Free some space, then: pilothouse resume"
            return LedgerError("ledger-disk-full", f"{path}: no space is left to write the ledger", hint)
        case sqlite3.SQLITE_IOERR:
            hint = "Nothing was written. Check the disk, then: pilothouse resume"
            return LedgerError("ledger-disk-error", f"{path}: the disk failed ({error})", hint)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            hint = "Another process is writing for longer than usual; try again."
            return LedgerError("ledger-busy", f"{path}: stayed locked for {_BUSY_MS // 1000} s", hint)
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return LedgerCorrupt("ledger-corrupt", f"{path} is not a sound ledger: {error}", _KEEP)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return LedgerError("ledger-read-only", f"{path} cannot be written: {error}", _ACCESS)
        case sqlite3.SQLITE_CANTOPEN:
            return LedgerError("ledger-cannot-open", f"{path}: {error}", _ACCESS)
        case _:
            return LedgerError("ledger-error", f"{path}: {error}")


def connect(path: Path, *, read_only: bool = False, steps: Steps = STEPS) -> sqlite3.Connection:
    """Open the ledger of this path; where there is none and it may be written, make one.

    Raises:
        LedgerCorrupt: not a database, cut short, not a ledger, or of a newer version; the file stays as it is.
        LedgerError: ``ledger-missing`` (reading only), ``ledger-cannot-open``, ``ledger-disk-full`` …
    """
    with translated(path):
        if not path.exists():
            if read_only:
                raise _missing(path)
            _create(path, steps)
        with _OPENING:
            if not _is_open_here(path):
                _demand_whole(path)
            connection = _open(path, read_only=read_only)
        try:
            version = _recognise(connection, path, steps)
            if version < len(steps):
                _bring_up_to_date(connection, path, version, steps, read_only=read_only)
        except BaseException:
            connection.close()
            raise
        return connection


def _missing(path: Path) -> LedgerError:
    return LedgerError("ledger-missing", f"{path}: there is no ledger yet", "Start a release: pilothouse ship PRODUCT")


def _open(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if not read_only:
        connection = _plain(path, "rw")
        connection.execute("PRAGMA synchronous=FULL")
        if sys.platform == "darwin":  # fsync alone leaves the data in the drive's cache
            connection.execute("PRAGMA fullfsync=1")
        return connection
    connection = _plain(path, "ro")
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if _journal_bytes(path):
            raise
        # A folder that cannot be written: SQLite cannot make its index of the log there, and without a log needs none.
        connection = _plain(path, "ro&immutable=1")
    return connection


class _Connection(sqlite3.Connection):
    """A connection that is known while it is open.

    POSIX takes every lock of a process off a file as soon as the process closes any descriptor of it, SQLite's own ones
    excepted, which SQLite looks after. Another process would then believe itself alone, and delete the log that this
    one goes on writing to. So a ledger that is open here is never opened by anything but SQLite.
    """

    file: tuple[int, int] | None = None

    def close(self) -> None:
        super().close()
        if self.file is not None:
            with _OPENING:
                _OPEN[self.file] -= 1
            self.file = None

    def __del__(self) -> None:
        if self.file is not None and not sys.is_finalizing():  # one that nobody closed; closed first, then forgotten
            self.close()


_OPEN: Counter[tuple[int, int]] = Counter()  # connections of this process, by the file's device and number
_OPENING = threading.RLock()


def _is_open_here(path: Path) -> bool:
    known = path.stat()
    return _OPEN[known.st_dev, known.st_ino] > 0


def _plain(path: Path, mode: str) -> sqlite3.Connection:
    connection = _connection(path, mode)
    known = path.stat()
    connection.file = (known.st_dev, known.st_ino)
    with _OPENING:
        _OPEN[connection.file] += 1
    return connection


def _connection(path: Path, mode: str) -> _Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=_BUSY_MS / 1000,
        factory=_Connection,
        isolation_level=None,  # transactions are ours alone
        check_same_thread=False,  # the journal has a lock
    )


def _recognise(connection: sqlite3.Connection, path: Path, steps: Steps) -> int:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if application != APPLICATION:
        raise LedgerCorrupt("ledger-foreign", f"{path} is a database, but no ledger of Pilothouse", _KEEP)
    if version > len(steps):
        message = f"{path} has version {version}, this Pilothouse knows {len(steps)}"
        hint = "Install the Pilothouse that wrote it, or a newer one; nothing was changed."
        raise LedgerCorrupt("ledger-newer", message, hint)
    return version


def _demand_whole(path: Path) -> None:
    """SQLite takes an empty file for a new database, which would forget everything in silence."""
    with path.open("rb") as file:
        header = file.read(_HEADER)
        size = os.fstat(file.fileno()).st_size
    if len(header) < _HEADER:
        raise LedgerCorrupt("ledger-truncated", f"{path} has {size} bytes: it was cut short", _KEEP)
    if not header.startswith(b"SQLite format 3\0"):
        raise LedgerCorrupt("ledger-foreign", f"{path} is no database", _KEEP)
    page = int.from_bytes(header[16:18], "big")
    expected = (1 << 16 if page == 1 else page) * int.from_bytes(header[28:32], "big")
    # With a log beside it a shorter file is what a crash amid a checkpoint leaves: SQLite mends that.
    if size < expected and not _journal_bytes(path):
        raise LedgerCorrupt("ledger-truncated", f"{path} has {size} bytes of {expected}: it was cut short", _KEEP)


def _journal_bytes(path: Path) -> int:
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def _create(path: Path, steps: Steps) -> None:
    # Made aside and linked into place whole: no crash leaves half a ledger, and of two who start at once one wins.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        connection = _plain(aside, "rw")
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            _apply(connection, 0, steps)
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute("COMMIT")
        finally:
            connection.close()
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(aside, path)
        _sync_folder(path.parent)
    finally:
        for leftover in (aside, aside.with_name(f"{aside.name}-wal"), aside.with_name(f"{aside.name}-shm")):
            leftover.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _apply(connection: sqlite3.Connection, version: int, steps: Steps) -> None:
    for statements in steps[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version={len(steps)}")


def _bring_up_to_date(
    connection: sqlite3.Connection, path: Path, version: int, steps: Steps, *, read_only: bool
) -> None:
    if read_only:
        hint = "Any command that writes brings it up to date, after a backup."
        raise LedgerError("ledger-older", f"{path} has version {version} of {len(steps)}", hint)
    _migrate(connection, path, version, steps)


def _migrate(connection: sqlite3.Connection, path: Path, version: int, steps: Steps) -> None:
    """Bring an older file up to date in one transaction, after a copy of it was made beside it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _recognise(connection, path, steps) == version:  # nobody else did it meanwhile
            _back_up(path, path.with_name(f"{path.name}.v{version}.backup"))
            _apply(connection, version, steps)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _back_up(path: Path, target: Path) -> None:
    aside = target.with_name(f"{target.name}.part")
    aside.unlink(missing_ok=True)
    reading, writing = _plain(path, "ro"), sqlite3.connect(aside)
    try:
        reading.backup(writing)
    finally:
        writing.close()
        reading.close()
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(target)
    _sync_folder(target.parent)
