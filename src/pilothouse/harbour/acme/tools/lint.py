"""The checks that need no installation: every file compiles, no tab, no trailing space, no forgotten breakpoint."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FORGOTTEN = ("breakpoint", "set_trace")


def complaints(file: Path) -> Iterator[str]:
    """What is wrong with one file."""
    text = file.read_text(encoding="utf-8")
    try:
        tree = ast.parse(text, str(file))
    except SyntaxError as error:
        yield f"{error.lineno}: {error.msg}"
        return
    for number, line in enumerate(text.splitlines(), 1):
        if "\t" in line or line != line.rstrip():
            yield f"{number}: tab or trailing space"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in FORGOTTEN:
            yield f"{node.lineno}: a forgotten breakpoint"


def main() -> int:
    """Prints the complaints; 1 where there are any."""
    files = sorted(file for folder in ("app", "tests", "tools") for file in (ROOT / folder).rglob("*.py"))
    found = [f"{file.relative_to(ROOT)}:{complaint}" for file in files for complaint in complaints(file)]
    print("\n".join(found) or f"{len(files)} files, nothing to complain about")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
