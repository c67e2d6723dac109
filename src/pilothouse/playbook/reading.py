"""A strict look into one mapping of a playbook file: ``yamlfile.Reader`` with the playbook's own grammars."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pilothouse.playbook.known import IDENTIFIER
from pilothouse.yamlfile import Doc, Reader, suggest

_DURATION = re.compile(r"(\d{1,5})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_LINE = 200


class Entry(Reader):
    """One mapping; unknown keys are refused first, so that a misspelt key is called misspelt, not missing.

    Args:
        doc: the document.
        at: where the mapping stands.
        known: the keys it may have; None: any.
        needed: the keys it must have.

    Raises:
        InvalidFile: there is no mapping, or its keys are not those.
    """

    def __init__(
        self, doc: Doc, at: tuple[str | int, ...] = (), known: Sequence[str] | None = None, needed: Sequence[str] = ()
    ) -> None:
        super().__init__(doc, at)
        if known is not None:
            self.demand_known(known)
        for key in needed:
            if key not in self.data:
                where = self._where() if at else "the file"
                raise self.refuse(f"the key '{key}' is missing in {where}")

    def demand_known(self, known: Sequence[str]) -> None:
        """Refuse a key that is not known. Raises InvalidFile."""
        for key in self.data:
            if key not in known:
                where = f" in {self._where()}" if self.at else ""
                raise self.refuse(f"unknown key '{key}'{where}", key, one_known(key, known))

    def inner(self, key: str, known: Sequence[str] | None = None, needed: Sequence[str] = ()) -> Entry:
        """The mapping under a key."""
        return Entry(self.doc, (*self.at, key), known, needed)

    def each(self, key: str) -> tuple[Entry, ...]:
        """The mappings of a list that must be there and hold something."""
        items = self.required(key, list)
        if not items:
            raise self.refuse(f"{self._where(key)} is empty", key, "give it something, or leave the whole out")
        return tuple(Entry(self.doc, (*self.at, key, index)) for index in range(len(items)))

    def text(self, key: str, default: str | None = None) -> str:
        """One printable line under a key."""
        if default is not None and key not in self.data:
            return default
        value = self.required(key, str)
        if not value.strip() or not value.isprintable() or len(value) > MAX_LINE:
            raise self.refuse(f"{self._where(key)} must be one printable line of 1 to {MAX_LINE} characters", key)
        return value

    def identifier(self, key: str) -> str:
        """A kebab-case name under a key."""
        value = self.text(key)
        if IDENTIFIER.fullmatch(value) is None:
            raise self.refuse(f"{self._where(key)} must be lower-case words joined by '-', not {value!a}", key)
        return value

    def one_of(self, key: str, choices: Sequence[str]) -> str:
        """One of a few words under a key."""
        value = self.text(key)
        if value not in choices:
            raise self.refuse(f"{self._where(key)} cannot be {value!a}", key, one_known(value, choices))
        return value

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names, none twice; empty where the key is missing."""
        found = self.texts(key, ())
        for index, name in enumerate(found):
            if name in found[:index]:
                raise self.refuse(f"'{name}' is twice in {self._where(key)}", key, "leave one")
        return found

    def flag(self, key: str) -> bool:
        """True or false; false where the key is missing."""
        return self.optional(key, bool, default=False)

    def seconds(self, key: str) -> int | None:
        """A duration in whole seconds; None where the key is missing."""
        if key not in self.data:
            return None
        value = self.data[key]
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if found is None or not int(found.group(1)):
            raise self.refuse(f"{self._where(key)} must be a duration", key, "write 30s, 15m, 2h or 3d")
        return int(found.group(1)) * _SECONDS[found.group(2)]


def one_known(word: str, known: Iterable[str]) -> str:
    """A hint for a word that names nothing: the nearest known one, or all where they are few."""
    names = sorted(known)
    most = 12
    return suggest(word, names) or (f"known: {', '.join(names)}" if 0 < len(names) <= most else "")
