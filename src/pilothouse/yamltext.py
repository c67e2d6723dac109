"""Writing plain data as YAML that every reader understands alike, 1.1 and 1.2; what could be misread is quoted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilothouse.canonical import Json

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./+-]*(?: [A-Za-z0-9_./+(-][A-Za-z0-9_./+()-]*)*")
# Words that some YAML reads as something else than text.
_TAKEN = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"})
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


def scalar(value: Json) -> str:
    """None, a bool, an int or a text on one line."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            if _PLAIN.fullmatch(value) and value.lower() not in _TAKEN:
                return value
            return f'"{"".join(map(_escaped, value))}"'
    raise TypeError(f"{type(value).__name__} is no scalar")


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else f"\\U{ord(character):08X}"


def flow(value: Json) -> str:
    """Any value on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(flow, value)) + "]"
        case _:
            return scalar(value)


def block(value: dict[str, Json] | list[Json], column: int) -> str:
    """A mapping's or list's lines, each behind a line feed, indented to a column."""
    return "".join(f"\n{' ' * column}{line}" for line in _lines(value))


def _lines(value: Json) -> Iterable[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                yield f"{scalar(key)}:"
                yield from (f"  {line}" for line in _lines(item))
            else:
                yield f"{scalar(key)}: {flow(item)}"
    elif isinstance(value, list) and value:
        for item in value:
            first, *rest = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield flow(value)
