"""Handoffs from agent to agent: typed, along the edges that a role allows, on evidence that exists (I36)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pilothouse.model import Refuse

# Why one may hand over. A closed list: a sentence of a model's own would be one more text to obey.
REASONS = (
    "unclear-change", "failing-tests", "failing-deployment", "data-at-risk", "users-affected", "wording", "not-mine",
)  # fmt: skip
MOST = 3  # in a row at one step: then a person's turn it is


def judge(
    giver: str, receiver: str, reason_code: str, refs: Iterable[str], *,
    edges: Collection[str], known: Collection[str], earlier: int,
) -> Refuse | None:  # fmt: skip
    """Why a handoff is none; None where it stands.

    Args:
        giver: who hands over.
        receiver: to whom.
        reason_code: one of ``REASONS``.
        refs: evidence ids.
        edges: whom the giver's role may hand over to.
        known: the evidence there is.
        earlier: how many handoffs this step has had.
    """
    if receiver == giver or receiver not in edges:
        allowed = ", ".join(sorted(edges)) or "nobody"
        return Refuse("handoff-refused", f"{giver} does not hand over to {receiver[:60]!r}", f"only to: {allowed}")
    if reason_code not in REASONS:
        return Refuse("handoff-refused", f"{reason_code[:60]!r} is no reason", f"one of: {', '.join(REASONS)}")
    unknown = [ref for ref in refs if ref not in known]
    if unknown:
        return Refuse("handoff-refused", f"there is no evidence {unknown[0][:60]!r}", "refs are evidence ids")
    if earlier >= MOST:
        return Refuse("handoff-refused", f"this step was handed over {earlier} times", "a person's turn it is")
    return None
