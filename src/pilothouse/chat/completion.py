"""What the tab key offers: commands, and behind them the products, runs or codes that they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Each command: what stands behind it, and what it is for. The order is that of /help.
COMMANDS: dict[str, tuple[str, str]] = {
    "status": ("[RUN]", "the timeline of a run, and what is wanted of whom"),
    "runs": ("", "every run of this project"),
    "products": ("", "what can be shipped from here"),
    "plan": ("PRODUCT", "every check and the whole plan; changes nothing"),
    "approve": ("[RUN]", "read the card, type its word; only here, and only you"),
    "reject": ("RUN REASON", "say no to what waits; the run is over for good"),
    "resume": ("[RUN]", "go on after a refusal, a wait or a crash"),
    "abort": ("RUN REASON", "end a run for good"),
    "rollback": ("PRODUCT [to VERSION] [because …]", "take production back to a version that was good"),
    "explain": ("CODE", "what a reason code means"),
    "clear": ("", "forget what was talked of, and clear the screen"),
    "help": ("", "this"),
    "quit": ("", "leave; runs go on without you"),
}
_VERBS = ("ship ", "roll back ", "dry run of ")
_OF_RUNS = ("status", "approve", "reject", "resume", "abort")
_OF_PRODUCTS = ("plan", "rollback")


@dataclass(frozen=True, slots=True)
class Known:
    """The names that can be completed."""

    products: Sequence[str] = ()
    open_runs: Sequence[str] = ()
    runs: Sequence[str] = ()
    codes: Sequence[str] = ()
    workflows: Sequence[str] = ()


def offered(before: str, known: Known) -> list[str]:
    """Whole words that could stand where the cursor is.

    Args:
        before: the line up to the cursor.
        known: the names that there are.
    """
    head, _, typed = before.rpartition(" ")
    if not head:
        starts = [f"/{name}" for name in (*COMMANDS, *known.workflows)] if typed.startswith("/") else [*_VERBS]
        return [item for item in dict.fromkeys(starts) if item.startswith(typed) and typed]
    return [item for item in _behind(head, known) if item.startswith(typed)]


def _behind(head: str, known: Known) -> Sequence[str]:
    command, *more = head.split()
    if command.startswith("/"):
        name = command[1:]
        if more:
            return ()
        if name in _OF_RUNS:
            return known.runs if name == "status" else known.open_runs
        if name in _OF_PRODUCTS or name in known.workflows:
            return known.products
        return known.codes if name == "explain" else ()
    return known.products
