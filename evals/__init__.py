"""Release worlds with known truth, and how agents do in them: ``make eval`` (docs/evaluation.md)."""

import sys
from pathlib import Path

# The server that stands in for a model, and the way a release is followed, are the tests' own.
TESTS = Path(__file__).resolve().parent.parent / "tests"
if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))
