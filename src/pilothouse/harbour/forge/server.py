"""Serves the forge's API over a unix socket, as gh asks for it."""

from __future__ import annotations

import json
import socketserver
import sys
import time
import traceback
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pilothouse.harbour.faults import Switches
from pilothouse.harbour.forge.execution import answer
from pilothouse.harbour.forge.mutations import Mutations
from pilothouse.harbour.forge.origin import Origin
from pilothouse.harbour.forge.queries import Queries
from pilothouse.harbour.forge.rest import Reply, Rest
from pilothouse.harbour.forge.results import Results
from pilothouse.harbour.forge.schema import Schema
from pilothouse.harbour.forge.troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilothouse.harbour.forge.store import Store

SLOW_SECONDS = 0.7
MOST_BYTES = 8 << 20
HOSTS = {"api.github.com", "uploads.github.com"}


class Forge:
    """GitHub's API of one world.

    Args:
        folder: DIR, where forge.db, the switches and the log of requests are.
        pushed: told of a branch that the forge itself moved.
    """

    def __init__(self, folder: Path, store: Store, pushed: Callable[[str, str, str], None]) -> None:
        self._switches, self._log = Switches(folder / "faults.json"), folder / "forge.jsonl"
        self._schema = Schema(Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"))
        self._queries = Queries(store, Origin(folder / "origin.git"), Results(store, self._switches))
        self.mutations = Mutations(self._queries, pushed)
        self._rest = Rest(self._queries, self.mutations)
        self._troubles = Troubles(folder / "troubles.json")

    def close(self) -> None:
        """Lets go of the repository."""
        self._queries.origin.close()

    def answer(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> Reply:
        """Answers one request, and writes it down with its answer."""
        body = None
        try:
            body = json.loads(raw) if raw else None
            trouble = self._troubles.spend(urlsplit(target).path)
            reply = self._refused(headers) or (trouble and trouble.instead()) or self._answered(method, target, body)
            reply = trouble.upon(reply) if trouble else reply
        except ValueError:
            reply = Reply(400, {"message": "Problems parsing JSON"})
        except Exception as error:  # noqa: BLE001 (a mistake of the sandbox must look like one, never like an answer)
            traceback.print_exc()
            reply = Reply(500, {"message": f"the sandbox's forge broke: {error!r}"})
        entry = {"method": method, "target": target, "body": body, "status": reply.status, "reply": reply.body}
        with self._log.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
        return reply

    def _refused(self, headers: dict[str, str]) -> Reply | None:
        on = self._switches.on()
        if "forge-slow" in on:
            time.sleep(SLOW_SECONDS)
        if "forge-500" in on:
            return Reply(500, {"message": "Server Error"})
        if not headers.get("authorization", "").partition(" ")[2].strip():
            return Reply(
                401,
                {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401"},
            )
        if headers.get("host", "") not in HOSTS:
            return Reply(404, {"message": f"the harbour is not {headers.get('host')}"})
        return None

    def _answered(self, method: str, target: str, body: Any) -> Reply:
        if urlsplit(target).path == "/graphql":
            if method != "POST" or not isinstance(body, dict):
                return Reply(400, {"message": "A query attribute must be specified and must be a string."})
            return Reply(
                200, answer(self._schema, {"query": self._queries.root, "mutation": self.mutations.root}, body)
            )
        return self._rest.answer(method, target, body)


class ForgeServer(socketserver.ThreadingUnixStreamServer):
    """The forge at its socket."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: Path, forge: Forge) -> None:
        self.forge = forge
        super().__init__(str(address), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to report."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    """Carries requests to the forge."""

    server: ForgeServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def _answer(self) -> None:
        raw = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MOST_BYTES))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.forge.answer(self.command, self.path, headers, raw)
        content = json.dumps(reply.body).encode()
        self.send_response(reply.status)
        scopes = {"X-OAuth-Scopes": "repo, read:org, workflow", "Content-Type": "application/json; charset=utf-8"}
        for name, value in {**scopes, **reply.headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method is answered by the forge, which knows what it knows."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def address_string(self) -> str:
        """A unix socket has no address to log."""
        return "gh"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are written to forge.jsonl."""
