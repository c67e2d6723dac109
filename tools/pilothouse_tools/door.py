"""The door: what a tool looks like from inside, and the check of every argument before any I/O (I1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from pilothouse.canonical import Json, NotCanonical, canonical
from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, EffectClass, Kind, Observation, Permit, Probe, Reach, ToolSpec
from pilothouse_tools import grammar
from pilothouse_tools.context import Context

if TYPE_CHECKING:
    from pilothouse.settings import Product

_TEXT = 4_000
_BODY = 400_000
_OBJECT = 8_000_000
_MANY = 500


class Arguments:
    """Arguments that came through the door: their types are right; an optional one that is absent is empty."""

    def __init__(self, values: Mapping[str, Json]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def names(self) -> frozenset[str]:
        """Which arguments were given."""
        return frozenset(self._values)

    def text(self, name: str) -> str:
        """A text-like argument (sha, ref, version, text …), empty where it is absent."""
        return cast("str", self._values.get(name, ""))

    def items(self, name: str) -> tuple[str, ...]:
        """Names or labels."""
        return tuple(cast("list[str]", self._values.get(name, [])))

    def number(self, name: str) -> int:
        """An integer, 0 where it is absent."""
        return cast("int", self._values.get(name, 0))

    def value(self, name: str) -> Json:
        """An object, None where it is absent."""
        return self._values.get(name)

    def record(self, name: str) -> dict[str, Json]:
        """An object that must be a JSON object; empty where it is absent. Raises ToolFailed("bad-argument")."""
        found = self._values.get(name, {})
        if not isinstance(found, dict):
            raise ToolFailed("bad-argument", f"{name} must be a JSON object")
        return found


Look: TypeAlias = Callable[[Context, Arguments], Observation]
Pins: TypeAlias = Callable[[Context, Arguments], dict[str, str]]
Asked: TypeAlias = Callable[[Context, Arguments, str], Probe]
Acted: TypeAlias = Callable[[Context, Arguments, Permit], None]


@dataclass(frozen=True, slots=True)
class Watcher:
    """An observe or draft tool."""

    spec: ToolSpec
    look: Look


@dataclass(frozen=True, slots=True)
class Actor:
    """An act tool. ``effect`` tells the class where it depends on the product's configuration."""

    spec: ToolSpec
    probe: Asked
    apply: Acted
    pins: Pins
    verify: Asked | None = None  # None: the probe reads back
    effect: Callable[[Product], EffectClass] | None = None


def observes(
    name: str, about: str, arguments: Mapping[str, Argument], results: Mapping[str, str], look: Look
) -> Watcher:
    """An observe tool."""
    return Watcher(ToolSpec(name, Kind.OBSERVE, about, arguments, results), look)


def drafts(name: str, about: str, arguments: Mapping[str, Argument], results: Mapping[str, str], look: Look) -> Watcher:
    """A draft tool."""
    return Watcher(ToolSpec(name, Kind.DRAFT, about, arguments, results), look)


def acts(
    name: str, about: str, arguments: Mapping[str, Argument], results: Mapping[str, str], *,
    effect: EffectClass, reach: Reach | None, undoable: bool = True,
) -> ToolSpec:  # fmt: skip
    """The specification of an act tool; a ``reach`` of None: the environment decides."""
    return ToolSpec(name, Kind.ACT, about, arguments, results, reach, undoable, effect)


def no_pins(_context: Context, _arguments: Arguments) -> dict[str, str]:
    """For acts that rest on nothing outside their arguments."""
    return {}


def admit(spec: ToolSpec, product: Product, values: Mapping[str, Json], *, partial: bool = False) -> Arguments:
    """Check arguments against the specification.

    Args:
        spec: the tool's.
        product: knows the environments.
        values: as they came; None stands for an optional argument that is absent.
        partial: whether required ones may be missing (pins before every reference is resolved).

    Raises:
        ToolFailed: ``bad-argument``, naming the tool and the argument.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if unknown := sorted(set(given) - set(spec.arguments)):
        raise _refused(
            spec, f"takes no argument {unknown[0][:60]!r}", f"It takes {', '.join(spec.arguments) or 'none'}."
        )
    if not partial:
        missing = [name for name, about in spec.arguments.items() if about.required and name not in given]
        if missing:
            raise _refused(spec, f"lacks the argument {missing[0]!r}")
    for name, value in given.items():
        argument = spec.arguments[name]
        if argument.required or value != "":
            problem = _problem(argument, value, product)
            if problem:
                raise _refused(spec, f"argument {name!r} {problem}")
    return Arguments(given)


def _refused(spec: ToolSpec, message: str, hint: str = "") -> ToolFailed:
    return ToolFailed("bad-argument", f"{spec.name} {message}", hint)


def _problem(argument: Argument, value: Json, product: Product) -> str:
    match argument.type, value:
        case "text", str():
            limit = _BODY if argument.text_body else _TEXT
            return "" if grammar.is_prose(value, limit) else f"is no text of at most {limit} characters"
        case "environment", str():
            return "" if value in product.environments else f"names no environment of {product.name}"
        case ("sha" | "ref" | "version" | "tag" | "suite" | "key") as kind, str():
            return "" if _GRAMMARS[kind](value) else f"is no {kind}: {value[:80]!r}"
        case ("names" | "labels") as kind, list():
            return _items_problem(kind, value)
        case "integer", int():
            return "must be a whole number" if isinstance(value, bool) or abs(value) >= 2**53 else ""
        case "flag", bool():
            return ""
        case "object", dict() | list():
            return _object_problem(value)
    return f"must be of type {argument.type}"


def _items_problem(kind: str, items: list[Json]) -> str:
    fits = grammar.ITEM.fullmatch if kind == "names" else grammar.is_label
    if len(items) > _MANY:
        return f"holds more than {_MANY} {kind}"
    wrong = next((item for item in items if not isinstance(item, str) or not fits(item)), None)
    return "" if wrong is None else f"holds {str(wrong)[:80]!r}, which fits no {kind.removesuffix('s')}"


def _object_problem(value: Json) -> str:
    try:
        return "" if len(canonical(value)) <= _OBJECT else f"is larger than {_OBJECT} bytes"
    except (NotCanonical, RecursionError) as error:
        return f"is no canonical JSON: {error}"


_GRAMMARS: dict[str, Callable[[str], bool]] = {
    "sha": grammar.is_sha, "ref": grammar.is_ref, "tag": grammar.is_ref, "version": grammar.is_version,
    "suite": lambda text: grammar.NAME.fullmatch(text) is not None,
    "key": lambda text: grammar.KEY.fullmatch(text) is not None,
}  # fmt: skip
