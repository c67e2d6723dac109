"""Budgets of models: tokens, money, turns and time, counted from the ledger and judged by code (I38).

A budget that is spent stops the model and nothing else: the scripted agent goes on, and the gates stay as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pilothouse.events import ModelAnswered
from pilothouse.model import Refuse
from pilothouse.settings import Budget, Prices


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used up: tokens, millionths of a dollar, turns, seconds."""

    tokens: int = 0
    cost: int = 0
    turns: int = 0
    seconds: int = 0


def spent(answers: Iterable[ModelAnswered]) -> Spent:
    """What these replies used up."""
    tokens = cost = turns = took = 0
    for answer in answers:
        tokens += answer.tokens
        cost += answer.cost
        turns += 1
        took += answer.took
    return Spent(tokens, cost, turns, took // 1000)


def together(one: Spent, other: Spent) -> Spent:
    """Both."""
    return Spent(
        one.tokens + other.tokens, one.cost + other.cost, one.turns + other.turns, one.seconds + other.seconds
    )  # fmt: skip


def left(used: Mapping[str, Spent], limits: Mapping[str, Budget], name: str) -> int | None:
    """The least that any scope leaves of ``tokens``, ``cost`` or ``seconds``; None where nothing limits it."""
    rests = [
        limit - getattr(used.get(scope, Spent()), name)
        for scope, budget in limits.items()
        if (limit := getattr(budget, name)) is not None
    ]
    return min(rests, default=None)


LEAST = 256  # tokens of a reply: less is no answer


def room(wanted: int, sent: int, tokens: int | None, cost: int | None, prices: Prices | None) -> int:
    """How many tokens a reply may have so that no budget is overrun; below ``LEAST`` it is not asked for.

    Args:
        wanted: as configured.
        sent: tokens of the request.
        tokens: what the budgets leave, None: anything.
        cost: what they leave, in millionths of a dollar, None: anything.
        prices: of the model.
    """
    most = wanted if tokens is None else min(wanted, tokens - sent)
    if cost is not None and prices is not None and prices.output:
        dear = max(prices.input, prices.cache_write)
        most = min(most, (cost * 1_000_000 - sent * dear) // prices.output)
    return most


def exhausted(used: Mapping[str, Spent], limits: Mapping[str, Budget]) -> Refuse | None:
    """Whether a budget is spent; None means that one more turn may be asked for.

    Args:
        used: by scope: ``step``, ``run``, ``day``.
        limits: by the same scopes; a scope without one has no limit.
    """
    for scope, budget in limits.items():
        known = used.get(scope, Spent())
        for name in ("tokens", "cost", "turns", "seconds"):
            limit = getattr(budget, name, None)
            if limit is not None and getattr(known, name) >= limit:
                return Refuse(
                    "budget-spent", f"the {name} that a {scope} may use are spent",
                    "the scripted agent goes on; raise models.budgets in pilothouse.yml where that is too little",
                )  # fmt: skip
    return None
