"""state.yml as a view of the ledger, in a file that people write in, too.

Ours are the top-level key ``pilothouse``, and under ``products.<name>`` the keys of ``PRODUCT_KEYS`` and
``environments.<name>.{version, sha}``. All else is a person's and survives byte for byte, comments, order and quotes
included: rendering replaces, inserts and removes only the stretches of text that hold our values. Nothing here decides:
gates read the ledger, and a person's edit of our keys counts only once it was adopted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from pilothouse import yamlfile, yamltext
from pilothouse.canonical import Json
from pilothouse.errors import InvalidFile
from pilothouse.stateshape import demand_shape

if TYPE_CHECKING:
    from pathlib import Path

    from pilothouse.yamlfile import Doc, Node

PRODUCT_KEYS = (
    "phase", "version", "last_release", "last_activity", "run", "next_action", "checkpoint", "locks",
    "environments", "tasks",
)  # fmt: skip
ENVIRONMENT_KEYS = ("version", "sha")
NAME = "state.yml"
_MOST_TOLD = 10

View: TypeAlias = Mapping[str, Json]
_Path: TypeAlias = tuple[str, ...]

_HEADER = """\
# What pilothouse knows, rendered from its ledger. Read it freely; write your own keys and comments freely.
# The keys that pilothouse renders are its own: an edit of them stops the next run (see: pilothouse state check).
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One of our keys holds something else than what was rendered. None: it is not there."""

    path: str
    line: int
    expected: Json
    found: Json


def render(existing: str | None, view: View) -> str:
    """The file's new text: our keys as in the view, a person's untouched. The same view twice changes nothing.

    Args:
        existing: the file's text; None or nothing but comments: there is none yet.
        view: ``{"pilothouse": {...}, "products": {name: {...}}}`` with nothing but our keys. One of our keys that it
            lacks is removed; a product that it lacks is left alone.

    Raises:
        InvalidFile: the existing text is no strict YAML, or has no place for our keys; it is to be kept as it is.
        ValueError: the view holds a key that is not ours.
    """
    wanted = _cleaned(view)
    if existing is None or _is_blank(existing):
        lead = existing if existing and existing.strip() else _HEADER
        return (lead if lead.endswith("\n") else lead + "\n") + yamltext.block(wanted, 0).removeprefix("\n") + "\n"
    # A last line without its end is a text file's slip; inserting behind it would otherwise lengthen a `|` value.
    doc = yamlfile.load(existing if existing.endswith("\n") else existing + _newline(existing), NAME)
    edits = _Edits(doc)
    edits.merge(doc.root, wanted, ())
    if not edits:
        return existing
    text = edits.applied()
    _prove(doc, text, wanted)
    return text


def check(existing: str | None, expected_at_head: View) -> tuple[Difference, ...]:
    """Where our keys are not what was rendered for the ledger's head that the file names (``read``).

    Args:
        existing: the file's text; a file that is not there, or is blank, differs in nothing.
        expected_at_head: the view of that head. Products that it lacks are not looked at.

    Raises:
        InvalidFile: the text is no strict YAML.
    """
    if existing is None or _is_blank(existing):
        return ()
    doc = yamlfile.load(existing, NAME)
    expected = _cleaned(expected_at_head)
    return tuple(_differences(doc, expected, _of_products(doc.data, expected), ()))


def demand_unedited(path: str, existing: str | None, expected_at_head: View) -> None:
    """Refuse a file in which a person edited our keys.

    Raises:
        InvalidFile: ``state-edited``, with the first difference's line and every difference's two values.
    """
    differences = check(existing, expected_at_head)
    if not differences:
        return
    told = "; ".join(
        f"{item.path} (line {item.line}) is {_shown(item.found)}, the ledger says {_shown(item.expected)}"
        for item in differences[:_MOST_TOLD]
    )
    if len(differences) > _MOST_TOLD:
        told += f"; and {len(differences) - _MOST_TOLD} more"
    hint = "Write the ledger's values back, or remove the file: it is rendered anew."
    raise InvalidFile(path, differences[0].line, f"was edited: {told}", hint, "state-edited")


def read(existing: str | None) -> dict[str, Json]:
    """Our keys as the file has them, in the shape of a view: what the file claims, for ``check`` and for adopting.

    Raises:
        InvalidFile: the text is no strict YAML, or something of ours, or around it, is not of its shape.
    """
    if existing is None or _is_blank(existing):
        return {}
    doc = yamlfile.load(existing, NAME)
    demand_shape(doc)
    return cast("dict[str, Json]", _only_ours(doc.data, ()) or {})


def update(path: Path, view: View) -> bool:
    """Render the file in place, atomically; True where its bytes changed.

    Raises:
        InvalidFile: it is a symbolic link, no strict YAML, changed meanwhile, or cannot be written; it is kept.
    """
    existing = read_file(path)
    text = render(existing, view)
    if text == existing:
        return False
    write(path, text, replacing=existing)
    return True


def read_file(path: Path) -> str | None:
    """The file's text with its own line ends, None where there is none. Raises InvalidFile."""
    if path.is_symlink():
        hint = "Put a regular file there; pilothouse does not write through links."
        raise InvalidFile(str(path), 0, "is a symbolic link", hint, "state-symlink")
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            data = file.read(yamlfile.MOST_BYTES + 1)
    except OSError as error:
        raise InvalidFile(str(path), 0, f"cannot be read: {error.strerror}") from error
    return yamlfile.decode(data, str(path))


def write(path: Path, text: str, *, replacing: str | None) -> None:
    """Put the text in the file's place in one step; a reader sees the old or the new, whole.

    Args:
        path: the file; its mode is kept.
        text: the new content.
        replacing: what the file held when it was read (None: nothing).

    Raises:
        InvalidFile: ``state-symlink``; ``state-moved``: it is not what it was; ``state-not-written``.
    """
    if read_file(path) != replacing:
        raise InvalidFile(str(path), 0, "was changed while it was being rendered", "Try again.", "state-moved")
    aside = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        try:
            with aside.open("xb") as file:
                if replacing is not None:
                    os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            with suppress(FileNotFoundError):
                aside.unlink()
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise InvalidFile(str(path), 0, message, "The file is as it was.", "state-not-written") from error


# -- what is ours ------------------------------------------------------------------------------------------------------


def _ours(path: _Path) -> bool:
    match path:
        case ("pilothouse", *_):
            return True
        case ("products", _, "environments", _, key, *_):
            return key in ENVIRONMENT_KEYS
        case ("products", _, key, *_):
            return key in PRODUCT_KEYS and key != "environments"
    return False


def _around(path: _Path) -> bool:
    """Whether ours may stand below: a mapping that we share with people."""
    match path:
        case (
            () | ("products",) | ("products", _) | ("products", _, "environments") | ("products", _, "environments", _)
        ):
            return True
    return False


def _is_deep(path: _Path) -> bool:
    """A shared mapping within a product: what of ours the view lacks goes. Products themselves are left alone."""
    return _around(path) and "environments" in path[2:3]


def _is_nothing_else(value: Node, path: _Path) -> bool:
    """Ours, or a shared mapping in which nothing is a person's."""
    if _ours(path):
        return True
    below = ((node, (*path, str(key.value))) for key, node in value.entries)
    return _is_deep(path) and bool(value.entries) and all(_is_nothing_else(node, inner) for node, inner in below)


def _only_ours(value: Json, path: _Path) -> Json:
    if _ours(path):
        return value
    if not _around(path) or not isinstance(value, dict):
        return None
    kept: dict[str, Json] = {}
    for key, item in value.items():
        below = (*path, key)
        if _ours(below) or (_around(below) and isinstance(item, dict)):
            kept[key] = _only_ours(item, below)
    return kept


def _only_theirs(value: Json, path: _Path) -> Json:
    """The rest. Shared mappings that hold nothing else vanish, so that making or emptying one is no difference."""
    if not isinstance(value, dict) or not _around(path):
        return value
    rest = {key: _only_theirs(item, (*path, key)) for key, item in value.items() if not _ours((*path, key))}
    shared = {key for key in rest if _around((*path, key)) and rest[key] in (None, {})}
    return {key: item for key, item in rest.items() if key not in shared}


def _cleaned(view: View) -> dict[str, Json]:
    """The view as it can be written: no invisible characters. Raises ValueError for a key that is not ours."""

    def clean(value: Json, path: _Path) -> Json:
        if path and not _ours(path) and not _around(path):
            raise ValueError(f"{'.'.join(path)} is no key of a state view")
        if isinstance(value, str):
            return yamlfile.UNSAFE.sub("\ufffd", value)
        if isinstance(value, list):
            return [clean(item, path) for item in value]
        if isinstance(value, dict):
            return {yamlfile.UNSAFE.sub("\ufffd", key): clean(item, (*path, key)) for key, item in value.items()}
        return value

    return cast("dict[str, Json]", clean(dict(view), ()))


def _is_blank(text: str) -> bool:
    """Nothing but comments; what the strict reader calls empty, without its error for other faults."""
    return all(not line.strip() or line.lstrip(" ").startswith("#") for line in text.splitlines())


# -- comparing ---------------------------------------------------------------------------------------------------------


def _differences(doc: Doc, expected: Json, found: Json, path: _Path) -> Iterator[Difference]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in dict.fromkeys((*expected, *found)):
            below = (*path, key)
            if _ours(below) or _around(below):
                yield from _differences(doc, expected.get(key), found.get(key), below)
    elif _ours(path):
        if type(expected) is not type(found) or expected != found:
            yield Difference(".".join(path), doc.line(path), expected, found)
    elif isinstance(expected, dict):  # a shared mapping that the file lacks
        yield from _differences(doc, expected, {}, path)
    elif isinstance(found, dict):
        yield from _differences(doc, {}, found, path)


def _of_products(found: Json, expected: Mapping[str, Json]) -> Json:
    """The file's data without the products that are not expected."""
    if not isinstance(found, dict):
        return found
    products, known = found.get("products"), expected.get("products")
    if not isinstance(products, dict):
        return found
    names = known if isinstance(known, dict) else {}
    return found | {"products": {name: item for name, item in products.items() if name in names}}


def _shown(value: Json) -> str:
    return "absent" if value is None else yamltext.flow(value)[:80]


def _prove(before: Doc, text: str, wanted: dict[str, Json]) -> None:
    """Surgery on text is only as good as its proof: ours are as wanted, a person's are as they were."""
    after = {} if _is_blank(text) else yamlfile.load(text, NAME).data
    same = _only_theirs(after, ()) == _only_theirs(before.data, ())
    if not same or check(text, wanted):
        hint = "Write its mappings in plain block style, one key a line; the file is as it was."
        raise InvalidFile(NAME, 0, "cannot be rendered without touching what people wrote", hint, "state-not-rendered")


# -- editing -----------------------------------------------------------------------------------------------------------


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


class _Edits:
    """Collects replacements of stretches of the text; the innermost first, so that insertions nest right."""

    def __init__(self, doc: Doc) -> None:
        self._text = doc.text
        self._newline = _newline(doc.text)
        self._edits: list[tuple[int, int, str]] = []

    def __bool__(self) -> bool:
        return bool(self._edits)

    def applied(self) -> str:
        out: list[str] = []
        place = 0
        for start, end, new in sorted(self._edits, key=lambda edit: edit[:2]):
            out += (self._text[place:start], new.replace("\n", self._newline))
            place = end
        return "".join((*out, self._text[place:]))

    def merge(self, node: Node, wanted: Mapping[str, Json], path: _Path) -> None:
        """Bring a mapping's keys of ours to what is wanted."""
        if node.style == "flow" or not isinstance(node.value, dict):
            self._replace_flow(node, wanted, path)
            return
        for key, value in node.entries:
            name = str(key.value)
            below = (*path, name)
            if name in wanted:
                self._set(key, value, wanted[name], below)
            elif _is_nothing_else(value, below):
                self._remove(key, value)
            elif _is_deep(below) and value.entries:
                self.merge(value, {}, below)
        missing = {name: item for name, item in wanted.items() if name not in node.value}
        if missing:
            place = self._line_end(node.end)
            self._edits.append((place, place, yamltext.block(missing, self._column(node.entries[0][0]))))

    def _set(self, key: Node, value: Node, wanted: Json, path: _Path) -> None:
        if _same(value.value, wanted):
            return
        shared = not _ours(path)
        # Emptied key by key, a mapping would be read as null.
        if isinstance(wanted, dict) and isinstance(value.value, dict) and value.value and (wanted or shared):
            self.merge(value, wanted, path)
            return
        if shared and value.value not in (None, {}):
            message = f"{'.'.join(path)} must be a mapping"
            raise InvalidFile(NAME, key.line, message, "Pilothouse writes below it; move the value elsewhere.")
        colon = self._text.index(":", key.end) + 1
        end = value.start + len(self._text[value.start : value.end].rstrip())
        if isinstance(wanted, (dict, list)) and wanted:
            # The comment behind the old value stays on the key's line; the new lines follow below.
            self._edits.append((colon, max(colon, end), ""))
            place = self._line_end(max(colon, end))
            self._edits.append((place, place, yamltext.block(wanted, self._column(key) + 2)))
        elif shared and wanted in ({}, None):  # an empty shared mapping may be written either way
            return
        else:
            self._edits.append((colon, max(colon, end), f" {yamltext.flow(wanted)}"))

    def _replace_flow(self, node: Node, wanted: Mapping[str, Json], path: _Path) -> None:
        if not isinstance(node.value, dict):
            where = ".".join(path) or "the document"
            raise InvalidFile(NAME, node.line, f"{where} must be a mapping", "Pilothouse writes below it.")
        merged = _merged(node.value, wanted, path)
        if _same(merged, node.value):
            return
        if path or node.value:
            self._edits.append((node.start, node.end, yamltext.flow(merged)))
        else:
            self._edits.append((node.start, node.end, yamltext.block(merged, 0)))

    def _remove(self, key: Node, value: Node) -> None:
        start = self._text.rfind("\n", 0, key.start)
        if start > 0 and self._text[start - 1] == "\r":
            start -= 1
        end = max(key.end, value.start + len(self._text[value.start : value.end].rstrip()))
        # From the line end before to this one's: what is inserted behind the removed line keeps its place.
        self._edits.append((max(start, 0), self._line_end(end) + (start < 0), ""))

    def _line_end(self, place: int) -> int:
        if place and self._text[place - 1] == "\n":  # behind a literal block
            place -= 1
        end = self._text.find("\n", place)
        if end < 0:
            return len(self._text)
        return end - 1 if end > 0 and self._text[end - 1] == "\r" else end

    def _column(self, node: Node) -> int:
        return node.start - (self._text.rfind("\n", 0, node.start) + 1)


def _same(one: Json, other: Json) -> bool:
    """Equal with types: 1 is not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other


def _merged(value: Mapping[str, Json], wanted: Mapping[str, Json], path: _Path) -> dict[str, Json]:
    merged: dict[str, Json] = {}
    for key, item in value.items():
        below = (*path, key)
        if key in wanted:
            new = wanted[key]
            merged[key] = _merged(item, new, below) if isinstance(item, dict) and isinstance(new, dict) else new
        elif not _ours(below):
            kept = _merged(item, {}, below) if isinstance(item, dict) and _is_deep(below) else item
            if kept or kept == item:
                merged[key] = kept
    return merged | {key: item for key, item in wanted.items() if key not in merged}
