"""Answers GraphQL: a document is checked against the schema before anything runs, then resolved.

The rules are those of the specification of October 2021, section 6. An object is a mapping from field name to a value,
or to a function of the field's arguments; `__typename` is always there. A field that is in the schema file but not in
the object is an error, never null by accident.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pilothouse.harbour.forge.checking import Check
from pilothouse.harbour.forge.language import (
    Document,
    Field,
    FieldType,
    Inline,
    Malformed,
    Operation,
    Selection,
    Spread,
    TypeRef,
    Variable,
    read_document,
)
from pilothouse.harbour.forge.schema import Object, Refused, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class _Null(Exception):
    """A required field came to null: the object around it is null too."""


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

    def _given(self, value: Any) -> Any:
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
    ) -> Any:
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

    def _resolved(self, owner: Object, wanted: Field, found: FieldType) -> Any:
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

    def _complete(self, value: Any, type_: TypeRef, inner: tuple[Selection, ...], path: list[str | int]) -> Any:
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

    def _item(self, value: Any, type_: TypeRef, inner: tuple[Selection, ...], path: list[str | int]) -> Any:
        try:
            return self._complete(value, type_, inner, path)
        except _Null:
            if type_.required:
                raise
            return None


def answer(schema: Schema, roots: Mapping[str, Callable[[], Object]], request: dict[str, Any]) -> dict[str, Any]:
    """Answers one request body (`query`, `variables`, `operationName`) with `data` and, where there are any, `errors`.

    Args:
        schema: what may be asked.
        request: the decoded body.
        roots: makes the root object, by operation kind: query, mutation.
    """
    try:
        document = read_document(str(request.get("query", "")))
        operation = _chosen(document, request.get("operationName"))
        given = request.get("variables") or {}
        check = Check(schema, document, operation.variables)
        wrong = list(check.selections(operation.selections, operation.kind.capitalize()))
        wrong += [
            f"Variable ${name} is declared but not used" for name in operation.variables if name not in check.used
        ]
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
