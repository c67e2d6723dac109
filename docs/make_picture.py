"""Make docs/run.svg and state.yml.example from one real release in the sandbox: ``make demo`` first, then this.

Nothing in either file is written by hand: the picture is what ``pilothouse status RUN --svg`` draws while the run waits
for its approval, and the example is the state.yml that stands in the project once it is done.
"""

# ruff: noqa: INP001, T201 - a script, which says what it did
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = str(ROOT / ".venv" / "bin" / "pilothouse")
ABOUT = """\
# What Pilothouse renders into a project as state.yml: a view of its ledger, never read by a gate.
# Made by docs/make_picture.py from a release of the sample product; tests/test_state_example.py ships it
# again and compares. While a run is open there are `next_action`, where it waits `checkpoint`, and the
# phases under `tasks`. Your own keys and comments may stand beside these; they are kept byte for byte.
#
"""


def main() -> int:
    """Build a world, ship in it, and keep what it shows."""
    with tempfile.TemporaryDirectory(prefix="pilothouse-picture-") as folder:
        world = Path(folder) / "world"
        told = json.loads(call(0, "--json", "harbour", "up", str(world), "--detach"))
        try:
            environ = {**os.environ, **told["environment"], "LOGNAME": "ann", "TZ": "UTC"}
            project = Path(told["project"])
            call(10, "--quiet", "ship", "acme", cwd=project, environ=environ)
            call(0, "status", "--svg", str(ROOT / "docs" / "run.svg"), cwd=project, environ=environ)
            call(0, "--quiet", "resume", "--approvals", "approvals.yml", cwd=project, environ=environ)
            rendered = (project / "state.yml").read_text(encoding="utf-8")
        finally:
            call(0, "--quiet", "harbour", "down", str(world))
    (ROOT / "state.yml.example").write_text(ABOUT + rendered, encoding="utf-8")
    print("made docs/run.svg and state.yml.example")
    return 0


def call(expected: int, *argv: str, cwd: Path = ROOT, environ: dict[str, str] | None = None) -> str:
    """Run one pilothouse command; what it prints on standard output.

    Raises:
        SystemExit: it ended with another exit code than the expected one.
    """
    done = subprocess.run(
        [PROGRAM, *argv], cwd=cwd, env=environ, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != expected:
        said = done.stdout + done.stderr
        sys.exit(f"pilothouse {' '.join(argv)} ended with {done.returncode}, not {expected}:\n{said}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
