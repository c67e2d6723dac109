"""A picture of a run, made by code: its timeline, and below it the open card or how it ended. Text stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from pilothouse.guard.state import RunState
from pilothouse.render.course import Times, open_checkpoint, outline
from pilothouse.render.drawing import fitted
from pilothouse.render.logs import GUTTER
from pilothouse.render.report import ending
from pilothouse.render.rows import MIDDLE, Mark, Row, Timeline
from pilothouse.render.screen import Line, Tone, columns, cut, flat
from pilothouse.render.text import duration, wrap
from pilothouse.render.timeline import timeline

WIDTH, MARGIN = 980, 36
TITLE_AT, AGENT_AT, PIECES_AT, PIECES = 70, 232, 366, 68
DETAIL = 120
FEW = 5  # phases to come that get a line each; more share one
ROW, SMALL, CARD_LINE = 36, 20, 19.5
SANS = "system-ui, -apple-system, 'Segoe UI', Inter, 'Helvetica Neue', 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
GLYPH = 7.83  # columns of the monospace text at 13 px

GROUND, PANEL, EDGE = "#0e1420", "#141c2b", "#243044"
INK, SOFT, FAINT = "#e6edf7", "#9fb0c7", "#62738c"
COLOURS = {
    Mark.DONE: "#4cc38a", Mark.WAITING: "#f5b83d", Mark.FAILED: "#f2665c", Mark.BACK: "#b48ef0",
    Mark.TO_COME: "#42526b", Mark.RUNNING: "#58b6e8",
}  # fmt: skip
TONES = {
    Tone.PLAIN: INK, Tone.STRONG: INK, Tone.DIM: SOFT, Tone.GOOD: COLOURS[Mark.DONE], Tone.BAD: COLOURS[Mark.FAILED],
    Tone.WAIT: COLOURS[Mark.WAITING], Tone.BACK: COLOURS[Mark.BACK], Tone.BUSY: COLOURS[Mark.RUNNING],
}  # fmt: skip
# The sign inside of a row's circle (radius 9, centre 0 0).
_SIGNS = {
    Mark.DONE: "M-4.2 0.2 L-1.2 3.2 L4.4 -3.2",
    Mark.FAILED: "M-3.2 -3.2 L3.2 3.2 M3.2 -3.2 L-3.2 3.2",
    Mark.BACK: "M4 3.4 L4 1.6 Q4 -1.6 0.8 -1.6 L-3.6 -1.6 M-1.2 -4.2 L-3.8 -1.6 L-1.2 1",
    Mark.RUNNING: "M0 -4 A4 4 0 1 1 -3.5 2",
}
_LABEL = re.compile(r"^([A-Z][A-Za-z ]{1,12}?)(\s{2,})(.*)$")


def picture(state: RunState, times: Times, now: datetime) -> str:
    """The SVG document of a run, as it stands at ``now``."""
    told = timeline(state, times, now)
    parts: list[str] = []
    y = 66.0
    parts += _headline(told, y)
    y += 40
    top = y
    for row in told.rows:
        parts += _row(row, y)
        y += ROW + SMALL * len(_details(row))
    coming = list(told.to_come)
    for title in coming if len(coming) <= FEW else [_shared(coming)]:
        parts += _coming(title, y)
        y += ROW - 8
    rail = _rail(top, y - (ROW - 8 if told.to_come else ROW))
    body, height = _panel(state, times, y + 14)
    return "\n".join([*_frame(y + 14 + height + MARGIN - 8), rail, *parts, *body, "</svg>"]) + "\n"


def _frame(height: float) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" aria-label="A run of Pilothouse">'
    )
    yield f'<rect width="{WIDTH}" height="{height:.0f}" rx="14" fill="{GROUND}"/>'
    yield f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="13.5" fill="none" stroke="{EDGE}"/>'


def _text(x: float, y: float, text: str, fill: str, size: float = 14, more: str = "") -> str:
    family = MONO if "mono" in more else SANS
    extra = more.replace("mono", "").strip()
    font = f'font-family="{family}" font-size="{size:g}"'
    return f'<text x="{x:g}" y="{y:g}" fill="{fill}" {font} {extra}>{escape(text)}</text>'


def _headline(told: Timeline, y: float) -> Iterator[str]:
    product, _, versions = told.headline.partition(" ")
    yield (
        f'<text x="{MARGIN}" y="{y:g}" font-family="{SANS}" font-size="24" font-weight="700" fill="{INK}">'
        f'{escape(product)} <tspan font-weight="400" fill="{SOFT}">{escape(versions)}</tspan></text>'
    )
    yield _text(WIDTH - MARGIN, y - 2, MIDDLE.join(told.origin), FAINT, 13, 'text-anchor="end"')


def _rail(top: float, bottom: float) -> str:
    x = MARGIN + 9
    return f'<line x1="{x}" y1="{top:g}" x2="{x}" y2="{bottom:g}" stroke="{EDGE}" stroke-width="2"/>'


def _row(row: Row, y: float) -> Iterator[str]:
    colour = COLOURS[row.mark]
    yield _sign(row.mark, y)
    loud = row.mark in {Mark.WAITING, Mark.FAILED, Mark.RUNNING}
    yield _text(TITLE_AT, y + 5, row.title, colour if loud else INK, 14.5, 'font-weight="600"')
    yield _text(AGENT_AT, y + 5, row.agent, FAINT, 13.5)
    said = MIDDLE.join(fitted(row.pieces, PIECES) or [cut(piece, PIECES) for piece in row.pieces[:1]])
    yield _text(PIECES_AT, y + 5, said, colour if loud else SOFT, 14)
    if row.seconds is not None:
        yield _text(WIDTH - MARGIN, y + 5, duration(row.seconds), FAINT, 13, 'text-anchor="end"')
    for number, detail in enumerate(_details(row), 1):
        label, _, command = detail.partition("  ")
        at = y + 5 + SMALL * number
        yield _text(TITLE_AT, at, label, FAINT if command else SOFT, 13.5)
        if command:
            yield _text(TITLE_AT + 64, at, command.strip(), SOFT, 13, "mono")


def _details(row: Row) -> list[str]:
    return [part for text in row.details for part in _parts(text)]


def _parts(text: str) -> list[str]:
    if text.startswith(GUTTER):
        return [cut(text, DETAIL)]
    return [text] if columns(text) <= DETAIL else wrap(text, DETAIL)


def _sign(mark: Mark, y: float) -> str:
    x, colour = MARGIN + 9, COLOURS[mark]
    if mark is Mark.WAITING:
        return (
            f'<rect x="{x - 7.5}" y="{y - 7.5:g}" width="15" height="15" rx="3" fill="{colour}" '
            f'transform="rotate(45 {x} {y:g})"/>'
        )
    if mark is Mark.TO_COME:
        return f'<circle cx="{x}" cy="{y:g}" r="6" fill="{GROUND}" stroke="{colour}" stroke-width="2"/>'
    return (
        f'<g transform="translate({x} {y:g})"><circle r="10" fill="{colour}"/><path d="{_SIGNS[mark]}" fill="none" '
        f'stroke="{GROUND}" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/></g>'
    )


def _shared(titles: Sequence[str]) -> str:
    """Many phases on one line; what does not fit is counted."""
    shown = fitted(titles, DETAIL - 16)
    more = [f"and {len(titles) - len(shown)} more"] if len(shown) < len(titles) else []
    return MIDDLE.join([*shown, *more])


def _coming(title: str, y: float) -> Iterator[str]:
    yield _sign(Mark.TO_COME, y)
    yield _text(TITLE_AT, y + 5, title, FAINT, 14)


def _panel(state: RunState, times: Times, y: float) -> tuple[list[str], float]:
    """The card that waits, or how the run ended; and how high that is."""
    name = open_checkpoint(state)
    known = state.checkpoints.get(name)
    if known is not None and known.opened is not None and not state.over:
        title = next((entry.phase_title for entry in outline(state) if entry.id == name), name)
        lines = [_card_line(raw) for raw in known.opened.card.rstrip("\n").split("\n")]
        return _framed(title, lines, y, COLOURS[Mark.WAITING])
    said = [line for line in ending(state, times, 108) if flat(line)]
    if not said:
        return [], 0
    first, *rest = said
    if not rest:
        return _framed(_CALM.get(state.standing(), "As it stands"), [_spans(first)], y, _edge(state))
    head, _, aside = flat(first).strip().partition("   ")
    return _framed(head, [_spans(line) for line in rest], y, _edge(state), aside)


_CALM = {
    "refused": "Refused",
    "failed": "Failed",
    "halted": "Halted: a person must look",
    "aborted": "Over",
    "superseded": "Over",
}


def _edge(state: RunState) -> str:
    marks = {"done": Mark.DONE, "rolled-back": Mark.BACK, "halted": Mark.WAITING, "refused": Mark.FAILED,
             "failed": Mark.FAILED}  # fmt: skip
    return COLOURS[marks.get(state.standing(), Mark.TO_COME)]


_Toned = Sequence[tuple[str, str]]


def _card_line(raw: str) -> _Toned:
    found = _LABEL.match(raw)
    if found:
        return [(found[1] + found[2], SOFT), (found[3], INK)]
    return [(raw, SOFT if raw.startswith(("plan ", "And only")) else INK)]


def _spans(line: Line) -> _Toned:
    """A line without the one column of margin that a terminal needs."""
    first, *rest = line
    return [(first.text.removeprefix(" "), TONES[first.tone]), *((span.text, TONES[span.tone]) for span in rest)]


def _framed(title: str, lines: Sequence[_Toned], y: float, edge: str, aside: str = "") -> tuple[list[str], float]:
    height = 60 + CARD_LINE * len(lines) + 10
    out = [
        (
            f'<rect x="{MARGIN}" y="{y:g}" width="{WIDTH - 2 * MARGIN}" height="{height:g}" rx="10" fill="{PANEL}" '
            f'stroke="{edge}" stroke-opacity="0.75"/>'
        ),
        _text(MARGIN + 24, y + 34, title, edge, 16, 'font-weight="700"'),
        _text(WIDTH - MARGIN - 24, y + 34, aside, FAINT, 13, 'text-anchor="end"'),
    ]
    for number, spans in enumerate(lines):
        at = y + 66 + CARD_LINE * number
        column = 0
        for text, fill in spans:
            shown = text.lstrip(" ")
            x = MARGIN + 24 + GLYPH * (column + len(text) - len(shown))
            if shown.strip():
                out.append(_text(round(x, 1), round(at, 1), shown.rstrip(), fill, 13, 'mono xml:space="preserve"'))
            column += columns(text)
    return out, height
