"""Strict YAML for files that people write: every value knows its line, and nothing is guessed.

YAML 1.2, one document, block or flow. Plain scalars are ``true``/``false``, ``null``, decimal integers or text:
``yes``, ``1.10``, ``1e5`` and dates stay the text that was written. Refused with file and line: duplicate keys,
anchors, aliases, merge keys, tags, directives, keys that are no text, tabs, control and bidirectional characters, a
byte order mark, too deep, too large, empty.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from pilothouse.errors import InvalidFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pilothouse.canonical import Json

MOST_BYTES = 1_000_000
MOST_DEPTH = 40

T = TypeVar("T")
D = TypeVar("D")

# Control characters, line breaks that editors do not count, directions that make text read otherwise than it is.
_INVISIBLE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff"
)
UNSAFE = re.compile(f"[{_INVISIBLE}\r]")  # within a value; line feeds and tabs may come from escapes
_UNSAFE_RAW = re.compile(f"[{_INVISIBLE}\t]|\r(?!\n)")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_LONGEST_INTEGER = 15  # digits: always below 2**53


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands.

    Attributes:
        value: plain data.
        line: 1-based.
        start, end: offsets into the text; the end of a block stands behind its last value.
        style: plain, quoted, literal (``|`` and ``>``), block or flow.
        entries: of a mapping: key and value.
        items: of a list.
    """

    value: Json
    line: int
    start: int
    end: int
    style: str
    entries: tuple[tuple[Node, Node], ...] = ()
    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Doc:
    """A document: its file's name, its text, its tree."""

    path: str
    text: str
    root: Node

    @property
    def data(self) -> Json:
        """The whole as plain data."""
        return self.root.value

    def line(self, path: Iterable[str | int] = ()) -> int:
        """The line of a key or item; of the nearest thing around it where it does not exist."""
        node, line = self.root, self.root.line
        for part in path:
            if isinstance(part, int):
                if part >= len(node.items):
                    break
                node = node.items[part]
                line = node.line
            else:
                entry = next((entry for entry in node.entries if entry[0].value == part), None)
                if entry is None:
                    break
                line, node = entry[0].line, entry[1]
        return line


def load_file(path: Path, name: str = "") -> Doc:
    """Read a file strictly.

    Args:
        path: the file.
        name: how the person knows it; the path where empty.

    Raises:
        InvalidFile: it cannot be read, is not UTF-8, or is not what ``load`` accepts.
    """
    name = name or str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InvalidFile(name, 0, f"cannot be read: {error.strerror}") from error
    return load(decode(data, name), name)


def decode(data: bytes, name: str) -> str:
    """The text of a file's bytes. Raises InvalidFile where they are too many or not UTF-8."""
    if len(data) > MOST_BYTES:
        raise InvalidFile(name, 0, f"is larger than {MOST_BYTES:,} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidFile(
            name, line, "is not UTF-8 text", "Save the file as UTF-8 without a byte order mark."
        ) from error


def load(text: str, path: str, *, first_line: int = 1) -> Doc:
    """Parse a text strictly.

    Args:
        text: the document.
        path: the file's name for messages.
        first_line: the line of the file on which the text begins (front matter).

    Raises:
        InvalidFile: with the line, what is wrong and what to write instead.
    """
    return _loaded(text, path, first_line)


# A run parses what it is pinned to, the policy on the base branch and state.yml many times over; the same characters
# mean the same tree, and nobody changes one.
@lru_cache(maxsize=8)
def _loaded(text: str, path: str, first_line: int) -> Doc:
    if len(text) > MOST_BYTES:
        raise InvalidFile(path, 0, f"is larger than {MOST_BYTES:,} bytes")
    found = _UNSAFE_RAW.search(text)
    if found:
        raise _unsafe(path, text.count("\n", 0, found.start()) + first_line, found[0])
    return Doc(path, text, _Builder(text, path, first_line).build())


def _unsafe(path: str, line: int, character: str) -> InvalidFile:
    match character:
        case "\t":
            return InvalidFile(path, line, "a tab", 'Indent with spaces; within a value write "\\t" in double quotes.')
        case "\ufeff":
            return InvalidFile(path, line, "a byte order mark", "Save the file as UTF-8 without a byte order mark.")
        case _:
            return InvalidFile(path, line, f"the invisible character U+{ord(character):04X}", "Remove it.")


class _Open:
    """A mapping or list that is being read."""

    __slots__ = ("children", "event", "is_mapping", "keys")

    def __init__(self, event: Any, *, is_mapping: bool) -> None:
        self.event = event
        self.is_mapping = is_mapping
        self.children: list[Node] = []
        self.keys: dict[str, int] = {}


class _Builder:
    """Builds the tree from ruamel's events: before any node exists, so that nothing lenient can happen first."""

    def __init__(self, text: str, path: str, first_line: int) -> None:
        self._text = text
        self._path = path
        self._first = first_line
        self._open: list[_Open] = []
        self._root: Node | None = None

    def build(self) -> Node:
        documents = 0
        for event in self._events():
            match type(event).__name__:
                case "DocumentStartEvent":
                    documents += 1
                    if documents > 1:
                        raise self._invalid(
                            event, "a second document", "One file holds one document; remove the '---'."
                        )
                    if event.version or event.tags:
                        raise self._invalid(event, "a directive", "Remove the line that begins with '%'.")
                case "AliasEvent":
                    raise self._invalid(event, f"the alias *{event.anchor}", "Write the value out.")
                case "ScalarEvent":
                    self._add(self._scalar(event))
                case "MappingStartEvent" | "SequenceStartEvent":
                    self._begin(event)
                case "MappingEndEvent" | "SequenceEndEvent":
                    self._add(self._finish(event))
        if self._root is None or (self._root.value is None and self._root.style == "plain"):
            raise InvalidFile(self._path, 0, "is empty")
        return self._root

    def _events(self) -> Iterator[Any]:
        # Loaded here: 30 ms that commands without a file of a person do not pay.
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        try:
            yield from YAML(typ="safe", pure=True).parse(self._text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + self._first if mark else 0
            words = " ".join(part for part in (error.context, error.problem) if part)
            raise InvalidFile(self._path, line, f"is no YAML: {words}", _hint(words)) from error
        except (YAMLError, ValueError, RecursionError) as error:
            raise InvalidFile(self._path, 0, f"is no YAML: {str(error).splitlines()[0]}") from error

    def _invalid(self, event: Any, message: str, hint: str = "") -> InvalidFile:
        return InvalidFile(self._path, event.start_mark.line + self._first, message, hint)

    def _plain_words_only(self, event: Any) -> None:
        if event.anchor:
            raise self._invalid(event, f"the anchor &{event.anchor}", "Write the value out where it is needed.")
        if event.tag is not None:
            raise self._invalid(event, f"the tag {event.tag}", "Remove it; put text in quotes.")

    def _begin(self, event: Any) -> None:
        self._plain_words_only(event)
        if len(self._open) >= MOST_DEPTH:
            raise self._invalid(event, f"nested deeper than {MOST_DEPTH}")
        self._open.append(_Open(event, is_mapping=type(event).__name__ == "MappingStartEvent"))

    def _finish(self, event: Any) -> Node:
        done = self._open.pop()
        flow = bool(done.event.flow_style)
        start = done.event.start_mark
        end = event.end_mark.index if flow else done.children[-1].end
        line, style = start.line + self._first, "flow" if flow else "block"
        children = done.children
        if not done.is_mapping:
            return Node([child.value for child in children], line, start.index, end, style, items=tuple(children))
        entries = tuple(zip(children[::2], children[1::2], strict=True))
        value: dict[str, Json] = {str(key.value): node.value for key, node in entries}
        return Node(value, line, start.index, end, style, entries)

    def _add(self, node: Node) -> None:
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        if parent.is_mapping and len(parent.children) % 2 == 0:
            self._demand_new_key(parent, node)
        parent.children.append(node)

    def _demand_new_key(self, parent: _Open, node: Node) -> None:
        key = node.value
        if not isinstance(key, str) or (node.style == "plain" and _FLOAT.fullmatch(key)):
            written = self._text[node.start : node.end][:40]
            raise InvalidFile(self._path, node.line, f"the key {written} is no text", f'Put it in quotes: "{written}"')
        if key == "<<" and node.style == "plain":
            raise InvalidFile(self._path, node.line, "a merge key", "Write the keys out.")
        if key in parent.keys:
            message = f"the key {key!r} is there twice, first on line {parent.keys[key]}"
            raise InvalidFile(self._path, node.line, message, "Keep one of them.")
        parent.keys[key] = node.line

    def _scalar(self, event: Any) -> Node:
        self._plain_words_only(event)
        line, start, end = event.start_mark.line + self._first, event.start_mark.index, event.end_mark.index
        text: str = event.value
        if event.style in ("|", ">"):
            return Node(text, line, start, end, "literal")
        if event.style:
            if found := UNSAFE.search(text):
                raise self._invalid(event, f"an escape for the invisible character U+{ord(found[0]):04X}", "Remove it.")
            return Node(text, line, start, end, "quoted")
        if not text:
            line, start = self._place_of_nothing(line, start)
            end = start
        if text in _WORDS:
            return Node(_WORDS[text], line, start, end, "plain")
        if _INTEGER.fullmatch(text):
            if len(text.lstrip("+-")) > _LONGEST_INTEGER:
                raise self._invalid(event, f"the number {text[:40]} is too large", "Put it in quotes if it is text.")
            return Node(int(text), line, start, end, "plain")
        return Node(text, line, start, end, "plain")

    def _place_of_nothing(self, line: int, start: int) -> tuple[int, int]:
        """Where a value is missing: ruamel marks the next thing, which may stand many lines below."""
        parent = self._open[-1] if self._open else None
        if parent is None or not parent.is_mapping or len(parent.children) % 2 == 0:
            return line, start
        key = parent.children[-1]
        colon = self._text.find(":", key.end, start)
        return (key.line, colon + 1) if colon >= 0 else (key.line, key.end)


def _hint(words: str) -> str:
    if "mapping values are not allowed" in words:
        return "Put a value that contains ': ' in quotes, and check the indentation."
    if "cannot start any token" in words:
        return "Put a value that begins with this character in quotes."
    return "Check the indentation, the quotes and the brackets before this line."


def suggest(word: str, known: Iterable[str]) -> str:
    """``did you mean 'gates'?`` for a word near a known one, else nothing."""
    near = {name.lower().replace("_", "-"): name for name in known}
    match = difflib.get_close_matches(word.lower().replace("_", "-"), near, 1, 0.6)
    return f"did you mean {near[match[0]]!r}?" if match else ""


_NAMES: dict[type, str] = {
    str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "a mapping", type(None): "nothing",
}  # fmt: skip


class Reader:
    """Reads one mapping of a document; what was not asked for is refused at the end (``done``).

    Args:
        doc: the document.
        at: where the mapping stands.

    Raises:
        InvalidFile: there is no mapping there.
    """

    def __init__(self, doc: Doc, at: tuple[str | int, ...] = ()) -> None:
        self.doc = doc
        self.at = at
        value: Any = doc.data
        for part in at:
            value = value[part]
        if not isinstance(value, dict):
            raise InvalidFile(doc.path, doc.line(at), f"{self._where()} must be a mapping, not {_written(value)}")
        self.data: dict[str, Json] = value
        self._known: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def line(self, key: str | None = None) -> int:
        """The line of a key, or of the mapping."""
        return self.doc.line(self.at if key is None else (*self.at, key))

    def refuse(self, message: str, key: str | None = None, hint: str = "") -> InvalidFile:
        """The error for a value that is well-formed but wrong; to be raised by the caller."""
        return InvalidFile(self.doc.path, self.line(key), message, hint)

    def required(self, key: str, kind: type[T]) -> T:
        """The value of a key that must be there, of exactly this type (str, int, bool, list or dict)."""
        self._demand(key)
        value = self.data[key]
        if type(value) is not kind:
            raise self._wrong_type(key, kind, value)
        return value

    def optional(self, key: str, kind: type[T], default: D) -> T | D:
        """The value of a key, or the default where it is absent; present but empty is an error."""
        self._known[key] = None
        return self.required(key, kind) if key in self.data else default

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of texts; without a default it must be there."""
        if default is not None and key not in self.data:
            self._known[key] = None
            return default
        items = self.required(key, list)
        for index, item in enumerate(items):
            if not isinstance(item, str):
                line = self.doc.line((*self.at, key, index))
                message = f"{self._where(key)}: item {index + 1} must be text, not {_written(item)}"
                raise InvalidFile(self.doc.path, line, message, _quote_hint(item))
        return tuple(items)

    def section(self, key: str) -> Reader:
        """The mapping under a key that must be there; ask ``key in reader`` first where it may be absent."""
        self._demand(key)
        return Reader(self.doc, (*self.at, key))

    def sections(self, key: str) -> tuple[Reader, ...]:
        """The mappings of a list; none where the key is absent."""
        items: list[Json] = self.optional(key, list, [])
        return tuple(Reader(self.doc, (*self.at, key, index)) for index in range(len(items)))

    def named(self, key: str) -> dict[str, Reader]:
        """The mappings of a mapping, by name; none where the key is absent."""
        names: dict[str, Json] = self.optional(key, dict, {})
        return {name: Reader(self.doc, (*self.at, key, name)) for name in names}

    def done(self) -> None:
        """Refuse every key that nobody asked for.

        Raises:
            InvalidFile: with a suggestion, or the keys that are known.
        """
        for key in self.data:
            if key not in self._known:
                hint = suggest(key, self._known) or f"known: {', '.join(self._known)}"
                raise self.refuse(f"unknown key {key!r}{self._in()}", key, hint)

    def _demand(self, key: str) -> None:
        self._known[key] = None
        if key not in self.data:
            raise self.refuse(f"the key {key!r} is missing{self._in()}")

    def _wrong_type(self, key: str, kind: type, value: Json) -> InvalidFile:
        message = f"{self._where(key)} must be {_NAMES.get(kind, kind.__name__)}, not {_written(value)}"
        return self.refuse(message, key, _quote_hint(value) if kind is str else "")

    def _in(self) -> str:
        return f" in {self._where()}" if self.at else ""

    def _where(self, *more: str) -> str:
        path = ""
        for part in (*self.at, *more):
            path += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if path else part
        return path or "the document"


def _quote_hint(value: Json) -> str:
    return "Put it in quotes." if isinstance(value, (bool, int)) else ""


def _written(value: Json) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int():
            return f"the number {value}"
        case str():
            return f"{value[:40]!r}"
        case list():
            return "a list"
        case _:
            return "a mapping"
