"""Release notes that a person wrote or edited: a file beside the ledger, which survives every run (REL-4).

The file stands for a version of a product, not for a run: whoever edits it once finds the text again in the next
attempt to ship that version. It is read when the notes are drafted, and never after: from there on the ledger's text
is what is approved and published.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse_tools import text
from pilothouse_tools.clone import locate

if TYPE_CHECKING:
    from pilothouse_tools.context import Context

_LONGEST = 60_000  # characters: what the forge publishes without a cut
_MOST = 4 * _LONGEST  # bytes
_PARTS = (".pilothouse", "notes")
# Not blocking: where somebody put a pipe, opening it must not wait for a writer.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK
_HINT = "Mend the file, or take it away to have the notes drafted; then: pilothouse resume"


@dataclass(frozen=True, slots=True)
class Edited:
    """A person's notes: the text, the file as the person knows it, and the sha256 of its bytes."""

    text: str
    file: str
    sha256: str


def find(context: Context, version: str, sha: str) -> Edited | None:
    """The notes that a person left for a version, or None where there is no such file.

    Args:
        context: of the product.
        version: that is to be released.
        sha: the commit that is released, empty where it is not known. A file that the commit itself brings is nobody's
            edit: the repository is not trusted to speak for a person.

    Raises:
        ToolFailed: ``notes-refused``, naming file and line.
    """
    shown = "/".join((*_PARTS, f"{context.product.name}-{version}.md"))
    data = _bytes(context, shown)
    if data is None:
        return None
    if sha and context.repo.file(sha, _in_repository(context, shown)) is not None:
        raise _refused(shown, 0, f"commit {sha[:12]} brings this file, so that it is no person's edit")
    return Edited(_checked(data, shown), shown, hashlib.sha256(data).hexdigest())


def _in_repository(context: Context, shown: str) -> str:
    top, _ = locate(context.project)
    return (context.project / shown).relative_to(top).as_posix()


def _bytes(context: Context, shown: str) -> bytes | None:
    folder = context.project
    for part in _PARTS:
        folder /= part
        if folder.is_symlink():
            raise _refused(shown, 0, "a folder on the way to it is a symbolic link")
    try:
        descriptor = os.open(context.project / shown, _FLAGS)
    except FileNotFoundError:
        return None
    except OSError as error:
        what = "it is a symbolic link" if error.errno == errno.ELOOP else f"it cannot be read: {error.strerror}"
        raise _refused(shown, 0, what) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _refused(shown, 0, "it is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(_MOST + 1)
    finally:
        os.close(descriptor)


def _checked(data: bytes, shown: str) -> str:
    """The text, its lines ended by line feeds; what would have to be spelt out or cut is for its writer to mend."""
    if len(data) > _MOST:
        raise _refused(shown, 0, f"it is longer than {_LONGEST} characters")
    try:
        written = data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise _refused(shown, data.count(b"\n", 0, error.start) + 1, "it is not UTF-8") from None
    if len(written) > _LONGEST:
        raise _refused(shown, 0, f"it is longer than {_LONGEST} characters")
    if not written.strip():
        raise _refused(shown, 0, "it is empty")
    for number, line in enumerate(written.split("\n"), 1):
        if hidden := text.first_hidden(line):
            raise _refused(shown, number, f"it holds the invisible character U+{ord(hidden):04X}")
    return written.rstrip("\n") + "\n"


def _refused(shown: str, line: int, why: str) -> ToolFailed:
    place = f"{shown}:{line}" if line else shown
    return ToolFailed("notes-refused", f"{place}: {why}", _HINT)
