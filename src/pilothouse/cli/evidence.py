"""audit show --evidence: one piece of evidence, whole; what a refusal shows the end of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pilothouse.cli.surface import Surface, history
from pilothouse.errors import EXIT_DONE, UsageError
from pilothouse.events import Failed, fact_to_json
from pilothouse.render.logs import GUTTER
from pilothouse.render.screen import BLANK, Tone, line, padded
from pilothouse.render.text import safe
from pilothouse.views import schema

if TYPE_CHECKING:
    from pilothouse.app import Pilothouse
    from pilothouse.canonical import Json
    from pilothouse.events import Event
    from pilothouse.guard.state import RunState
    from pilothouse.render.screen import Line

LABEL = 10
LONGEST = 1_000_000  # characters of one line; evidence is bounded long before it is written down
_HEAD = {"step", "evidence", "tool", "facts", "arguments", "summary", "digest", "sha"}


def show(surface: Surface, app: Pilothouse, state: RunState, name: str) -> int:
    """Print one piece of evidence, whole.

    Args:
        name: its id, or a step whose act failed: then what it wrote when it did.

    Raises:
        UsageError: ``no-such-evidence``.
    """
    event = _find(history(app, state), name)
    if event is None:
        known = ", ".join(state.evidence_by_id) or "none yet"
        raise UsageError("no-such-evidence", f"{state.run} has recorded no evidence {name!r}", f"there is: {known}")
    surface.answer(lambda: _as_json(event, state), lambda: _lines(event))
    return EXIT_DONE


def _find(events: Sequence[Event], name: str) -> Event | None:
    for event in reversed(events):
        fact = event.fact
        if getattr(fact, "evidence", None) == name or (isinstance(fact, Failed) and fact.step == name):
            return event
    return None


def _as_json(event: Event, state: RunState) -> dict[str, Json]:
    return {
        "schema": schema("evidence"), "run": state.run, "chain": event.chain, "seq": event.seq, "at": event.at,
        "kind": event.kind, "hash": event.hash, **fact_to_json(event.fact),
    }  # fmt: skip


def _lines(event: Event) -> Iterator[Line]:
    told = fact_to_json(event.fact)
    yield line(
        " ",
        (str(told.get("evidence") or told["step"]), Tone.STRONG),
        f"  {told['step']}",
        (f"   {event.kind} {event.at[:19].replace('T', ' ')} UTC · entry {event.seq} of {event.chain}", Tone.DIM),
    )
    for label in ("tool", "summary", "sha", "digest"):
        if told.get(label):
            yield line("   ", (padded(label, LABEL), Tone.DIM), safe(str(told[label]), LONGEST))
    for label in ("arguments", "facts"):
        value = told.get(label)
        if isinstance(value, dict) and value:
            yield from _mapping(label, value)
    rest = {name: value for name, value in told.items() if name not in _HEAD}
    if rest:
        yield from _mapping("more", rest)


def _mapping(title: str, values: Mapping[str, Json]) -> Iterator[Line]:
    yield BLANK
    yield line("   ", (title, Tone.STRONG))
    room = max(LABEL, *(len(name) for name in values))
    for name, value in values.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
        parts = shown.rstrip("\n").split("\n")
        label = (padded(safe(name, 60), room), Tone.DIM)
        if len(parts) == 1:
            yield line("     ", label, "  ", safe(parts[0], LONGEST))
            continue
        yield line("     ", label)
        yield from (line("     ", (GUTTER, Tone.DIM), safe(part, LONGEST)) for part in parts)
