"""The server over HTTP: who may knock (Host, Origin), who may come in (a bearer token), and where it listens (I39)."""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import anyio
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse

from pilothouse.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pilothouse.mcp.server import Bridge

PATH = "/mcp"
_LEAST = 16  # characters of a token
_NAMES = ("127.0.0.1", "localhost", "[::1]")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return False


def token_for(host: str, variable: str, environ: dict[str, str], project: Path) -> tuple[str, Path | None]:
    """The token that clients must show; it is taken out of the environment, so that no child has it.

    Args:
        host: where the server is to listen.
        variable: the environment variable that holds the token.
        environ: changed: the variable is removed.
        project: where a token that is made is kept.

    Returns:
        The token, and the file that a made one was written to (readable by this user alone), or None.

    Raises:
        UsageError: ``token-missing``: it would listen to other machines without one; ``token-weak``.
    """
    given = environ.pop(variable, "")
    if given:
        if len(given) < _LEAST:
            made = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
            raise UsageError("token-weak", f"{variable} holds fewer than {_LEAST} characters", f"make one: {made}")
        return given, None
    if not is_loopback(host):
        raise UsageError(
            "token-missing", f"{variable} is not set, and {host} can be reached by other machines",
            f"set {variable}, or listen on 127.0.0.1",
        )  # fmt: skip
    token, file = secrets.token_urlsafe(32), project / ".pilothouse" / "mcp.token"
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(token + "\n")
    return token, file


@dataclass(frozen=True, slots=True)
class Door:
    """What stands before the server: Host, then Origin, then the token. Everything else is not told.

    Args:
        inside: the server.
        hosts: the Host headers that are meant for it.
        token: what a client must show.
    """

    inside: ASGIApp
    hosts: frozenset[str]
    token: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "http":
            refused = self._refused(scope["headers"])
            if refused is not None:
                await refused(scope, receive, send)
                return
        elif scope["type"] != "lifespan":
            return
        await self.inside(scope, receive, send)

    def _refused(self, headers: Iterable[tuple[bytes, bytes]]) -> JSONResponse | None:
        found: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            found.setdefault(name.lower(), []).append(value)
        hosts, origins, given = found.get(b"host", []), found.get(b"origin", []), found.get(b"authorization", [])
        if len(hosts) != 1 or hosts[0].decode("latin-1").lower() not in self.hosts:
            return _answer(421, "host-refused", "this server is not known by that name")
        meant = {f"{scheme}://{host}" for host in self.hosts for scheme in ("http", "https")}
        if any(origin.decode("latin-1").lower() not in meant for origin in origins):
            return _answer(403, "origin-refused", "pages of other sites may not talk to this server")
        kind, _, shown = (given[0] if len(given) == 1 else b"").partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(shown.strip(), self.token.encode()):
            headers_ = {"WWW-Authenticate": 'Bearer realm="pilothouse"'}
            return _answer(401, "token-refused", "show the server's token: Authorization: Bearer TOKEN", headers_)
        return None


def _answer(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    told = {"schema": "pilothouse.error/1", "reason_code": code, "message": message, "hint": "see docs/agent-chat.md"}
    return JSONResponse(told, status_code=status, headers=headers)


def application(bridge: Bridge, names: Iterable[str], port: int, token: str) -> ASGIApp:
    """The server as an ASGI application, behind its door.

    Args:
        bridge: the server.
        names: the host names that are meant for it, beside this machine's loopback names.
        port: where it listens.
        token: what a client must show.
    """
    known = {name.lower() for name in (*_NAMES, *names)}
    hosts = frozenset({f"{name}:{port}" for name in known} | (known if port in {80, 443} else set()))
    settings = TransportSecuritySettings(
        allowed_hosts=sorted(hosts),
        allowed_origins=[f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")],
    )
    return Door(bridge.streamable_http_app(streamable_http_path=PATH, transport_security=settings), hosts, token)


def serve(
    bridge: Bridge, host: str, port: int, names: Iterable[str], token: str, ready: Callable[[str], None]
) -> None:  # fmt: skip
    """Serve until a signal ends it.

    Args:
        ready: told the address, once it listens.

    Raises:
        UsageError: ``not-listening``: the address cannot be had.
    """
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    try:
        listening = socket.create_server((bare, port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            "not-listening", f"{host}:{port} cannot be listened on: {reason}", "name another port"
        ) from error
    with listening:
        port = int(listening.getsockname()[1])
        shown = f"[{bare}]" if family is socket.AF_INET6 else bare
        app = application(bridge, (*names, shown), port, token)
        config = uvicorn.Config(app, log_level="error", access_log=False, server_header=False)
        server = uvicorn.Server(config)
        with _ended_by_signal(server):
            ready(f"http://{shown}:{port}{PATH}")
            anyio.run(lambda: server.serve(sockets=[listening]))


@contextmanager
def _ended_by_signal(server: uvicorn.Server) -> Iterator[None]:
    """Let a signal end the server and not the process: uvicorn raises again whatever has ended it."""

    def asked(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
