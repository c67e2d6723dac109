"""Tickets through whatever MCP server the project has: Linear's own, or one of the community's.

The server's tools are found by name: configuration's first, then Linear's own, then the community's. What they take is
chosen by their input schemas' properties. Their descriptions are untrusted text and are not read.

    what      | Linear       | linear-mcp, mcp-server-linear      | @tacticlaunch/mcp-linear | linear-mcp-server
    a ticket  | get_issue    | linear_search_issues_by_identifier | linear_getIssueById      | linear-issue:///{issueId}
    comment   | save_comment | linear_create_comment              | linear_createComment     | linear_add_comment
    comments  | list_comments| those that came with the ticket    | linear_getComments       | none
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pilothouse.errors import ToolFailed
from pilothouse_tools import mcpclient, mcpfile, ticketanswers
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pilothouse.canonical import Json
    from pilothouse.redaction import Redactor
    from pilothouse_tools.context import Context
    from pilothouse_tools.mcpclient import Offer, Session
    from pilothouse_tools.ticketanswers import Comment, Page, Ticket

T = TypeVar("T")

# linear_get_issue of mcp-server-linear 1.6.0 answers the first ticket of that number of any team; the search by
# identifiers answers all of them, so it comes first.
KNOWN: Mapping[str, tuple[str, ...]] = {
    "get": (
        "get_issue", "linear_search_issues_by_identifier", "linear_getIssueById", "linear_get_issue", "getIssueById",
    ),
    "comment": (
        "save_comment", "create_comment", "linear_create_comment", "linear_createComment", "linear_add_comment",
    ),
    "comments": ("list_comments", "linear_getComments", "linear_list_comments", "linear_get_comments", "getComments"),
}  # fmt: skip
_RESOURCE = "linear-issue:///{issueId}"  # linear-mcp-server has no tool that answers one ticket
_WITH_COMMENTS = "linear_search_issues_by_identifier"  # its answer holds them in mcp-server-linear, not in linear-mcp
_KEYS = (
    "issueId", "issue_id", "issueIdentifier", "issue_identifier", "identifier", "issue", "key", "ticketId", "ticket_id",
    "identifiers",
)  # fmt: skip
_BODIES = ("body", "comment", "content", "text", "markdown")
_SIZES, _CURSORS = ("limit", "first"), ("cursor", "after")
_MOST = 250  # a page of Linear's API at most
_USUAL = 50  # one that nobody asked for a size
_PAGES = 200
_PARALLEL = 4


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the server for one of our purposes, and how its schema calls what we say."""

    offer: Offer
    key: str
    body: str = ""
    size: str = ""
    cursor: str = ""
    known: bool = True

    def arguments(self, key: str, own: str) -> dict[str, Json]:
        """Which ticket is meant: by its internal id, but where a key is asked for."""
        value = key if "dentifier" in self.key or self.key == "key" else own
        return {self.key: [value] if self.offer.takes[self.key].get("type") == "array" else value}

    def page(self) -> int:
        """How many comments are asked for at once; 0 where the tool takes no such wish."""
        most = self.offer.takes[self.size].get("maximum") if self.size else 0
        return min(_MOST, most) if isinstance(most, int) and most > 0 else _MOST if self.size else 0


class Tracker:
    """A server's tickets, within one conversation."""

    def __init__(self, session: Session, offers: Mapping[str, Offer], wanted: Mapping[str, tuple[str, ...]],
                 templates: frozenset[str], redact: Redactor) -> None:  # fmt: skip
        self._session, self._offers, self._wanted, self._redact = session, offers, wanted, redact
        self._resource = _RESOURCE in templates
        self._get = self._choose("get", writes=False)
        if self._get is None and not self._resource:
            raise self._lacking("get", "tickets-no-tool", "read a ticket")

    @property
    def source(self) -> str:
        """What answers a ticket: a tool's name, or a resource's template."""
        return self._get.offer.name if self._get else _RESOURCE

    async def find(self, key: str) -> Ticket:
        """One ticket, which may turn out not to be there. Raises ToolFailed, Unreachable."""
        if self._get is None:
            answer = await self._session.read(_RESOURCE.replace("{issueId}", key))
        else:
            answer = await self._session.call(self._get.offer.name, self._get.arguments(key, key))
        return ticketanswers.ticket(answer, key, self._redact)

    def ready_to_comment(self) -> tuple[Tool, Tool | None]:
        """The tools that write and that list comments, before anything is written; None: they come with the ticket.

        Raises:
            ToolFailed: ``tickets-no-tool``, ``tickets-no-comments-tool``.
        """
        listing = self._choose("comments", writes=False)
        if listing is None and self.source != _WITH_COMMENTS:
            raise self._lacking("comments", "tickets-no-comments-tool", "list a ticket's comments")
        writing = self._choose("comment", writes=True)
        if writing is None:
            raise self._lacking("comment", "tickets-no-tool", "write a comment")
        return writing, listing

    async def marked(self, ticket: Ticket, mark: re.Pattern[str]) -> Comment | None:
        """The first comment of a ticket that bears a mark, on whatever page it stands.

        Raises:
            ToolFailed: ``tickets-no-comments-tool``, ``tickets-not-understood``: whether there are more is not known.
        """
        _, listing = self.ready_to_comment()
        if listing is None:
            fresh = await self.find(ticket.key)  # not the one that was looked at a while ago
            if fresh.comments is None:
                raise self._lacking("comments", "tickets-no-comments-tool", "list a ticket's comments")
            found = _among(fresh.comments, mark)
            if found is None and (fresh.comments.more or len(fresh.comments.comments) >= _USUAL):
                raise _unending(ticket.key)
            return found
        cursor = ""
        for _ in range(_PAGES):
            page = await self._page(listing, ticket, cursor)
            if found := _among(page, mark):
                return found
            if not _goes_on(page, listing):
                return None
            if not listing.cursor or not page.cursor or page.cursor == cursor:
                break
            cursor = page.cursor
        raise _unending(ticket.key)

    async def _page(self, listing: Tool, ticket: Ticket, cursor: str) -> Page:
        arguments = listing.arguments(ticket.key, ticket.id)
        if size := listing.page():
            arguments[listing.size] = size
        if cursor:
            arguments[listing.cursor] = cursor
        return ticketanswers.page(await self._session.call(listing.offer.name, arguments), ticket.key)

    async def comment(self, ticket: Ticket, body: str) -> None:
        """Write a comment; only reading it back tells whether it is there. Raises ToolFailed, Unreachable."""
        writing, _ = self.ready_to_comment()
        arguments = {**writing.arguments(ticket.key, ticket.id), writing.body: body}
        answer = await self._session.call(writing.offer.name, arguments)
        if answer.failed:
            raise ticketanswers.refused(answer, ticket.key)

    def _choose(self, purpose: str, *, writes: bool) -> Tool | None:
        """The first tool there is whose required arguments are all ours to give."""
        configured = self._wanted.get(purpose, ())
        for name in (*configured, *KNOWN[purpose]):
            offer = self._offers.get(name)
            # save_comment's own id is a comment's: with it, somebody else's comment would be written over.
            keys = _KEYS if writes else ("id", *_KEYS) if purpose == "get" else (*_KEYS, "id")
            key = _property(offer, keys) if offer else ""
            if offer is None or not key:
                continue
            body = _property(offer, _BODIES) if writes else ""
            if (body or not writes) and offer.required <= {key, body}:
                paged = purpose == "comments"
                size, cursor = (_property(offer, names) if paged else "" for names in (_SIZES, _CURSORS))
                return Tool(offer, key, body, size, cursor, name not in configured)
        return None

    def _lacking(self, purpose: str, code: str, what: str) -> ToolFailed:
        there = one_line(", ".join(sorted(self._offers)) or "none at all", 300)
        message = f"the ticket server has no tool that is known to {what} (it has {there})"
        return ToolFailed(code, message, f"name the one to use in tickets.tools.{purpose} of pilothouse.yml")


def _property(offer: Offer, names: tuple[str, ...]) -> str:
    return next((name for name in names if name in offer.takes), "")


def _among(page: Page, mark: re.Pattern[str]) -> Comment | None:
    # Some servers' Markdown escapes what it is given.
    return next((each for each in page.comments if mark.search(each.body.replace("\\", ""))), None)


def _goes_on(page: Page, listing: Tool) -> bool:
    """Whether there may be more comments than a page shows; where the server does not say, its length does."""
    if page.more is not None:
        return page.more
    count, asked = len(page.comments), listing.page()
    if asked and listing.known:
        return count >= asked
    # An unknown tool may cut at its own size, whatever was asked for: sizes are round numbers.
    return count >= (asked or _USUAL) or (count > 0 and (count % 25 == 0 or count % 10 == 0))


def _unending(key: str) -> ToolFailed:
    message = f"whether {key} has further comments cannot be told: the server shows a part of them"
    return ToolFailed("tickets-not-understood", message, "name a tool with pages in tickets.tools.comments")


async def gather(keys: tuple[str, ...], one: Callable[[str], Awaitable[T]]) -> list[T]:
    """The same question for every key, a few at a time, in the order of the keys."""
    import anyio

    answers: dict[str, T] = {}
    limit = anyio.CapacityLimiter(_PARALLEL)

    async def ask(key: str) -> None:
        async with limit:
            answers[key] = await one(key)

    async with anyio.create_task_group() as tasks:
        for key in keys:
            tasks.start_soon(ask, key)
    return [answers[key] for key in keys]


def with_tracker(context: Context, work: Callable[[Tracker], Awaitable[T]]) -> tuple[T, str]:
    """One conversation with the tickets' server of ``.mcp.json``: what the work answers, and the server's name.

    Raises:
        ToolFailed: ``tickets-not-configured``, ``mcp-file``, ``tickets-credentials``, ``tickets-no-tool``, …
        Unreachable: ``tickets-unreachable``.
    """
    tickets = mcpfile.configured(context)
    server = mcpfile.server(context)
    redact = context.redact.also(server.secrets)

    async def whole(session: Session) -> T:
        offers = await session.offers()
        resourceful = not any(name in offers for name in (*tickets.tools.get("get", ()), *KNOWN["get"]))
        templates = await session.templates() if resourceful else frozenset()
        return await work(Tracker(session, offers, tickets.tools, templates, redact))

    return mcpclient.converse(context, server, tickets.timeout, whole), server.name
