"""The real command in a process of its own, watched and killed from outside, as an operator or the kernel would."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

from crash.processes import descendants, living

PATIENCE = 60
LOOK = 0.004  # seconds between two looks


def until(condition, what, seconds=PATIENCE):
    """Wait for a condition; its value."""
    oldest = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < oldest, f"never came: {what}"
        time.sleep(LOOK)
    return value


def ledger(world):
    """What the ledger holds now, read-only and from outside: kind and data of every entry."""
    file = world.project / ".pilothouse" / "ledger.db"
    if not file.exists():
        return []
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
        rows = connection.execute("SELECT entry FROM events WHERE chain = 'acme' ORDER BY seq").fetchall()
    entries = [json.loads(entry) for (entry,) in rows]
    return [(entry["kind"], entry["run"], entry["data"]) for entry in entries]


def open_act(world):
    """The act with an intent and no outcome, or None."""
    found = None
    for kind, _, data in ledger(world):
        if kind == "Intended":
            found = data["step"]
        elif kind in {"Done", "Failed"}:
            found = None
    return found


class Conductor:
    """One process of the real command on a world.

    Args:
        arguments: of the command line, after the global options.
        start: what the interpreter is told to run; the module that the console script calls, unless a test breaks it.
        environ: variables beside the world's own.
    """

    def __init__(self, world, *arguments, start=("-m", "pilothouse.cli.main"), environ=None):
        self.world, self.killed = world, False
        folder = world.folder / "conductors"
        folder.mkdir(exist_ok=True)
        self._out = folder / f"{len(list(folder.iterdir())):03d}.out"
        argv = [sys.executable, "-P", *start, "--project", str(world.project), "--json", *arguments]
        with self._out.open("wb") as out, self._out.with_suffix(".err").open("wb") as err:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, cwd=world.folder,
                env={**os.environ, **world.environment, **(environ or {})},
            )  # fmt: skip

    @property
    def pid(self):
        return self.process.pid

    @property
    def said(self):
        """Everything it wrote, for the message of a failing test."""
        return self._out.read_text() + self._out.with_suffix(".err").read_text()

    def alive(self):
        return self.process.poll() is None

    def until(self, condition, what):
        """Wait for a condition while this conductor lives; its value."""

        def looked():
            value = condition()
            assert value or self.alive(), f"the conductor ended before {what}: {self.said}"
            return value

        return until(looked, what)

    def until_intended(self, step):
        self.until(lambda: open_act(self.world) == step, f"the intent of {step}")

    def child(self, *words):
        """The child whose command holds all of these words, or None."""
        return next((item for item in descendants(self.pid) if all(word in item.command for word in words)), None)

    def kill(self):
        """SIGKILL, and nothing of it may live two seconds later."""
        table = living()
        below = descendants(self.pid, table)
        assert self.alive(), self.said
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()
        self.killed = True
        until(lambda: not self._left(below), f"the end of {self._left(below)}", 2.0)
        return below

    def _left(self, below):
        """What still lives of this conductor: what it started, their groups, whatever works in its folder."""
        pids, groups = {item.pid: item.command for item in below}, {item.group for item in below} | {self.pid}
        own = str(self.world.project / ".pilothouse")
        return [
            item for item in living().values()
            if (item.pid in pids and pids[item.pid] == item.command) or item.group in groups
            or own in item.command or item.folder.startswith(own)
        ]  # fmt: skip

    def end(self, code=None):
        """Wait for its own end; the one JSON object that it printed."""
        self.process.wait(PATIENCE)
        assert code is None or self.process.returncode == code, (self.process.returncode, self.said)
        return json.loads(self._out.read_text())


def ship(world, **options):
    return Conductor(world, "ship", "acme", "--approvals", "approvals.yml", **options)


def resume(world, **options):
    return Conductor(world, "resume", "--approvals", "approvals.yml", **options)


def rollback(world, **options):
    return Conductor(
        world, "rollback", "acme", "--severity", "high", "--reason", "customers see errors", "--restore",
        "--approvals", "approvals.yml", **options,
    )  # fmt: skip


def audit(world):
    """What an outsider's ``audit verify`` says."""
    return Conductor(world, "audit", "verify").end(0)
