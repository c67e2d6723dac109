"""The timeline and the card as lines of a given width. What does not fit is left out from the end, never wrapped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pilothouse.render.course import Standing
from pilothouse.render.logs import GUTTER
from pilothouse.render.rows import MIDDLE, Mark, Row, StepRow, Timeline
from pilothouse.render.screen import BLANK, Line, Span, Tone, columns, cut, line, padded
from pilothouse.render.text import duration, wrap

TITLE, AGENT, TIME = 17, 16, 6
_LABEL = re.compile(r"[A-Z][a-z ]{2,7} {2,}")  # "Go on    pilothouse …": what follows stands under itself

TONES = {
    Mark.DONE: Tone.GOOD, Mark.WAITING: Tone.WAIT, Mark.FAILED: Tone.BAD, Mark.BACK: Tone.BACK, Mark.TO_COME: Tone.DIM,
    Mark.RUNNING: Tone.BUSY,
}  # fmt: skip

_STEP_MARKS = {
    Standing.DONE: Mark.DONE, Standing.SKIPPED: Mark.TO_COME, Standing.FAILED: Mark.FAILED,
    Standing.WAITING: Mark.WAITING, Standing.RUNNING: Mark.RUNNING, Standing.PENDING: Mark.TO_COME,
}  # fmt: skip


def draw(told: Timeline, width: int, *, verbose: bool = False, spinner: str = "", headed: bool = True) -> list[Line]:
    """The whole timeline: headline, a blank line, the rows, what is to come on one line."""
    lines = [*draw_headline(told, width), BLANK] if headed else []
    for row in told.rows:
        lines += draw_row(row, width, verbose=verbose, spinner=spinner)
    lines += draw_to_come(told.to_come, width)
    return lines


def draw_headline(told: Timeline, width: int) -> list[Line]:
    """Product and versions, then where the run comes from; on a second line where the first is full."""
    room = width - columns(told.headline) - 4
    parts = list(told.origin)
    whole = fitted(parts, room)
    head = [line(" ", (told.headline, Tone.STRONG), "   ", (MIDDLE.join(whole), Tone.DIM))]
    rest = parts[len(whole) :]
    return [*head, line("   ", (MIDDLE.join(rest), Tone.DIM))] if rest else head


def fitted(pieces: Sequence[str], room: int) -> list[str]:
    """As many pieces, from the first on, as fit into ``room`` columns together with the dots between them."""
    shown: list[str] = []
    used = 0
    for piece in pieces:
        used += columns(piece) + (len(MIDDLE) if shown else 0)
        if used > room:
            break
        shown.append(piece)
    return shown


def draw_row(row: Row, width: int, *, verbose: bool = False, spinner: str = "") -> list[Line]:
    """One phase, and the lines under it."""
    tone = TONES[row.mark]
    sign = spinner if row.mark is Mark.RUNNING and spinner else str(row.mark)
    time = duration(row.seconds) if row.seconds is not None else ""
    room = width - 3 - TITLE - 1 - AGENT - 1 - (max(TIME, columns(time)) + 1 if time else 0)
    pieces: tuple[str, ...] = row.pieces
    below: tuple[str, ...] = ()
    if row.watch and len(fitted(pieces, room)) < len(pieces):
        pieces, below = pieces[-2:], pieces[:-2]
    shown = fitted(pieces, room) or [cut(pieces[0], room)] if pieces else []
    said = MIDDLE.join(shown)
    quiet = row.mark in {Mark.DONE, Mark.BACK}
    title_tone = Tone.STRONG if row.mark in {Mark.WAITING, Mark.FAILED, Mark.RUNNING} else Tone.PLAIN
    end: tuple[Span, ...] = ()
    if time:
        gap = room - columns(said) + 1 + max(TIME, columns(time)) - columns(time)
        end = (Span(" " * gap), Span(time, Tone.DIM))
    said_tone = Tone.PLAIN if quiet else tone
    first = line(
        " ", (sign, tone), " ", (padded(row.title, TITLE), title_tone), " ", (padded(row.agent, AGENT), Tone.DIM), " ",
        (said, said_tone), *end,
    )  # fmt: skip
    under = [part for detail in row.details for part in _detail(detail, width)]
    if below:
        left = 4 + TITLE
        under.insert(0, line(" " * left, (MIDDLE.join(fitted(below, width - left)), tone)))
    steps = [_step(step, width) for step in row.steps if step.standing is not Standing.PENDING] if verbose else []
    return [first, *under, *steps]


def _detail(text: str, width: int) -> list[Line]:
    if text.startswith(GUTTER):
        return [line("   ", (cut(text, width - 4), Tone.DIM))]
    if columns(text) <= width - 4:
        return [line("   ", text)]
    label = _LABEL.match(text)
    indent = len(label[0]) if label else 0
    first, *more = wrap(text[indent:], width - 4 - indent)
    return [line("   ", text[:indent] + first), *(line("   " + " " * indent, part) for part in more)]


def _step(step: StepRow, width: int) -> Line:
    sign = _STEP_MARKS[step.standing]
    name, tool = (20, 19) if width < 100 else (24, 22)
    room = width - 7 - name - tool
    first, *more = step.evidence.split(", ")
    evidence = f"  {first}{f' +{len(more)}' if more else ''}" if first else ""
    text = cut(step.summary, max(8, room - columns(evidence)))
    return line(
        "   ", (str(sign), TONES[sign]), " ", (padded(step.id, name), Tone.PLAIN), " ",
        (padded(step.tool, tool), Tone.DIM), " ", (text, Tone.DIM), (evidence, Tone.DIM),
    )  # fmt: skip


def draw_to_come(titles: Sequence[str], width: int) -> list[Line]:
    """The phases that are to come, on one line."""
    if not titles:
        return []
    room = width - 1
    pieces = [f"{Mark.TO_COME} {title}" for title in titles]
    shown = fitted(pieces, room)
    if len(shown) < len(pieces):
        more = f"and {len(pieces) - len(shown) + 1} more"
        shown = [*fitted(pieces[: len(shown) - 1], room - len(more) - len(MIDDLE)), more]
        shown[-1] = f"and {len(pieces) - len(shown) + 1} more"
    return [line(" ", (MIDDLE.join(shown), Tone.DIM))]


def boxed(title: str, text: str, width: int) -> list[Line]:
    """A card in a frame, its title in the upper border. Lines that are too long are wrapped, never cut."""
    inner = width - 4
    frame = Tone.WAIT
    top = f"╭ {cut(title, inner - 1)} "
    lines = [line((top + "─" * (width - columns(top) - 1) + "╮", frame))]
    for raw in text.rstrip("\n").split("\n"):
        lines += [line(("│ ", frame), padded(part, inner), (" │", frame)) for part in _folded(raw, inner)]
    return [*lines, line(("╰" + "─" * (width - 2) + "╯", frame))]


def _folded(text: str, width: int) -> Iterable[str]:
    if columns(text) <= width:
        return [text]
    indent = len(text) - len(text.lstrip())
    return [" " * indent + part for part in wrap(text, width - indent)]
