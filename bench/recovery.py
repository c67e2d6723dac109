"""From kill -9 to working again, against a cold start: seconds from a process's start to its first new event."""

from __future__ import annotations

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import measure

import release
from pilothouse import harbour as sandbox

ROUNDS = 3
# What follows the last suite writes an event at once, so that not the length of a step is measured. A keyed act is looked
# at once after a crash and done; one that can only be observed is looked at twice, a second apart, on purpose.
LOOKED, KEYED, OBSERVED = "smoke", "branch", "staging-expand"


def rows(folder: Path) -> list[measure.Row]:
    """What a kill costs beyond a cold start."""
    cold, keyed, observed, looking = [], [], [], []
    for number in range(ROUNDS):
        with release.fresh(folder / f"world{number}") as world:
            began, process = _start(world, "ship", "acme")
            cold.append(_first_event(world, 0, process) - began)
            looking.append(_killed(world, process, "Observed", LOOKED))
            keyed.append(_killed(world, _resumed(world), "Intended", KEYED))
            observed.append(_killed(world, _resumed(world), "Intended", OBSERVED))
    start = statistics.median(cold)

    def row(name: str, found: Sequence[float], budget: float | None = 1, note: str = "") -> measure.Row:
        return measure.Row(
            f"kill -9 {name} to a new event, beyond a cold start",
            statistics.median(found) - start,
            budget,
            unit="s",
            note=note,
        )

    return [
        row("between acts", looking),
        row("within a keyed act", keyed),
        row("within an observed act", observed, None, "two looks a second apart, by design"),
    ]


def _start(world: sandbox.World, *words: str) -> tuple[float, subprocess.Popen[bytes]]:
    argv = [*measure.command(), "--project", str(world.project), "--quiet", *words, "--approvals", "approvals.yml"]
    nothing = subprocess.DEVNULL
    began = time.monotonic()
    return began, subprocess.Popen(argv, env=release.environ(world), stdin=nothing, stdout=nothing, stderr=nothing)


def _resumed(world: sandbox.World) -> subprocess.Popen[bytes]:
    return _start(world, "resume")[1]


def _killed(world: sandbox.World, process: subprocess.Popen[bytes], kind: str, step: str) -> float:
    """Kill a conductor right after an event; seconds from the start of a new one to its first event.

    The new one is ended, too.
    """
    while not _has(world, kind, step):
        _demand_alive(process)
        time.sleep(0.002)
    _end(process)
    seen = _count(world)
    began, again = _start(world, "resume")
    first = _first_event(world, seen, again) - began
    _end(again)
    return first


def _first_event(world: sandbox.World, seen: int, process: subprocess.Popen[bytes]) -> float:
    while _count(world) <= seen:
        _demand_alive(process)
        time.sleep(0.002)
    return time.monotonic()


def _end(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def _demand_alive(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        sys.exit(f"bench: a conductor ended with {process.returncode} before it was killed")


def _query(world: sandbox.World, query: str, *values: str) -> int:
    file = world.project / ".pilothouse" / "ledger.db"
    if not file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
        return int(connection.execute(query, values).fetchone()[0])


def _count(world: sandbox.World) -> int:
    return _query(world, "SELECT count(*) FROM events WHERE chain = 'acme'")


def _has(world: sandbox.World, kind: str, step: str) -> bool:
    query = "SELECT count(*) FROM events WHERE chain = 'acme' AND kind = ? AND json_extract(entry, '$.data.step') = ?"
    return _query(world, query, kind, step) > 0
