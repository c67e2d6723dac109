"""Conductors that a chat has set going: a child process each, which follows one run under the product's lease.

The child is a session of its own, so that a release goes on to its next checkpoint when the chat ends or the server is
killed; and where the child is killed, too, `pilothouse resume` or `pilothouse worker` goes on: state is in the ledger.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO

from pilothouse.render.text import safe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pilothouse.app import Pilothouse
    from pilothouse.guard.state import RunState

_LOOKS = 10  # a hundredth of a second apart
_LARGEST = 4_000_000  # bytes of a child's answer that are read


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a conductor came to nothing: its error."""

    reason_code: str
    message: str
    hint: str


@dataclass(slots=True)
class Conductors:
    """The children of one server or chat.

    Args:
        project: the project's folder.
        environ: what the children get.
    """

    project: Path
    environ: Mapping[str, str]
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _one: threading.Lock = field(default_factory=threading.Lock)

    def set_going(self, run: str) -> None:
        """Let a child follow a run until it waits for a person, rests or is over; one child a run, of all who do so."""
        with self._one:
            lock = _held(self._lock(run))
            if lock is None:
                return  # one is at work
            before = self._children.get(run)
            if before is not None:
                with suppress(subprocess.TimeoutExpired):
                    before.wait(1)  # it has given the lock back, so it has ended; else it stays a zombie
            argv = [
                sys.executable, "-P", "-m", "pilothouse.cli.main", "--project", os.fspath(self.project), "--json",
                "resume", run,
            ]  # fmt: skip
            log = self.project / ".pilothouse" / f"{run}.log"
            # The child holds the lock by its open file, and nobody else does once ours is closed: while it lives, and
            # no longer, whatever ends it.
            with lock, log.open("ab") as err, self._answer(run).open("wb") as out:
                self._children[run] = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, cwd=self.project,
                    env=dict(self.environ), pass_fds=(lock.fileno(),),
                )  # fmt: skip

    def at_work(self, app: Pilothouse, state: RunState) -> bool:
        """Whether anybody is at work on a run: a child of a server or chat, or whoever holds the product's lease."""
        with self._one:
            if self._alive(state.run):
                return True
            child = self._children.get(state.run)
        lease = app.journal.holder(state.started.product)
        if lease is None or (child is not None and lease.holder.startswith(f"{socket.gethostname()}:{child.pid}:")):
            return False  # our own, which has ended without giving it back
        # Whoever lives renews it: somebody else's conductor that was killed is missed within its half minute.
        return datetime.fromisoformat(lease.expires_at) > app.clock.now()

    def trouble(self, run: str) -> Trouble | None:
        """Why our latest child for a run came to nothing: its error; None where it has none or is still at work."""
        with self._one:
            if run not in self._children or self._alive(run):
                return None
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(self._answer(run).read_bytes()[:_LARGEST])
            if told["schema"] == "pilothouse.error/1":
                return Trouble(safe(told["reason_code"], 80), safe(told["message"], 600), safe(told["hint"], 300))
        return None

    def _alive(self, run: str) -> bool:
        if run in self._children:
            self._children[run].poll()  # else it stays a zombie
        file = self._lock(run)
        if not file.exists():
            return False
        lock = _held(file)
        if lock is None:
            return True
        lock.close()
        return False

    def _answer(self, run: str) -> Path:
        return self.project / ".pilothouse" / f"{run}.mcp.json"

    def _lock(self, run: str) -> Path:
        return self.project / ".pilothouse" / f"{run}.mcp.lock"


def _held(file: Path) -> BinaryIO | None:
    """The file, locked; None where another process holds it. A look of another server holds it for a moment only."""
    lock = file.open("ab")
    for _ in range(_LOOKS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.01)
        else:
            return lock
    lock.close()
    return None
