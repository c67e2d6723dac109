"""What pydantic found, in our words, at the line of the file; never with the value, which may be a secret."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from pilothouse.config.crosscheck import Place
from pilothouse.yamlfile import Doc, suggest

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_FOUND: dict[type, str] = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    type(None): "nothing",
    bool: "true or false",
    int: "a whole number",
}
_MISSING = {
    "production": "a product needs environments.production",
    "unit": "a threshold says its unit: points or relative",
    "quantile": "latency needs a quantile: p50, p95 or p99",
    "version": "begin with: version: 1",
    "model": "for example: model: push",
    "channel": "for example: channel: console",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a configuration: its line (1-based), what is wrong, what to write instead."""

    line: int
    message: str
    hint: str = ""


def told(detail: ErrorDetails, document: Doc) -> Problem:
    """One of pydantic's errors as a problem of the file."""
    place, here = _present(document.data, [part for part in detail["loc"] if part != "[key]"])
    where, message, hint = _in_words(detail, here)
    # An error about a key stands on that key's line, but is named by the mapping around it.
    return Problem(document.line((*place, *where)), called(place, message), hint)


def _in_words(detail: ErrorDetails, here: object) -> tuple[Place, str, str]:
    """Which key below the error's place is meant (none: the place itself), what is wrong, and a hint."""
    context: dict[str, Any] = detail.get("ctx", {})
    where: Place = ()
    message, hint = detail["msg"], ""
    match detail["type"]:
        case "unknown_key":
            where = (context["key"],)
            message, hint = f"unknown key '{context['key']}'", nearest(context["key"], context["known"])
        case "empty_key":
            where = (context["key"],)
            message, hint = f"the key '{context['key']}' has no value", "give it one, or leave the key out"
        case "missing" | "union_tag_not_found":
            key = str(context.get("discriminator", detail["loc"][-1])).strip("'")
            message, hint = f"the key '{key}' is missing", _MISSING.get(key, "")
        case "union_tag_invalid":
            key = str(context["discriminator"]).strip("'")
            where = (key,)
            message, hint = _one_of(context["expected_tags"], context["tag"], f"{key}: ")
        case "literal_error":
            message, hint = _one_of(context["expected"], here)
        case "refused":
            message, hint = context["text"], context["hint"]
        case kind if kind in _EXPECTED:
            message = f"expected {_EXPECTED[kind]}, found {_FOUND.get(type(here), 'another type')}"
    return where, message, hint


def called(place: Sequence[str | int], message: str) -> str:
    """A message with the dotted name of its place before it."""
    name = ".".join(str(part) for part in place)
    return f"{name}: {message}" if name else message


def nearest(word: str, known: Sequence[str]) -> str:
    """The hint for a word that is not known."""
    return suggest(word, known) or f"known: {', '.join(known)}"


def _one_of(expected: str, found: object, before: str = "") -> tuple[str, str]:
    choices = re.findall(r"'([^']+)'", expected)
    hint = suggest(found, choices) if isinstance(found, str) else ""
    return f"{before}expected {' or '.join(choices) if choices else expected}", hint


def _present(data: object, place: Sequence[str | int]) -> tuple[Place, object]:
    """The part of a place that the data has, and what stands there; a union's tag, which pydantic adds, is left out."""
    found: list[str | int] = []
    for part in place:
        match data, part:
            case dict() as mapping, str() if part in mapping:
                data = mapping[part]
            case list() as items, int() as index if index < len(items):
                data = items[index]
            case _:
                continue
        found.append(part)
    return tuple(found), data
