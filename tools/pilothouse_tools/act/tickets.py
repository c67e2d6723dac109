"""One comment on each ticket of a release, however often the run is resumed: a mark in the body tells (AUD-11).

The servers take no key with a comment that would make a second one impossible. So the act is of class Q: after a crash
two looks must agree, and a comment whose answer was lost is not written again by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse.canonical import sha256_hex
from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, EffectClass, Permit, Presence, Probe, Reach
from pilothouse_tools import grammar, linear, mcpfile
from pilothouse_tools.door import Actor, Arguments, acts, no_pins
from pilothouse_tools.text import visible

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context
    from pilothouse_tools.linear import Tracker
    from pilothouse_tools.ticketanswers import Comment, Ticket

_BODY = 20_000
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class _Seen:
    """A ticket, and the comment on it that bears the release's mark."""

    ticket: Ticket
    comment: Comment | None


def _keys(arguments: Arguments) -> tuple[str, ...]:
    return tuple(sorted(set(arguments.items("keys"))))


def _release(arguments: Arguments) -> str:
    release = arguments.text("release")
    if not grammar.ITEM.fullmatch(release):
        raise ToolFailed("bad-argument", f"tickets.comment argument 'release' is no release id: {release[:80]!r}")
    return release


def _token(release: str, key: str, ticket: str) -> str:
    """What marks the run's comment on one ticket.

    The release's name alone can be foretold, and a comment that bears it would keep ours away. The act's key cannot,
    and what is seen on one ticket is of no use on another.
    """
    if not key:
        raise ToolFailed("bad-argument", "tickets.comment needs the act's key to mark its comments")
    return f"pilothouse:{release}:{sha256_hex(f'{key}:{ticket}'.encode())[:_DIGITS]}"


def _mark(token: str) -> re.Pattern[str]:
    # Within the HTML comment only its words are sure: a server's Markdown may escape the signs around them.
    return re.compile(rf"{re.escape(token)}(?![A-Za-z0-9._-]*[A-Za-z0-9])")


def _probe(context: Context, arguments: Arguments, act_key: str) -> Probe:
    keys, release = _keys(arguments), _release(arguments)
    mcpfile.configured(context)
    if not keys:
        return Probe(Presence.APPLIED, "no tickets", {"commented": [], "skipped": [], "urls": []})

    async def look(tracker: Tracker) -> list[_Seen]:
        tracker.ready_to_comment()  # what could not be looked for afterwards is not begun

        async def one(key: str) -> _Seen:
            ticket = await tracker.find(key)
            mark = _mark(_token(release, act_key, key))
            return _Seen(ticket, await tracker.marked(ticket, mark) if ticket.found else None)

        return await linear.gather(keys, one)

    seen, _ = linear.with_tracker(context, look)
    there = [each for each in seen if each.ticket.found]
    lacking = [each.ticket.key for each in there if each.comment is None]
    if lacking:
        return Probe(Presence.ABSENT, f"{len(lacking)} of {len(there)} tickets lack the comment of {release}")
    commented: list[Json] = [each.ticket.key for each in there]
    skipped: list[Json] = [each.ticket.key for each in seen if not each.ticket.found]
    urls: list[Json] = [each.comment.url or each.ticket.url for each in there if each.comment]
    more = f", {len(skipped)} not found" if skipped else ""
    facts: dict[str, Json] = {"commented": commented, "skipped": skipped, "urls": urls}
    return Probe(Presence.APPLIED, f"{len(commented)} tickets bear the comment{more}", facts)


def _apply(context: Context, arguments: Arguments, permit: Permit) -> None:
    keys, release = _keys(arguments), _release(arguments)
    text = visible(context.redact(arguments.text("body")))
    cut = text if len(text) <= _BODY else f"{text[:_BODY]}\n\n[{len(text) - _BODY} characters left out]"

    async def write(tracker: Tracker) -> None:
        tracker.ready_to_comment()
        proven = False
        for key in keys:
            ticket, token = await tracker.find(key), _token(release, permit.key, key)
            mark = _mark(token)
            if not ticket.found or await tracker.marked(ticket, mark):
                continue
            await tracker.comment(ticket, f"{cut.rstrip()}\n\n<!-- {token} -->")
            # A server that takes the mark out would get the same comment again and again: the first one tells.
            if not proven and await tracker.marked(ticket, mark) is None:
                message = f"the comment on {key} is not there, or came back without its last line"
                raise ToolFailed("tickets-mark-lost", message, "look at the ticket; see docs/configuration.md, tickets")
            proven = True

    if keys:
        linear.with_tracker(context, write)


TOOLS = (
    Actor(
        acts(
            "tickets.comment",
            "Comment on each ticket of a release, once; tickets that do not exist are skipped.",
            {
                "keys": Argument("names"), "release": Argument("text"),
                "body": Argument("text", text_body=True),
            },
            {"commented": "names", "skipped": "names", "urls": "object"},
            effect=EffectClass.QUIESCE, reach=Reach.PRODUCTION, undoable=False,
        ),
        _probe, _apply, no_pins,
    ),
)  # fmt: skip
