"""A part of a text that strangers wrote, as it may be shown to an agent: bounded, without secrets, nothing hidden.

A line keeps its number whatever is taken out of it, so that one slice goes on where another ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice

from pilothouse.canonical import Json
from pilothouse_tools import leaks, text

ROOM = 23_000  # characters of facts as JSON: what one result holds, its fence included
_LINES = 400
_LINE = 500  # characters of a line that are shown
_LONG = 4_000  # characters of a line that are looked at: nothing that is shown ends where a secret was cut in two
_MARGIN = 64  # lines around a slice that are looked at with it: a key may begin above it
_TAKEN = "[withheld: it looks like a secret]"
# A key with its body, and only lines that can belong to one: its first line alone must not hide what follows.
_BODY = r"\n[-+ ]?[ \t\"'#*]*"
_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----[^\n]*"
    rf"(?:{_BODY}(?:[A-Za-z0-9+/=]{{24,}}|[A-Za-z][A-Za-z-]{{1,30}}: [^\n]{{0,200}}|)[^A-Za-z0-9\n]{{0,8}}(?=\n|\Z))*"
    rf"(?:(?:{_BODY}[A-Za-z0-9+/=]{{1,23}}[^A-Za-z0-9\n]{{0,8}})?{_BODY}-----END [A-Z0-9 ]{{1,60}}-----)?"
)


@dataclass(frozen=True, slots=True)
class Slice:
    """Lines of a text: ``next`` is the number of the first line after them (0-based), or 0 where there is none."""

    text: str
    lines: int
    next: int


def cut(data: bytes, first: int, redact: Callable[[str], str], room: int = ROOM) -> Slice:
    """The lines of a text from one on, as many as there is room for.

    Args:
        data: the whole text, UTF-8 or something like it.
        first: the number of the first line, from 0.
        redact: takes out what is held.
        room: characters, as JSON writes them.
    """
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    start, end = max(0, first - _MARGIN), first + _LINES + _MARGIN
    near = [line[: 4 * _LONG].decode("utf-8", "replace")[:_LONG] for line in lines[start:end]]
    if not near:
        return Slice("", len(lines), 0)
    clean = _without_secrets(near, redact)
    shown: list[str] = []
    for index in range(first - start, min(len(clean), first - start + _LINES)):
        line = short(clean[index], max(0, len(lines[start + index]) - len(near[index].encode())))
        room -= len(json.dumps(line, ensure_ascii=False))
        if room < 0 and shown:
            break
        shown.append(line)
    after = first + len(shown)
    return Slice("\n".join(shown), len(lines), after if shown and after < len(lines) else 0)


def together(lines: list[bytes], redact: Callable[[str], str]) -> list[str]:
    """Lines that stand below each other, each as it may be shown: what is held may go over several of them."""
    near = [line[: 4 * _LONG].decode("utf-8", "replace")[:_LONG] for line in lines]
    return [
        short(clean, max(0, len(line) - len(part.encode())))
        for line, part, clean in zip(lines, near, _without_secrets(near, redact), strict=True)
    ]


def one(line: str, redact: Callable[[str], str]) -> str:
    """A single line as it may be shown."""
    return short(_without_secrets([line[:_LONG]], redact)[0], max(0, len(line) - _LONG))


def short(line: str, more: int = 0) -> str:
    """A line with nothing hidden in it, its end cut off and counted. ``more``: characters that were cut off before."""
    line = text.visible(line.removesuffix("\r"))
    left_out = max(0, len(line) - _LINE) + more
    return f"{line[:_LINE]} […{left_out} more characters]" if left_out else line


def bounded(items: Iterable[Json], most: int, room: int) -> list[Json]:
    """The first of the items: so many, and no more than there is room for as JSON. No more of them are made."""
    kept: list[Json] = []
    for item in islice(items, most):
        room -= len(json.dumps(item, ensure_ascii=False)) + 2
        if room < 0:
            break
        kept.append(item)
    return kept


def _without_secrets(lines: list[str], redact: Callable[[str], str]) -> list[str]:
    """The same lines, as many of them; one that held a part of a held value is withheld as a whole."""
    whole = _KEY.sub(_blank, "\n".join(lines))
    for _rule, _line, secret in leaks.secrets_in(whole):
        whole = whole.replace(secret, _TAKEN + "\n" * secret.count("\n"))
    before = whole.split("\n")
    after = redact(whole).split("\n")
    if len(after) == len(before):
        return after
    # What is held went over several lines, and nothing tells any more which is which but those that stayed the same.
    kept = [_TAKEN] * len(before)
    for same in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        kept[same.a : same.a + same.size] = before[same.a : same.a + same.size]
    return kept


def _blank(found: re.Match[str]) -> str:
    return "\n".join([_TAKEN] * (found.group().count("\n") + 1))
