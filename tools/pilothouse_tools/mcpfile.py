"""``.mcp.json`` of the project: which program, or which URL, an MCP server is.

The file names a program to run, and the repository that is being released is not trusted. So it is read from the head
of the remote's base branch, which took a merge to get there, and never from the working tree.

The format is the common one (code.claude.com/docs/en/mcp): ``mcpServers`` by name, each ``{command, args, env}`` or
``{type, url, headers}``, with ``${VAR}`` and ``${VAR:-default}`` in command, args, env, url and headers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pilothouse.errors import ToolFailed
from pilothouse.held import TELLING
from pilothouse.redaction import credential_names
from pilothouse_tools.scratch import LOOPBACK
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilothouse.canonical import Json
    from pilothouse.settings import Tickets
    from pilothouse_tools.context import Context

FILE = ".mcp.json"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_LARGEST = 256 * 1024
_HTTP = frozenset({"http", "streamable-http", "streamableHttp"})
_FORM = (
    '{"mcpServers": {"NAME": {"command": …, "args": […], "env": {…}}}} or {"type": "http", "url": …, "headers": {…}}'
)


@dataclass(frozen=True, slots=True)
class Program:
    """An MCP server that is started here and spoken to over its standard input and output."""

    command: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """An MCP server that is spoken to over HTTP, as streamable HTTP or in the older way with server-sent events."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    transport: Literal["http", "sse"] = "http"


@dataclass(frozen=True, slots=True)
class Server:
    """One server of the file, its variables expanded.

    Attributes:
        name: as the file has it.
        way: how it is reached.
        secrets: names and values of the variables that went into its environment, URL and headers.
    """

    name: str
    way: Program | Address
    secrets: tuple[tuple[str, str], ...] = field(repr=False)


def server(context: Context) -> Server:
    """The tickets' server, as ``.mcp.json`` beside pilothouse.yml has it at the head of the remote's base branch.

    Raises:
        ToolFailed: ``tickets-not-configured``, ``base-missing``, ``mcp-file``, ``tickets-credentials``.
        Unreachable: the remote did not answer.
    """
    tickets = configured(context)
    product = context.product
    head = context.repo.head(product.base)
    if not head:
        raise ToolFailed("base-missing", f"the remote {product.remote} has no branch {product.base!r}",
                         "push it, or name another base in pilothouse.yml")  # fmt: skip
    path = context.configuration_path.removesuffix("pilothouse.yml") + FILE
    content = context.repo.file(head, path)
    if content is None:
        hint = f"commit {path} with {_FORM}, and bring it to {product.base}; a local file is not read"
        raise ToolFailed("mcp-file", f"{path} is not on {product.remote}/{product.base} ({head[:7]})", hint)
    return _Reader(f"{path} ({product.base} {head[:7]})", context, tickets).read(content)


def configured(context: Context) -> Tickets:
    """The product's tickets. Raises ToolFailed("tickets-not-configured")."""
    tickets = context.product.tickets
    if tickets is None:
        message = f"{context.product.name} has no tickets in pilothouse.yml"
        raise ToolFailed(
            "tickets-not-configured", message, "add tickets: {server: linear}, and the server to .mcp.json"
        )
    return tickets


class _Reader:
    """One reading of the file: whatever is wrong with it is said with its place."""

    def __init__(self, place: str, context: Context, tickets: Tickets) -> None:
        self._place, self._environ, self._name = place, context.environ, tickets.server
        own = {*tickets.credentials}
        # The server gets what is its own: a credential of another part does not leave through .mcp.json (I7).
        self._others = {name for name in credential_names(context.product) if name not in own}
        self._used: dict[str, str] = {}
        self._credentials = tickets.credentials

    def read(self, content: bytes) -> Server:
        entry = self._entry(self._parsed(content))
        kind = entry.get("type", "stdio" if "command" in entry else "http" if "url" in entry else None)
        match kind:
            case "stdio":
                way: Program | Address = self._program(entry)
            case "sse":
                way = self._address(entry, "sse")
            case str() if kind in _HTTP:
                way = self._address(entry, "http")
            case _:
                raise self._wrong("type", "stdio, http, sse or streamable-http")
        for name in self._credentials:
            self._value(name, None, "tickets.credentials")
        return Server(self._name, way, tuple(self._used.items()))

    def _parsed(self, content: bytes) -> Json:
        if len(content) > _LARGEST:
            raise ToolFailed(
                "mcp-file", f"{self._place} is larger than {_LARGEST} bytes", "keep the servers in it only"
            )
        try:
            value: Json = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise ToolFailed(
                "mcp-file", f"{self._place} is no JSON: {one_line(str(error), 120)}", f"expected {_FORM}"
            ) from None
        return value

    def _entry(self, value: Json) -> dict[str, Json]:
        servers = value.get("mcpServers") if isinstance(value, dict) else None
        if not isinstance(servers, dict):
            raise ToolFailed("mcp-file", f"{self._place} has no object mcpServers", f"expected {_FORM}")
        entry = servers.get(self._name)
        if not isinstance(entry, dict):
            there = one_line(", ".join(sorted(servers)) or "none", 120)
            hint = f"add mcpServers.{self._name}, or name another in tickets.server of pilothouse.yml"
            raise ToolFailed("mcp-file", f"{self._place} has no server {self._name!r} (there is {there})", hint)
        return entry

    def _wrong(self, key: str, expected: str) -> ToolFailed:
        message = f"{self._place}: mcpServers.{self._name}.{key} must be {expected}"
        return ToolFailed("mcp-file", message, f"mend it on the base branch; expected {_FORM}")

    def _program(self, entry: dict[str, Json]) -> Program:
        command = self._expanded(self._text(entry, "command"), "command")
        if not command or (not command.startswith("/") and "/" in command):
            raise self._wrong("command", "a name on PATH or an absolute path")
        listed = entry.get("args", [])
        if not isinstance(listed, list):
            raise self._wrong("args", "a list of texts")
        arguments = []
        for number, item in enumerate(listed):
            if not isinstance(item, str):
                raise self._wrong(f"args[{number}]", "a text")
            arguments.append(self._expanded(item, f"args[{number}]"))
        return Program(command, tuple(arguments), self._mapping(entry, "env"))

    def _address(self, entry: dict[str, Json], transport: Literal["http", "sse"]) -> Address:
        url = self._expanded(self._text(entry, "url"), "url", secret=True)
        try:
            parts = urlsplit(url)
            host, secure = parts.hostname or "", parts.scheme == "https"
            valid = bool(host) and (parts.port is None or parts.port > 0) and "@" not in parts.netloc
        except ValueError:
            valid, host, secure = False, "", False
        if not valid or not url.isascii() or not url.isprintable() or any(mark in url for mark in " \\#"):
            raise self._wrong("url", "https://host[:port]/path, without user information")
        if not secure and not (parts.scheme == "http" and host in LOOPBACK):
            raise self._wrong("url", "https (http is for this machine alone)")
        headers = self._mapping(entry, "headers")
        for name, value in headers.items():
            if not _HEADER.fullmatch(name) or not value.isascii() or not value.isprintable():
                raise self._wrong(f"headers.{one_line(name, 60)}", "one printable line of a header")
        return Address(url, headers, transport)

    def _text(self, entry: dict[str, Json], key: str) -> str:
        value = entry.get(key)
        if not isinstance(value, str) or "\0" in value:
            raise self._wrong(key, "a text")
        return value

    def _mapping(self, entry: dict[str, Json], key: str) -> dict[str, str]:
        found = entry.get(key, {})
        if not isinstance(found, dict):
            raise self._wrong(key, "an object of texts")
        expanded = {}
        for name, value in found.items():
            place = f"{key}.{one_line(name, 60)}"
            if not isinstance(value, str) or "\0" in value or not name or "=" in name or "\0" in name:
                raise self._wrong(place, "a text")
            if _is_literal_secret(name, value):
                # Secrets found in repositories are never used (I7).
                raise self._wrong(place, "a variable such as ${LINEAR_API_KEY}, not the secret itself")
            expanded[name] = self._expanded(value, place, secret=True)
        return expanded

    def _expanded(self, value: str, place: str, *, secret: bool = False) -> str:
        def one(found: re.Match[str]) -> str:
            name, default = found.group(1), found.group(2)
            return self._value(name, None if default is None else default[2:], place, secret=secret)

        return _VARIABLE.sub(one, value)

    def _value(self, name: str, default: str | None, place: str, *, secret: bool = True) -> str:
        if name in self._others:
            message = f"{self._place}: {place} of {self._name} wants {name}, which is a credential of another part"
            raise ToolFailed("tickets-credentials", message, f"list {name} in tickets.credentials if it is meant")
        value = self._environ.get(name, "")
        if not value and default is not None:
            return default
        if not value:  # a secret that a CI system does not know is an empty variable there
            message = f"the variable {name}, which {place} of the server {self._name} needs, is not set"
            raise ToolFailed(
                "tickets-credentials", message, f"set {name} where pilothouse runs, then: pilothouse resume"
            )
        if secret or TELLING.search(name):
            self._used[name] = value
        return value


def _is_literal_secret(name: str, value: str) -> bool:
    telling = TELLING.search(name.replace("-", "_")) or name.casefold() == "authorization"
    if not telling or not value:
        return False
    found = list(_VARIABLE.finditer(value))
    return not found or any(len(match.group(2) or "") > len(":-") for match in found)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
