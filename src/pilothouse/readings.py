"""What a text says once a terminal, a line prefix or an encoding is taken away: where held values could hide (I8).

Each reading knows from where in the text each of its characters is. Every pattern is bounded, so a reading is linear in
the text, whatever the text.
"""

from __future__ import annotations

import html
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

_ROUNDS = 3  # encodings within encodings: JSON in a URL in a header
_MARK = r"(?:\x1b|<U\+001B>|\\{1,8}(?:u001[bB]|x1[bB]|033|e)|\^\[)"  # ESC, also as a screen or JSON writes it
_TERMINAL = (
    rf"(?:{_MARK}\[|\x9b)[0-9;:?]{{0,40}}[ -/]{{0,4}}[@-~]"  # colours, cursor
    rf"|{_MARK}\][^\x07\x1b\n]{{0,300}}(?:\x07|\x1b\\)"  # titles, links
    r"|<U\+[0-9A-F]{4,6}>"  # what ``safe`` makes of characters that nobody sees
)
# What stands before each line where a tool shows a file or a log: place, number, time, name, frame.
_PREFIX = (
    r"(?:\n|\\{1,8}n)[ \t]{0,40}(?:"
    r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\s]{0,20}[ \t]{1,8}(?:\[?[A-Z]{3,8}\]?:?[ \t]{1,8})?"
    r"|[^\s:\\]{1,200}[:-]\d{1,7}[:-](?:\d{1,7}[:-])?[ \t]?"
    r"|[^\s:\\|]{1,200}(?:[ \t]{0,40}\||:)[ \t]?(?:\d{1,7}:){0,2}[ \t]?"
    r"|\d{1,7}(?:[│)]|[ \t]{1,4})"
    r"|\[[^\]\s]{1,60}\][ \t]?"
    r"|[│┃|>+*#-][ \t]?"
    r")"
)
_FRAME = re.compile(rf"{_TERMINAL}|{_PREFIX}|=\r?\n|\s+")
_FRAMED = re.compile(rf"{_TERMINAL}|{_PREFIX}")
_HEX = "[0-9a-fA-F]"
_HIGH = "[89a-fA-F][0-9a-fA-F]"
# A run of bytes that are no ASCII is one match, since together they are letters; everything else stands for itself.
_ESCAPE = re.compile(
    rf"\\{{1,8}}u(?:[dD][89abAB]{_HEX}{{2}}\\{{1,8}}u[dD][c-fC-F]{_HEX}{{2}}|\{{{_HEX}{{1,6}}\}}|{_HEX}{{4}})"
    rf"|\\{{1,8}}U{_HEX}{{8}}"
    rf"|(?:\\{{1,8}}x{_HIGH})+|(?:%{_HIGH})+|(?:\\{{1,8}}[23][0-7]{{2}})+"
    rf"|\\{{1,8}}x{_HEX}{{2}}|%{_HEX}{{2}}|\\{{1,8}}[01][0-7]{{2}}"
    rf"|&#(?:[0-9]{{1,7}}|[xX]{_HEX}{{1,6}});|&[A-Za-z][A-Za-z0-9]{{1,31}};"
)
# By itself: an equals sign stands before many a value that begins with two such digits.
_PRINTABLE = re.compile(rf"(?:={_HIGH})+|={_HEX}{{2}}")
_HINT = re.compile(rf"\\[uUx0-3]|[%=]{_HEX}|&[#a-zA-Z]")
_BYTES = re.compile(r"[\\x%=]+([0-9a-fA-F]{2})")
_OCTAL = re.compile(r"[0-7]{3}")


@dataclass(eq=False)
class Reading:
    """A text with something taken away or undone.

    Attributes:
        text: what it says.
    """

    text: str
    _before: str
    _under: Reading | None
    _pattern: re.Pattern[str]
    _replaced: Callable[[re.Match[str]], str]

    def place(self, start: int, stop: int) -> tuple[int, int]:
        """From where to where in the text as it was given a part of this reading (not empty) stands."""
        starts, stops = self._places
        start, stop = starts[start], stops[stop - 1]
        return self._under.place(start, stop) if self._under else (start, stop)

    @cached_property
    def _places(self) -> tuple[array[int], array[int]]:
        starts, stops = array("Q"), array("Q")  # lists of a log's millions of numbers would be too large
        end = 0
        for found in self._pattern.finditer(self._before):
            more = self._replaced(found)
            if more == found.group():
                continue
            starts.extend(range(end, found.start()))
            stops.extend(range(end + 1, found.start() + 1))
            end = found.end()
            starts.extend([found.start()] * len(more))
            stops.extend([end] * len(more))
        starts.extend(range(end, len(self._before)))
        stops.extend(range(end + 1, len(self._before) + 1))
        return starts, stops


def readings(text: str) -> Iterator[Reading]:
    """The readings of a text that differ from it by more than white space."""
    framed = _FRAMED.search(text) is not None
    if not framed and not _HINT.search(text):
        return
    reading = Reading(_FRAME.sub("", text), text, None, _FRAME, _nothing)
    if framed:
        yield reading
    yield from _chain(reading)
    if (printable := _next(reading, _PRINTABLE)) is not None:
        yield printable
        yield from _chain(printable)


def _chain(reading: Reading | None) -> Iterator[Reading]:
    for _ in range(_ROUNDS):
        if reading is None or (reading := _next(reading, _ESCAPE)) is None:
            return
        yield reading


def _next(reading: Reading, pattern: re.Pattern[str]) -> Reading | None:
    undone = pattern.sub(_undone, reading.text)
    return None if undone == reading.text else Reading(undone, reading.text, reading, pattern, _undone)


def _nothing(_found: re.Match[str]) -> str:
    return ""


def _undone(found: re.Match[str]) -> str:
    return _meant(found.group())


@lru_cache(maxsize=4096)
def _meant(escape: str) -> str:
    """What an escape stands for; itself where it stands for nothing."""
    bare = escape.lstrip("\\")
    try:
        match bare[0]:
            case "&":
                return html.unescape(escape)
            case "u" | "U" if bare[1] == "{":
                return chr(int(bare[2:-1], 16))
            case "u" | "U":
                units = [int(part, 16) for part in re.split(r"\\+u", bare[1:])]
                raw = b"".join(unit.to_bytes(2, "big") for unit in units) if bare[0] == "u" else b""
                return raw.decode("utf-16-be") if raw else chr(units[0])
            case "x" | "%" | "=":
                return bytes(int(pair, 16) for pair in _BYTES.findall(bare)).decode("utf-8")
            case _:
                return bytes(int(digits, 8) for digits in _OCTAL.findall(bare)).decode("utf-8")
    except (ValueError, OverflowError):
        return escape
