"""Run the README's shell blocks in order in one shell, as a reader would who pastes them into a terminal.

A block that cannot run on a fresh machine says why in the line above it: ``<!-- not run: reason -->``. Fails where a
command fails, where such a mark gives no reason, or where nothing is left to run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 300  # seconds for all blocks
_BLOCK = re.compile(r"(?:<!-- not run:(?P<reason>[^>]*)-->\n)?^```sh\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
# A failing command is named with its exit code; nothing may wait for an answer.
_PREAMBLE = "set -Eeuo pipefail\ntrap 'code=$?; echo \"FAILED with $code: $BASH_COMMAND\" >&2; exit $code' ERR\n"


def blocks(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The blocks to run, and those not to run with their reasons."""
    runnable, skipped = [], []
    for found in _BLOCK.finditer(text):
        if found["reason"] is None:
            runnable.append(found["text"])
        else:
            skipped.append((found["reason"].strip(), found["text"]))
    return runnable, skipped


def main() -> int:
    """Return 0 where every block that can run did."""
    text = (ROOT / (sys.argv[1] if len(sys.argv) > 1 else "README.md")).read_text(encoding="utf-8")
    runnable, skipped = blocks(text)
    if not runnable or any(not reason for reason, _ in skipped):
        print("the README has no block to run, or one that is not run for no reason")
        return 1
    for reason, block in skipped:
        print(f"not run ({reason}): {'; '.join(block.strip().splitlines())}")
    lines = [line for block in runnable for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    script = _PREAMBLE + "".join(f"echo {_quoted('$ ' + line)}\n{line}\n" for line in lines)
    started = time.monotonic()
    # A sandbox world whose folder is removed ends by itself, so nothing is left even where a block fails halfway.
    with tempfile.TemporaryDirectory(prefix="readme-") as folder:
        environ = {**os.environ, "TMPDIR": folder}
        code = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, timeout=LIMIT, check=False
        ).returncode
    print(f"{len(runnable)} blocks, {time.monotonic() - started:.0f} s: {'ok' if code == 0 else f'failed with {code}'}")
    return code


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


if __name__ == "__main__":
    sys.exit(main())
