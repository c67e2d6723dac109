"""pilothouse.yml, read strictly: every key known, every value checked, every fault with its line and what to write.

``parse`` is the whole door: ``load`` only reads the file first. A run stores the text of its configuration and parses
that again on resume, so nothing here looks at the clock or the environment.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pilothouse import project, settings
from pilothouse.config import crosscheck, freeze, shapes
from pilothouse.config.telling import Problem, called, told
from pilothouse.errors import InvalidFile
from pilothouse.yamlfile import load as load_yaml

__all__ = ["Problem", "check", "load", "parse", "schema"]


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
        first, *others = problems
        listed = "".join(f"\n{path}:{problem.line}: {problem.message}" for problem in others)
        raise InvalidFile(path, first.line, first.message + listed, first.hint)
    return freeze.configuration(shape, text, path)


def check(text: str, path: str = project.FILE) -> tuple[Problem, ...]:
    """Every fault of a configuration's text, by line; empty where there is none. Raises InvalidFile: it is no YAML."""
    return _read(text, path)[1]


def schema() -> dict[str, Any]:
    """The JSON Schema of pilothouse.yml, generated from the same models that read it."""
    generated: dict[str, Any] = _tidied(shapes.Configuration.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **generated, "title": "pilothouse.yml"}


def _tidied(node: Any) -> Any:
    """A generated schema without what people may not write: null, and titles that only repeat the keys."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if not (key == "title" and isinstance(value, str))}
    if kept.get("default", ...) is None:
        del kept["default"]
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        kept = {**choices[0], **kept}
    elif choices:
        kept["anyOf"] = choices
    return {key: _tidied(value) for key, value in kept.items()}


def _read(text: str, path: str) -> tuple[shapes.Configuration | None, tuple[Problem, ...]]:
    document = load_yaml(text, path)
    if not isinstance(document.data, dict):
        return None, (Problem(1, "the file is a mapping of keys to values", "begin with: version: 1"),)
    try:
        shape = shapes.Configuration.model_validate(document.data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return None, _sorted(told(detail, document) for detail in details)
    return shape, _sorted(
        Problem(document.line(fault.place), called(fault.place, fault.message), fault.hint)
        for fault in crosscheck.faults(shape)
    )


def _sorted(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.line))
