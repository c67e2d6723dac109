"""What a busy forge does now and then: it refuses for a while, breaks off, or leaves something out.

Tests write DIR/troubles.json: a list of objects with ``kind`` (below), ``times`` (so many requests), and what the kind
needs besides. A trouble that is spent is taken off the list. Shapes and headers are those of GitHub's documentation
("Rate limits for the REST API", "Rate limits and query limits for the GraphQL API").

- ``secondary``: 403 with ``retry-after`` (``seconds``; None: without that header)
- ``primary``: 403 with nothing remaining until in ``seconds``; ``points``: the same as GraphQL tells it, with 200
- ``denied``: 401
- ``gateway``: 502 with a page that is no answer; ``timeout``: 504
- ``slow``: the answer comes after ``seconds``
- ``hole``: of GraphQL's answer the ``alias`` is null, ``said`` or without a word
- ``gap``: of the relation of the commit ``alias`` the first pull request could not be read
- ``behind``: the relation of commits to their pull requests is not indexed yet: it is empty
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pilothouse.harbour.forge.rest import Reply

if TYPE_CHECKING:
    from pathlib import Path

SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
PRIMARY = "API rate limit already exceeded for user ID 2."


@dataclass(frozen=True, slots=True)
class Trouble:
    """One, on its way to one request."""

    kind: str
    seconds: float | None = None
    alias: str = ""
    said: str = ""
    path: str = "/graphql"

    def instead(self) -> Reply | None:
        """The answer that comes instead of the forge's own."""
        spent = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0"}
        spent["X-RateLimit-Reset"] = str(int(time.time() + (self.seconds or 0)))
        match self.kind:
            case "secondary":
                told = {} if self.seconds is None else {"Retry-After": str(int(self.seconds))}
                return Reply(403, {"message": SECONDARY, "documentation_url": "https://docs.github.com"}, told)
            case "primary":
                return Reply(403, {"message": PRIMARY, "documentation_url": "https://docs.github.com"}, spent)
            case "points":
                return Reply(200, {"errors": [{"type": "RATE_LIMITED", "message": PRIMARY}]}, spent)
            case "denied":
                return Reply(401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com"})
            case "gateway":
                return Reply(502, "<html>502 Bad Gateway</html>")
            case "timeout":
                return Reply(504, {"message": "We couldn't respond to your request in time."})
            case "slow":
                time.sleep(self.seconds or 0)
        return None

    def upon(self, reply: Reply) -> Reply:
        """The forge's own answer, with what is left out of it."""
        data = reply.body.get("data") if isinstance(reply.body, dict) else None
        things = (data or {}).get("repository") or {}
        if self.kind == "behind":
            for thing in things.values():
                page = {"hasNextPage": False, "endCursor": None}
                thing["associatedPullRequests"] = {"nodes": [], "pageInfo": page}
        if self.kind == "gap" and self.alias in things:
            things[self.alias]["associatedPullRequests"]["nodes"][0] = None
        if self.kind == "hole" and self.alias in things:
            things[self.alias] = None
            if self.said:
                error = {"message": self.said, "path": ["repository", self.alias]}
                reply.body["errors"] = [*reply.body.get("errors", []), error]
        return reply


@dataclass(slots=True)
class Troubles:
    """The file, and one spender at a time."""

    file: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, path: str) -> Trouble | None:
        """The trouble that is meant for the next request of a path."""
        with self._lock:
            try:
                waiting: list[dict[str, Any]] = json.loads(self.file.read_text(encoding="utf-8"))
            except FileNotFoundError:
                return None
            for entry in waiting:
                fields = {name: value for name, value in entry.items() if name != "times"}
                trouble = Trouble(**fields)
                if path.startswith(trouble.path):
                    entry["times"] -= 1
                    left = [one for one in waiting if one["times"] > 0]
                    fresh = self.file.with_suffix(".new")
                    fresh.write_text(json.dumps(left), encoding="utf-8")
                    fresh.replace(self.file)
                    return trouble
        return None
