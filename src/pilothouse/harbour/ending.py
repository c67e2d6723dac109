"""Talks to a running world: turns its faults, waits for its checks, ends it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import replace
from shutil import rmtree
from typing import TYPE_CHECKING

from pilothouse.errors import Unreachable, UsageError
from pilothouse.harbour.faults import AT_UP_ONLY, Switches, known
from pilothouse.harbour.world import ENVIRONMENTS, World, let_go, load

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_SECONDS = 8.0


def fault(folder: Path, name: str, on: bool) -> None:  # noqa: FBT001 (a switch is on or off, as on the command line)
    """Turns a fault of a world on or off; it works from the next use on.

    Raises:
        UsageError: `unknown-fault`, `no-world`, `fault-only-at-up`, `fault-not-here`.
        Unreachable: `harbour-silent`: the supervisor, who does what is done at once, does not answer.
    """
    from pilothouse.harbour import sabotage

    world = load(folder)
    known([name], world.layout)
    if name in AT_UP_ONLY and on:
        hint = f"Make a new world: pilothouse harbour up DIR --fault {name}"
        raise UsageError("fault-only-at-up", f"{name} is part of the history and cannot be turned on later", hint)
    sabotage.turn(world.folder, name, on=on)
    Switches(world.folder / "faults.json").turn([name], on=on)
    if on and world.layout == "promotion" and name == "main-diverged":
        _ask_surely(world, {"do": "somebody", "fault": name})


def settle(folder: Path) -> None:
    """Returns when every pushed commit has been checked, and deployed where its push deploys.

    Raises:
        Unreachable: `harbour-silent`: the supervisor does not answer.
    """
    _ask_surely(load(folder), {"do": "settle"})


def down(folder: Path) -> None:
    """Ends a world's processes; its files stay to be looked at. A world that has ended or crashed is no error.

    Raises:
        UsageError: `no-world`.
    """
    world = load(folder)
    _ask(world, {"do": "end"}, PATIENCE_SECONDS)
    lock = world.folder / "supervisor.lock"
    if not _released(lock, PATIENCE_SECONDS):
        # The lock is held, so the number in it is that of the living supervisor, never of a stranger.
        with suppress(ValueError, ProcessLookupError):
            os.kill(int(lock.read_text(encoding="utf-8")), signal.SIGKILL)
        _released(lock, PATIENCE_SECONDS)
    for name in ENVIRONMENTS:
        # A berth ends by itself when its supervisor is gone, however that went.
        _released(world.folder / name / "berth.lock", PATIENCE_SECONDS)
    for path in (world.gh_socket, world.control_socket, world.folder / "gh.sock"):
        path.unlink(missing_ok=True)
    if world.gh_socket.parent != world.folder:
        rmtree(world.gh_socket.parent, ignore_errors=True)
    let_go(world.folder)
    with suppress(OSError):  # its folder may be gone
        replace(world, supervisor=0, serving={}).save()


def _ask_surely(world: World, question: dict[str, object]) -> None:
    if _ask(world, question, 120.0) != 0:
        hint = f"End the world: pilothouse harbour down {world.folder}"
        raise Unreachable("harbour-silent", f"the supervisor of {world.folder} does not answer", hint)


def _ask(world: World, question: dict[str, object], seconds: float) -> int:
    """The exit code that answers a question, -1 where nobody answers."""
    with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(seconds)
        line.connect(str(world.control_socket))
        line.sendall(json.dumps(question).encode() + b"\n")
        with line.makefile(encoding="utf-8") as answers:
            for answer in map(json.loads, answers):
                if "exit" in answer:
                    return int(answer["exit"])
    return -1


def _released(lock: Path, seconds: float) -> bool:
    """Whether nobody holds the lock any more, within a time; a process that ends lets go of it, killed or not."""
    try:
        stream = lock.open("r+", encoding="utf-8")
    except FileNotFoundError:
        return True
    oldest = time.monotonic() + seconds
    with stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > oldest:
                    return False
                time.sleep(0.01)
            else:
                return True
