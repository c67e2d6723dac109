"""One conversation with an MCP server, over a child's pipes or over HTTP: every call bounded, nothing left behind.

What a server says of itself (instructions, descriptions of its tools) is somebody else's text: it is not read at all.
"""

from __future__ import annotations

import logging
import math
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import mcphttp
from pilothouse_tools.mcpfile import Address, Program, Server
from pilothouse_tools.mcppipes import Pipes
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from mcp.client.client import Client

    from mcp import MCPError
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

T = TypeVar("T")

_PAGES = 20  # of tools
_TOOLS = 2000
_REFUSED = frozenset({401, 403})
# mcp.types: CONNECTION_CLOSED, REQUEST_TIMEOUT, METHOD_NOT_FOUND
_CLOSED, _LATE, _UNKNOWN = -32000, -32001, -32601


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool that a server offers: its name and what it takes, by the input schema's properties."""

    name: str
    takes: Mapping[str, Mapping[str, Any]]
    required: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call answered: whether it is an error, the structured content where there is one, else the text."""

    failed: bool
    structured: Json
    text: str


class Session:
    """The calls of one conversation, each bounded in time."""

    def __init__(self, client: Client, timeout: float, down: Callable[[], bool]) -> None:
        self._client, self._timeout, self._down = client, timeout, down

    async def offers(self) -> dict[str, Offer]:
        """Every tool by name, all pages; none of a server that knows no tools."""
        from mcp import MCPError

        found: dict[str, Offer] = {}
        cursor: str | None = None
        for _ in range(_PAGES):
            try:
                page = await self._bounded(self._client.list_tools(cursor=cursor), "tools/list")
            except MCPError as error:
                if error.code != _UNKNOWN:
                    raise
                break
            for tool in page.tools:
                found.setdefault(tool.name, _offer(tool.name, tool.input_schema))
            cursor = page.next_cursor
            if not cursor or len(found) > _TOOLS:
                break
        return found

    async def templates(self) -> frozenset[str]:
        """The templates of its resources; none where it has none."""
        from mcp import MCPError

        try:
            page = await self._bounded(self._client.list_resource_templates(), "resources/templates/list")
        except MCPError:
            return frozenset()
        return frozenset(template.uri_template for template in page.resource_templates)

    async def call(self, name: str, arguments: dict[str, Json]) -> Answer:
        """Call a tool. Raises Unreachable("tickets-unreachable") and ToolFailed("tickets-not-understood")."""
        import mcp.types as protocol

        from mcp import MCPError

        asked = protocol.CallToolRequest(params=protocol.CallToolRequestParams(name=name, arguments=arguments))
        # Not `call_tool`: it holds answers to the server's own output schema. That is one more untrusted text, and
        # @tacticlaunch/mcp-linear 1.4.3 does not keep to it (a comment of an integration has no user).
        call = self._client.session.send_request(asked, protocol.CallToolResult)
        try:
            found = await self._bounded(call, name)
        except MCPError as error:
            return self._refusal(error)
        text = "\n".join(block.text for block in found.content if block.type == "text")
        return Answer(found.is_error, found.structured_content, text)

    async def read(self, uri: str) -> Answer:
        """Read a resource."""
        from mcp import MCPError

        try:
            found = await self._bounded(self._client.read_resource(uri), uri)
        except MCPError as error:
            return self._refusal(error)
        texts = [getattr(content, "text", "") for content in found.contents]
        return Answer(failed=False, structured=None, text="\n".join(texts))

    def _refusal(self, error: MCPError) -> Answer:
        """An error of the protocol is an answer; the end of the connection, or of its patience, is none."""
        ended = error.code == _CLOSED and "closed" in error.message.casefold()
        if ended or error.code == _LATE or self._down():
            raise error
        return Answer(failed=True, structured=None, text=error.message)

    async def _bounded(self, call: Awaitable[T], what: str) -> T:
        import anyio
        from pydantic import ValidationError

        try:
            with anyio.fail_after(self._timeout):
                return await call
        except TimeoutError:
            raise Unreachable(
                "tickets-unreachable", f"{one_line(what, 80)} was not answered within {self._timeout:g} s"
            ) from None
        except ValidationError:
            message = f"{one_line(what, 80)} answered what the protocol does not know"
            raise ToolFailed("tickets-not-understood", message, "see whether the server has an update") from None


def _offer(name: str, schema: Mapping[str, Any]) -> Offer:
    takes, needs = schema.get("properties"), schema.get("required")
    known = {each: about for each, about in takes.items() if isinstance(about, dict)} if isinstance(takes, dict) else {}
    return Offer(name, known, frozenset(map(str, needs if isinstance(needs, list) else ())))


def converse(context: Context, server: Server, timeout: float, work: Callable[[Session], Awaitable[T]]) -> T:
    """Connect, do some work, and end the conversation, with every process that it started.

    Args:
        context: for the child's environment and folder.
        server: of ``.mcp.json``.
        timeout: seconds that connecting, and each call, may take.
        work: the calls.

    Raises:
        ToolFailed: ``tickets-credentials`` (it does not know who asks), and what work raises.
        Unreachable: ``tickets-unreachable``.
    """
    line = _Line(context, server, timeout)
    try:
        with _quiet():
            return _run(partial(line.talk, work))
    except BaseExceptionGroup as group:
        raise line.failure(_first(group)) from None
    except Exception as error:  # noqa: BLE001 - whatever the SDK or the network raises becomes one of ours
        raise line.failure(error) from None


class _Line:
    """The line to one server: how it is reached, and what is known when it fails."""

    def __init__(self, context: Context, server: Server, timeout: float) -> None:
        self._context, self._server, self._timeout = context, server, timeout
        self._redact = context.redact.also(server.secrets)
        self._pipes: Pipes | None = None
        self._status = 0

    async def talk(self, work: Callable[[Session], Awaitable[T]]) -> T:
        import anyio
        from mcp.client.client import Client
        from mcp.types import Implementation

        from pilothouse import __version__

        about = Implementation(name="pilothouse", version=__version__)
        client = Client(self._transport(), client_info=about, cache=None, read_timeout_seconds=self._timeout)
        # One scope around all: the client's own scopes, which connecting opens, must close within it.
        with anyio.CancelScope(deadline=anyio.current_time() + self._timeout) as scope:
            async with client:
                scope.deadline = math.inf
                self._status = 0  # a server may well fail at a question that it is too old for
                return await work(Session(client, self._timeout, lambda: self._status > 0))
        raise Unreachable("tickets-unreachable", f"no answer within {self._timeout:g} s")

    def _transport(self) -> Any:
        match self._server.way:
            case Program() as program:
                tickets = self._context.product.tickets
                names = tickets.credentials if tickets else ()
                env = {**self._context.child_environ(*names), **program.environ}
                self._pipes = Pipes([program.command, *program.arguments], self._context.scratch, env)
                return self._pipes.streams()
            case Address() as address:
                return mcphttp.streams(address, self._note, self._timeout)

    def _note(self, code: int) -> None:
        self._status = code

    def failure(self, error: BaseException) -> BaseException:
        """What a person is told: our own errors as they are, whatever else went wrong as a server out of reach."""
        name = self._server.name
        hint = f"see whether {name} of .mcp.json is up, then: pilothouse resume"
        match error:
            case Unreachable():
                why, hint = error.message, error.hint or hint
            case ToolFailed():
                error.message = self._redact(error.message)
                error.args = (error.message,)
                return error
            case Exception() if self._status in _REFUSED:
                hint = f"check the headers of {name} in .mcp.json and the variables they name, then: pilothouse resume"
                message = f"the MCP server {name} answers {self._status}: it does not know who asks"
                return ToolFailed("tickets-credentials", message, hint)
            case Exception():
                why = f"HTTP {self._status}" if self._status else one_line(f"{type(error).__name__}: {error}", 160)
            case _:  # an interrupt is no failure of the server's
                return error
        message = self._redact(f"the MCP server {name} does not answer: {why}{self._told()}")
        return Unreachable("tickets-unreachable", message, hint)

    def _told(self) -> str:
        complaint = one_line(self._redact(self._pipes.complaint)[-2000:], 300) if self._pipes else ""
        return f" (it said: {complaint})" if complaint else ""


def _first(group: BaseException) -> BaseException:
    """The failure that matters of a group: ours where there is one, else the first."""
    if not isinstance(group, BaseExceptionGroup):
        return group
    leaves = [_first(each) for each in group.exceptions]
    return next((each for each in leaves if isinstance(each, ToolFailed)), leaves[0])


def _run(work: Callable[[], Awaitable[T]]) -> T:
    """Run in an event loop of its own, beside one that may be running in this thread."""
    import asyncio

    async def whole() -> T:
        return await work()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(whole())
    kept: list[T | BaseException] = []

    def aside() -> None:
        try:
            kept.append(asyncio.run(whole()))
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            kept.append(error)

    thread = threading.Thread(target=aside, name="mcp")
    thread.start()
    thread.join()
    if isinstance(kept[0], BaseException):
        raise kept[0]
    return kept[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """The SDK logs with tracebacks what becomes a sentence here."""
    loggers = [logging.getLogger(name) for name in ("mcp", "mcp.client", "mcp.shared", "httpx2", "httpcore2")]
    before = [(each, each.level) for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for each, level in before:
            each.setLevel(level)
