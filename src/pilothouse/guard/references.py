"""Typed references: where a step's arguments come from, and what they are worth now.

A value in a workflow is a literal, or a reference: ``{ref: step.fact}``, ``{input: name}``, ``{setting: a.b}`` or
``{run: name}``.
In a compiled plan only ``{"ref": "step.fact", "type": T}`` is left, for what only a later step can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from pilothouse.canonical import Json

FORMS = ("ref", "input", "setting", "run")


class Unresolved(LookupError):
    """A reference names a fact that is not known (yet)."""


def form_of(value: Json) -> tuple[str, str] | None:
    """``("ref", "branch.sha")`` for a reference in any of its forms, None for a literal."""
    if isinstance(value, dict):
        for form in FORMS:
            name = value.get(form)
            if isinstance(name, str) and value.keys() <= {form, "type"}:
                return form, name
    return None


def resolve(value: Json, look_up: Callable[[str, str], Json]) -> Json:
    """The value with every reference replaced by what ``look_up(form, name)`` answers.

    Raises:
        Unresolved: whatever ``look_up`` raises for a fact that is not known.
    """
    reference = form_of(value)
    if reference is not None:
        return look_up(*reference)
    if isinstance(value, dict):
        return {key: resolve(item, look_up) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, look_up) for item in value]
    return value


def fact_of(facts: Mapping[str, Mapping[str, Json]], name: str) -> Json:
    """The fact ``step.fact`` (or all facts of ``step``) among recorded facts by step.

    Raises:
        Unresolved: the step has no facts yet, or not that one.
    """
    step, _, fact = name.partition(".")
    known = facts.get(step)
    if known is None:
        raise Unresolved(name)
    if not fact:
        return cast("Json", dict(known))
    if fact not in known:
        raise Unresolved(name)
    return known[fact]
