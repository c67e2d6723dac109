"""Bounded slices of the repository at pinned commits, for whoever reads a release: a diff, a search, a folder, a file.

Everything comes from commits by git's plumbing: no working tree, no attribute, no filter, no external program, and a
path is a path whatever it looks like. Results have room for one answer; what is left out is counted or can be asked
for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools import grammar, text
from pilothouse_tools.door import Arguments, observes
from pilothouse_tools.observe import window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context
    from pilothouse_tools.repository import Repository

    _Row: TypeAlias = tuple[bytes, bytes, bytes]  # path, number of the line from 1, line

_DIFF = 16_000_000  # bytes
_FILE = 4_000_000  # bytes
_FOUND = 8_000_000  # bytes of lines that hold what is looked for
_FILES, _FILES_ROOM = 200, 8_000  # of a diff, and characters for their names
_MATCHES, _ENTRIES = 100, 500
_NEEDLE = 200  # characters
_KINDS = {"120000": "link", "160000": "submodule", "040000": "folder"}
# Said again, though neither configuration nor attributes of the repository are read here.
_PLAIN = ("-r", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--ignore-submodules=none")
_AROUND = 3  # lines around a match that are looked at with it: what is held may go over several
_HIT = re.compile(rb"(?:--\n)?([^\0]*)\0([0-9]+)\0([^\n]*)\n")  # a path may hold a line feed
_PATH = Argument("text", required=False, about="a file or folder, from the top of the repository; empty: all")
_LINE = Argument("integer", required=False, about="the first line to show, from 0: 'next' of the slice before")


def _diff(context: Context, arguments: Arguments) -> Observation:
    older, newer, path, first = arguments.text("from"), arguments.text("to"), _path(arguments), _first(arguments)
    repo = context.repo
    repo.require(newer)
    repo.require(older)
    files, omitted = ([], 0) if path else _changed(context, older, newer)
    wanted = (*_PLAIN, "-p", "--abbrev=12", "--end-of-options", older, newer, "--", *((path,) if path else ()))
    done = repo.run("diff-tree", *wanted, cap=_DIFF)
    if done.truncated and not path:
        facts: dict[str, Json] = {
            "text": "", "lines": 0, "next": 0, "files": files, "more": omitted, "complete": False,
        }  # fmt: skip
        return Observation(facts, newer, "a diff too large to be shown at once: name one of its files")
    if done.truncated:
        raise ToolFailed("slice-too-large", f"the diff of {_shown(path)} is larger than {_DIFF} bytes",
                         "Name a part of it, or read the file itself: git.read")  # fmt: skip
    if done.code:
        raise ToolFailed("git-failed", f"git diff-tree failed (exit {done.code})")
    if path and not done.stdout:
        raise ToolFailed("path-unknown", f"nothing at {_shown(path)} differs between the two commits",
                         "Leave the path out to be told the files that do.")  # fmt: skip
    part = window.cut(done.stdout, first, context.redact, window.ROOM - (_FILES_ROOM if files else 0))
    facts = {"text": part.text, "lines": part.lines, "next": part.next, "files": files, "more": omitted,
             "complete": True}  # fmt: skip
    return Observation(facts, newer, _told("diff", part, first))


def _changed(context: Context, older: str, newer: str) -> tuple[list[Json], int]:
    """The files that differ, with lines added and deleted (-1: no text), and how many are left out."""
    done = context.repo.run("diff-tree", *_PLAIN, "-z", "--numstat", "--end-of-options", older, newer, cap=_DIFF)
    if done.code or done.truncated:
        raise ToolFailed("git-failed", f"git diff-tree failed, or said too much (exit {done.code})")
    found: list[Json] = []
    for row in done.stdout.split(b"\0")[:-1]:
        added, deleted, path = row.split(b"\t", 2)
        binary = added == b"-"
        name = _name(context, path.decode("utf-8", "replace"))
        found.append({"path": name, "added": -1 if binary else int(added), "deleted": -1 if binary else int(deleted)})
    kept = window.bounded(found, _FILES, _FILES_ROOM)
    return kept, len(found) - len(kept)


def _grep(context: Context, arguments: Arguments) -> Observation:
    sha, wanted, path = arguments.text("sha"), arguments.text("text"), _path(arguments)
    if not 0 < len(wanted) <= _NEEDLE or not wanted.strip() or text.first_hidden(wanted) or "\n" in wanted:
        raise ToolFailed("bad-argument", f"git.grep looks for one line of 1 to {_NEEDLE} visible characters",
                         "Give words that stand on the line, no pattern.")  # fmt: skip
    repo = context.repo
    repo.require(sha)
    if path:
        _entry(repo, sha, path)
    done = repo.run(
        "grep", "--fixed-strings", "-n", "-z", "-I", "--full-name", "--no-color", "--no-textconv",
        "--no-recurse-submodules", f"--max-count={_MATCHES + 1}", f"--context={_AROUND}", "-e", wanted, sha, "--",
        *((path,) if path else ()), cap=_FOUND,
    )  # fmt: skip
    if done.truncated:
        raise ToolFailed("slice-too-large", f"more than {_FOUND} bytes of lines hold that text",
                         "Look for longer words, or name a path.")  # fmt: skip
    if done.code not in {0, 1}:
        raise ToolFailed("git-failed", f"git grep failed (exit {done.code})")
    groups = _groups(_HIT.findall(done.stdout), len(sha) + 1)
    needle = wanted.encode()
    matches = window.bounded(
        (match for group in groups for match in _matches(context, group, needle)), _MATCHES, window.ROOM
    )
    more = sum(needle in row[2] for group in groups for row in group) > len(matches)
    told = f"{len(matches)} lines hold it" + (", and there are more" if more else "")
    return Observation({"matches": matches, "more": more}, sha, told)


def _groups(rows: list[_Row], prefix: int) -> list[list[_Row]]:
    """Lines of the same file that stand below each other. ``prefix``: of the path, the commit and a colon."""
    groups: list[list[_Row]] = []
    for name, number, line in rows:
        row = (name[prefix:], number, line)
        if groups and groups[-1][-1][0] == row[0] and int(groups[-1][-1][1]) + 1 == int(number):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _matches(context: Context, group: list[_Row], needle: bytes) -> Iterator[Json]:
    shown = window.together([line for _, _, line in group], context.redact)
    for (path, number, line), clean in zip(group, shown, strict=True):
        if needle in line:
            # From 0, as git.read counts.
            yield {"path": _name(context, path.decode("utf-8", "replace")), "line": int(number) - 1, "text": clean}


def _list(context: Context, arguments: Arguments) -> Observation:
    sha, path = arguments.text("sha"), _path(arguments)
    repo = context.repo
    repo.require(sha)
    if path and (kind := _entry(repo, sha, path)[0]) != "folder":
        raise ToolFailed("path-unknown", f"{_shown(path)} is a {kind}, no folder", "Read a file with git.read.")
    inside = (f"{path}/",) if path else ()
    rows = repo.read("ls-tree", "-z", "-l", "--full-tree", "--end-of-options", sha, *inside).split(b"\0")[:-1]
    found: list[Json] = []
    for row in rows[: _ENTRIES + 1]:
        kind, _, size, name = _parsed(row)
        found.append({"name": _name(context, name.rpartition("/")[2]), "kind": kind, "bytes": size})
    entries = window.bounded(found, _ENTRIES, window.ROOM)
    more = len(rows) > len(entries)
    return Observation({"entries": entries, "more": more}, sha, f"{len(rows)} entries")


def _read(context: Context, arguments: Arguments) -> Observation:
    sha, path, first = arguments.text("sha"), _path(arguments), _first(arguments)
    if not path:
        raise ToolFailed("bad-argument", "git.read needs the path of a file", "git.list tells them.")
    repo = context.repo
    repo.require(sha)
    kind, blob, size = _entry(repo, sha, path)
    if kind == "folder":
        raise ToolFailed("not-text", f"{_shown(path)} is a folder", "List it with git.list.")
    if kind != "file":
        raise ToolFailed("not-text", f"{_shown(path)} is a {kind}, which is not followed", "Read what lies here.")
    if size > _FILE:
        raise ToolFailed("slice-too-large", f"{_shown(path)} holds {size} bytes, more than {_FILE}",
                         "Look for what matters with git.grep.")  # fmt: skip
    data = repo.read("cat-file", "blob", blob)
    if b"\0" in data:
        raise ToolFailed("not-text", f"{_shown(path)} is no text", "Only text is read.")
    part = window.cut(data, first, context.redact)
    facts: dict[str, Json] = {"text": part.text, "lines": part.lines, "next": part.next}
    return Observation(facts, sha, _told("file", part, first))


def _entry(repo: Repository, sha: str, path: str) -> tuple[str, str, int]:
    """Kind, object and size of what is at a path. Raises ToolFailed("path-unknown")."""
    rows = repo.read("ls-tree", "-z", "-l", "--full-tree", "--end-of-options", sha, path).split(b"\0")[:-1]
    if not rows:
        raise ToolFailed("path-unknown", f"there is nothing at {_shown(path)} in {sha[:12]}", "git.list tells what is.")
    return _parsed(rows[0])[:3]


def _parsed(row: bytes) -> tuple[str, str, int, str]:
    head, _, name = row.partition(b"\t")
    mode, _kind, blob, size = head.decode().split()
    return _KINDS.get(mode, "file"), blob, int(size) if size != "-" else 0, name.decode("utf-8", "replace")


def _path(arguments: Arguments) -> str:
    """The path that is asked for, empty for the whole repository. Raises ToolFailed("bad-argument")."""
    path = arguments.text("path").removesuffix("/")
    if path in {"", "."}:
        return ""
    if not grammar.is_path(path):
        raise ToolFailed("bad-argument", f"{_shown(path)} is no path within the repository",
                         "Write folder/file, from the top, without .. and without a leading slash.")  # fmt: skip
    return path


def _first(arguments: Arguments) -> int:
    line = arguments.number("line")
    if line < 0:
        raise ToolFailed("bad-argument", f"lines count from 0, not from {line}")
    return line


def _name(context: Context, path: str) -> str:
    return window.one(path.replace("\n", "\\n"), context.redact)


def _shown(path: str) -> str:
    return repr(text.one_line(path, 120))


def _told(what: str, part: window.Slice, first: int) -> str:
    shown = part.text.count("\n") + 1 if part.text else 0
    return f"{what}: {shown} of {part.lines} lines, from {first}"


_SHA = Argument("sha", about="the commit")
TOOLS = (
    observes(
        "git.diff",
        "A slice of what differs between two commits, at most 400 lines; without a path also the files that differ.",
        {
            "from": Argument("sha", about="released now"), "to": Argument("sha", about="to be released"),
            "path": _PATH, "line": _LINE,
        },
        {"text": "text", "lines": "integer", "next": "integer", "files": "object", "more": "integer",
         "complete": "flag"},
        _diff,
    ),
    observes(
        "git.grep",
        "The lines of text files at a commit that hold exactly this text, at most 100. Lines count from 0.",
        {"sha": _SHA, "text": Argument("text", about="words as they stand on a line, no pattern"), "path": _PATH},
        {"matches": "object", "more": "flag"},
        _grep,
    ),
    observes(
        "git.list",
        "What a folder holds at a commit, at most 500 entries: name, kind, bytes.",
        {"sha": _SHA, "path": _PATH},
        {"entries": "object", "more": "flag"},
        _list,
    ),
    observes(
        "git.read",
        "A slice of a text file at a commit, at most 400 lines.",
        {"sha": _SHA, "path": Argument("text", about="a file, from the top of the repository"), "line": _LINE},
        {"text": "text", "lines": "integer", "next": "integer"},
        _read,
    ),
)  # fmt: skip
