"""What a chat keeps on disk: the lines that were typed (for the up key), and a journal of what a model said and saw.

Both lie in the project's own folder, readable by this user alone, without held values. A line that holds a word of
approval is in neither.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pilothouse.canonical import Json
from pilothouse.chat.questions import holds_a_word
from pilothouse.folder import own_folder
from pilothouse.nets import without
from pilothouse.thinking import CHATS

if TYPE_CHECKING:
    from pilothouse.redaction import Redactor

HISTORY = "chat.history"
_MOST = 1000  # lines of the history that are read back
_LARGEST = 1_000_000  # bytes of it


def folder_of(project: Path) -> Path:
    """The project's own folder, made where it is missing. Raises RequestRefused: ``folder-not-ours``."""
    folder = own_folder(project)
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return folder


def _appended(file: Path, text: str, *, durable: bool) -> None:
    """Append to a file that only this user may read; a link in its place is not followed."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(file, flags, 0o600)
    try:
        os.fchmod(handle, 0o600)
        os.write(handle, text.encode("utf-8", "backslashreplace"))
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(slots=True)
class History:
    """The lines that were typed in this project's chats.

    Args:
        project: the project's folder.
        redact: takes held values out.
    """

    project: Path
    redact: Callable[[str], str]

    def lines(self) -> list[str]:
        """What was typed before, oldest first."""
        file = own_folder(self.project) / HISTORY
        try:
            with file.open("rb") as opened:
                opened.seek(max(0, file.stat().st_size - _LARGEST))
                text = opened.read(_LARGEST).decode("utf-8", "replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()][-_MOST:]

    def keeps(self, line: str) -> bool:
        """Whether a line may be kept."""
        return bool(line.strip()) and line.isprintable() and not holds_a_word(line)

    def keep(self, line: str) -> None:
        """Keep a line, where it may be kept."""
        if self.keeps(line):
            _appended(folder_of(self.project) / HISTORY, self.redact(line) + "\n", durable=False)


@dataclass(slots=True)
class Journal:
    """What was asked of a model, what it answered and what it was shown: written before it is used, never changed.

    Args:
        project: the project's folder.
        redact: takes held values out.
        now: the present, ISO 8601 UTC.
        session: which chat this is.
    """

    project: Path
    redact: Redactor
    now: Callable[[], str]
    session: str
    _written: int = field(default=0)

    def write(self, kind: str, told: Mapping[str, Json]) -> None:
        """One more entry, durable when this returns."""
        clean = cast("dict[str, Json]", without(self.redact, {"v": 1, "at": self.now(), "kind": kind, **told}))
        clean["session"] = self.session
        line = json.dumps(clean, ensure_ascii=False, sort_keys=True) + "\n"
        _appended(folder_of(self.project) / CHATS, line, durable=True)
        self._written += 1
