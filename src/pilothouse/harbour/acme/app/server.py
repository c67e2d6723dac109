"""Acme over HTTP: a homepage, the items, and what an operator wants to know."""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from app.metrics import Metrics
from app.store import Rejected, Store

ROOT = Path(__file__).resolve().parent.parent
PROBES = ("/health", "/version", "/metrics")
MOST_BYTES = 65536
log = logging.getLogger("acme")


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    code: int
    body: str
    kind: str = "application/json"


def version() -> str:
    """The version that package.json states."""
    return str(json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["version"])


class Routes:
    """What each address answers."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self.store, self.metrics, self.version = store, metrics, version()
        self.sha = os.environ.get("ACME_SHA", "")

    def __call__(self, method: str, target: str, body: bytes) -> Answer:
        """Answers one request; whatever it raises becomes a 500."""
        url = urlsplit(target)
        match method, url.path:
            case "GET", "/":
                return Answer(200, self._homepage(), "text/html; charset=utf-8")
            case "GET", "/items":
                return Answer(200, json.dumps(self.store.items(parse_qs(url.query).get("q", [""])[0])))
            case "POST", "/items":
                return self._add(body)
            case "GET", "/health":
                return self._health()
            case "GET", "/version":
                return Answer(200, json.dumps({"version": self.version, "sha": self.sha}))
            case "GET", "/metrics":
                return Answer(200, self.metrics.text(), "text/plain; version=0.0.4")
        return Answer(404, json.dumps({"error": f"nothing at {url.path}"}))

    def _homepage(self) -> str:
        items = "".join(f"<li>{item['name']}</li>" for item in self.store.items()[:20])
        return f"<!doctype html><title>Acme</title><h1>Acme {self.version}</h1><ul>{items}</ul>\n"

    def _add(self, body: bytes) -> Answer:
        try:
            item = json.loads(body)
            if not isinstance(item, dict):
                raise Rejected("an item is a JSON object")
            return Answer(201, json.dumps(self.store.add(item)))
        except ValueError as error:
            return Answer(400, json.dumps({"error": str(error)}))

    def _health(self) -> Answer:
        try:
            return Answer(200, json.dumps({"status": "ok", "database": self.store.identity()}))
        except Exception as error:
            log.warning("not healthy: %s", error)
            return Answer(503, json.dumps({"status": "failing", "database": str(error)}))


class Handler(BaseHTTPRequestHandler):
    """Carries requests to the routes and counts the answers."""

    server: AcmeServer
    timeout = 5

    def do_GET(self) -> None:
        """A reading request."""
        self._answer("GET", b"")

    def do_POST(self) -> None:
        """A writing request."""
        self._answer("POST", self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MOST_BYTES)))

    def _answer(self, method: str, body: bytes) -> None:
        began = time.perf_counter()
        try:
            answer = self.server.routes(method, self.path, body)
        except Exception:
            log.exception("%s %s failed", method, self.path)
            answer = Answer(500, json.dumps({"error": "something went wrong"}))
        if urlsplit(self.path).path not in PROBES:
            self.server.metrics.count(answer.code, time.perf_counter() - began)
        content = answer.body.encode()
        self.send_response(answer.code)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Answered requests are counted, not written down."""


class AcmeServer(ThreadingHTTPServer):
    """The shop, ready to be served at an address."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], database: Path, *, bind: bool = True) -> None:
        self.metrics = Metrics()
        self.routes = Routes(Store(database), self.metrics)
        super().__init__(address, Handler, bind_and_activate=bind)


def main() -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(description="Acme over HTTP.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--database", type=Path, required=True)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    server = AcmeServer(("127.0.0.1", chosen.port), chosen.database)
    log.info("acme %s at port %s", server.routes.version, server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
