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
    context: dict[str, Any] = detail.get("ctx", {})
    place, here = _present(document.data, [part for part in detail["loc"] if part != "[key]"])
    match detail["type"]:
        case "unknown_key":
            key = context["key"]
            return _problem(document, (*place, key), f"unknown key '{key}'", nearest(key, context["known"]), place)
        case "empty_key":
            key = context["key"]
            return _problem(
                document, (*place, key), f"the key '{key}' has no value", "give it one, or leave the key out", place
            )
        case "missing":
            key = str(detail["loc"][-1])
            return _problem(document, place, f"the key '{key}' is missing", _MISSING.get(key, ""))
        case "union_tag_not_found":
            key = str(context["discriminator"]).strip("'")
            return _problem(document, place, f"the key '{key}' is missing", _MISSING.get(key, ""))
        case "union_tag_invalid":
            key = str(context["discriminator"]).strip("'")
            return _problem(document, (*place, key), *_one_of(context["expected_tags"], context["tag"]))
        case "literal_error":
            return _problem(document, place, *_one_of(context["expected"], here))
        case "refused":
            return _problem(document, place, context["text"], context["hint"])
        case kind if kind in _EXPECTED:
            return _problem(
                document, place, f"expected {_EXPECTED[kind]}, found {_FOUND.get(type(here), 'another type')}"
            )
        case _:
            return _problem(document, place, detail["msg"])


def called(place: Sequence[str | int], message: str) -> str:
    """A message with the dotted name of its place before it."""
    name = ".".join(str(part) for part in place)
    return f"{name}: {message}" if name else message


def nearest(word: str, known: Sequence[str]) -> str:
    """The hint for a word that is not known."""
    return suggest(word, known) or f"known: {', '.join(known)}"


def _problem(document: Doc, place: Place, message: str, hint: str = "", name: Place | None = None) -> Problem:
    return Problem(document.line(place), called(place if name is None else name, message), hint)


def _one_of(expected: str, found: object) -> tuple[str, str]:
    choices = re.findall(r"'([^']+)'", expected)
    hint = suggest(found, choices) if isinstance(found, str) else ""
    return f"expected {' or '.join(choices) if choices else expected}", hint


def _present(data: object, place: Sequence[str | int]) -> tuple[Place, object]:
    """The part of a place that the data has, and what stands there; a union's tag, put between by pydantic, is left out."""
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
