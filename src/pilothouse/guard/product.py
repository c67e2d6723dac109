"""What is known of a product beside its runs: its locks and the answers to its manual checks. Folded, never set. Pure.

These facts stand in the product's chain under the run ``_product``; what holds every product, in the chain ``_global``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pilothouse import events as e
from pilothouse.guard.history import impossible

YES, NO = "yes", "no"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a manual check was answered for a commit, and when."""

    fact: e.Validated
    at: str


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that nobody has taken off, and since when it holds. It may have run out."""

    fact: e.Locked
    at: str

    def holds(self, now: str) -> bool:
        """Whether it holds at a moment (ISO 8601 UTC with microseconds)."""
        return not self.fact.expires_at or now < self.fact.expires_at


@dataclass(slots=True)
class ProductState:
    """Locks by name, and the latest answer by check and commit."""

    locks: dict[str, Lock] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)

    def held(self, now: str) -> tuple[Lock, ...]:
        """The locks that hold at a moment, oldest first."""
        return tuple(lock for lock in self.locks.values() if lock.holds(now))


def is_of_product(event: e.Event) -> bool:
    """Whether an event belongs to its product's line and to no run."""
    return event.run == e.PRODUCT_LINE


def fold_product(events: Iterable[e.Event]) -> ProductState:
    """The state of a product's line from its chain, in order; events of runs are passed over.

    Raises:
        ImpossibleHistory: an event contradicts what came before.
    """
    state = ProductState()
    for event in events:
        if is_of_product(event):
            _apply(state, event)
    return state


def _apply(state: ProductState, event: e.Event) -> None:
    match event.fact:
        case e.Locked() as locked:
            before = state.locks.pop(locked.name, None)
            if before is not None and before.holds(event.at):
                raise impossible(event, f"the lock {locked.name} holds already")
            if not locked.name or not locked.reason or not locked.owner:
                raise impossible(event, "a lock has a name, a reason and an owner")
            if locked.expires_at and locked.expires_at <= event.at:
                raise impossible(event, "a lock does not end before it begins")
            state.locks[locked.name] = Lock(locked, event.at)
        case e.Unlocked() as unlocked:
            before = state.locks.pop(unlocked.name, None)
            if before is None or not before.holds(event.at):
                raise impossible(event, f"there is no lock {unlocked.name}")
        case e.Validated() as validated:
            if validated.answer not in {YES, NO}:
                raise impossible(event, f"an answer is yes or no, not {validated.answer!r}")
            if event.chain == e.GLOBAL_CHAIN:
                raise impossible(event, "a manual check is a product's")
            state.answers[validated.item, validated.sha] = Answer(validated, event.at)
        case _:
            raise impossible(event, "that is a fact of a run, not of a product")
