"""What a model says, as lines that are told apart from the host's own: each stands behind a bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pilothouse.render.screen import Line, Tone, line
from pilothouse.render.text import safe, wrap

_GUTTER = "    │ "  # nothing of the host's begins so: a model cannot pass off its words as the host's
_LONGEST = 4000  # characters of one line of its text


@dataclass(slots=True)
class Speech:
    """Pieces of text that become lines as soon as they are whole.

    Args:
        redact: takes held values out.
        width: of the terminal.
    """

    redact: Callable[[str], str]
    width: int
    _kept: str = field(default="")
    _begun: bool = field(default=False)

    def take(self, piece: str) -> list[Line]:
        """The lines that are whole by now."""
        *paragraphs, self._kept = (self._kept + piece).split("\n")
        lines = [part for text in paragraphs for part in self._wrapped(text)]
        room = self.width - len(_GUTTER)
        if len(self._kept) > room and " " in self._kept[:room]:
            first, _, rest = self._kept[:room].rpartition(" ")
            lines += self._wrapped(first)
            self._kept = rest + self._kept[room:]
        return lines

    def rest(self) -> list[Line]:
        """What was begun and not ended by a line break."""
        kept, self._kept = self._kept, ""
        return self._wrapped(kept) if kept.strip() else []

    def _wrapped(self, text: str) -> list[Line]:
        if not text.strip() and not self._begun:
            return []
        self._begun = True
        shown = safe(self.redact(text), _LONGEST)
        return [line((_GUTTER, Tone.BUSY), part) for part in wrap(shown, self.width - len(_GUTTER))]
