"""The rows of a timeline as frozen values: what a surface draws, and nothing that the engine still changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pilothouse.render.course import Standing

MIDDLE = " · "
_LOOKS = {"healthy": "healthy so far", "thin": "thin traffic so far", "no-data": "no data", "": "watching"}


class Mark(StrEnum):
    """The sign in front of a row."""

    DONE = "✔"
    WAITING = "◆"
    FAILED = "✘"
    BACK = "↩"
    TO_COME = "○"
    RUNNING = "⠋"


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step under its phase: where it stands, its tool, what it said, its evidence."""

    id: str
    standing: Standing
    tool: str
    summary: str
    evidence: str


@dataclass(frozen=True, slots=True)
class WatchView:
    """A watch that is open: its window (seconds), and the last look at it."""

    opened_at: str
    window: float
    message: str
    outcome: str

    def pieces(self, now: datetime) -> tuple[str, ...]:
        """The one line of a watch that lives: how far it is, how it looks, the last comparison."""
        gone = min(self.window, max(0.0, (now - datetime.fromisoformat(self.opened_at)).total_seconds()))
        told = tuple(part for part in self.message.split(MIDDLE) if part)
        return (*told, _of(gone, self.window), _LOOKS.get(self.outcome, self.outcome))


@dataclass(frozen=True, slots=True)
class Row:
    """One phase of the timeline.

    Args:
        pieces: what it said, most telling first; a narrow screen shows fewer of them.
        seconds: of work, None where there was none yet.
        details: whole lines under the row (why it was refused, what to do).
        watch: the open watch that the pieces tell about, so that they can go on with the time.
    """

    mark: Mark
    phase: str
    title: str
    agent: str
    pieces: tuple[str, ...]
    seconds: float | None
    details: tuple[str, ...] = ()
    steps: tuple[StepRow, ...] = ()
    watch: WatchView | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run's headline, its rows so far, and the titles of what is to come."""

    headline: str
    origin: tuple[str, ...]
    rows: tuple[Row, ...]
    to_come: tuple[str, ...]


def ticked(told: Timeline, at: datetime, now: datetime) -> Timeline:
    """The same timeline a little later: what is running has run longer, nothing else has changed."""
    passed = max(0.0, (now - at).total_seconds())
    return replace(told, rows=tuple(_ticked(row, passed, now) for row in told.rows))


def _ticked(row: Row, passed: float, now: datetime) -> Row:
    if row.mark is not Mark.RUNNING or row.seconds is None:
        return row
    return replace(row, seconds=row.seconds + passed, pieces=row.watch.pieces(now) if row.watch else row.pieces)


def _of(gone: float, window: float) -> str:
    if window >= 120:
        return f"{int(gone // 60)} of {round(window / 60)} min"
    return f"{int(gone)} of {round(window)} s"
