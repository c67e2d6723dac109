"""How many approvals that must not count are tried: a number in the documentation is one that was counted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def test_there_are_at_least_five_hundred_cases_without_the_spellings_of_each_word():
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-n", "0", str(HERE)],
        cwd=HERE.parents[1], env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    cases = {line for line in found.stdout.splitlines() if "::test_" in line and Path(__file__).name not in line}
    spellings = {case for case in cases if "test_no_spelling_of_a_word" in case}
    assert len(spellings) >= 900, found.stdout[-2000:] + found.stderr[-2000:]
    assert len(cases - spellings) >= 500
