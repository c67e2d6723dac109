"""A strict look into a YAML document: every refusal has the file, the line and a suggestion."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from pilothouse.errors import InvalidFile
from pilothouse.playbook.known import IDENTIFIER
from pilothouse.yamlfile import Doc, suggest

_DURATION = re.compile(r"(\d{1,5})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_LINE = 200


@dataclass(frozen=True, slots=True)
class Node:
    """One place in a document, called ``name`` in errors."""

    doc: Doc
    path: str
    place: tuple[str | int, ...] = ()
    name: str = "the file"

    @property
    def value(self) -> object:
        """What stands there."""
        found: object = self.doc.data
        for part in self.place:
            found = found[part]  # type: ignore[index]  the place came from walking this document
        return found

    @property
    def line(self) -> int:
        """Its 1-based line."""
        return self.doc.line(self.place)

    def refuse(self, message: str, hint: str = "", *, at: str | int | None = None) -> NoReturn:
        """Refuse the file at this place, or at one of its keys."""
        line = self.line if at is None else self.doc.line((*self.place, at))
        raise InvalidFile(self.path, line, message, hint)

    def at(self, key: str | int, name: str = "") -> Node:
        """The node of one of its keys or items."""
        return Node(self.doc, self.path, (*self.place, key), name or f"{self.name}, {key}")

    def mapping(self, known: Sequence[str] | None = None, needed: Sequence[str] = ()) -> dict[str, object]:
        """Its mapping; a key that is not known, or a needed one that is missing, refuses the file."""
        value = self.value
        if not isinstance(value, dict):
            self.refuse(f"{self.name} is a mapping of keys to values, found {_called(value)}")
        for key in value:
            if not isinstance(key, str):
                self.refuse(f"{self.name}: a key is text, found {key!r}", at=key)
            if known is not None and key not in known:
                self.refuse(f"{self.name}: unknown key '{key}'", suggest(key, known), at=key)
        for key in needed:
            if key not in value:
                self.refuse(f"{self.name}: the key '{key}' is missing")
        return value

    def has(self, key: str) -> bool:
        """Whether its mapping has a key."""
        value = self.value
        return isinstance(value, dict) and key in value

    def items(self) -> Iterator[Node]:
        """The nodes of its list."""
        value = self.value
        if not isinstance(value, list):
            self.refuse(f"{self.name} is a list, found {_called(value)}")
        for index in range(len(value)):
            yield self.at(index, f"{self.name}, item {index + 1}")

    def text(self, key: str, default: str | None = None) -> str:
        """One printable line under a key."""
        if not self.has(key) and default is not None:
            return default
        value = self.at(key).value if self.has(key) else None
        if not isinstance(value, str):
            self.refuse(f"{self.name}: '{key}' is text, found {_called(value)}", at=key)
        if not value.strip() or not value.isprintable() or len(value) > MAX_LINE:
            self.refuse(f"{self.name}: '{key}' is one printable line of 1 to {MAX_LINE} characters", at=key)
        return value

    def identifier(self, key: str, default: str | None = None) -> str:
        """A kebab-case name under a key."""
        value = self.text(key, default)
        if IDENTIFIER.fullmatch(value) is None:
            self.refuse(f"{self.name}: '{key}' is lower-case words joined by '-', found {ascii(value)}", at=key)
        return value

    def one_of(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of a few words under a key."""
        value = self.text(key, default)
        if value not in choices:
            self.refuse(f"{self.name}: '{key}' is one of {', '.join(choices)}, found {ascii(value)}", suggest(value, choices), at=key)
        return value

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names under a key, none twice; empty where the key is missing."""
        if not self.has(key):
            return ()
        found: list[str] = []
        for node in self.at(key, f"{self.name}: '{key}'").items():
            value = node.value
            if not isinstance(value, str):
                node.refuse(f"{self.name}: '{key}' is a list of names, found {_called(value)}")
            if value in found:
                node.refuse(f"{self.name}: '{value}' is twice in '{key}'", "leave one")
            found.append(value)
        return tuple(found)

    def flag(self, key: str) -> bool:
        """True or false under a key; false where it is missing."""
        value = self.at(key).value if self.has(key) else False
        if not isinstance(value, bool):
            self.refuse(f"{self.name}: '{key}' is true or false, found {_called(value)}", at=key)
        return value

    def seconds(self, key: str) -> int | None:
        """A duration in whole seconds under a key; None where it is missing."""
        if not self.has(key):
            return None
        value = self.at(key).value
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if found is None or not int(found.group(1)):
            self.refuse(f"{self.name}: '{key}' is a duration, found {_called(value)}", "write 30s, 15m, 2h or 3d", at=key)
        return int(found.group(1)) * _SECONDS[found.group(2)]


def one_known(word: str, known: Iterable[str]) -> str:
    """A hint for a word that names nothing."""
    return suggest(word, tuple(known))


def _called(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return f"the text {ascii(value[:40])}"
        case int():
            return f"the number {value}"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return type(value).__name__
