"""Answers GraphQL: checks a document against the schema before anything runs, then resolves it (specification of
October 2021, sections 5 and 6).

An object is a mapping from field name to a value, or to a function of the field's arguments; `__typename` is always
there. A field that is in the schema file but not in the object is an error, never null by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.harbour.forge.language import (
    Declared,
    Document,
    EnumValue,
    Field,
    FieldType,
    Inline,
    Malformed,
    Operation,
    Selection,
    Spread,
    Type,
    TypeRef,
    Variable,
    read_document,
    read_schema,
)

Object = Mapping[str, Any]
DEEPEST = 40
INTROSPECTION = """
type __Type { kind: String! name: String fields(includeDeprecated: Boolean = false): [__Field!]
  enumValues(includeDeprecated: Boolean = false): [__EnumValue!] }
type __Field { name: String! }
type __EnumValue { name: String! }
"""
SCALARS: dict[str, tuple[type, ...]] = {
    "Int": (int,),
    "Float": (int, float),
    "String": (str,),
    "Boolean": (bool,),
    "ID": (str, int),
    "BigInt": (str, int),
    "DateTime": (str,),
    "URI": (str,),
    "HTML": (str,),
    "GitObjectID": (str,),
    "GitTimestamp": (str,),
    "GitRefname": (str,),
    "GitSSHRemote": (str,),
    "Base64String": (str,),
}


class Refused(Exception):
    """A field cannot be answered; the client is told in `errors`, and the field is null.

    Args:
        kind: GitHub's machine-readable type, such as NOT_FOUND.
    """

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class _Null(Exception):
    """A required field came to null: the object around it is null too."""


class Schema:
    """The types, and what each may stand for."""

    def __init__(self, text: str) -> None:
        self.types: dict[str, Type] = read_schema(text) | read_schema(INTROSPECTION)

    def kinds(self, name: str) -> set[str]:
        """The object types that a type may be."""
        type_ = self.types[name]
        if type_.kind == "union":
            return set(type_.members)
        if type_.kind == "interface":
            return {other.name for other in self.types.values() if name in other.interfaces}
        return {name}

    def is_leaf(self, name: str) -> bool:
        """Whether a value of this type has no fields."""
        return name in SCALARS or self.types[name].kind == "enum"

    def field(self, owner: str, name: str) -> FieldType | None:
        """A field of a type, with the ones that every type has."""
        if name == "__typename":
            return FieldType(TypeRef("String", required=True), {})
        if name == "__type" and owner == "Query":
            return FieldType(TypeRef("__Type"), {"name": Declared(TypeRef("String", required=True), None, False)})
        return self.types[owner].fields.get(name)

    def described(self, name: str) -> Object | None:
        """What `__type` answers."""
        type_ = self.types.get(name)
        if type_ is None:
            return None
        kinds = {"type": "OBJECT", "interface": "INTERFACE", "input": "INPUT_OBJECT", "union": "UNION", "enum": "ENUM"}
        fields = [{"__typename": "__Field", "name": field} for field in type_.fields]
        values = [{"__typename": "__EnumValue", "name": value} for value in type_.values]
        return {
            "__typename": "__Type",
            "kind": kinds[type_.kind],
            "name": name,
            "fields": lambda **_: fields if type_.fields else None,
            "enumValues": lambda **_: values if type_.values else None,
        }

    def coerce(self, value: Any, type_: TypeRef, where: str) -> Any:  # noqa: ANN401
        """The value as the type wants it.

        Raises:
            Refused: it is of another type.
        """
        if value is None:
            if type_.required:
                raise Refused(f"{where} of type {type_} was provided invalid value: expected value to not be null")
            return None
        if type_.item:
            items = value if isinstance(value, list) else [value]
            return [self.coerce(item, type_.item, where) for item in items]
        if type_.name in SCALARS:
            right = isinstance(value, SCALARS[type_.name]) and (type_.name == "Boolean" or not isinstance(value, bool))
            if not right:
                raise Refused(f"{where} of type {type_} was provided invalid value {value!r}")
            return value
        declared = self.types[type_.name]
        if declared.kind == "enum":
            text = value.name if isinstance(value, EnumValue) else value
            if text not in declared.values:
                raise Refused(f"{where}: expected {value!r} to be one of: {', '.join(declared.values)}")
            return text
        return self._object(value, declared, where)

    def _object(self, value: Any, declared: Type, where: str) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(value, dict):
            raise Refused(f"{where}: expected an object of type {declared.name}")
        if unknown := value.keys() - declared.inputs.keys():
            raise Refused(f"{where}: InputObject '{declared.name}' doesn't accept argument '{min(unknown)}'")
        return self.arguments(value, declared.inputs, where)

    def arguments(self, given: dict[str, Any], declared: Mapping[str, Declared], where: str) -> dict[str, Any]:
        """What was given, with defaults, as the declared types want it."""
        values = {}
        for name, wanted in declared.items():
            if name in given:
                values[name] = self.coerce(given[name], wanted.type, f"{where} {name}")
            elif wanted.has_default:
                values[name] = self.coerce(wanted.default, wanted.type, f"{where} {name}")
            elif wanted.type.required:
                raise Refused(f"{where} is missing required arguments: {name}")
        return values


@dataclass(slots=True)
class _Check:
    """Finds what is wrong with a document before it runs."""

    schema: Schema
    document: Document
    variables: Mapping[str, Declared]
    used: set[str] = field(default_factory=set)

    def selections(self, selections: tuple[Selection, ...], owner: str, depth: int = 0) -> Iterator[str]:
        if depth > DEEPEST:
            yield "The selections are nested too deeply, or a fragment contains itself"
            return
        for selection in selections:
            yield from self._directives(selection)
            match selection:
                case Spread(name):
                    fragment = self.document.fragments.get(name)
                    if fragment is None:
                        yield f"Fragment {name} was used, but not defined"
                    else:
                        yield from self._condition(fragment, owner, depth)
                case Inline():
                    yield from self._condition(selection, owner, depth)
                case Field():
                    yield from self._field(selection, owner, depth)

    def _directives(self, selection: Selection) -> Iterator[str]:
        for name, arguments in selection.directives.items():
            if name not in {"include", "skip"} or arguments.keys() != {"if"}:
                yield f"Directive @{name} is not defined"
            yield from self._values(list(arguments.values()))

    def _condition(self, inline: Inline, owner: str, depth: int) -> Iterator[str]:
        on = inline.on or owner
        if on not in self.schema.types:
            yield f"No such type {on}, so it can't be a fragment condition"
        elif not self.schema.kinds(on) & self.schema.kinds(owner):
            yield f"Fragment on {on} can't be spread inside {owner}"
        else:
            yield from self.selections(inline.selections, on, depth + 1)

    def _field(self, selection: Field, owner: str, depth: int) -> Iterator[str]:
        found = self.schema.field(owner, selection.name)
        if found is None:
            yield f"Field '{selection.name}' doesn't exist on type '{owner}'"
            return
        for name in selection.arguments.keys() - found.arguments.keys():
            yield f"Field '{selection.name}' doesn't accept argument '{name}'"
        for name, declared in found.arguments.items():
            if declared.type.required and not declared.has_default and name not in selection.arguments:
                yield f"Field '{selection.name}' is missing required arguments: {name}"
        yield from self._values(list(selection.arguments.values()))
        named = found.type.named()
        if self.schema.is_leaf(named):
            if selection.selections:
                yield f"Selections can't be made on scalars (field '{selection.name}' returns {named})"
        elif not selection.selections:
            yield f"Field must have selections (field '{selection.name}' returns {named} but has no selections)"
        else:
            yield from self.selections(selection.selections, named, depth + 1)

    def _values(self, values: list[Any]) -> Iterator[str]:
        for value in values:
            match value:
                case Variable(name):
                    self.used.add(name)
                    if name not in self.variables:
                        yield f"Variable ${name} is used but not declared"
                case list():
                    yield from self._values(value)
                case dict():
                    yield from self._values(list(value.values()))


@dataclass(slots=True)
class _Run:
    """One execution of one operation."""

    schema: Schema
    document: Document
    variables: dict[str, Any]
    errors: list[dict[str, Any]] = field(default_factory=list)

    def object(self, value: Object, selections: tuple[Selection, ...], path: list[str | int]) -> dict[str, Any]:
        owner = str(value["__typename"])
        answer: dict[str, Any] = {}
        for alias, fields in self._collect(owner, selections).items():
            first = fields[0]
            found = self.schema.field(owner, first.name)
            if found is None:  # an interface may promise more than the sandbox's object has
                raise Refused(f"Field '{first.name}' doesn't exist on type '{owner}'")
            inner = tuple(selection for part in fields for selection in part.selections)
            answer[alias] = self._field(value, first, found, inner, [*path, alias])
        return answer

    def _collect(self, owner: str, selections: tuple[Selection, ...]) -> dict[str, list[Field]]:
        found: dict[str, list[Field]] = {}
        for selection in selections:
            if not self._wanted(selection):
                continue
            inner: Inline | None = None
            match selection:
                case Field():
                    found.setdefault(selection.alias, []).append(selection)
                case Spread(name):
                    inner = self.document.fragments[name]
                case Inline():
                    inner = selection
            if inner and (not inner.on or owner in self.schema.kinds(inner.on)):
                for alias, fields in self._collect(owner, inner.selections).items():
                    found.setdefault(alias, []).extend(fields)
        return found

    def _wanted(self, selection: Selection) -> bool:
        include = self._given(selection.directives.get("include", {"if": True})["if"])
        return bool(include) and not self._given(selection.directives.get("skip", {"if": False})["if"])

    def _given(self, value: Any) -> Any:  # noqa: ANN401
        match value:
            case Variable(name):
                return self.variables.get(name)
            case list():
                return [self._given(item) for item in value]
            case dict():
                return {name: self._given(item) for name, item in value.items()}
        return value

    def _field(
        self, owner: Object, wanted: Field, found: FieldType, inner: tuple[Selection, ...], path: list[str | int]
    ) -> Any:  # noqa: ANN401
        try:
            return self._complete(self._resolved(owner, wanted, found), found.type, inner, path)
        except Refused as error:
            entry: dict[str, Any] = {"type": error.kind} if error.kind else {}
            self.errors.append({**entry, "path": path, "message": str(error)})
        except _Null:
            pass
        if found.type.required:
            raise _Null
        return None

    def _resolved(self, owner: Object, wanted: Field, found: FieldType) -> Any:  # noqa: ANN401
        # A variable that was not given leaves its argument out, so that the argument's default holds.
        given = {
            name: self._given(value)
            for name, value in wanted.arguments.items()
            if not (isinstance(value, Variable) and value.name not in self.variables)
        }
        arguments = self.schema.arguments(given, found.arguments, f"Field '{wanted.name}'")
        if wanted.name == "__type":
            return self.schema.described(arguments["name"])
        if wanted.name not in owner:
            raise Refused(f"the sandbox does not know {owner['__typename']}.{wanted.name}")
        value = owner[wanted.name]
        return value(**arguments) if callable(value) else value

    def _complete(self, value: Any, type_: TypeRef, inner: tuple[Selection, ...], path: list[str | int]) -> Any:  # noqa: ANN401
        if value is None:
            if type_.required:
                raise Refused(f"Cannot return null for non-nullable field {'.'.join(map(str, path))}")
            return None
        if type_.item:
            item = type_.item
            return [self._item(one, item, inner, [*path, number]) for number, one in enumerate(value)]
        if self.schema.is_leaf(type_.name):
            return self.schema.coerce(value, type_, ".".join(map(str, path)))
        return self.object(value, inner, path)

    def _item(self, value: Any, type_: TypeRef, inner: tuple[Selection, ...], path: list[str | int]) -> Any:  # noqa: ANN401
        try:
            return self._complete(value, type_, inner, path)
        except _Null:
            if type_.required:
                raise
            return None


def answer(schema: Schema, roots: Mapping[str, Callable[[], Object]], request: dict[str, Any]) -> dict[str, Any]:
    """Answers one request body (`query`, `variables`, `operationName`) with `data` and, where there are any, `errors`.

    Args:
        roots: makes the root object, by operation kind: query, mutation.
    """
    try:
        document = read_document(str(request.get("query", "")))
        operation = _chosen(document, request.get("operationName"))
        given = request.get("variables") or {}
        check = _Check(schema, document, operation.variables)
        wrong = list(check.selections(operation.selections, operation.kind.capitalize()))
        wrong += [f"Variable ${name} is declared but not used" for name in operation.variables if name not in check.used]
        if wrong:
            return {"errors": [{"message": message} for message in dict.fromkeys(wrong)]}
        variables = schema.arguments(given, operation.variables, "Variable")
    except (Malformed, Refused) as error:
        return {"errors": [{"message": str(error)}]}
    run = _Run(schema, document, variables)
    try:
        data: dict[str, Any] | None = run.object(roots[operation.kind](), operation.selections, [])
    except _Null:
        data = None
    except Refused as error:
        return {"data": None, "errors": [*run.errors, {"message": str(error)}]}
    return {"data": data} | ({"errors": run.errors} if run.errors else {})


def _chosen(document: Document, name: str | None) -> Operation:
    if name:
        if name not in document.operations:
            raise Malformed(f"No operation named {name!r}")
        return document.operations[name]
    if len(document.operations) != 1:
        raise Malformed("An operation name is required")
    return next(iter(document.operations.values()))
