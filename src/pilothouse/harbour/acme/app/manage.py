"""What an operator does to one of Acme's databases: migrate, back up, restore, look.

The database is named by the environment: exactly one of ACME_STAGING_DB and ACME_PRODUCTION_DB holds its path.
Status commands print one JSON object. An operator's own scripts may lie in `hooks/` beside the database
(before-backup and after-backup, called with the key and the file).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
VARIABLES = ("ACME_STAGING_DB", "ACME_PRODUCTION_DB")
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
HEADER = re.compile(r"^-- (phase|undo): (\S+)$", re.MULTILINE)
DESTRUCTIVE = re.compile(r"\b(DROP|DELETE|TRUNCATE|REPLACE)\b", re.IGNORECASE)
RECORD = "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL)"
LOG_LINES = 200


class Failed(Exception):
    """The work was not done; the message says why."""


@dataclass(frozen=True)
class Migration:
    """One file of migrations/."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """What tells this text from an edited one."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def described(self) -> dict[str, object]:
        """What a release conductor wants to know before it applies the migration."""
        header = dict(HEADER.findall(self.sql))
        code = "\n".join(line for line in self.sql.splitlines() if not line.startswith("--"))
        return {
            "name": self.name,
            "sha256": self.sha256,
            "phase": header.get("phase", "contract"),
            "undo": header.get("undo", "forward-only"),
            "destructive": bool(DESTRUCTIVE.search(code)),
            "sql": self.sql,
        }


def known() -> dict[str, Migration]:
    """The migrations of this checkout, in order."""
    files = sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return {file.stem: Migration(file.stem, file.read_text(encoding="utf-8")) for file in files}


def database() -> Path:
    """The one database that the environment names."""
    named = [os.environ[variable] for variable in VARIABLES if os.environ.get(variable)]
    if len(named) != 1:
        raise Failed(f"exactly one of {' and '.join(VARIABLES)} must name the database, not {len(named)}")
    return Path(named[0])


@contextmanager
def opened(path: Path, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """A connection that is really closed; a missing file is an error, never a new database."""
    connection = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None, timeout=5)
    with closing(connection):
        yield connection


def applied(connection: sqlite3.Connection) -> dict[str, str]:
    """Names and sha256 of what the database says was applied."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone():
        return {}
    return dict(connection.execute("SELECT name, sha256 FROM migrations ORDER BY name"))


def statements(sql: str) -> Iterator[str]:
    """The statements of a script: executescript() would commit the transaction that must hold them."""
    part = ""
    for line in sql.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""
    if part.strip():
        yield part


def apply(connection: sqlite3.Connection, migration: Migration) -> None:
    """One migration and its record, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(RECORD)
        for statement in statements(migration.sql):
            connection.execute(statement)
        connection.execute("INSERT INTO migrations VALUES (?, ?)", (migration.name, migration.sha256))
    except sqlite3.Error as error:
        connection.execute("ROLLBACK")
        raise Failed(f"migration {migration.name} failed and was rolled back: {error}") from error
    connection.execute("COMMIT")


def pending(*_: str) -> dict[str, object]:
    """Which migrations of this checkout the database has, and which it lacks."""
    with opened(database()) as connection:
        done = applied(connection)
        identity = connection.execute("SELECT name FROM identity").fetchone()[0]
    return {
        "database": identity,
        "applied": [{"name": name, "sha256": sha} for name, sha in done.items()],
        "pending": [migration.described() for name, migration in known().items() if name not in done],
    }


def named(names: tuple[str, ...]) -> list[Migration]:
    """The migrations with these names."""
    files = known()
    if unknown := [name for name in names if name not in files]:
        raise Failed(f"no such migration: {', '.join(unknown)}")
    return [files[name] for name in names]


def migrate(*names: str) -> None:
    """Applies exactly the named migrations, each in a transaction; the ones already there are left alone."""
    with opened(database(), "rw") as connection:
        for migration in named(names):
            done = applied(connection)
            if done.get(migration.name, migration.sha256) != migration.sha256:
                raise Failed(f"migration {migration.name} was applied with another text")
            if migration.name not in done:
                apply(connection, migration)
                print(f"applied {migration.name}")


def migrate_status(*names: str) -> dict[str, object]:
    """Applied where all are, absent where none is, conflict where some are or a text differs."""
    with opened(database()) as connection:
        done = applied(connection)
    wanted = named(names)
    there = [migration.name for migration in wanted if migration.name in done]
    edited = [migration.name for migration in wanted if done.get(migration.name, migration.sha256) != migration.sha256]
    if edited:
        return {"state": "conflict", "detail": f"applied with another text: {', '.join(edited)}"}
    if there and len(there) < len(wanted):
        return {"state": "conflict", "detail": f"only some are applied: {', '.join(there)}"}
    state = "applied" if len(there) == len(wanted) else "absent"
    return {"state": state, "detail": f"{len(there)} of {len(wanted)} applied"}


def backup_file(key: str) -> Path:
    """Where the backup with this key lies."""
    if not KEY.fullmatch(key):
        raise Failed(f"not a key: {key!r}")
    return database().parent / "backups" / f"{key}.db"


def hook(name: str, *arguments: str) -> None:
    """Calls the operator's own script, where there is one."""
    script = database().parent / "hooks" / name
    if script.is_file():
        subprocess.run([script, *arguments], check=True, timeout=30)


def examined(file: Path) -> dict[str, object]:
    """What a backup is worth: opened, checked and hashed, not only looked for."""
    if not file.is_file():
        return {"state": "absent", "detail": "no such backup", "restorable": False}
    content = file.read_bytes()
    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if not content:
        return {"state": "absent", "detail": "the backup file is empty", "restorable": False, **facts}
    try:
        with opened(file) as connection:
            verdict = str(connection.execute("PRAGMA integrity_check").fetchone()[0])
            identity = str(connection.execute("SELECT name FROM identity").fetchone()[0])
    except sqlite3.Error as error:
        verdict, identity = str(error), ""
    if verdict != "ok":
        return {"state": "conflict", "detail": f"not restorable: {verdict}", "restorable": False, **facts}
    return {"state": "applied", "detail": f"a restorable copy of {identity}", "restorable": True, **facts}


def backup(key: str) -> None:
    """Copies the database under the key; a usable copy that is already there stays."""
    target = backup_file(key)
    if examined(target)["state"] == "applied":
        return
    part = target.with_suffix(".partial")
    target.parent.mkdir(exist_ok=True)
    hook("before-backup", key, str(part))
    try:
        with opened(database()) as live, closing(sqlite3.connect(":memory:")) as copy:
            live.backup(copy)
            content = copy.serialize()
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(target)
    except OSError as error:
        raise Failed(f"the backup could not be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    hook("after-backup", key, str(target))
    print(f"backup {key} written")


def backup_status(key: str) -> dict[str, object]:
    """Whether a restorable backup lies under the key."""
    return examined(backup_file(key))


def content(file: Path) -> set[str]:
    """Schema and rows as SQL lines: equal sets are equal databases, whatever their pages look like."""
    with opened(file) as connection:
        return set(connection.iterdump())


def written(live: Path, copy: Path) -> int:
    """How many rows were added, changed or deleted since the copy.

    Columns that came or went, and tables that went, are a migration's doing and no such writes; what is in a new table is.
    """
    with opened(live) as connection:
        connection.execute("ATTACH ? AS copy", (f"file:{copy}?mode=ro",))
        tables = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name <> 'migrations'")
        return sum(differing(connection, table) for (table,) in tables.fetchall())


def differing(connection: sqlite3.Connection, table: str) -> int:
    """How many rows of one table differ between the live database and the attached copy."""
    before = {column[1] for column in connection.execute(f'PRAGMA copy.table_info("{table}")')}
    common = [column[1] for column in connection.execute(f'PRAGMA main.table_info("{table}")') if column[1] in before]
    if not common:
        return int(connection.execute(f'SELECT count(*) FROM main."{table}"').fetchone()[0])
    columns = ", ".join(f'"{column}"' for column in common)
    rows = [f'SELECT {columns} FROM {schema}."{table}"' for schema in ("main", "copy")]
    pairs = (rows, reversed(rows))
    counts = (connection.execute(f"SELECT count(*) FROM ({' EXCEPT '.join(pair)})").fetchone()[0] for pair in pairs)
    return max(map(int, counts))


def restore(key: str) -> None:
    """Puts the backup's content in place of the live one, in one transaction that running servers survive."""
    source = backup_file(key)
    state = examined(source)
    if not state["restorable"]:
        raise Failed(f"backup {key}: {state['detail']}")
    with opened(source) as copy, opened(database(), "rw") as live:
        copy.backup(live)
    print(f"restored {key}")


def restore_status(key: str) -> dict[str, object]:
    """Applied where the live content equals the backup's, and what was written since."""
    source = backup_file(key)
    state = examined(source)
    if not state["restorable"]:
        return {"state": "conflict", "detail": f"backup {key}: {state['detail']}", "writes_since_backup": 0}
    live, copy = content(database()), content(source)
    same = live == copy
    detail = "equal to the backup" if same else f"differs from the backup in {len(live ^ copy)} places"
    return {"state": "applied" if same else "absent", "detail": detail, "writes_since_backup": written(database(), source)}


def logs(*_: str) -> None:
    """The last lines that the server wrote."""
    file = database().with_name("app.log")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    print("\n".join(lines[-LOG_LINES:]))


def settings(*_: str) -> dict[str, object]:
    """The settings that are no secret."""
    with opened(database()) as connection:
        return {"database": str(database()), **dict(connection.execute("SELECT name, value FROM settings"))}


COMMANDS: dict[str, Callable[..., dict[str, object] | None]] = {
    "pending": pending,
    "migrate": migrate,
    "migrate-status": migrate_status,
    "backup": backup,
    "backup-status": backup_status,
    "restore": restore,
    "restore-status": restore_status,
    "logs": logs,
    "settings": settings,
}
KEYED = ("backup", "backup-status", "restore", "restore-status")


def main(arguments: list[str]) -> int:
    """Runs one command; 1 is "not done", 2 is "not understood"."""
    if not arguments or arguments[0] not in COMMANDS:
        print(f"usage: manage.py {'|'.join(COMMANDS)} …", file=sys.stderr)
        return 2
    if arguments[0] in KEYED and len(arguments) != 2:
        print(f"usage: manage.py {arguments[0]} KEY", file=sys.stderr)
        return 2
    try:
        answer = COMMANDS[arguments[0]](*arguments[1:])
    except (Failed, sqlite3.Error, OSError, subprocess.SubprocessError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 1
    if answer is not None:
        print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
