"""What is particular to the worlds in which a branch staging is promoted to main: its story, archives and tickets.

Every change of the range has a pull request, an archive and a ticket: what an auditor would miss is a fault's doing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pilothouse.harbour.changes import Change, Commit, release, squash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STAGING = "refs/heads/staging"
ARCHIVES = "refs/heads/compliance-archives"
UNARCHIVED = 235  # what the fault archive-missing takes away
UNTRACKED = "ACME-109"  # what the fault ticket-missing takes away
VARIABLE = "ACME_HARBOUR"  # DIR, so that .mcp.json is the same in every world
SERVER = "linear"
KEY = re.compile(r"ACME-[0-9]{1,6}")

# The usual story leaves these without a ticket, which is no matter where nobody audits.
_KEYS = {233: "ACME-105", 234: "ACME-107"}
_TITLES = {
    "ACME-101": "Search takes two seconds",
    "ACME-102": "Save a search as a filter",
    "ACME-104": "Items without a name cannot be found again",
    "ACME-105": "A newcomer cannot find out how to run the tests",
    "ACME-106": "Negative prices reach the shop",
    "ACME-107": "Icons are a year old",
    "ACME-109": "A name with a tag in it breaks the homepage",
    "ACME-110": "Categories and labels say the same",
    "ACME-113": "Release 1.4.0",
    "ACME-115": "A homepage for the night",
    "ACME-120": "Room for a total and a next page",
}
_WAITING = {"ACME-115": "In Progress", "ACME-120": "Todo"}


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as it lies in Linear before anything is promoted."""

    key: str
    title: str
    status: str
    url: str


def since(gained: Iterable[Change]) -> list[Change]:
    """What main gains elsewhere, as staging gained it: each change has a ticket, and the last one makes it 1.4.0."""
    # A branch begins where staging is: a merge that git cannot make once more is one that nobody can vouch for.
    fresh = [replace(change, since=0) if change.how == "merge" else change for change in gained]
    ticketed = [_ticketed(change, _KEYS[change.number]) if change.number in _KEYS else change for change in fresh]
    version = squash(
        241,
        "chore(release): 1.4.0",
        "ada",
        release("1.4.0", "1.3.0", "2026-10-05"),
        body="ACME-113",
        head="release-1.4.0",
    )
    return [*ticketed, version]


def _ticketed(change: Change, key: str) -> Change:
    first, *rest = change.commits
    commits = (Commit(f"{first.message}\n\n{key}", first.edits, first.author), *rest)
    return replace(change, body=f"{change.body}\n\n{key}".strip(), commits=commits)


def archive(change: Change) -> tuple[str, str]:
    """The path and the text of a merged pull request's archive."""
    approved = f"- Approved by: {change.reviewer}"
    tickets = ", ".join(_keys(change)) or "none"
    lines = [f"# Pull request #{change.number}: {change.title}", "", f"- Author: {change.author}", approved]
    lines += [f"- Tickets: {tickets}", "", change.body or "No description.", ""]
    return f"archives/pr-{change.number}.md", "\n".join(lines)


def tickets(changes: Iterable[Change]) -> Iterator[Ticket]:
    """A ticket for each key that the changes name, once."""
    seen: set[str] = set()
    for change in changes:
        for key in _keys(change):
            if key not in seen:
                seen.add(key)
                title = _TITLES.get(key, change.title)
                slug = "-".join(re.findall(r"[a-z0-9]+", title.lower()))
                yield Ticket(key, title, _WAITING.get(key, "Done"), f"https://linear.app/acme/issue/{key}/{slug}")


def _keys(change: Change) -> list[str]:
    texts = [change.title, change.body, *(commit.message for commit in change.commits)]
    return list(dict.fromkeys(key for text in texts for key in KEY.findall(text)))


def mcp_file() -> str:
    """The project's .mcp.json: where its tickets are asked for."""
    files = [f"${{{VARIABLE}}}/linear.db", f"${{{VARIABLE}}}/faults.json"]
    arguments = ["-P", "-m", "pilothouse.harbour.linear.server", *files]
    servers = {SERVER: {"type": "stdio", "command": "python3", "args": arguments}}
    return json.dumps({"mcpServers": servers}, indent=2) + "\n"
