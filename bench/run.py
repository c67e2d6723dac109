"""All ratios, measured in one run: ``python bench/run.py [--json] [NAME…]``; exit code 1 where a budget is exceeded.

No figure of an absolute time is kept: a ratio against a peer or a floor, measured in the same minutes on the same
machine, says the same on another machine. docs/performance.md tells what each one means.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import archive
import contents
import measure
import model
import pulls
import recovery
import startup

import ledger
import release

BENCHES: dict[str, Callable[[Path, Path], list[measure.Row]]] = {
    "startup": lambda project, _folder: startup.rows(project),
    "contents": lambda _project, folder: contents.rows(folder),
    "pulls": lambda _project, folder: pulls.rows(folder),
    "ledger": ledger.rows,
    "release": lambda _project, folder: release.rows(folder),
    "model": model.rows,
    "tokens": lambda _project, folder: model.tokens(folder),
    "archive": lambda _project, folder: archive.rows(folder),
    "recovery": lambda _project, folder: recovery.rows(folder),
}


def main() -> int:
    asked = argparse.ArgumentParser(description="Ratios against a peer or a floor.")
    asked.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    asked.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(BENCHES)}")
    given = asked.parse_args()
    if unknown := set(given.names) - BENCHES.keys():
        asked.error(f"there is no bench {min(unknown)}; there are: {', '.join(BENCHES)}")
    # Installed programs have their byte code. Where this variable is set nobody writes it, and start-up would be mostly
    # the compiler, the more the more was edited since somebody last did.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    rows: list[measure.Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place).resolve()
        project = release.shipped(folder)
        for name in given.names or BENCHES:
            (folder / name).mkdir()
            for row in BENCHES[name](project, folder / name):
                rows.append(row)
                if not given.json:
                    print(_line(row), flush=True)
    if given.json:
        print(json.dumps({"schema": "pilothouse.bench/1", "rows": [row.as_json() for row in rows]}, indent=1))
    return 0 if all(row.kept for row in rows) else 1


def _line(row: measure.Row) -> str:
    sign = "" if row.budget is None else f"{'≥' if row.at_least else '≤'} {row.budget:g} {row.unit}".rstrip()
    verdict = "for information" if row.budget is None else "ok" if row.kept else "EXCEEDED"
    note = f"   {row.note}" if row.note else ""
    return f"{row.name:<58} {row.ratio:7.2f} {row.unit:<2} {sign:<9} {verdict:<16}{note}"


if __name__ == "__main__":
    sys.exit(main())
