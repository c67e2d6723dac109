"""How everything here is measured: one process a sample, its CPU time and its children's, interleaved, medians."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process cost: CPU seconds (its own and those of the children that it waited for), and wall seconds."""

    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Args:
        name: what is compared with what.
        ratio: measured; in seconds where ``unit`` says so.
        budget: the bound; None where the figure is for information only.
        at_least: whether the budget is a floor and not a ceiling.
        note: what else was seen.
    """

    name: str
    ratio: float
    budget: float | None = None
    at_least: bool = False
    unit: str = "×"
    note: str = ""

    @property
    def kept(self) -> bool:
        """Whether the budget is kept."""
        if self.budget is None:
            return True
        return self.ratio >= self.budget if self.at_least else self.ratio <= self.budget

    def as_json(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "name": self.name, "ratio": round(self.ratio, 3), "unit": self.unit, "budget": self.budget,
            "at_least": self.at_least, "kept": self.kept, "note": self.note,
        }  # fmt: skip


def run(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, codes: tuple[int, ...] = (0,)
) -> Cost:
    """Run a process to its end; what it cost.

    Raises:
        SystemExit: it ended with another code than one of ``codes``; its output is shown.
    """
    began = time.monotonic()
    with Path(os.devnull).open("wb") as nothing:
        process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=nothing, stderr=nothing)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    if process.returncode not in codes:
        sys.exit(f"bench: {' '.join(argv)[:200]} ended with {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, wall)


def interleaved(cases: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """Sample every case once a round, in order, so that what else the machine does meets all of them alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, sample in cases.items():
            costs[name].append(sample())
    return costs


def median_cpu(costs: Sequence[Cost]) -> float:
    """The median CPU time, in seconds."""
    return statistics.median(cost.cpu for cost in costs)


def median_wall(costs: Sequence[Cost]) -> float:
    """The median wall time, in seconds."""
    return statistics.median(cost.wall for cost in costs)


def command() -> list[str]:
    """The console script beside this interpreter, as users call it."""
    script = Path(sys.executable).parent / "pilothouse"
    return [str(script)] if script.exists() else [sys.executable, "-P", "-m", "pilothouse.cli.main"]
