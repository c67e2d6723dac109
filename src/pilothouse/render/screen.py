"""Lines of toned text, and how they reach a stream: colours on a terminal, ASCII where the encoding is poorer."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

NARROW, WIDE = 60, 120


class Tone(StrEnum):
    """What a piece of text says by its colour; each surface has its own colours for them."""

    PLAIN = "plain"
    STRONG = "strong"
    DIM = "dim"
    GOOD = "good"
    BAD = "bad"
    WAIT = "wait"
    BACK = "back"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line."""

    text: str
    tone: Tone = Tone.PLAIN


Line = tuple[Span, ...]
BLANK: Line = ()

_ANSI = {
    Tone.STRONG: "1", Tone.DIM: "2", Tone.GOOD: "32", Tone.BAD: "1;31", Tone.WAIT: "1;33", Tone.BACK: "35",
    Tone.BUSY: "36",
}  # fmt: skip

# What is drawn where a stream cannot encode it. Other characters become a question mark.
_ASCII = str.maketrans({
    "✔": "+", "✘": "x", "◆": "?", "↩": "<", "○": ".", "⚑": "!", "·": "-", "→": "->", "…": "...", "−": "-", "—": "-",
    "╭": "+", "╮": "+", "╰": "+", "╯": "+", "─": "-", "│": "|", "├": "+", "┤": "+", "└": "+", "•": "*", "’": "'",
    "⠋": "*", "µ": "u",
})  # fmt: skip


def line(*parts: str | Span | tuple[str, Tone]) -> Line:
    """A line of plain strings, spans and (text, tone) pairs."""
    spans = (part if isinstance(part, Span) else Span(part) if isinstance(part, str) else Span(*part) for part in parts)
    return tuple(span for span in spans if span.text)


def flat(spans: Line) -> str:
    """A line without its tones."""
    return "".join(span.text for span in spans).rstrip()


def columns(text: str) -> int:
    """How many columns of a terminal a text takes (wide characters take two, combining ones none)."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def cut(text: str, width: int) -> str:
    """A text in at most ``width`` columns; an ellipsis says that something is left out."""
    if columns(text) <= width:
        return text
    out, used = [], 0
    for char in text:
        used += columns(char)
        if used > width - 1:
            break
        out.append(char)
    return "".join(out).rstrip() + "…"


def padded(text: str, width: int) -> str:
    """A text cut or filled to exactly ``width`` columns."""
    shown = cut(text, width)
    return shown + " " * (width - columns(shown))


@dataclass(frozen=True, slots=True)
class Screen:
    """A stream that lines are written to.

    Args:
        stream: where to.
        width: columns.
        colour: whether tones become colours.
        live: whether a terminal is there on which lines may be drawn again.
    """

    stream: TextIO
    width: int = 80
    colour: bool = False
    live: bool = False

    @classmethod
    def on(cls, stream: TextIO, environ: Mapping[str, str] | None = None) -> Screen:
        """What a stream can do, from the stream and the environment (NO_COLOR, FORCE_COLOR, TERM, CI, COLUMNS)."""
        env = os.environ if environ is None else environ
        tty = stream.isatty()
        dumb = env.get("TERM", "") in {"dumb", ""}
        colour = not env.get("NO_COLOR") and (bool(env.get("FORCE_COLOR")) or (tty and not dumb))
        width = 80
        if tty or env.get("COLUMNS", "").isdigit():
            import shutil  # with the compressors that it loads

            width = shutil.get_terminal_size((80, 24)).columns
        live = tty and not dumb and not env.get("CI")
        return cls(stream, min(max(width, NARROW), WIDE), colour, live)

    def encodable(self, text: str) -> str:
        """The text as this stream can encode it."""
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")
        return text

    def drawn(self, spans: Line) -> str:
        """One line as bytes of a terminal, without its end."""
        if not self.colour:
            return self.encodable(flat(spans))
        out = [
            f"\x1b[{_ANSI[span.tone]}m{span.text}\x1b[0m" if span.tone in _ANSI and span.text.strip() else span.text
            for span in spans
        ]
        return self.encodable("".join(out).rstrip())

    def write(self, lines: Iterable[Line]) -> None:
        """Write lines, and flush: what happened is to be seen now."""
        for spans in lines:
            self.stream.write(self.drawn(spans) + "\n")
        self.stream.flush()
