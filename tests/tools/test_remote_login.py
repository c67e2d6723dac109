"""An https remote is logged in to with the configured token, which only git and only that host ever see (I7)."""

from __future__ import annotations

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pilothouse.errors import Unreachable
from pilothouse_tools.repository import Repository
from pilothouse_tools.scratch import Signature

SIGNATURE = Signature("Pilothouse", "pilothouse@localhost", "2026-11-21T09:00:00Z")


@pytest.fixture
def forge():
    """A server that remembers the Authorization header of each request and knows no repository."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            self.send_error(404)

        def log_message(self, *arguments):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], seen
    server.shutdown()
    server.server_close()
    thread.join()


def repository(tmp_path, url, token):
    clone = tmp_path / "clone"
    (clone / ".git" / "objects").mkdir(parents=True)
    (clone / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {url}\n')
    import os

    return Repository(
        clone, "origin", tmp_path / "scratch", {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, SIGNATURE, token
    )


def test_the_token_reaches_the_remote_and_no_message(forge, tmp_path):
    port, seen = forge
    repo = repository(tmp_path, f"http://127.0.0.1:{port}/acme.git", "s3cret-token")
    with pytest.raises(Unreachable) as refusal:
        repo.heads("refs/heads/main")
    login = base64.b64encode(b"x-access-token:s3cret-token").decode()
    assert set(seen) == {f"Basic {login}"}
    assert "s3cret" not in str(refusal.value.message)
    assert login not in str(refusal.value.message)


def test_without_a_token_nothing_is_sent(forge, tmp_path):
    port, seen = forge
    with pytest.raises(Unreachable):
        repository(tmp_path, f"http://127.0.0.1:{port}/acme.git", "").heads("refs/heads/main")
    assert set(seen) == {None}


def test_plain_http_to_another_machine_gets_no_token(tmp_path):
    repo = repository(tmp_path, "http://forge.test/acme.git", "s3cret-token")
    assert not any("extraHeader" in key for key in repo._upstream())
