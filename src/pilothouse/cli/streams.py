"""The last net before a person or a script: the command line says no held value (I8). Light on purpose."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, TextIO, cast

from pilothouse.held import held_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


class GuardedStream:
    """A text stream that says no held value; everything but writing is the stream's own.

    What is written is kept until somebody flushes: a value that is wrapped over lines is recognised as one.
    """

    def __init__(self, stream: TextIO, redact: Callable[[], Callable[[str], str]]) -> None:
        self._stream = stream
        self._redact = redact
        self._kept: list[str] = []

    def write(self, text: str) -> int:
        """Take what is to be said. Raises TypeError for bytes, by which callers tell what kind of stream this is."""
        if not isinstance(text, str):
            raise TypeError(f"a text stream takes str, not {type(text).__name__}")
        self._kept.append(text)
        return len(text)

    def flush(self) -> None:
        """Say what may be said."""
        if self._kept:
            text, self._kept = "".join(self._kept), []
            self._stream.write(self._redact()(text))
        self._stream.flush()

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each line."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def guarded_streams(project: Callable[[], Path | None]) -> Iterator[None]:
    """Standard output and standard error, through the net while a command runs.

    Args:
        project: where the configuration is; asked once, when the first words are said.
    """

    @cache
    def redact() -> Callable[[str], str]:
        values = held_by(project(), os.environ)
        if not values:
            return str
        from pilothouse.redaction import Redactor

        return Redactor((item.name, item.value) for item in values)

    before = sys.stdout, sys.stderr
    out, err = GuardedStream(sys.stdout, redact), GuardedStream(sys.stderr, redact)
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        out.flush()
        err.flush()
