"""The last net before the ledger: nothing that holds a held value is written down (I8).

Every tool redacts what it returns. This stands behind all of them: a tool, a template or a person's words that forgot
do not get past. What is said on the command line has a net of its own, ``cli/streams.py``.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

from pilothouse.canonical import Json, digest
from pilothouse.errors import LedgerError, RequestRefused
from pilothouse.events import Event, Fact, fact_from_json, fact_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pilothouse.ports import Head, Journal, Lease
    from pilothouse.redaction import Redactor

# What others are bound to by a digest: changed words would be another plan, so these are refused and not mended.
_BOUND = frozenset({"Planned", "CheckpointOpened", "Approved", "Intended"})


class GuardedJournal:
    """A journal whose door lets no held value in: adapter of ``pilothouse.ports.Journal`` around another one.

    What a fact says is redacted; where the words are bound by a digest, or are what a run is pinned to, it is refused.

    Args:
        inner: the journal itself.
        redact: made when the first fact comes, so that looking costs nothing.
    """

    def __init__(self, inner: Journal, redact: Callable[[], Redactor]) -> None:
        self._inner = inner
        self._make = redact

    @cached_property
    def _redact(self) -> Redactor:
        return self._make()

    def append(self, chain: str, run: str, facts: Iterable[Fact], at: str, *, expect: Head | None = None,
               lease: Lease | None = None, first: tuple[str, Fact] | None = None) -> tuple[Event, ...]:  # fmt: skip
        """Append facts, without held values.

        Raises:
            RequestRefused: ``secret-in-configuration``: what a run would be pinned to holds a held value.
            LedgerError: ``secret-in-plan``: words that a digest binds hold one; nothing was appended.
        """
        clean = [self._cleaned(fact) for fact in facts]
        before = (first[0], self._cleaned(first[1])) if first else None
        return self._inner.append(chain, run, clean, at, expect=expect, lease=lease, first=before)

    def _cleaned(self, fact: Fact) -> Fact:
        if not self._redact:
            return fact
        payload = fact_to_json(fact)
        clean = cast("dict[str, Json]", without(self._redact, payload))
        if clean == payload:
            return fact
        kind = type(fact).__name__
        name = self._redact.found("\n".join(_texts(payload)))
        if kind == "Started":
            raise RequestRefused(
                "secret-in-configuration",
                f"configuration, workflow, templates or inputs, to which the run is pinned, hold the value of {name}",
                f"take the value out, name the variable instead ({name}), and replace the secret: it was on disk",
            )
        if kind in _BOUND:
            raise LedgerError(
                "secret-in-plan",
                f"{kind} holds the value of {name} and was not written down",
                "nothing was done with it",
            )
        if kind == "Observed":  # the fold compares it
            clean["digest"] = digest(clean["facts"])
        return fact_from_json(kind, clean)

    # What is read was written through this door.

    def read(self, chain: str, *, after: int = 0) -> tuple[Event, ...]:
        """See ``Journal``."""
        return self._inner.read(chain, after=after)

    def head(self, chain: str) -> Head:
        """See ``Journal``."""
        return self._inner.head(chain)

    def entries(self, chain: str, *, start: int = 0) -> list[tuple[int, str, bytes]]:
        """See ``Journal``."""
        return self._inner.entries(chain, start=start)

    def chains(self) -> tuple[str, ...]:
        """See ``Journal``."""
        return self._inner.chains()

    def acquire(self, chain: str, holder: str, now: str, seconds: int) -> Lease:
        """See ``Journal``."""
        return self._inner.acquire(chain, holder, now, seconds)

    def renew(self, lease: Lease, now: str, seconds: int) -> Lease:
        """See ``Journal``."""
        return self._inner.renew(lease, now, seconds)

    def holder(self, chain: str) -> Lease | None:
        """See ``Journal``."""
        return self._inner.holder(chain)

    def release(self, lease: Lease) -> None:
        """See ``Journal``."""
        self._inner.release(lease)

    def sync(self) -> None:
        """See ``Journal``."""
        self._inner.sync()

    def close(self) -> None:
        """See ``Journal``."""
        self._inner.close()


def without(redact: Redactor, value: Json) -> Json:
    """JSON without held values, in keys and texts."""
    match value:
        case str():
            return redact(value)
        case list():
            return [without(redact, item) for item in value]
        case dict():
            return {redact(key): without(redact, item) for key, item in value.items()}
    return value


def _texts(value: Json) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for key, item in value.items():
                yield key
                yield from _texts(item)
