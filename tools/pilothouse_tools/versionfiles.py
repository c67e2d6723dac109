"""Version files, edited as text: the version's own characters change, everything else stays byte for byte."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilothouse.settings import VersionFile

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([{}\[\],:])|[^\s"{}\[\],:]+')
_TABLE = re.compile(r"^[ \t]*\[+ *([^\]\n]+?) *\]+[ \t]*(?:#.*)?$", re.MULTILINE)
_VERSION_LINE = re.compile(
    r"""^[ \t]*(?:version|"version"|'version')[ \t]*=[ \t]*(?:"([^"\\\n]*)"|'([^'\n]*)')""", re.MULTILINE
)

Span = tuple[int, int]


def companion(path: str) -> str:
    """The file that carries the same version beside a version file, or an empty text: npm's lock file."""
    folder, _, name = path.rpartition("/")
    return (f"{folder}/" if folder else "") + "package-lock.json" if name == "package.json" else ""


def bump(file: VersionFile, content: bytes, version: str) -> bytes:
    """A version file's new content.

    Args:
        file: path and pattern, as configured.
        content: the bytes at the released commit.
        version: the new one.

    Raises:
        ToolFailed: ``version-file``, where there is no version or more than one.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(file, "is not UTF-8", "Name a text file.") from None
    spans = _spans(file, text)
    if file.pattern:
        return _replaced(text, spans, version).encode()
    return _checked(file, text, spans, version, json.loads if file.path.endswith(".json") else tomllib.loads)


def named(file: VersionFile, content: bytes) -> str:
    """The version that a version file names. Raises ToolFailed("version-file"): none, more than one, or no text."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(file, "is not UTF-8", "Name a text file.") from None
    start, end = _spans(file, text)[0]
    return text[start:end]


def _spans(file: VersionFile, text: str) -> list[Span]:
    name = file.path.rpartition("/")[2]
    if file.pattern:
        return _by_pattern(file, text)
    if name in {"package.json", "package-lock.json"}:
        return _json_spans(file, text)
    if name == "pyproject.toml":
        return _toml_spans(file, text)
    raise _refused(file, "is of no known format", "Give it a pattern with one group around the version.")


def _refused(file: VersionFile, message: str, hint: str) -> ToolFailed:
    return ToolFailed("version-file", f"{file.path} {message}", hint)


def _replaced(text: str, spans: list[Span], version: str) -> str:
    for start, end in reversed(spans):
        text = text[:start] + version + text[end:]
    return text


def _checked(file: VersionFile, text: str, spans: list[Span], version: str, load: Callable[[str], object]) -> bytes:
    """The replaced text, where a real parser sees the version in all the right places and nothing else changed."""
    new = _replaced(text, spans, version)
    before = load(text)
    try:
        after = load(new)
    except ValueError:  # a form of string that we did not foresee
        after = None
    for path in (("version",), ("packages", "", "version"), ("project", "version"), ("tool", "poetry", "version")):
        _settle(before, path)
        _settle(after, path, version)
    if before != after:
        raise _refused(
            file, "holds its version in a form that cannot be edited safely", "Give it a pattern with one group."
        )
    return new.encode()


def _settle(value: object, path: tuple[str, ...], demand: str = "") -> None:
    """Blank the version at a path, so that what is left can be compared; a demanded one that differs stays."""
    for part in path[:-1]:
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(value.get(path[-1]), str) and (not demand or value[path[-1]] == demand):
        value[path[-1]] = ""


def _by_pattern(file: VersionFile, text: str) -> list[Span]:
    try:
        found = list(re.compile(file.pattern, re.MULTILINE).finditer(text))
    except re.error as error:
        raise _refused(file, f"has a pattern that is no regular expression: {error}", "Mend the pattern.") from None
    if len(found) != 1 or found[0].re.groups != 1 or found[0].span(1) == (-1, -1):
        raise _refused(file, f"matches its pattern {file.pattern!r} {len(found)} times, not once",
                       "Make the pattern fit exactly one place, with one group around the version.")  # fmt: skip
    return [found[0].span(1)]


def _json_spans(file: VersionFile, text: str) -> list[Span]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused(file, f"is no JSON: {error}", "Mend the file.") from None
    places = _json_strings(text)
    wanted = [("version",)] + ([("packages", "", "version")] if file.path.endswith("package-lock.json") else [])
    spans = [span for path in wanted for span in places.get(path, [])]
    if not isinstance(document, dict) or len(places.get(("version",), [])) != 1:
        raise _refused(
            file, "has no version, or more than one, at its top", 'Add "version": "0.0.0", or leave the file out.'
        )
    return sorted(spans)


def _json_strings(text: str) -> dict[tuple[str, ...], list[Span]]:
    """Where the string values of a (valid) JSON text are: path of keys to the spans between the quotes."""
    found: dict[tuple[str, ...], list[Span]] = {}
    path: list[str] = []
    key, after_colon, in_object = "", False, [False]
    for token in _TOKEN.finditer(text):
        if token.group(1) is not None:
            if after_colon:
                found.setdefault((*path, key), []).append(token.span(1))
            elif in_object[-1]:
                key = json.loads(token.group())
        match token.group(2):
            case ":":
                after_colon = True
            case ",":
                after_colon = False
            case "{" | "[" as bracket:
                path.append(key if after_colon else "*")
                in_object.append(bracket == "{")
                after_colon = False
            case "}" | "]":
                path.pop()
                in_object.pop()
                after_colon = False
    return {place[1:]: spans for place, spans in found.items()}  # the document's own bracket is the first part


def _toml_spans(file: VersionFile, text: str) -> list[Span]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refused(file, f"is no TOML: {error}", "Mend the file.") from None
    poetry = document.get("tool", {}).get("poetry", {})
    wanted = [
        name
        for name, table in (("project", document.get("project", {})), ("tool.poetry", poetry))
        if "version" in table
    ]
    spans = [span for name in wanted for span in _toml_version(text, name)]
    if not wanted or len(spans) != len(wanted):
        raise _refused(file, "has no version in [project] or [tool.poetry] (is it dynamic?)",
                       "Name the file that holds the version, with a pattern.")  # fmt: skip
    return sorted(spans)


def _toml_version(text: str, table: str) -> list[Span]:
    tables = [*_TABLE.finditer(text)]
    for number, heading in enumerate(tables):
        if heading.group(1).replace('"', "").replace(" ", "") == table:
            end = tables[number + 1].start() if number + 1 < len(tables) else len(text)
            found = _VERSION_LINE.search(text, heading.end(), end)
            if found:
                return [found.span(1) if found.group(1) is not None else found.span(2)]
    return []
