"""The shape that state.yml must have before it is compared or rendered: ours in its place, a person's around it."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeAlias

from pilothouse.errors import InvalidFile

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.yamlfile import Doc

SCHEMA = "pilothouse.state/1"
HEADER_KEYS = ("schema", "rendered_by", "heads")
HEAD_KEYS = ("seq", "hash")
_ANEW = "Write the ledger's value back, or remove the file: it is rendered anew."

Path: TypeAlias = tuple[str, ...]


def demand_shape(doc: Doc) -> None:
    """Refuse a file in which what we render has no place, or whose header nothing can be compared by.

    Args:
        doc: state.yml, read strictly.

    Raises:
        InvalidFile: with line and hint.
    """
    root = _mapping(doc, doc.data, ())
    for name, product in _mapping(doc, root.get("products"), ("products",)).items():
        path = ("products", name)
        environments = _mapping(doc, product, path).get("environments")
        for place, environment in _mapping(doc, environments, (*path, "environments")).items():
            _mapping(doc, environment, (*path, "environments", place))
    header = _mapping(doc, root.get("pilothouse"), ("pilothouse",))
    _demand_keys(doc, header, HEADER_KEYS, ("pilothouse",))
    if header.get("schema") not in (None, SCHEMA):
        hint = "Install the Pilothouse that rendered it, or remove the file: it is rendered anew."
        raise _misshapen(doc, ("pilothouse", "schema"), f"is not {SCHEMA}, which this Pilothouse reads", hint)
    for chain, head in _mapping(doc, header.get("heads"), ("pilothouse", "heads")).items():
        at = ("pilothouse", "heads", chain)
        told = _mapping(doc, head, at)
        _demand_keys(doc, told, HEAD_KEYS, at)
        for key, kind, word in (("seq", int, "a whole number"), ("hash", str, "text")):
            if type(told.get(key)) is not kind:
                raise _misshapen(doc, (*at, key) if key in told else at, f"must hold {key} as {word}", _ANEW)


def _mapping(doc: Doc, value: Json, path: Path) -> dict[str, Json]:
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise _misshapen(doc, path, "must be a mapping", "Pilothouse writes below it; move the value elsewhere.")


def _demand_keys(doc: Doc, found: Mapping[str, Json], known: tuple[str, ...], path: Path) -> None:
    for key in found:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}; your own keys go elsewhere"
            raise _misshapen(doc, (*path, key), "is an unknown key of Pilothouse's own", hint)


def _misshapen(doc: Doc, path: Path, what: str, hint: str) -> InvalidFile:
    return InvalidFile(doc.path, doc.line(path), f"{'.'.join(path) or 'the document'} {what}", hint)
