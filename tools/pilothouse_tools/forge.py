"""The forge (GitHub), asked through the user's own gh: one child a request, errors by name."""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlencode

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import child, grammar
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pilothouse.canonical import Json
    from pilothouse.settings import Forge
    from pilothouse_tools.context import Context

PAGE = 100
_PAGES = 20
_TIMEOUT = 60.0
_TRIES = 3  # of a read; a write is never repeated
_CAP = 32_000_000
_HTTP = re.compile(r"HTTP (\d{3})")
_SETTLED = {  # what no repetition changes
    "400": ("forge-refused", ""),
    "401": ("forge-denied", "Check the forge's credential variables."),
    "403": ("forge-denied", "Check what the credential may do, and the rate limit."),
    "404": ("forge-not-found", "Check forge.repository in pilothouse.yml, and what the credential may see."),
    "409": ("forge-refused", ""),
    "410": ("forge-not-found", ""),
    "422": ("forge-refused", ""),
}


def configured(context: Context) -> Forge:
    """The product's forge. Raises ToolFailed("forge-not-configured" | "not-supported")."""
    forge = context.product.forge
    if forge is None:
        raise ToolFailed(
            "forge-not-configured", f"{context.product.name} has no forge in pilothouse.yml", "Configure one."
        )
    if forge.kind != "github" or not grammar.REPOSITORY.fullmatch(forge.repository):
        raise ToolFailed(
            "not-supported", f"the forge {one_line(f'{forge.kind} {forge.repository}', 80)!r} is not supported yet"
        )
    return forge


def gh(context: Context, *arguments: str, stdin: bytes = b"") -> child.Finished:
    """One gh command, whatever came of it.

    Raises:
        Unreachable: it ran out of time.
        ToolFailed: there is no gh.
    """
    forge = configured(context)
    home = context.scratch / "gh"
    fixed = {
        "GH_PROMPT_DISABLED": "1",
        "GH_NO_UPDATE_NOTIFIER": "1",
        "NO_COLOR": "1",
        "GH_PAGER": "cat",
        "GH_SPINNER_DISABLED": "1",
        "XDG_CACHE_HOME": f"{home}/.cache",
        "XDG_STATE_HOME": f"{home}/.state",
        "XDG_CONFIG_HOME": f"{home}/.config",
    }
    env = {**fixed, **context.child_environ(*forge.credentials, *forge.environment, home=home)}
    done = child.run(["gh", *arguments], cwd=context.scratch, env=env, timeout=_TIMEOUT, stdin=stdin, output_cap=_CAP)
    if done.timed_out:
        raise Unreachable(
            "forge-unreachable",
            f"gh {arguments[0]} did not end within {_TIMEOUT:.0f} s",
            "Try again: pilothouse resume",
        )
    return done


def failure(context: Context, done: child.Finished, what: str) -> ToolFailed:
    """What a failed gh says, as a typed error: the forge's own refusal, or that it cannot be reached."""
    said = context.redact(one_line(done.stderr.decode("utf-8", "replace"), 400))
    status = _HTTP.search(said)
    code, hint = _SETTLED.get(status.group(1) if status else "", ("", ""))
    if code:
        return ToolFailed(code, f"{what}: the forge answers: {said}", hint)
    return Unreachable("forge-unreachable", f"{what}: the forge does not answer: {said or f'exit {done.code}'}",
                       "Check the forge's status page, then: pilothouse resume")  # fmt: skip


def _json(done: child.Finished, what: str) -> Json:
    problem = "it is too large" if done.truncated else ""
    try:
        value = cast("Json", json.loads(done.stdout))
    except (ValueError, RecursionError) as error:
        problem = problem or str(error)[:120]
    if problem:
        raise Unreachable("forge-unreachable", f"{what}: the forge's answer is not to be understood: {problem}")
    return value


def _read(context: Context, what: str, *arguments: str) -> child.Finished:
    """A read, repeated where the forge cannot be reached."""
    for left in reversed(range(_TRIES)):
        done = gh(context, *arguments)
        # GraphQL answers partial errors with a body and exit 1; the caller judges those.
        if done.code == 0 or (done.stdout.startswith(b'{"data"') and b'"errors"' in done.stdout):
            return done
        error = failure(context, done, what)
        if not left or not isinstance(error, Unreachable):
            raise error
        context.clock.sleep(0.5)
    raise AssertionError("unreachable")


@contextmanager
def _body(context: Context, body: Mapping[str, Json]) -> Iterator[str]:
    """A request's body as a file: read from standard input, gh would send it in chunks of unknown length."""
    with tempfile.NamedTemporaryFile(prefix="body-", dir=context.scratch) as file:
        file.write(json.dumps(dict(body)).encode())
        file.flush()
        yield file.name


def path(context: Context, *parts: str) -> str:
    """The API's path of something in the repository, each part encoded."""
    return "/".join(["repos", configured(context).repository, *(quote(part, safe="") for part in parts)])


def get(context: Context, address: str, query: Mapping[str, str] | None = None) -> Json:
    """GET one address. Raises ToolFailed("forge-…"), Unreachable."""
    where = f"{address}?{urlencode(query)}" if query else address
    return _json(_read(context, f"GET {address}", "api", "--method", "GET", where), f"GET {address}")


def pages(context: Context, address: str, query: Mapping[str, str], within: str = "") -> Iterator[dict[str, Json]]:
    """Every item of a paged list, to its end: a list cut short would be taken for the whole.

    Args:
        context: of the product.
        address: of the list.
        query: its parameters.
        within: the key that holds the list, empty where the answer is the list.

    Raises:
        ToolFailed: ``forge-too-many`` beyond 2000 items.
        Unreachable: the forge did not answer every page.
    """
    for number in range(1, _PAGES + 1):
        answer = get(context, address, {**query, "per_page": str(PAGE), "page": str(number)})
        items = answer.get(within) if within and isinstance(answer, dict) else answer
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise Unreachable("forge-unreachable", f"GET {address}: the forge did not answer a list")
        yield from cast("list[dict[str, Json]]", items)
        if len(items) < PAGE:
            return
    raise ToolFailed("forge-too-many", f"GET {address} has more than {_PAGES * PAGE} items", "Narrow it down (labels).")


def post(context: Context, address: str, body: Mapping[str, Json]) -> None:
    """POST once. Raises ToolFailed("forge-…"), Unreachable (what the forge holds then is unknown)."""
    with _body(context, body) as file:
        done = gh(context, "api", "--method", "POST", "--silent", address, "--input", file)
    if done.code:
        raise failure(context, done, f"POST {address}")


def graphql(context: Context, query: str, variables: Mapping[str, Json]) -> dict[str, Json]:
    """One GraphQL query. Things that do not exist are null; every other error is raised.

    Raises:
        ToolFailed: ``forge-refused``.
        Unreachable: the forge did not answer.
    """
    with _body(context, {"query": query, "variables": dict(variables)}) as file:
        answer = _json(_read(context, "GraphQL", "api", "graphql", "--input", file), "GraphQL")
    data = answer.get("data") if isinstance(answer, dict) else None
    errors = answer.get("errors", []) if isinstance(answer, dict) else []
    known = isinstance(errors, list) and all(
        isinstance(item, dict) and item.get("type") == "NOT_FOUND" for item in errors
    )
    if not isinstance(data, dict) or not known:
        raise ToolFailed("forge-refused", f"GraphQL: the forge answers: {one_line(json.dumps(errors), 300)}")
    return data


def word(item: Mapping[str, Json], *names: str) -> str:
    """A text of a nested answer, empty where it is not there or null."""
    value: Json = dict(item)
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def number(item: Mapping[str, Json], name: str = "number") -> int:
    """A whole number of an answer, 0 where it is not there."""
    value = item.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
