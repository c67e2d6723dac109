"""The registered tools of one product, joined behind one door: adapter of ``pilothouse.ports.Tools``."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pilothouse.canonical import Json, NotCanonical, canonical, digest
from pilothouse.errors import ToolFailed
from pilothouse_tools import grammar
from pilothouse_tools.act import ACTORS
from pilothouse_tools.door import Actor, Asked, Watcher, admit
from pilothouse_tools.draft import DRAFTERS
from pilothouse_tools.observe import OBSERVERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pilothouse.model import Observation, Permit, Probe, ToolSpec
    from pilothouse_tools.context import Context

_WATCHERS: Mapping[str, Watcher] = {tool.spec.name: tool for tool in (*OBSERVERS, *DRAFTERS)}
_ACTORS: Mapping[str, Actor] = {tool.spec.name: tool for tool in ACTORS}


class Toolbox:
    """All tools for one product.

    Args:
        context: what the tools may know.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._specs = {name: tool.spec for name, tool in _WATCHERS.items()} | {
            name: _configured(tool, context) for name, tool in _ACTORS.items()
        }

    def specs(self) -> Mapping[str, ToolSpec]:
        """What there is, as this product's configuration has it."""
        return self._specs

    def observe(self, name: str, arguments: Mapping[str, Json]) -> Observation:
        """Run an observe or draft tool. Raises ToolFailed."""
        with self._without_secrets():
            tool = _WATCHERS.get(name)
            if tool is None:
                raise _unknown(name, _WATCHERS)
            seen = tool.look(self._context, admit(tool.spec, self._context.product, arguments))
            facts = self._fit_for_the_ledger(name, seen.facts)
        return dataclasses.replace(seen, facts=facts, summary=self._context.redact(seen.summary))

    def pins(self, name: str, arguments: Mapping[str, Json]) -> dict[str, str]:
        """Read what an act rests on, now; arguments that are not known yet may be missing. Raises ToolFailed."""
        with self._without_secrets():
            tool = self._actor(name)
            found = tool.pins(self._context, admit(tool.spec, self._context.product, arguments, partial=True))
        return self._redacted_texts(found)

    def probe(self, name: str, arguments: Mapping[str, Json], key: str) -> Probe:
        """Look whether the act's effect is there; changes nothing. Raises ToolFailed."""
        with self._without_secrets():
            tool = self._actor(name)
            return self._seen(name, tool.probe, arguments, key)

    def apply(self, name: str, arguments: Mapping[str, Json], permit: Permit) -> None:
        """Act, once. Raises ToolFailed where the attempt visibly failed, or where the permit is for something else."""
        with self._without_secrets():
            tool = self._actor(name)
            admitted = admit(tool.spec, self._context.product, arguments)
            _checked(permit.key)
            if permit.tool != name or permit.arguments_digest != digest(dict(arguments)):
                raise ToolFailed("permit-mismatch", f"the permit of step {permit.step} is not for this {name}")
            tool.apply(self._context, admitted, permit)

    def verify(self, name: str, arguments: Mapping[str, Json], key: str) -> Probe:
        """Read back after the write. Raises ToolFailed."""
        with self._without_secrets():
            tool = self._actor(name)
            return self._seen(name, tool.verify or tool.probe, arguments, key)

    def _seen(self, name: str, look: Asked, arguments: Mapping[str, Json], key: str) -> Probe:
        tool = self._actor(name)
        found = look(self._context, admit(tool.spec, self._context.product, arguments), _checked(key))
        return dataclasses.replace(
            found,
            facts=self._fit_for_the_ledger(name, found.facts),
            detail=self._context.redact(found.detail),
            moves=self._redacted_texts(found.moves),
        )

    @contextmanager
    def _without_secrets(self) -> Iterator[None]:
        """Whatever a tool complains of leaves through here: a child's words may hold what the child was given (I8)."""
        redact = self._context.redact
        try:
            yield
        except ToolFailed as error:
            error.message, error.hint, error.detail = map(redact, (error.message, error.hint, error.detail))
            error.args = (error.message,)  # what str() shows
            raise

    def _redacted_texts(self, texts: Mapping[str, str]) -> dict[str, str]:
        return {name: self._context.redact(text) for name, text in texts.items()}

    def _actor(self, name: str) -> Actor:
        tool = _ACTORS.get(name)
        if tool is None:
            raise _unknown(name, _ACTORS)
        return tool

    def _fit_for_the_ledger(self, name: str, facts: dict[str, Json]) -> dict[str, Json]:
        clean = {self._context.redact(key): self._redacted(value) for key, value in facts.items()}
        try:
            canonical(clean)
        except NotCanonical as error:
            raise ToolFailed("bad-result", f"{name} answered what the ledger cannot hold: {error}") from error
        return clean

    def _redacted(self, value: Json) -> Json:
        match value:
            case str():
                return self._context.redact(value)
            case list():
                return [self._redacted(item) for item in value]
            case dict():
                return {self._context.redact(key): self._redacted(item) for key, item in value.items()}
        return value


def _configured(tool: Actor, context: Context) -> ToolSpec:
    return dataclasses.replace(tool.spec, effect=tool.effect(context.product)) if tool.effect else tool.spec


def _checked(key: str) -> str:
    if not grammar.KEY.fullmatch(key):
        raise ToolFailed("bad-argument", f"{key[:100]!r} is no idempotency key ([A-Za-z0-9._-], at most 100)")
    return key


def _unknown(name: str, there: Mapping[str, object]) -> ToolFailed:
    return ToolFailed(
        "unknown-tool", f"there is no tool {name[:80]!r} of this kind", f"There is {', '.join(sorted(there))}."
    )
