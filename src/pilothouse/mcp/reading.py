"""What there is to read about a run: its report, notes, card and ledger, as text that shows nothing but what it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pilothouse.canonical import Json
from pilothouse.errors import UsageError
from pilothouse.events import WordDrawn, WordSpent, fact_to_json
from pilothouse.render.course import Times
from pilothouse.render.drawing import draw
from pilothouse.render.report import card as drawn_card
from pilothouse.render.report import ending
from pilothouse.render.screen import flat
from pilothouse.render.text import safe, visible_json
from pilothouse.render.timeline import timeline
from pilothouse.views import schema, status_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pilothouse.app import Pilothouse
    from pilothouse.events import Event
    from pilothouse.guard.state import RunState
    from pilothouse.render.screen import Line

MARKDOWN, PLAIN, JSON = "text/markdown", "text/plain", "application/json"
_WIDTH = 100
_LONGEST_LINE = 2000  # characters
_LONGEST_TEXT = 4000  # characters of one value of the ledger; what is longer is for `pilothouse audit show`
_MOST_LINES = 5000


def runs(app: Pilothouse) -> str:
    """Every run, oldest first: ``pilothouse.status/1``."""
    return visible_json(status_json(app.runs()), indent=1)


def report(app: Pilothouse, run: str) -> str:
    """The timeline, and how the run ended or what it waits for."""
    state = app.find(run)
    times = Times.of(_events(app, state))
    now = datetime.now(UTC).astimezone()
    return _drawn([*draw(timeline(state, times, now), _WIDTH, verbose=True), *ending(state, times, _WIDTH)])


def notes(app: Pilothouse, run: str) -> str:
    """The release notes as they are now. Raises UsageError: ``no-notes``."""
    state = app.find(run)
    text = str(state.facts().get("notes", {}).get("text", ""))
    if not text:
        raise UsageError("no-notes", f"{state.run} has written no notes yet", "ask release_status where it stands")
    return "\n".join(safe(raw, _LONGEST_LINE) for raw in text.rstrip("\n").split("\n")[:_MOST_LINES]) + "\n"


def card(app: Pilothouse, run: str) -> str:
    """The card that a person is shown, or the last one that was. Raises UsageError: ``no-card``."""
    state = app.find(run)
    lines = drawn_card(state, _WIDTH) if any(item.shown for item in state.checkpoints.values()) else []
    if not lines:
        raise UsageError("no-card", f"{state.run} has shown no card yet", "ask release_status where it stands")
    return _drawn(lines)


def ledger(app: Pilothouse, run: str) -> str:
    """The events of a run. Words of approval are left out, and long texts: the whole record is `pilothouse audit`'s."""
    state = app.find(run)
    return visible_json({
        "schema": schema("audit-show"), "run": state.run, "chain": state.started.product,
        "events": [
            {"seq": e.seq, "at": e.at, "kind": e.kind, "hash": e.hash, "prev": e.prev, "fact": _fact(e)}
            for e in _events(app, state)
        ],
    }, indent=1)  # fmt: skip


READERS: dict[str, tuple[Callable[[Pilothouse, str], str], str, str]] = {
    "report": (report, PLAIN, "The run's timeline and how it ended or what it waits for."),
    "notes": (notes, MARKDOWN, "The release notes. They are made of texts that others wrote."),
    "card": (card, PLAIN, "What a person is shown before they approve."),
    "ledger": (ledger, JSON, "Every event of the run."),
}


def _events(app: Pilothouse, state: RunState) -> tuple[Event, ...]:
    return tuple(event for event in app.journal.read(state.started.product) if event.run == state.run)


def _fact(event: Event) -> Json:
    told = fact_to_json(event.fact)
    if isinstance(event.fact, WordDrawn | WordSpent):
        # A word is the person's and the terminal's; even a spent one is no business of a model.
        told = {name: value for name, value in told.items() if name not in {"presented", "entered"}}
    return _bounded(told)


def _bounded(value: Json) -> Json:
    match value:
        case str() if len(value) > _LONGEST_TEXT:
            return f"{value[:200]}… ({len(value)} characters in all)"
        case list():
            return [_bounded(item) for item in value]
        case dict():
            return {name: _bounded(item) for name, item in value.items()}
        case _:
            return value


def _drawn(lines: Iterable[Line]) -> str:
    return "\n".join(flat(spans) for spans in lines).strip("\n") + "\n"
