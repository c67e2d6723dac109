"""pilothouse.yml, read strictly: every key known, every value checked, every fault with its line and what to write.

``parse`` is the whole door: ``load`` only reads the file first. A run stores the text of its configuration and parses
that again on resume, so nothing here looks at the disk, the clock or the environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pilothouse import project, settings
from pilothouse.config import crosscheck, freeze, shapes
from pilothouse.config.crosscheck import Place
from pilothouse.errors import InvalidFile
from pilothouse.yamlfile import Doc, suggest
from pilothouse.yamlfile import load as load_yaml

__all__ = ["Problem", "check", "load", "parse", "schema"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a configuration: its line (1-based), what is wrong, what to write instead."""

    line: int
    message: str
    hint: str = ""


def load(path: Path) -> settings.Configuration:
    """The configuration of a project.

    Args:
        path: the pilothouse.yml, or the folder that holds it.

    Raises:
        InvalidFile: with the first fault's line; the message says how many more there are.
    """
    file = path / project.FILE if path.is_dir() else path
    return parse(project.read_text(file), project.shown(file))


def parse(text: str, path: str = project.FILE) -> settings.Configuration:
    """The configuration that a text means; ``path`` is only what errors call it. Raises InvalidFile."""
    shape, problems = _read(text, path)
    if shape is None or problems:
        first, *more = problems
        others = f" (and {len(more)} more: line {', '.join(str(problem.line) for problem in more[:5])})" if more else ""
        raise InvalidFile(path, first.line, first.message + others, first.hint)
    return freeze.configuration(shape, text, path)


def check(text: str, path: str = project.FILE) -> tuple[Problem, ...]:
    """Every fault of a configuration's text, by line; empty where there is none. Raises InvalidFile: it is no YAML."""
    return _read(text, path)[1]


def schema() -> dict[str, Any]:
    """The JSON Schema of pilothouse.yml, generated from the same models that read it."""
    generated = shapes.Configuration.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **generated, "title": "pilothouse.yml"}


def _read(text: str, path: str) -> tuple[shapes.Configuration | None, tuple[Problem, ...]]:
    document = load_yaml(text, path)
    if not isinstance(document.data, dict):
        return None, (Problem(1, "the file is a mapping", "begin with: version: 1"),)
    try:
        shape = shapes.Configuration.model_validate(document.data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return None, _sorted(_told(detail, document) for detail in details)
    found = crosscheck.faults(shape)
    return shape, _sorted(Problem(_line(document, fault.place), _called(fault.place, fault.message), fault.hint) for fault in found)


def _sorted(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.line))


def _line(document: Doc, place: Sequence[str | int]) -> int:
    """The line of a place, or of the nearest enclosing one that the file has."""
    return document.line(_present(document.data, place))


def _present(data: object, place: Sequence[str | int]) -> Place:
    """The part of a place that the data has; what pydantic puts between (a union's tag) is left out."""
    found: list[str | int] = []
    for part in place:
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            found.append(part)
            data = data[part]  # type: ignore[index, call-overload]  narrowed by the condition above
    return tuple(found)


def _called(place: Sequence[str | int], message: str) -> str:
    name = ".".join(str(part) for part in place)
    return f"{name}: {message}" if name else message


_FIRST_TAG = {"model": "push", "channel": "console"}
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "float_type": "a number",
}


def _told(detail: ErrorDetails, document: Doc) -> Problem:
    """One pydantic error in our words, never with the value itself."""
    kind, context = detail["type"], detail.get("ctx", {})
    place = _present(document.data, [part for part in detail["loc"] if part != "[key]"])
    line = document.line(place)
    here = document.data
    for part in place:
        here = here[part]
    match kind:
        case "unknown_key":
            key = context["key"]
            where = document.line((*place, key))
            return Problem(where, _called(place, f"unknown key '{key}'"), suggest(str(key), context["known"]))
        case "missing":
            return Problem(line, _called(place, f"the key '{detail['loc'][-1]}' is missing"), _missing_hint(detail["loc"]))
        case "refused":
            return Problem(line, _called(place, context["text"]), context["hint"])
        case "literal_error" | "enum":
            return Problem(line, _called(place, f"expected {context['expected']}"))
        case "union_tag_not_found":
            tag = str(context["discriminator"]).strip("'")
            return Problem(line, _called(place, f"the key '{tag}' is missing"), f"for example: {tag}: {_FIRST_TAG.get(tag, '…')}")
        case "union_tag_invalid":
            tag = str(context["discriminator"]).strip("'")
            return Problem(document.line((*place, tag)), _called((*place, tag), f"expected one of {context['expected_tags']}"))
        case _ if kind in _EXPECTED:
            found = {dict: "a mapping", list: "a list", str: "text", type(None): "nothing"}.get(type(here), type(here).__name__)
            return Problem(line, _called(place, f"expected {_EXPECTED[kind]}, found {found}"))
        case _:
            return Problem(line, _called(place, detail["msg"]))


def _missing_hint(location: Sequence[str | int]) -> str:
    match location[-1]:
        case "production":
            return "a product needs environments.production"
        case "unit":
            return "a threshold says its unit: points or relative"
        case "quantile":
            return "latency needs a quantile: p50, p95 or p99"
        case "version" if len(location) == 1:
            return "begin with: version: 1"
        case _:
            return ""
