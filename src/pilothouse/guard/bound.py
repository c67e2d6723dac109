"""What a gate's rule is given: the facts of one recorded observation, and what the run is bound to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pilothouse.canonical import Json
from pilothouse.guard.policy import Constraints
from pilothouse.settings import Policy, Product


@dataclass(frozen=True, slots=True)
class Bound:
    """What a gate's evidence must be about: the product's configuration, policy, and the run's pinned commit."""

    product: Product
    policy: Policy
    to_sha: str
    own_shas: frozenset[str]  # commits that this run made itself (its release branch)
    live: Mapping[str, Json] = field(default_factory=dict)  # what production ran when the run looked first
    held: Constraints = field(default_factory=Constraints)  # freezes and locks, read for an act that they may hold


Facts = Mapping[str, Json]
Rule = Callable[[Facts, Bound], tuple[bool, str, str, str]]  # passed, reason code, message, hint


def items(facts: Facts, name: str) -> list[dict[str, Json]]:
    """A list fact's objects."""
    value = facts.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def whole(facts: Facts, name: str) -> bool:
    """Whether all of a list can be read: an entry that cannot may be the one that matters."""
    value = facts.get(name)
    return isinstance(value, list) and len(items(facts, name)) == len(value)


def number(facts: Facts, name: str) -> int:
    """An integer fact, 0 where there is none."""
    value = facts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
