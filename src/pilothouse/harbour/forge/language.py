"""Reads GraphQL: documents that clients send and the schema file (specification of October 2021, section 2 and 3).

What the sandbox never meets (subscriptions, block strings in descriptions, schema extensions) is refused as a syntax
error, never skipped.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

TOKEN = re.compile(
    r"""(?P<skip>[\s,\ufeff]+|\#[^\n]*)|(?P<spread>\.\.\.)|(?P<punctuator>[!$&()\[\]{}:=@|])|(?P<name>[_A-Za-z]\w*)"""
    r"""|(?P<float>-?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+))|(?P<int>-?\d+)"""
    r'''|(?P<block>"""(?:[^"\\]|\\"""|\\|"(?!""))*""")|(?P<string>"(?:[^"\\\n]|\\.)*")''',
    re.ASCII,
)


class Malformed(Exception):
    """The text is no GraphQL that is understood here."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A `$name` in place of a value."""

    name: str


@dataclass(frozen=True, slots=True)
class EnumValue:
    """A bare name in place of a value."""

    name: str


@dataclass(frozen=True, slots=True)
class TypeRef:
    """A type as written: a name, or a list of another type; `required` is the exclamation mark."""

    name: str = ""
    item: TypeRef | None = None
    required: bool = False

    def named(self) -> str:
        """The name inside all brackets."""
        return self.item.named() if self.item else self.name

    def __str__(self) -> str:
        return (f"[{self.item}]" if self.item else self.name) + ("!" if self.required else "")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a selection."""

    name: str
    alias: str
    arguments: dict[str, Any]
    directives: dict[str, dict[str, Any]]
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class Inline:
    """`... on Type { … }`; an empty type means the enclosing one."""

    on: str
    directives: dict[str, dict[str, Any]]
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """`...name`."""

    name: str
    directives: dict[str, dict[str, Any]]


Selection = Field | Inline | Spread


@dataclass(frozen=True, slots=True)
class Declared:
    """A variable of an operation, or an argument or input field of the schema."""

    type: TypeRef
    default: Any = None
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """A query or a mutation."""

    kind: str
    name: str
    variables: dict[str, Declared]
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What a client sent."""

    operations: dict[str, Operation]
    fragments: dict[str, Inline]


@dataclass(frozen=True, slots=True)
class FieldType:
    """A field of an object or interface type."""

    type: TypeRef
    arguments: dict[str, Declared]


@dataclass(frozen=True, slots=True)
class Type:
    """A type of the schema; which of the parts are filled depends on its kind."""

    kind: str
    name: str
    fields: dict[str, FieldType] = field(default_factory=dict)
    inputs: dict[str, Declared] = field(default_factory=dict)
    interfaces: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


class _Reader:
    """Goes through the tokens once."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        place = 0
        while place < len(text):
            match = TOKEN.match(text, place)
            if not match:
                raise Malformed(f"Parse error on {text[place]!r} at [{text.count(chr(10), 0, place) + 1}]")
            if match.lastgroup != "skip":
                self.tokens.append((match.lastgroup or "", match.group()))
            place = match.end()
        self.tokens.append(("end", ""))
        self.place = 0

    @property
    def text(self) -> str:
        return self.tokens[self.place][1]

    @property
    def kind(self) -> str:
        return self.tokens[self.place][0]

    def take(self, wanted: str = "") -> str:
        text = self.text
        if wanted and text != wanted:
            raise Malformed(f"Parse error: expected {wanted!r}, found {text or 'the end'!r}")
        self.place += 1
        return text

    def name(self) -> str:
        if self.kind != "name":
            raise Malformed(f"Parse error: expected a name, found {self.text or 'the end'!r}")
        return self.take()

    def skip(self, wanted: str) -> bool:
        if self.text == wanted and self.kind in {"punctuator", "spread", "name"}:
            self.place += 1
            return True
        return False

    def value(self, *, constant: bool = False) -> Any:
        kind, text = self.tokens[self.place]
        self.place += 1
        match kind, text:
            case ("int" | "float" | "string", _) | ("name", "true" | "false" | "null"):
                value = json.loads(text)
            case "block", _:
                value = text[3:-3].replace('\\"""', '"""').strip("\n")
            case "name", _:
                value = EnumValue(text)
            case _, "$" if not constant:
                value = Variable(self.name())
            case _, "[":
                value = self._items(constant=constant)
            case _, "{":
                value = self._object(constant=constant)
            case _:
                raise Malformed(f"Parse error: expected a value, found {text or 'the end'!r}")
        return value

    def _items(self, *, constant: bool) -> list[Any]:
        items = []
        while not self.skip("]"):
            items.append(self.value(constant=constant))
        return items

    def _object(self, *, constant: bool) -> dict[str, Any]:
        values = {}
        while not self.skip("}"):
            name = self.name()
            self.take(":")
            values[name] = self.value(constant=constant)
        return values

    def type(self) -> TypeRef:
        if self.skip("["):
            item = self.type()
            self.take("]")
            return TypeRef(item=item, required=self.skip("!"))
        return TypeRef(name=self.name(), required=self.skip("!"))

    def declared(self, closing: str, *, dollar: bool = False) -> dict[str, Declared]:
        found = {}
        while not self.skip(closing):
            if dollar:
                self.take("$")
            name = self.name()
            self.take(":")
            type_ = self.type()
            has_default = self.skip("=")
            default = self.value(constant=True) if has_default else None
            found[name] = Declared(type_, default, has_default)
        return found

    def arguments(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.skip("("):
            while not self.skip(")"):
                name = self.name()
                self.take(":")
                found[name] = self.value()
        return found

    def directives(self) -> dict[str, dict[str, Any]]:
        found = {}
        while self.skip("@"):
            name = self.name()
            found[name] = self.arguments()
        return found

    def selections(self) -> tuple[Selection, ...]:
        self.take("{")
        found: list[Selection] = []
        while not self.skip("}"):
            found.append(self._selection())
        if not found:
            raise Malformed("Parse error: an empty selection")
        return tuple(found)

    def _selection(self) -> Selection:
        if self.skip("..."):
            if self.kind == "name" and self.text != "on":
                return Spread(self.name(), self.directives())
            on = self.name() if self.skip("on") else ""
            return Inline(on, self.directives(), self.selections())
        alias = name = self.name()
        if self.skip(":"):
            name = self.name()
        arguments, directives = self.arguments(), self.directives()
        return Field(name, alias, arguments, directives, self.selections() if self.text == "{" else ())


def read_document(text: str) -> Document:
    """Reads what a client sent.

    Raises:
        Malformed: it is no document of queries, mutations and fragments.
    """
    reader = _Reader(text)
    document = Document({}, {})
    while reader.kind != "end":
        if reader.text == "{":
            document.operations[""] = Operation("query", "", {}, reader.selections())
            continue
        word = reader.name()
        if word == "fragment":
            name = reader.name()
            reader.take("on")
            document.fragments[name] = Inline(reader.name(), reader.directives(), reader.selections())
        elif word in {"query", "mutation"}:
            name = reader.name() if reader.kind == "name" else ""
            variables = reader.declared(")", dollar=True) if reader.skip("(") else {}
            document.operations[name] = Operation(word, name, variables, reader.selections())
        else:
            raise Malformed(f"Parse error: expected an operation or a fragment, found {word!r}")
    return document


def read_schema(text: str) -> dict[str, Type]:
    """Reads a schema file: types, interfaces, inputs, unions and enums.

    Raises:
        Malformed: it is none.
    """
    reader = _Reader(text)
    types: dict[str, Type] = {}
    while reader.kind != "end":
        kind, name = reader.name(), reader.name()
        types[name] = _type(reader, kind, name)
    return types


def _type(reader: _Reader, kind: str, name: str) -> Type:
    interfaces = _names(reader, "&") if reader.skip("implements") else ()
    if kind == "union":
        reader.take("=")
        return Type(kind, name, members=_names(reader, "|"))
    reader.take("{")
    match kind:
        case "input":
            return Type(kind, name, inputs=reader.declared("}"))
        case "enum":
            values = []
            while not reader.skip("}"):
                values.append(reader.name())
            return Type(kind, name, values=tuple(values))
        case "type" | "interface":
            fields = {}
            while not reader.skip("}"):
                field_name = reader.name()
                arguments = reader.declared(")") if reader.skip("(") else {}
                reader.take(":")
                fields[field_name] = FieldType(reader.type(), arguments)
            return Type(kind, name, fields=fields, interfaces=interfaces)
    raise Malformed(f"Parse error: expected a type, found {kind!r}")


def _names(reader: _Reader, separator: str) -> tuple[str, ...]:
    names = [reader.name()]
    while reader.skip(separator):
        names.append(reader.name())
    return tuple(names)
