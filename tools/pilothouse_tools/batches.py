"""Many things asked of the forge at once: GraphQL, up to a hundred lookups a request, four requests at a time.

An answer is whole or it is an error: what the forge leaves out is asked again, in smaller and smaller company, and what
it still does not tell is named. A short list is never taken for the whole.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import forge
from pilothouse_tools.limits import Pace, pause
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

    Found = dict[str, Json] | None

MOST = 100  # lookups a request
AT_ONCE = 4
_TRIES = 3  # of a request that is not answered
_SHOWN = 10  # names in an error
_HEAVY = frozenset({502, 504})  # what a gateway says of a request that took too long: a smaller one may pass
_OK, _BROKEN = 200, 500


@dataclass(frozen=True, slots=True)
class Lookup:
    """One thing of the repository.

    Args:
        field: the GraphQL field with its selections, such as ``pullRequest(number: 12) { ...p }``.
        what: what a person is told where it cannot be read.
    """

    field: str
    what: str


@dataclass(slots=True)
class _Round:
    """What is still asked for, and what is known of the others."""

    lookups: Sequence[Lookup]
    found: dict[int, Found] = field(default_factory=dict)
    said: str = ""
    unreachable: Unreachable | None = None

    def left(self) -> list[int]:
        return [number for number in range(len(self.lookups)) if number not in self.found]


@dataclass(frozen=True, slots=True)
class _Reply:
    """What one request came to: the lookups that are settled, and what was said about the others."""

    found: dict[int, Found]
    said: str = ""
    unreachable: Unreachable | None = None


def look_up(context: Context, lookups: Sequence[Lookup], fragments: str = "") -> list[Found]:
    """Ask for things of the repository; one answer each, in their order; None for what the forge says it does not have.

    Args:
        context: of the product.
        lookups: any number.
        fragments: GraphQL fragments that their fields spread.

    Raises:
        ToolFailed: ``contents-incomplete``: what the forge does not tell, by name; ``forge-denied``,
            ``forge-not-found``.
        Unreachable: ``forge-unreachable``; ``forge-rate-limited``: the forge wants to be left alone for longer than we
            wait; the message names the time.
    """
    asker = _Asker(context, fragments)
    so_far = _Round(lookups)
    left, size, rounds = so_far.left(), MOST, 0
    while left:
        batches = [left[at : at + size] for at in range(0, len(left), size)]
        _ask_all(asker, so_far, batches)
        rounds += 1
        missing = so_far.left()
        if so_far.unreachable and len(missing) == len(lookups) and (rounds > 1 or len(batches) > 1):
            raise so_far.unreachable  # not one answer: it is not the size
        if missing and size == 1:
            raise incomplete([lookups[number].what for number in missing], so_far.said)
        left, size = missing, max(1, min(size, len(left)) // 4)
    return [so_far.found[number] for number in range(len(lookups))]


def _ask_all(asker: _Asker, so_far: _Round, batches: list[list[int]]) -> None:
    def ask(batch: list[int]) -> _Reply:
        return asker.ask({number: so_far.lookups[number] for number in batch})

    if len(batches) == 1:  # most releases: no thread is needed
        replies: Iterable[_Reply] = [ask(batches[0])]
        _take(so_far, replies)
        return
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="forge") as pool:
        try:
            _take(so_far, pool.map(ask, batches))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _take(so_far: _Round, replies: Iterable[_Reply]) -> None:
    for reply in replies:
        so_far.found |= reply.found
        so_far.said = reply.said or so_far.said
        so_far.unreachable = reply.unreachable or so_far.unreachable


def incomplete(names: list[str], said: str) -> ToolFailed:
    """The error that names what the forge does not tell."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    reason = f": {said}" if said else ""
    return ToolFailed(
        "contents-incomplete",
        f"the forge does not tell everything; missing: {', '.join(names[:_SHOWN])}{more}{reason}",
        "Look whether they are there at the forge and the credential may see them, then: pilothouse resume",
    )


class _Asker:
    """Sends one request at a time for each thread; all of them heed the same limits."""

    def __init__(self, context: Context, fragments: str) -> None:
        self._context, self._fragments = context, fragments
        self._owner, _, self._name = forge.configured(context).repository.partition("/")
        self._pace = Pace(context.clock)

    def ask(self, batch: Mapping[int, Lookup]) -> _Reply:
        """What the forge says to one batch; a request that fails as a whole settles nothing."""
        fields = " ".join(f"a{number}: {lookup.field}" for number, lookup in batch.items())
        query = (f"query($owner: String!, $name: String!) {{ repository(owner: $owner, name: $name) {{ {fields} }} }} "
                 f"{self._fragments}")  # fmt: skip
        body: dict[str, Json] = {"query": query, "variables": {"owner": self._owner, "name": self._name}}
        tries = 0
        while True:
            self._pace.wait()
            try:
                return self._judged(batch, self._sent(body))
            except _Limited as limit:
                self._pace.limited(limit.seconds, told=limit.told)
            except Unreachable as error:
                tries += 1
                if tries == _TRIES:
                    if isinstance(error, _Heavy):
                        return _Reply({}, error.message, error)
                    raise
                self._context.clock.sleep(0.5 * tries)

    def _sent(self, body: Mapping[str, Json]) -> Json:
        with forge.body_file(self._context, body) as file:
            try:
                done = forge.gh(self._context, "api", "graphql", "--include", "--input", file)
            except Unreachable as error:  # it took too long
                raise _Heavy(error.reason_code, error.message, error.hint) from None
        if done.truncated:
            raise _Heavy("forge-unreachable", "GraphQL: the forge's answer is too large")
        if not done.stdout.startswith(b"HTTP/"):
            raise forge.failure(self._context, done, "GraphQL")
        head, raw = forge.parted(done, "GraphQL")
        status = done.stdout.split(None, 2)[1]
        try:
            answer: Json = json.loads(raw)
        except (ValueError, RecursionError):
            answer = None  # a gateway's page, or half an answer
        self._raise_failed(done.stderr, int(status), dict(head), answer)
        return answer

    def _raise_failed(self, stderr: bytes, status: int, headers: dict[str, str], answer: Json) -> None:
        said, kinds = _complaints(answer)
        limit = pause(status, headers, said, kinds, self._context.clock.now().timestamp())
        if limit is not None:
            raise _Limited(*limit)
        shown = one_line(self._context.redact(said or stderr.decode("utf-8", "replace")), 300)
        if status >= _BROKEN or (status == _OK and not isinstance(answer, dict)):
            broken = _Heavy if status in _HEAVY else Unreachable
            raise broken("forge-unreachable", f"GraphQL: the forge answers {status}: {shown}",
                         "Check the forge's status page, then: pilothouse resume")  # fmt: skip
        if status != _OK:
            code = {401: "forge-denied", 403: "forge-denied", 404: "forge-not-found"}.get(status, "forge-refused")
            hint = "Check the forge's credential variables, and what the credential may do."
            raise ToolFailed(code, f"GraphQL: the forge answers {status}: {shown}", hint)

    def _judged(self, batch: Mapping[int, Lookup], answer: Json) -> _Reply:
        """Which lookups the answer settles: what is there as a whole, and what the forge says that there is not."""
        errors = _errors(answer)
        said = one_line(self._context.redact("; ".join(forge.word(error, "message") for error in errors)), 300)
        data = answer.get("data") if isinstance(answer, dict) else None
        things = data.get("repository") if isinstance(data, dict) else None
        if not isinstance(things, dict):
            kinds = {forge.word(error, "type") for error in errors}
            if kinds & {"NOT_FOUND", "FORBIDDEN"}:
                code = "forge-not-found" if "NOT_FOUND" in kinds else "forge-denied"
                hint = "Check forge.repository in pilothouse.yml, and what the credential may see."
                raise ToolFailed(code, f"the forge does not show {self._owner}/{self._name}: {said}", hint)
            return _Reply({}, said or "the forge answers nothing")
        gone, doubtful = _accused(errors, {f"a{number}" for number in batch})
        found: dict[int, Found] = {}
        for number in batch:
            alias = f"a{number}"
            value = things.get(alias)
            if alias in doubtful:
                continue
            if isinstance(value, dict) and _whole(value):
                found[number] = value
            elif value is None and alias in gone:
                found[number] = None
        return _Reply(found, said)


class _Heavy(Unreachable):
    """The request was too much for the forge, as far as one can tell."""


class _Limited(Exception):
    """The forge asks to be left alone for a while."""

    def __init__(self, seconds: float, told: bool) -> None:  # noqa: FBT001 - as limits.pause answers
        super().__init__(seconds)
        self.seconds, self.told = seconds, told


def _errors(answer: Json) -> list[dict[str, Json]]:
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _complaints(answer: Json) -> tuple[str, set[str]]:
    """What an answer complains of, and the types of its errors."""
    errors = _errors(answer)
    own = [forge.word(answer, "message")] if isinstance(answer, dict) else []
    texts = [*own, *(forge.word(error, "message") for error in errors)]
    return "; ".join(filter(None, texts)), {forge.word(error, "type") for error in errors}


def _accused(errors: list[dict[str, Json]], aliases: set[str]) -> tuple[set[str], set[str]]:
    """The lookups that do not exist, and those of which something could not be read."""
    gone: set[str] = set()
    doubtful: set[str] = set()
    for error in errors:
        path = error.get("path")
        place = path[1] if isinstance(path, list) and len(path) > 1 else None
        if not isinstance(place, str) or place not in aliases:
            doubtful |= aliases  # it says of none what it is about
        elif forge.word(error, "type") == "NOT_FOUND" and len(cast("list[Json]", path)) == 2:
            gone.add(place)
        else:
            doubtful.add(place)
    return gone - doubtful, doubtful


def _whole(value: Json) -> bool:
    """Whether no list in it has a hole: a node that the forge could not read is null."""
    match value:
        case dict():
            nodes = value.get("nodes", [])
            return isinstance(nodes, list) and None not in nodes and all(map(_whole, value.values()))
        case list():
            return all(map(_whole, value))
    return True
