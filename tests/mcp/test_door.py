"""Over HTTP: who may knock, and who may come in (I39)."""

from __future__ import annotations

import os
import signal
import stat
import subprocess

import anyio
import httpx2
import pytest

from cli.sample import lately, pilothouse, project
from pilothouse.errors import UsageError
from pilothouse.mcp.door import is_loopback, token_for
from render import story

TOKEN = "a-token-of-the-tests-0123456789"
HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip
ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture
def place(served, tmp_path):
    with served(project(tmp_path / "p", story.done(lately()))) as place:
        yield place


def knock(place, method="POST", **headers):
    given = {**ACCEPT, "Authorization": f"Bearer {TOKEN}"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    with httpx2.Client(timeout=20) as client:
        return client.request(method, place.url, json=HELLO if method == "POST" else None,
                              headers={name: value for name, value in given.items() if value is not None})  # fmt: skip


def test_only_who_shows_the_token_comes_in(place):
    assert knock(place).status_code == 200
    for wrong in (None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN,
                  f"Bearer {TOKEN.upper()}"):  # fmt: skip
        refused = knock(place, Authorization=wrong)
        assert refused.status_code == 401, wrong
        assert refused.json()["reason_code"] == "token-refused"
        assert refused.headers["www-authenticate"].startswith("Bearer")


def test_only_its_own_names_reach_it(place):
    port = httpx2.URL(place.url).port
    assert knock(place, Host=f"localhost:{port}").status_code == 200
    for wrong in (
        "evil.test",
        f"evil.test:{port}",
        f"127.0.0.1.evil.test:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port + 1}",
    ):
        refused = knock(place, Host=wrong)
        assert (refused.status_code, refused.json()["reason_code"]) == (421, "host-refused"), wrong


def test_pages_of_other_sites_are_refused(place):
    port = httpx2.URL(place.url).port
    assert knock(place, Origin=f"http://127.0.0.1:{port}").status_code == 200
    for wrong in (
        "https://evil.test",
        "null",
        f"http://evil.test:{port}",
        "http://127.0.0.1",
        f"http://127.0.0.1:{port}.evil.test",
    ):
        refused = knock(place, Origin=wrong)
        assert (refused.status_code, refused.json()["reason_code"]) == (403, "origin-refused"), wrong


def test_a_look_without_a_token_changes_and_tells_nothing(place):
    for method in ("GET", "DELETE", "OPTIONS", "HEAD"):
        assert knock(place, method, Authorization=None).status_code == 401


def test_a_client_with_the_token_reads(place, talking):
    async def chat():
        async with talking(place.url) as talk:
            return await talk.call("release_status")

    assert anyio.run(chat)["state"] == "done"


def test_a_signal_ends_it_quietly(served, tmp_path):
    with served(project(tmp_path / "p")) as place:
        place.server.send_signal(signal.SIGTERM)
        assert place.server.wait(20) == 0
        assert place.server.stderr.read() == ""


def test_without_a_token_it_makes_one_on_loopback_that_only_this_user_reads(served, tmp_path):
    folder = project(tmp_path / "p")
    place = served(folder)
    del place.environ["PILOTHOUSE_MCP_TOKEN"]
    with place:
        file = folder / ".pilothouse" / "mcp.token"
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
        token = file.read_text().strip()
        assert token not in place.said
        assert knock(place, Authorization=f"Bearer {token}").status_code == 200
        assert knock(place).status_code == 401
    assert not file.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.test"])
def test_it_listens_to_no_other_machine_without_a_token(tmp_path, host):
    answer = pilothouse("mcp", "--http", "--host", host, cwd=project(tmp_path / "p"))
    assert answer.code == 2
    assert "PILOTHOUSE_MCP_TOKEN is not set" in answer.err
    assert answer.out == ""


def test_a_token_is_long_and_no_child_has_it(tmp_path):
    with pytest.raises(UsageError) as refused:
        token_for("127.0.0.1", "T", {"T": "short"}, tmp_path)
    assert refused.value.reason_code == "token-weak"
    environ = {"T": TOKEN, "OTHER": "x"}
    assert token_for("0.0.0.0", "T", environ, tmp_path) == (TOKEN, None)
    assert environ == {"OTHER": "x"}


@pytest.mark.parametrize(("host", "only_here"), [
    ("127.0.0.1", True), ("localhost", True), ("::1", True), ("[::1]", True), ("127.8.8.8", True), ("0.0.0.0", False),
    ("::", False), ("", False), ("localhost.evil.test", False), ("127.0.0.1.evil.test", False),
])  # fmt: skip
def test_which_hosts_only_this_machine_reaches(host, only_here):
    assert is_loopback(host) is only_here


def test_a_port_that_is_taken_is_told(served, tmp_path):
    folder = project(tmp_path / "p")
    with served(folder) as place:
        port = str(httpx2.URL(place.url).port)
        answer = pilothouse("mcp", "--http", "--port", port, cwd=folder)
    assert answer.code == 2
    assert "cannot be listened on" in answer.err


def test_it_has_no_answer_in_json_and_needs_a_project(tmp_path):
    answer = pilothouse("mcp", "--json", cwd=project(tmp_path / "p"))
    assert (answer.code, answer.json["reason_code"]) == (2, "usage")
    (tmp_path / "empty").mkdir()
    assert pilothouse("mcp", "--json", "--project", str(tmp_path / "empty"), cwd=tmp_path).code == 2


def test_help_is_quick_since_nothing_of_it_is_loaded(tmp_path):
    import sys

    look = "import sys; from pilothouse.cli.main import run; run(['mcp', '--help']); print('mcp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.splitlines()[-1] == "False"
