"""pilothouse.yml, read strictly: every key known, every value checked, every fault with its line and what to write.

``parse`` is the whole door: ``load`` only reads the file first. A run stores the text of its configuration and parses
that again on resume, so nothing here looks at the clock or the environment.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pilothouse import settings
from pilothouse.config import crosscheck, freeze, shapes
from pilothouse.config.telling import Problem, called, told
from pilothouse.errors import InvalidFile
from pilothouse.yamlfile import Doc, load_file
from pilothouse.yamlfile import load as load_yaml

FILE = "pilothouse.yml"

__all__ = ["FILE", "Problem", "check", "load", "parse", "schema"]


def load(path: Path) -> settings.Configuration:
    """The configuration of a project.

    Args:
        path: the pilothouse.yml, or the folder that holds it.

    Raises:
        InvalidFile: with the first fault's line; the message says how many more there are.
    """
    file = path / FILE if path.is_dir() else path
    if not file.resolve().is_relative_to(file.parent.resolve()):
        # A run is pinned to what it says: a repository must not have another file of this machine read and kept.
        raise InvalidFile(_shown(file), 0, "is a link that leaves the project", "put the file itself there")
    return _frozen(load_file(file, _shown(file)))


def parse(text: str, path: str = FILE) -> settings.Configuration:
    """The configuration that a text means; ``path`` is only what errors call it. Raises InvalidFile."""
    return _frozen(load_yaml(text, path))


def _frozen(document: Doc) -> settings.Configuration:
    shape, problems = _read(document)
    path = document.path
    if shape is None or problems:
        first, *others = problems
        listed = "".join(f"\n{path}:{problem.line}: {problem.message}" for problem in others)
        raise InvalidFile(path, first.line, first.message + listed, first.hint)
    return freeze.configuration(shape, document.text, path)


def check(text: str, path: str = FILE) -> tuple[Problem, ...]:
    """Every fault of a configuration's text, by line; empty where there is none. Raises InvalidFile: it is no YAML."""
    return _read(load_yaml(text, path))[1]


def schema() -> dict[str, Any]:
    """The JSON Schema of pilothouse.yml, generated from the same models that read it."""
    generated: dict[str, Any] = _tidied(shapes.Configuration.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **generated, "title": "pilothouse.yml"}


def _tidied(node: Any) -> Any:
    """A generated schema as strict as the reader: no null, no name outside its grammar, no titles that repeat keys."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if not (key == "title" and isinstance(value, str))}
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    if kept.get("default", ...) is None:
        del kept["default"]
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        kept = {**choices[0], **kept}
    elif choices:
        kept["anyOf"] = choices
    return {key: _tidied(value) for key, value in kept.items()}


def _read(document: Doc) -> tuple[shapes.Configuration | None, tuple[Problem, ...]]:
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


def _shown(path: Path) -> str:
    """A path as the person knows it: relative where it lies below the present folder."""
    here = Path.cwd()
    found = path.resolve()
    return str(found.relative_to(here)) if found.is_relative_to(here) else str(path)


def _sorted(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.line))
