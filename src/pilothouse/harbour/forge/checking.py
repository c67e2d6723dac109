"""Finds what is wrong with a GraphQL document before it runs (specification of October 2021, section 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pilothouse.harbour.forge.language import Declared, Document, Field, Inline, Selection, Spread, Variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pilothouse.harbour.forge.schema import Schema

DEEPEST = 40


@dataclass(slots=True)
class Check:
    """One look at one operation.

    Args:
        variables: what the operation declares.
        used: the variables that were met; complete when everything was looked at.
    """

    schema: Schema
    document: Document
    variables: Mapping[str, Declared]
    used: set[str] = field(default_factory=set)

    def selections(self, selections: tuple[Selection, ...], owner: str, depth: int = 0) -> Iterator[str]:
        """What is wrong with selections on a type."""
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
