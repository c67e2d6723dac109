"""The forge (GitHub), asked through the user's own gh: one child a request, errors by name."""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import child, grammar
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pilothouse.canonical import Json
    from pilothouse.settings import Forge
    from pilothouse_tools.context import Context

PAGE = 100
_PAGES = 200  # pages may be shorter than asked for
_MOST = 2000  # items of one list
_TIMEOUT = 60.0
_TRIES = 3  # of a read; a write is never repeated
_CAP = 32_000_000
_HTTP = re.compile(r"HTTP (\d{3})")
_LIMITED = re.compile(r"rate limit", re.IGNORECASE)
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="next"')
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
        "GOGC": "800",  # a process of one request ends before its collector would be worth its quarter of the CPU time
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
    said = one_line(context.redact(done.stderr.decode("utf-8", "replace")), 400)
    found = _HTTP.search(said)
    status = found.group(1) if found else ""
    if status == "429" or (status == "403" and _LIMITED.search(said)):
        return Unreachable("forge-rate-limited", f"{what}: the forge's rate limit is reached: {said}",
                           "Wait for it to be lifted (gh api rate_limit), then: pilothouse resume")  # fmt: skip
    code, hint = _SETTLED.get(status, ("", ""))
    if code:
        return ToolFailed(code, f"{what}: the forge answers: {said}", hint)
    return Unreachable("forge-unreachable", f"{what}: the forge does not answer: {said or f'exit {done.code}'}",
                       "Check the forge's status page, then: pilothouse resume")  # fmt: skip


def _json(body: bytes, what: str) -> Json:
    try:
        return cast("Json", json.loads(body))
    except (ValueError, RecursionError) as error:
        told = f"{what}: the forge's answer is not to be understood: {str(error)[:120]}"
        raise Unreachable("forge-unreachable", told) from None


def _read(context: Context, what: str, *arguments: str) -> child.Finished:
    """A read, repeated where the forge cannot be reached."""
    for left in reversed(range(_TRIES)):
        done = gh(context, *arguments)
        if done.truncated:
            raise Unreachable("forge-unreachable", f"{what}: the forge's answer is too large")
        if done.code == 0:
            return done
        error = failure(context, done, what)
        if not left or not isinstance(error, Unreachable) or error.reason_code == "forge-rate-limited":
            raise error
        context.clock.sleep(0.5)
    raise AssertionError("unreachable")


@contextmanager
def body_file(context: Context, body: Mapping[str, Json]) -> Iterator[str]:
    """A request's body as a file: read from standard input, gh would send it in chunks of unknown length."""
    with tempfile.NamedTemporaryFile(prefix="body-", dir=context.scratch) as file:
        file.write(json.dumps(dict(body)).encode())
        file.flush()
        yield file.name


def path(context: Context, *parts: str) -> str:
    """The API's path of something in the repository, each part encoded."""
    return "/".join(["repos", configured(context).repository, *(quote(part, safe="") for part in parts)])


def _address(address: str, query: Mapping[str, str]) -> str:
    return f"{address}?{urlencode(query)}" if query else address


def get(context: Context, address: str, query: Mapping[str, str] | None = None) -> Json:
    """GET one address. Raises ToolFailed("forge-…"), Unreachable."""
    where = _address(address, query or {})
    return _json(_read(context, f"GET {address}", "api", "--method", "GET", where).stdout, f"GET {address}")


def pages(context: Context, address: str, query: Mapping[str, str], within: str = "") -> Iterator[dict[str, Json]]:
    """Every item of a paged list, to its end: a list cut short would be taken for the whole.

    Where it goes on is the forge's to say, by its Link header (docs.github.com, "Using pagination in the REST API");
    how many items a page holds says nothing, for a page may be shorter than was asked for.

    Args:
        context: of the product.
        address: of the list.
        query: its parameters.
        within: the key that holds the list, empty where the answer is the list.

    Raises:
        ToolFailed: ``forge-too-many`` beyond 2000 items or 200 pages.
        Unreachable: the forge did not answer every page.
    """
    asked = {**query, "per_page": str(PAGE), "page": "1"}
    seen: set[str] = set()
    count = 0
    while True:
        where = _address(address, asked)
        if where in seen:
            raise Unreachable("forge-unreachable", f"GET {address}: the forge's pages lead in a circle")
        seen.add(where)
        items, following = _page(context, address, where, within)
        count += len(items)
        if count > _MOST or len(seen) > _PAGES:
            told = f"GET {address} has more than {_MOST} items or {_PAGES} pages"
            raise ToolFailed("forge-too-many", told, "Narrow it down (labels).")
        yield from items
        if following is None:
            return
        # Only the parameters are followed: the address stays ours, whatever host the answer names.
        asked = {**asked, **following}


def _page(
    context: Context, address: str, where: str, within: str
) -> tuple[list[dict[str, Json]], dict[str, str] | None]:
    """One page, and the parameters of the next one; None after the last."""
    what = f"GET {address}"
    done = _read(context, what, "api", "--method", "GET", "--include", where)
    head, body = parted(done, what)
    answer = _json(body, what)
    items = answer.get(within) if within and isinstance(answer, dict) else answer
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Unreachable("forge-unreachable", f"{what}: the forge did not answer a list")
    link = next((value for name, value in head if name == "link"), None)
    following: dict[str, str] | None = None
    if link is None:
        # Something in between may drop the header: a full page without one is asked for its successor.
        if len(items) >= PAGE:
            number = int(dict(parse_qsl(urlsplit(where).query)).get("page", "1"))
            following = {"page": str(number + 1)}
    elif found := _NEXT.search(link):
        following = dict(parse_qsl(urlsplit(found.group(1)).query))
        if not following:
            raise Unreachable("forge-unreachable", f"{what}: the forge's link to the next page names no page")
    return cast("list[dict[str, Json]]", items), following


def parted(done: child.Finished, what: str) -> tuple[list[tuple[str, str]], bytes]:
    """Headers, their names in lower case, and body of an answer that gh shows with ``--include``."""
    head, blank, body = done.stdout.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/") or not blank:
        head, blank, body = done.stdout.partition(b"\n\n")
    if not head.startswith(b"HTTP/") or not blank:
        raise Unreachable("forge-unreachable", f"{what}: the forge's answer has no headers")
    lines = (line.partition(":") for line in head.decode("utf-8", "replace").splitlines()[1:])
    return [(name.strip().lower(), value.strip()) for name, _, value in lines], body


def post(context: Context, address: str, body: Mapping[str, Json]) -> None:
    """POST once. Raises ToolFailed("forge-…"), Unreachable (what the forge holds then is unknown)."""
    with body_file(context, body) as file:
        done = gh(context, "api", "--method", "POST", "--silent", address, "--input", file)
    if done.code:
        raise failure(context, done, f"POST {address}")


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
