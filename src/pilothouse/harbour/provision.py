"""Lays out what a world has beside its git history: databases with rows, hooks, gh's configuration."""

from __future__ import annotations

import hashlib
import shlex
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse import __version__
from pilothouse.harbour.changes import product

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilothouse.harbour.history import Landed
    from pilothouse.harbour.promotion import Ticket

LAST_MIGRATION = "0006"  # of 1.3.0
GOODS = ("Anchor", "Buoy", "Cleat", "Dinghy", "Echo sounder", "Fender", "Gangway", "Halyard", "Jib", "Keel paint")
ROWS = {"staging": 10, "production": 60}

_STATE = """\
# What pilothouse knows, rendered from its ledger. Read it freely; write your own keys and comments freely.
# The keys that pilothouse renders are its own: an edit of them stops the next run (see: pilothouse state check).
pilothouse:
  schema: pilothouse.state/1
  rendered_by: {version}
  heads: {{}}
products: {{}}
"""
_PUSHED = """\
#!/bin/sh
exec {tell} pushed
"""
# The guards are shell, not Python: git calls these hooks at every push of every test.
_BEFORE = """\
#!/bin/sh
grep -q '"effect-late": true' {faults} || exit 0
exec {tell} late {production}
"""
_COMMITTED = """\
#!/bin/sh
[ "$1" = committed ] || exit 0
grep -q '"reply-lost": true' {faults} || exit 0
exec {tell} lost {production}
"""
_BEFORE_BACKUP = """\
#!/bin/sh
# Called with the key and the file that is about to be written.
PATH=/usr/bin:/bin
if grep -q '"disk-full": true' {faults}; then ln -sf /dev/full "$2"; fi
if grep -q '"main-diverged": true' {faults}; then exec {tell} somebody main-diverged; fi
"""
_AFTER_BACKUP = """\
#!/bin/sh
# Called with the key and the file that was written.
PATH=/usr/bin:/bin
if grep -q '"backup-fails": true' {faults}; then : > "$2"; fi
"""


def _script(file: Path, template: str, faults: Path, control: Path, production: str = "") -> None:
    tell = shlex.join([sys.executable, "-IBS", str(Path(__file__).with_name("tell.py")), str(control)])
    file.parent.mkdir(parents=True, exist_ok=True)
    text = template.format(tell=tell, faults=shlex.quote(str(faults)), production=production)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)


def hooks(folder: Path, control: Path, branch: str) -> None:
    """The remote's hooks, and those beside production's database that carry its faults.

    Args:
        folder: DIR.
        control: the supervisor's socket.
        branch: the branch whose push deploys production.
    """
    aim = f"refs/heads/{branch}"
    faults, origin, production = (
        folder / "faults.json",
        folder / "origin.git" / "hooks",
        folder / "production" / "hooks",
    )
    _script(origin / "post-receive", _PUSHED, faults, control)
    _script(origin / "pre-receive", _BEFORE, faults, control, aim)
    _script(origin / "reference-transaction", _COMMITTED, faults, control, aim)
    _script(production / "before-backup", _BEFORE_BACKUP, faults, control)
    _script(production / "after-backup", _AFTER_BACKUP, faults, control)


def database(folder: Path, url: str) -> None:
    """An environment's database as 1.3.0 left it, with some rows."""
    folder.mkdir(parents=True)
    migrations = {Path(path).stem: text for path, text in sorted(product().items()) if path.startswith("migrations/")}
    done = {name: sql for name, sql in migrations.items() if name[:4] <= LAST_MIGRATION}
    settings = {"currency": "EUR", "search": "on", "url": url, "port": url.rpartition(":")[2]}
    with closing(sqlite3.connect(folder / "app.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE identity (name TEXT NOT NULL)")
        connection.execute("INSERT INTO identity VALUES (?)", (f"acme-{folder.name}",))
        connection.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        connection.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())
        connection.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL)")
        for name, sql in done.items():
            for statement in sql.split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO migrations VALUES (?, ?)", (name, hashlib.sha256(sql.encode()).hexdigest()))
        goods = ((f"{GOODS[n % len(GOODS)]} {n // len(GOODS) + 1}", 100 + 7 * n) for n in range(ROWS[folder.name]))
        connection.executemany("INSERT INTO items (name, price) VALUES (?, ?)", goods)
        connection.execute("INSERT INTO orders (item, placed) VALUES (1, '2026-09-20')")
        connection.execute("COMMIT")


def linear(file: Path, tickets: Iterable[Ticket]) -> None:
    """Linear's memory, with the tickets that there are."""
    from pilothouse.harbour.linear import seed

    seed.seed(file, [seed.Ticket(item.key, item.title, item.status, item.url) for item in tickets])


def retarget(forge: Path, landed: Iterable[Landed]) -> None:
    """Aims the pull requests since the last release at staging, where they landed."""
    places = list(landed)
    last = max(index for index, place in enumerate(places) if place.change.tag)
    with closing(sqlite3.connect(forge)) as connection, connection:
        numbers = [(place.change.number,) for place in places[last + 1 :]]
        connection.executemany("UPDATE threads SET base = 'staging' WHERE kind = 'pull' AND number = ?", numbers)


def state_file(project: Path) -> None:
    """state.yml as it is rendered from a ledger in which nothing has happened yet."""
    text = _STATE.format(version=f"pilothouse {__version__}")
    (project / "state.yml").write_text(text, encoding="utf-8")


def gh(folder: Path, sock: Path) -> dict[str, str]:
    """Configuration and caches of gh that no other gh shares; returns the variables that point there."""
    for name in ("config", "cache", "state"):
        (folder / name).mkdir(parents=True)
    text = f"version: 1\nprompt: disabled\nhttp_unix_socket: {sock}\n"
    (folder / "config" / "config.yml").write_text(text, encoding="utf-8")
    return {
        "GH_CONFIG_DIR": str(folder / "config"),
        "GH_TOKEN": "harbour-token",
        "GH_PROMPT_DISABLED": "1",
        "GH_NO_UPDATE_NOTIFIER": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_STATE_HOME": str(folder / "state"),
    }
