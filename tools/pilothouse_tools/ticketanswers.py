"""What ticket servers answer, understood or refused: never guessed.

The forms are those of Linear's own MCP server and of the community's (``linear-mcp``, ``mcp-server-linear``,
``@tacticlaunch/mcp-linear``, ``linear-mcp-server``): JSON, as structured content or in a text, one ticket or a list of
them, bare or wrapped. All of it is untrusted text, which goes on as bounded single lines.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pilothouse.canonical import Json
    from pilothouse_tools.mcpclient import Answer

_WRAPPED = ("issue", "issues", "ticket", "tickets", "nodes", "items", "data", "results", "result")
_COMMENTS = ("comments", "nodes", "items", "data", "results", "result")
_DEEPEST = 6
_TITLE = 10_000  # characters of a text that are looked at; far more than any title has
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_KEY = re.compile(r"[A-Z][A-Z0-9]{0,15}-[0-9]{1,9}", re.IGNORECASE)
_HEAD = re.compile(rf"({_KEY.pattern}): (.+)", re.IGNORECASE)
_FIELDS = {"Status", "URL", "Assignee", "Project"}
_IN_URL = re.compile(r"/issue/([A-Za-z][A-Za-z0-9]{0,15}-[0-9]{1,9})(?:[/?#]|$)")
_URL = re.compile(r"https?://[!-~]{1,500}")
# Words of an answer that say that a ticket is missing; that a tool, a team or a page is missing says nothing of it.
_MISSING = re.compile(
    r"entity not found:? *issue|could not find (?:the )?(?:referenced )?(?:issue|ticket)"
    r"|no (?:such )?(?:issue|ticket)s?\b.{0,60}\b(?:found|exists?)"
    r"|(?:issue|ticket)\b.{0,80}\b(?:not found|does not exist)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as its server shows it; ``id`` is the server's internal one, or the key where it shows none.

    ``comments`` are those that came with it: a page, or None where the answer holds none.
    """

    key: str
    found: bool
    title: str = ""
    status: str = ""
    url: str = ""
    id: str = ""
    comments: Page | None = None

    def facts(self) -> dict[str, Json]:
        """For the ledger."""
        return {"key": self.key, "found": self.found, "title": self.title, "status": self.status, "url": self.url}


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment: its text as it is, and its URL where the server tells."""

    body: str
    url: str


@dataclass(frozen=True, slots=True)
class Page:
    """Comments of a ticket: whether there are more, or None where the server does not say, and where they begin."""

    comments: tuple[Comment, ...]
    more: bool | None
    cursor: str


def ticket(answer: Answer, key: str, redact: Callable[[str], str] = str) -> Ticket:
    """The ticket of that key in an answer, or one that is not found: other tickets than the one asked for are none.

    Args:
        answer: the server's.
        key: as people write it.
        redact: sees every text before it is cut: half a secret would be recognised by nobody.

    Raises:
        ToolFailed: ``tickets-not-understood``, ``tickets-refused``.
    """
    if answer.failed:
        if _says_missing(answer.text, key):
            return Ticket(key, found=False)
        raise refused(answer, key)
    value = _json(answer, key)
    records = list(_records(value, key))
    keys = [_key_of(record).casefold() for record in records]
    if "" in keys:
        raise _not_understood(key, "a ticket without its key")
    if keys.count(key.casefold()) > 1:  # a title may hold what looks like a second one
        raise _not_understood(key, "two tickets of that key")
    if key.casefold() in keys:
        return _understood(records[keys.index(key.casefold())], key, redact)
    if _more(value):  # it may be on a page that this tool does not show
        raise _not_understood(key, "one page of several, on which it is not")
    return Ticket(key, found=False)


def page(answer: Answer, key: str) -> Page:
    """One page of a ticket's comments. Raises ToolFailed("tickets-not-understood" | "tickets-refused")."""
    if answer.failed:
        raise refused(answer, key)
    return _page(_json(answer, key), key)


def refused(answer: Answer, key: str) -> ToolFailed:
    """The server answered an error."""
    message = f"the ticket server refuses a call about {key}: {one_line(answer.text, 200) or 'without a word'}"
    return ToolFailed("tickets-refused", message, "check what the server's credentials may do, then: pilothouse resume")


def _json(answer: Answer, key: str) -> Json:
    if answer.structured is not None:
        return answer.structured
    if listed := _listed(answer.text):
        return listed
    try:
        value: Json = json.loads(answer.text, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        if not answer.text.lstrip().startswith(("{", "[")) and _says_missing(answer.text, key):
            return None
        raise _not_understood(key, one_line(answer.text, 100) or "nothing") from None
    return value


def _listed(text: str) -> list[Json]:
    """Tickets in the words of linear-mcp: blocks of lines, of which the first is the key and the title."""
    found: list[Json] = []
    for block in text.strip().split("\n\n"):
        first, *rest = block.split("\n")
        head = _HEAD.fullmatch(first)
        fields = dict(line.partition(": ")[::2] for line in rest)
        if head is None or len(fields) != len(rest) or not fields.keys() <= _FIELDS or "URL" not in fields:
            return []
        own = {"identifier": head.group(1), "title": head.group(2)}
        found.append({**own, "status": fields.get("Status", ""), "url": fields["URL"]})
    return found


def _says_missing(text: str, key: str) -> bool:
    said = text[:2000]
    return bool(_MISSING.search(said) or re.search(rf"{re.escape(key)}\W+(?:was )?not found", said, re.IGNORECASE))


def _not_understood(key: str, what: str) -> ToolFailed:
    message = f"the ticket server's answer about {key} is not understood: {what}"
    hint = "name its tools in tickets.tools of pilothouse.yml, or use another server; see docs/configuration.md"
    return ToolFailed("tickets-not-understood", message, hint)


def _records(value: Json, key: str, depth: int = 0) -> Iterator[dict[str, Json]]:
    """The tickets of an answer, out of whatever wraps them."""
    match value:
        case None:
            return
        case list() if depth < _DEEPEST:
            for item in value:
                yield from _records(item, key, depth + 1)
        case dict() if isinstance(value.get("title"), str):
            yield value
        case dict() if depth < _DEEPEST and any(name in value for name in _WRAPPED):
            yield from _records(value[next(name for name in _WRAPPED if name in value)], key, depth + 1)
        case _:
            raise _not_understood(key, one_line(json.dumps(value), 100))


def _key_of(record: dict[str, Json]) -> str:
    for name in ("identifier", "key", "id"):
        value = record.get(name)
        if isinstance(value, str) and _KEY.fullmatch(value):
            return value
    found = _IN_URL.search(_word(record, "url"))
    return found.group(1) if found else ""


def _understood(record: dict[str, Json], key: str, redact: Callable[[str], str]) -> Ticket:
    url, own = _word(record, "url"), _word(record, "id")
    return Ticket(
        key,
        found=True,
        title=one_line(redact(_word(record, "title")[:_TITLE]), 200),
        status=one_line(redact(_word(record, "status", "state", "stateName")[:_TITLE]), 60),
        url=redact(url) if _URL.fullmatch(url) else "",
        id=own if _UUID.fullmatch(own) else key,
        comments=_with_it(record.get("comments"), key),
    )


def _with_it(value: Json, key: str) -> Page | None:
    try:
        return _page(value, key) if isinstance(value, dict | list) else None
    except ToolFailed:  # it matters to nobody who only looks at the ticket
        return None


def _word(record: dict[str, Json], *names: str) -> str:
    """The first of the named texts; an object stands for its name."""
    for name in names:
        value = record.get(name)
        if isinstance(value, dict):
            value = value.get("name")
        if isinstance(value, str):
            return value
    return ""


def _page(value: Json, key: str) -> Page:
    listed, more, cursor = value, None, ""
    for _ in range(_DEEPEST):
        if not isinstance(listed, dict):
            break
        told = listed.get("pageInfo")
        for place in (listed, told) if isinstance(told, dict) else (listed,):
            flag = place.get("hasNextPage")
            more = flag if isinstance(flag, bool) else more
            cursor = cursor or _word(place, "cursor", "nextCursor", "endCursor")
        listed = next((listed[name] for name in _COMMENTS if name in listed), "")
    if not isinstance(listed, list):
        raise _not_understood(key, "no list of comments")
    comments = []
    for item in listed:
        body = item.get("body") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(body, str):
            raise _not_understood(key, "a comment without its text")
        url = _word(item, "url")
        comments.append(Comment(body, url if _URL.fullmatch(url) else ""))
    return Page(tuple(comments), more, cursor)


def _more(value: Json, depth: int = 0) -> bool:
    """Whether a list says that it goes on."""
    if not isinstance(value, dict) or depth > _DEEPEST:
        return False
    told = value.get("pageInfo")
    if value.get("hasNextPage") is True or (isinstance(told, dict) and told.get("hasNextPage") is True):
        return True
    return any(_more(value[name], depth + 1) for name in _WRAPPED if name in value)
