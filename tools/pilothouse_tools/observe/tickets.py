"""The tickets of a range, as their own server shows them: title, status, URL, and which of them do not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.model import Argument, Observation
from pilothouse_tools import linear, mcpfile
from pilothouse_tools.door import Arguments, observes

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context
    from pilothouse_tools.linear import Tracker
    from pilothouse_tools.ticketanswers import Ticket


def _look(context: Context, arguments: Arguments) -> Observation:
    comments = mcpfile.configured(context).comment
    keys = tuple(sorted(set(arguments.items("keys"))))
    if not keys:  # a server that nobody asks anything need not be up
        server = mcpfile.configured(context).server
        return Observation({"tickets": [], "missing": [], "server": server, "tool": ""}, "", "no tickets")

    async def all_of_them(tracker: Tracker) -> tuple[list[Ticket], str]:
        found = await linear.gather(keys, tracker.find)
        if comments:  # whether they can be commented on is better known before anything moves than after
            tracker.ready_to_comment()
        return found, tracker.source

    (found, tool), server = linear.with_tracker(context, all_of_them)
    tickets: list[Json] = [ticket.facts() for ticket in found]
    missing: list[Json] = [ticket.key for ticket in found if not ticket.found]
    summary = f"{len(found) - len(missing)} of {len(found)} tickets found" if missing else f"{len(found)} tickets"
    return Observation({"tickets": tickets, "missing": missing, "server": server, "tool": tool}, "", summary)


TOOLS = (
    observes(
        "tickets.look",
        "Tickets by key, from the MCP server of .mcp.json: title, status, URL; which are missing.",
        {"keys": Argument("names")},
        {"tickets": "object", "missing": "names", "server": "text", "tool": "text"},
        _look,
    ),
)
