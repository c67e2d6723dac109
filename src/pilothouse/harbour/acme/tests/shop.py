"""A shop to test: a database with this checkout's migrations, and a server where one is wanted."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import threading
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from unittest import TestCase

from app import manage
from app.server import AcmeServer


def database(folder: Path, identity: str = "acme-test") -> Path:
    """A new database with every migration applied."""
    file = folder / "app.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE identity (name TEXT NOT NULL)")
        connection.execute("INSERT INTO identity VALUES (?)", (identity,))
        connection.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        for migration in manage.known().values():
            manage.apply(connection, migration)
    return file


def call(url: str, body: bytes | None = None) -> tuple[int, str]:
    """Status and text of one request."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class ShopTest(TestCase):
    """Has a temporary folder with a database in it."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.database = database(self.folder)


class ServedShopTest(ShopTest):
    """Has a server too."""

    def setUp(self) -> None:
        super().setUp()
        server = AcmeServer(("127.0.0.1", 0), self.database)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a reading request."""
        return call(self.url + path)

    def post(self, path: str, item: object) -> tuple[int, str]:
        """Status and text of a writing request."""
        return call(self.url + path, json.dumps(item).encode())
