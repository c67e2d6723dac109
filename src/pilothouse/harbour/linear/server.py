"""Linear's MCP server in the sandbox: the tool names and error words of the real one, over stdio or streamable HTTP.

    python -P -m pilothouse.harbour.linear.server DB FAULTS.json [--http PORT]

The file of switches is read at each call: with ``linear-down`` the process ends at once with a message, and over HTTP
every request is answered with 503. A tool or an argument that the real server does not know is an error here, too.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import sys
import uuid
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent
from pydantic import Field

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

FAULT = "linear-down"
_PAGE = 50
_MOST = 250  # comments a page, as Linear's API has it
_NOT_FOUND = "Entity not found: Issue - Could not find referenced Issue."
Key = Annotated[str, Field(description="Issue ID or identifier (e.g., LIN-123)")]


class Memory:
    """The SQLite file: one connection a call, so that a test may look at any time."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def _ask(self, query: str, *values: object) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(self._file, timeout=10)) as connection, connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(query, values).fetchall()

    def ticket(self, name: str) -> sqlite3.Row:
        """A ticket by its internal id or its key. Raises ToolError as Linear words it."""
        found = self._ask("SELECT * FROM tickets WHERE id = ? OR key = ?", name, name)
        if not found:
            raise ToolError(_NOT_FOUND)
        return found[0]

    def tickets(self, text: str, limit: int) -> list[sqlite3.Row]:
        """Tickets whose title or key holds a text."""
        query = "SELECT * FROM tickets WHERE instr(lower(title || ' ' || key), lower(?)) ORDER BY key LIMIT ?"
        return self._ask(query, text, limit)

    def comments(self, ticket: str, after: int, limit: int) -> list[sqlite3.Row]:
        """A ticket's comments behind one of them, the oldest first."""
        query = "SELECT * FROM comments WHERE ticket = ? AND number > ? ORDER BY number LIMIT ?"
        return self._ask(query, ticket, after, limit)

    def add(self, ticket: str, body: str) -> sqlite3.Row:
        """Write a comment."""
        query = "INSERT INTO comments (id, ticket, body, at) VALUES (?, ?, ?, ?) RETURNING *"
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return self._ask(query, str(uuid.uuid4()), ticket, body, at)[0]


class Linear(MCPServer[Any]):
    """The server; an argument that a tool does not know is refused, which the SDK would pass over."""

    def __init__(self, memory: Memory, faults: Path, *, leaves: bool) -> None:
        super().__init__("linear", version="1.0.0", log_level="ERROR")
        self._memory, self._faults, self._leaves = memory, faults, leaves
        for name, tool in self._tools().items():
            self.add_tool(tool, name=name, description=tool.__doc__, structured_output=False)

    def down(self) -> bool:
        """Whether the switch is on now."""
        try:
            return json.loads(self._faults.read_text(encoding="utf-8")).get(FAULT) is True
        except FileNotFoundError:
            return False

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        """One call, its arguments held to the tool's names."""
        if self._leaves and self.down():
            leave()
        tool = next((tool for tool in await self.list_tools() if tool.name == name), None)
        known = tool.input_schema.get("properties", {}) if tool else {}
        if tool and (unknown := sorted(set(arguments) - set(known))):
            raise ToolError(f"Invalid arguments for {name}: unrecognized key {unknown[0]!r}")
        return await super().call_tool(name, arguments, context)

    def _tools(self) -> dict[str, Any]:
        memory = self._memory

        def get_issue(id: Key) -> CallToolResult:  # noqa: A002 - the tool's own argument
            """Retrieve detailed information about an issue by ID."""
            return _answer(_issue(memory.ticket(id)))

        def list_issues(query: str = "", limit: int = _PAGE) -> CallToolResult:
            """List issues in the user's Linear workspace."""
            return _answer([_issue(row) for row in memory.tickets(query, min(limit, _MOST))])

        def list_comments(issueId: Key, limit: int = _PAGE, cursor: str = "") -> CallToolResult:  # noqa: N803
            """List comments for a specific Linear issue."""
            if not 1 <= limit <= _MOST:
                raise ToolError(f"Argument Validation Error - limit must be between 1 and {_MOST}")
            ticket = memory.ticket(issueId)
            rows = memory.comments(ticket["id"], _from_cursor(cursor), limit + 1)
            shown, more = rows[:limit], len(rows) > limit
            answer: dict[str, Any] = {"comments": [_comment(ticket, row) for row in shown], "hasNextPage": more}
            return _answer(answer | ({"cursor": _cursor(shown[-1]["number"])} if more else {}))

        def create_comment(issueId: Key, body: str) -> CallToolResult:  # noqa: N803
            """Create a comment on a specific Linear issue."""
            if not body.strip():
                raise ToolError("Argument Validation Error - body must not be empty")
            ticket = memory.ticket(issueId)
            return _answer(_comment(ticket, memory.add(ticket["id"], body)))

        return {tool.__name__: tool for tool in (get_issue, list_issues, list_comments, create_comment)}


def _answer(value: object) -> CallToolResult:
    """As the real server answers: JSON in a text."""
    return CallToolResult(content=[TextContent(type="text", text=json.dumps(value))])


def _issue(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "identifier": row["key"],
        "title": row["title"],
        "description": "",
        "url": row["url"],
        "status": row["status"],
        "team": row["key"].partition("-")[0],
    }


def _comment(ticket: sqlite3.Row, row: sqlite3.Row) -> dict[str, Any]:
    url = f"{ticket['url']}#comment-{row['id'][:8]}"
    author = {"id": "pilothouse", "name": "Pilothouse"}
    return {"id": row["id"], "body": row["body"], "createdAt": row["at"], "url": url, "author": author}


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(f"after:{number}".encode()).decode()


def _from_cursor(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()).decode().removeprefix("after:"))
    except ValueError:
        raise ToolError("Argument Validation Error - cursor is not valid") from None


def leave() -> None:
    """End as a server ends that cannot reach Linear."""
    sys.stderr.write("linear: connect ECONNREFUSED: the service is down\n")
    sys.stderr.flush()
    os._exit(1)  # at once: whoever waits for an answer sees the pipe closed


class Gate:
    """Before the HTTP server: with the switch on, nothing is answered but 503."""

    def __init__(self, server: Linear, app: ASGIApp) -> None:
        self._server, self._app = server, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI has it."""
        if scope["type"] == "http" and self._server.down():
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": b"Linear is down for maintenance\n"})
            return
        await self._app(scope, receive, send)


def main(arguments: list[str]) -> int:
    """Serve until standard input closes, or over HTTP until the process is ended."""
    places, flags = arguments[:2], arguments[2:]
    if len(places) != 2 or (flags and (len(flags) != 2 or flags[0] != "--http" or not flags[1].isdecimal())):
        sys.stderr.write("usage: server DB FAULTS.json [--http PORT]\n")
        return 2
    database, faults = map(Path, places)
    if not database.exists():
        sys.stderr.write(f"linear: there is no {database}\n")
        return 2
    server = Linear(Memory(database), faults, leaves=not flags)
    if not flags:
        if server.down():
            leave()
        anyio.run(server.run_stdio_async)
        return 0
    import uvicorn

    gate = Gate(server, server.streamable_http_app())
    settings = uvicorn.Config(gate, host="127.0.0.1", port=int(flags[1]), log_level="warning")
    anyio.run(partial(uvicorn.Server(settings).serve))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
