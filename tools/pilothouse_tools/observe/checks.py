"""How the product's manual checks were answered for a commit, from the ledger (APR-8)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pilothouse.canonical import Json
from pilothouse.model import Argument, Observation
from pilothouse_tools.door import Arguments, observes
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from pilothouse_tools.context import Context


def _answered(context: Context, arguments: Arguments) -> Observation:
    sha, now = arguments.text("sha"), context.clock.now()
    known = {str(row["id"]): row for row in context.answers(sha)}
    checks: list[Json] = []
    for check in context.product.manual_checks:
        row = known.get(check.id, {})
        at = str(row.get("at", ""))
        age = (now - datetime.fromisoformat(at)).total_seconds() if at else -1.0
        checks.append({
            "id": check.id, "ask": one_line(check.ask, 200), "answer": str(row.get("answer", "")),
            "who": str(row.get("who", "")), "at": at, "note": one_line(str(row.get("note", "")), 200),
            "fresh": 0 <= age <= check.max_age,
        })  # fmt: skip
    good = sum(1 for item in checks if isinstance(item, dict) and item["answer"] == "yes" and item["fresh"])
    return Observation({"sha": sha, "checks": checks}, sha, f"{good} of {len(checks)} manual checks answered with yes")


TOOLS = (
    observes(
        "checks.answered", "How a person answered the product's manual checks for a commit.", {"sha": Argument("sha")},
        {"sha": "sha", "checks": "object"}, _answered,
    ),
)  # fmt: skip
