"""The program as a person at a terminal has it: a real pseudo-terminal, a real ledger on disk, a real remote."""

from __future__ import annotations

import os
import pty
import pwd
import re
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from pilothouse.ledger.sqlite import SqliteJournal

PROGRAM = (sys.executable, "-m", "pilothouse.cli.main")
ACCOUNT = pwd.getpwuid(os.getuid()).pw_name
PATIENCE = 60.0
PROMPT = r"type the word ([A-Z]+): "


def environment(**more):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    code = os.pathsep.join(path for path in sys.path if path)
    return {
        **kept,
        "PYTHONPATH": code,
        "PYTHONIOENCODING": "utf-8",
        "TZ": "UTC",
        "TERM": "xterm",
        "NO_COLOR": "1",
        **more,
    }


def stored(quay, **options):
    """A run that waits now, in the project's ledger on disk."""
    folder = quay.project / ".pilothouse"
    folder.mkdir(exist_ok=True)
    journal = SqliteJournal(folder / "ledger.db")
    return quay.waiting(journal=journal, start=datetime.now(UTC) - timedelta(minutes=5), **options)


class Terminal:
    """A terminal with the program in it, and a person's eyes and fingers."""

    def __init__(self, process, master):
        self.process, self.master, self.seen = process, master, ""

    def wait_for(self, pattern):
        latest = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < latest, self.seen
            assert self._read(0.1) or self.process.poll() is None, self.seen
        return found

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        latest = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < latest, self.seen
            self._read(0.1)
        self._read(0.1)
        return self.process.returncode

    def _read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            more = os.read(self.master, 65536).decode(errors="replace")
        except OSError:  # the other end is closed: the program has ended
            return False
        self.seen += more
        return bool(more)


@contextmanager
def on_terminal(folder, *words, **variables):
    """The program in a terminal of its own."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *words], cwd=folder, env=environment(**variables), stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)
