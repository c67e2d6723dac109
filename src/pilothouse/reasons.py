"""Every reason code that this Pilothouse can give: what it means and what to do, from reasons.toml.

The table in docs/reason-codes.md is made from this, and tests compare both with the source: no code is unexplained.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from pilothouse.errors import UsageError


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason code: what kind of answer it belongs to, what it means, and what to do."""

    code: str
    kind: str
    means: str
    advice: str


def find(code: str) -> Reason:
    """The reason of a code.

    Raises:
        UsageError: there is no such code.
    """
    known = collect()
    if code in known:
        return known[code]
    near = get_close_matches(code, known, 3)
    hint = f"did you mean: {', '.join(near)}" if near else "all of them: docs/reason-codes.md"
    raise UsageError("unknown-reason-code", f"there is no reason code {code!r}", hint)


@cache
def collect() -> dict[str, Reason]:
    """All reason codes, sorted."""
    tables = tomllib.loads(files("pilothouse").joinpath("reasons.toml").read_text(encoding="utf-8"))
    found = {
        code: Reason(code, kind, means, advice)
        for kind, codes in tables.items()
        for code, (means, advice) in codes.items()
    }
    return dict(sorted(found.items()))


def table() -> str:
    """docs/reason-codes.md."""
    lines = [
        "# Reason codes", "",
        "Every refusal, halt and usage error carries one of these; they are stable. What went wrong this time, and",
        "where, is in its message. `pilothouse explain CODE` says the same as this page, which is generated from",
        "`src/pilothouse/reasons.toml` by `python -m pilothouse.reasons`.", "",
        "| code | kind | means | what to do |", "|---|---|---|---|",
    ]  # fmt: skip
    for reason in collect().values():
        cells = (f"`{reason.code}`", reason.kind, reason.means, reason.advice)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")  # noqa: T201 - a generator's output
