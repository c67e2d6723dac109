"""The folder .pilothouse of a project: ours alone, and nothing that a commit could have put there.

The ledger and the scratch repository lie in it. A branch that brings such a folder would bring its own history with
approvals in it, so a project whose index holds anything below it is refused before anything there is read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from pilothouse.errors import RequestRefused

FOLDER = ".pilothouse"
_FIXED = struct.Struct(">40x20sH")  # of an index entry: times and modes, the object's name, the flags
_EXTENDED = 0x4000
_MARK = FOLDER.encode()


def own_folder(project: Path) -> Path:
    """The project's .pilothouse, which need not exist yet.

    Raises:
        RequestRefused: ``folder-not-ours``: it is a link, or git keeps something below it.
    """
    folder = project / FOLDER
    if folder.is_symlink():
        raise _refusal(f"{folder} is a link")
    found = tracked(project)
    if found:
        raise _refusal(f"the repository keeps {found}, and a commit must not bring a ledger")
    return folder


def tracked(project: Path) -> str:
    """The first path of the clone's index that lies in the project's .pilothouse; empty where there is none.

    The index is read here and by no git, because this comes before anything that could tell git what to run.
    """
    top, indexes = _indexes(project.resolve())
    if top is None:
        return ""
    inside = (*project.resolve().relative_to(top).parts, FOLDER)
    for index in indexes:
        content = index.read_bytes()
        # Versions 2 and 3 hold each path whole; only what is cut into prefixes (4) must be put together to be sure.
        if content[4:8] != b"\0\0\0\x04" and _MARK not in content.lower():
            continue
        try:
            for path in _paths(content):
                parts = Path(path.casefold()).parts  # where case does not count, it is the same folder
                if parts[: len(inside)] == tuple(part.casefold() for part in inside):
                    return path
        except (struct.error, ValueError, IndexError):
            raise _refusal(f"{index} cannot be read, so nobody knows what git keeps") from None
    return ""


def _refusal(what: str) -> RequestRefused:
    return RequestRefused(
        "folder-not-ours", what,
        f"{FOLDER} holds this machine's ledger and belongs to no commit: git rm -r --cached {FOLDER}, look at who "
        "brought it, and remove the folder where it is not yours",
    )  # fmt: skip


def _indexes(project: Path) -> tuple[Path | None, list[Path]]:
    """The top of the clone that holds a project, and its index files (a split index has two)."""
    for top in (project, *project.parents):
        mark = top / ".git"
        if mark.is_file():  # a linked worktree or a submodule
            mark = (
                top / mark.read_text(encoding="utf-8", errors="surrogateescape").removeprefix("gitdir:").strip()
            ).resolve()
        if mark.is_dir():
            found = [mark / "index"] if (mark / "index").exists() else []
            return top, [*found, *sorted(mark.glob("sharedindex.*"))]
    return None, []


def _paths(content: bytes) -> Iterator[str]:
    """The paths of an index (gitformat-index), versions 2 to 4."""
    signature, version, entries = struct.unpack_from(">4sII", content)
    if signature != b"DIRC" or version not in {2, 3, 4}:
        raise ValueError(version)
    at, path = 12, b""
    for _ in range(entries):
        begin = at
        _, flags = _FIXED.unpack_from(content, at)
        at += _FIXED.size + (2 if flags & _EXTENDED else 0)
        if version == 4:
            cut, at = _number(content, at)
            end = content.index(b"\0", at)
            path, at = path[: len(path) - cut] + content[at:end], end + 1
        else:
            end = content.index(b"\0", at)
            path = content[at:end]
            at = begin + ((end - begin) // 8 + 1) * 8
        yield path.decode("utf-8", "surrogateescape")


def _number(content: bytes, at: int) -> tuple[int, int]:
    """A number in the variable length of index version 4, and where it ends."""
    byte = content[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = content[at]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, at + 1
