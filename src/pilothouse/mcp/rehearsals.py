"""Rehearsals that may take longer than a tool may: each runs in a thread of its own and is asked for again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilothouse.errors import RequestRefused

if TYPE_CHECKING:
    from pilothouse.mcp.answers import Plan
    from pilothouse.workspace import Request

_MOST = 4  # at once: each of them runs checks


@dataclass(slots=True)
class Rehearsal:
    """One rehearsal that is under way or over."""

    over: threading.Event = field(default_factory=threading.Event)
    plan: Plan | None = None
    error: Exception | None = None


@dataclass(slots=True)
class Rehearsals:
    """Rehearsals by what was asked; the answer is given once, and the next call rehearses anew.

    Args:
        rehearse: does it; it may take as long as it likes.
    """

    rehearse: Callable[[Request], Plan]
    _known: dict[str, Rehearsal] = field(default_factory=dict)
    _one: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, request: Request, seconds: float) -> Plan | None:
        """The plan, or None where it takes longer than these seconds. Raises whatever the rehearsal raised."""
        asked = repr(request)
        with self._one:
            known = self._known.get(asked)
            if known is None:
                self._make_room()
                known = self._known[asked] = Rehearsal()
                threading.Thread(target=self._run, args=(known, request), daemon=True).start()
        if not known.over.wait(seconds):
            return None
        with self._one:
            if self._known.get(asked) is known:
                del self._known[asked]
        if known.error is not None:
            raise known.error
        return known.plan

    def _run(self, known: Rehearsal, request: Request) -> None:
        try:
            known.plan = self.rehearse(request)
        except Exception as error:  # noqa: BLE001 - it is raised again where it was asked for
            known.error = error
        finally:
            known.over.set()

    def _make_room(self) -> None:
        """Let go of answers that nobody has fetched, where there are many."""
        if len(self._known) < _MOST:
            return
        self._known = {asked: known for asked, known in self._known.items() if not known.over.is_set()}
        if len(self._known) >= _MOST:
            raise RequestRefused(
                "rehearsals-busy", f"{_MOST} other rehearsals are under way in this server", "ask for those first"
            )
