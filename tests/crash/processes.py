"""The machine's processes as an outsider sees them: through /proc, or through ps where there is none."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One living process; zombies are dead and are never listed."""

    pid: int
    parent: int
    group: int
    command: str
    folder: str


def living():
    """All living processes by process id."""
    found = _from_proc() if (PROC / "self" / "stat").exists() else _from_ps()
    return {process.pid: process for process in found}


def _from_proc():
    for entry in os.scandir(PROC):
        if not entry.name.isdecimal():
            continue
        try:
            # The name in parentheses may hold anything, so the fields are counted from the last parenthesis.
            state, parent, group, *_ = (PROC / entry.name / "stat").read_text().rpartition(")")[2].split()
            command = (PROC / entry.name / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            folder = _folder(entry.name)
        except (OSError, ValueError):  # it ended while we looked
            continue
        if state not in "ZX":
            yield Process(int(entry.name), int(parent), int(group), command, folder)


def _folder(pid):
    try:
        return os.readlink(PROC / pid / "cwd")
    except OSError:
        return ""


def _from_ps():
    told = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,pgid=,state=,command="], check=True, capture_output=True, text=True
    )
    for line in told.stdout.splitlines():
        pid, parent, group, state, *command = line.split(None, 4)
        if not state.startswith("Z"):
            yield Process(int(pid), int(parent), int(group), command[0] if command else "", "")


def descendants(pid, table=None):
    """Every process below one, however deep."""
    table = living() if table is None else table
    found, waiting = [], [pid]
    while waiting:
        above = waiting.pop()
        below = [process for process in table.values() if process.parent == above]
        found += below
        waiting += [process.pid for process in below]
    return found
