"""Serves the forge's API over a unix socket, as gh asks for it."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from pilothouse.harbour.faults import Switches

if TYPE_CHECKING:
    from pilothouse.harbour.forge.store import Store
    from pilothouse.harbour.world import World

SLOW_SECONDS = 0.7
MOST_BYTES = 8 << 20


class ForgeServer(socketserver.ThreadingUnixStreamServer):
    """GitHub's API of one world."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, world: World, store: Store, pushed: Callable[[str, str, str], None]) -> None:
        with suppress(FileNotFoundError):
            os.unlink(world.gh_socket)
        super().__init__(str(world.gh_socket), Handler)
class Handler(BaseHTTPRequestHandler): pass
