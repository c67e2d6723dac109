"""How much a call costs before it does anything, against the interpreter's own start."""

from __future__ import annotations

import sys
from pathlib import Path

import measure

ROUNDS = 15


def rows(project: Path) -> list[measure.Row]:
    """The two start-up rows.

    Args:
        project: a project in which a run has finished.
    """
    script = measure.command()
    cases = {
        "nothing": lambda: measure.run([sys.executable, "-c", "pass"]),
        "help": lambda: measure.run([*script, "--help"]),
        "status": lambda: measure.run([*script, "--project", str(project), "status", "--json"]),
    }
    measure.interleaved(cases, 2)  # the byte code is compiled and the files are in memory
    costs = {name: measure.median_cpu(found) for name, found in measure.interleaved(cases, ROUNDS).items()}
    return [
        measure.Row("pilothouse --help / python -c pass (CPU)", costs["help"] / costs["nothing"], 9),
        measure.Row("pilothouse status --json / python -c pass (CPU)", costs["status"] / costs["nothing"], 14),
    ]
