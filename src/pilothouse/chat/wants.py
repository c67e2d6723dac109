"""What only the host of a chat can do: it owns the terminal, and a person sits at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.chat.orders import Order


@dataclass(frozen=True, slots=True)
class Quit:
    """Leave."""


@dataclass(frozen=True, slots=True)
class Clear:
    """An empty screen."""


@dataclass(frozen=True, slots=True)
class Approve:
    """Show a run's card and ask for its word, on the terminal alone."""

    run: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """Show an order that a model has understood, and ask the person whether to start it."""

    order: Order


Want = Quit | Clear | Approve | Confirm
