"""Runs one released version of the sample app in its environment: `berth.py RELEASE DATABASE FAULTS FD ENVIRONMENT`.

It is a script of its own, without any import of Pilothouse: it starts fast, and the released code is all it shares a
process with. The supervisor holds the listening socket and hands it down as FD, so that connections wait instead of
being refused while versions change. It speaks through pipes: `ready` on standard output when the app is loaded,
`serve` on standard input to begin; the end of standard input (also by the supervisor's death) ends it.

The production faults are put around the app's routes here: the app itself is innocent.
"""

import fcntl
import itertools
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SPARED = "1.3.0"
PROBES = ("/health", "/version", "/metrics")
EVERY = 7
QUIET_SECONDS = 2.0


def sabotaged(routes: Callable[..., Any], faults: Path, answer: type, version: str) -> Callable[..., Any]:
    """The app's routes, failing where a production fault says so."""
    began, counter = time.monotonic(), itertools.count(1)

    def on(fault: str) -> bool:
        return bool(json.loads(faults.read_text(encoding="utf-8")).get(fault)) and version != SPARED

    def answered(method: str, target: str, body: bytes) -> Any:
        path = urlsplit(target).path
        if path == "/health" and on("production-unhealthy"):
            return answer(503, json.dumps({"status": "failing", "database": "connection pool exhausted"}))
        failing = path not in PROBES and on("production-errors") and time.monotonic() - began > QUIET_SECONDS
        if failing and next(counter) % EVERY == 0:
            raise RuntimeError("connection pool exhausted")
        return routes(method, target, body)

    return answered


def main() -> None:
    """Serves until standard input ends."""
    release, database, faults, fd, environment = sys.argv[1:]
    # Held for life, so that whoever ends the world can wait for this process without knowing its number.
    lock = Path(database).with_name("berth.lock").open("a")
    fcntl.flock(lock, fcntl.LOCK_SH)
    sys.path.insert(0, release)
    from app.server import AcmeServer, Answer  # type: ignore[import-not-found,unused-ignore]

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    server = AcmeServer(("127.0.0.1", 0), Path(database), bind=False)
    version = server.routes.version
    if environment == "production":
        server.routes = sabotaged(server.routes, Path(faults), Answer, version)
    server.socket.close()
    server.socket = socket.socket(fileno=int(fd))
    server.daemon_threads = False  # so that server_close() waits for the requests that are being answered
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if sys.stdin.readline():
        logging.getLogger("berth").info("acme %s serves %s", version, environment)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        sys.stdin.read()
        server.shutdown()
        server.server_close()
    os._exit(0)


if __name__ == "__main__":
    main()
