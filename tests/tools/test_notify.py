"""People are told once, where they can be, and no address of a service is ever shown (FACE-6)."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pilothouse.errors import ToolFailed
from pilothouse.events import Allowed, Skipped
from pilothouse.guard.fold import fold
from pilothouse.model import Presence
from pilothouse.notices import occasion_of
from pilothouse.settings import Notice
from pilothouse_tools.notifier import Message, deliver, message_id
from story import chained, started

STARTED = "2026-11-21T09:00:00Z"
TOLD = {"event": "released", "body": "Acme 1.4.0 is out \x1b[31m"}


def lines(small):
    return [json.loads(line) for line in (small.clone / ".pilothouse/notices.jsonl").read_bytes().splitlines()]


def test_a_notice_is_told_once_on_each_channel(small, do, capsys):
    box = small.toolbox()
    seen, done = do(box, "notify.send", TOLD)
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    do(small.toolbox(scratch="elsewhere"), "notify.send", TOLD)
    assert capsys.readouterr().err == "Acme 1.4.0 is out <U+001B>[31m\n"
    assert [(line["key"], line["event"], line["product"]) for line in lines(small)] == [("k-1", "released", "acme")]


def test_half_a_line_from_a_crash_is_not_taken_for_a_notice(small, do):
    file = small.clone / ".pilothouse/notices.jsonl"
    file.parent.mkdir()
    file.write_bytes(b'{"key": "k-1", "eve')
    _, done = do(small.toolbox(), "notify.send", TOLD)
    assert done.presence is Presence.APPLIED
    assert json.loads(file.read_bytes().splitlines()[1])["key"] == "k-1"


def test_a_key_within_another_notices_text_is_no_notice(small, do):
    do(small.toolbox(), "notify.send", {**TOLD, "body": "about k-2"}, "k-1")
    assert small.toolbox().probe("notify.send", TOLD, "k-2").presence is Presence.ABSENT


def test_a_symbolic_link_is_not_followed(small, do):
    (small.clone / ".pilothouse").mkdir()
    (small.clone / ".pilothouse/notices.jsonl").symlink_to(small.folder / "elsewhere.txt")
    with pytest.raises(ToolFailed) as refused:
        do(small.toolbox(), "notify.send", TOLD)
    assert refused.value.reason_code == "notify-path"


@pytest.mark.parametrize("path", ["../out.jsonl", "/etc/x", ".git/config", "a/../../x"])
def test_a_path_out_of_the_project_is_refused(small, do, path):
    product = replace(small.product, notify=(Notice("file", path),))
    with pytest.raises(ToolFailed) as refused:
        do(small.toolbox(product), "notify.send", TOLD)
    assert refused.value.reason_code == "notify-path"


def test_no_channel_means_nothing_to_tell(small):
    box = small.toolbox(replace(small.product, notify=()))
    assert box.probe("notify.send", TOLD, "k-1").presence is Presence.APPLIED


# --- services ---------------------------------------------------------------------------------------------------------

SECRET = "topic-nobody-guesses-4711"


class Service:
    """Takes messages over HTTP; ``status`` is what it answers."""

    def __init__(self):
        self.got, self.status = [], 200
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                service.got.append((self.command, self.path, dict(self.headers), body))
                self.send_response(service.status)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_POST = answer  # noqa: N815

            def log_message(self, *_): ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/{SECRET}"


@pytest.fixture
def service():
    made = Service()
    yield made
    made.server.shutdown()
    made.server.server_close()


def message(state="waiting", text="Acme 1.4.0 waits"):
    return Message(message_id("r-1", STARTED), state, "r-1", "acme", f"Acme: {state}", text, STARTED)


def told(small, service, channel, *messages, address="", **more):
    notice = Notice(channel, url_variable="SERVICE", allow_private=True, **more)
    context = small.context(
        replace(small.product, notify=(notice,)), environ={**small.environ, "SERVICE": address or service.url}
    )
    for item in messages:
        deliver(context, notice, item)
    return context


def test_a_webhook_is_put_to_the_same_address_for_every_state_of_a_run(small, service):
    told(small, service, "webhook", message("waiting"), message("done"))
    assert {(method, path) for method, path, *_ in service.got} == {("PUT", f"/{SECRET}/{message().id}")}
    assert [json.loads(body)["state"] for *_, body in service.got] == ["waiting", "done"]


@pytest.mark.parametrize(("end", "path"), [
    ("?token=abc", "/{secret}/{id}?token=abc"), ("/?token=a/b&x=1", "/{secret}/{id}?token=a/b&x=1"), ("/", "/{secret}/{id}"),
])  # fmt: skip
def test_a_webhooks_query_stays_behind_the_path(small, service, end, path):
    told(small, service, "webhook", message(), address=service.url + end)
    assert [at for _, at, *_ in service.got] == [path.format(secret=SECRET, id=message().id)]


def test_a_run_that_waits_for_the_go_of_an_act_is_an_occasion_and_the_next_act_another_one():
    rows = tuple(
        {"id": name, "agent": "a", "kind": "act", "phase": "p", "phase_title": "P", "phase_agent": "a", "branch": "main", "asks": True}
        for name in ("branch", "ship")
    )  # fmt: skip
    begun = started(outline=rows)
    waits, later = (occasion_of(fold(chained(begun, *facts))) for facts in ((), (Skipped("branch", "not now"),)))
    assert (waits.state, waits.follows) == ("waiting", False)
    assert "branch waits for a go" in waits.text
    assert waits.text.endswith("--go branch")
    assert later.state == "waiting"
    assert later.key != waits.key
    assert occasion_of(fold(chained(begun, Allowed("branch", "ann", "terminal", "account")))) is None


def test_ntfy_is_given_the_id_by_which_it_updates_what_it_showed(small, service):
    told(small, service, "ntfy", message("waiting", "Größe"), message("done"))
    assert [(method, path, headers["X-Sequence-ID"]) for method, path, headers, _ in service.got] == [
        ("POST", f"/{SECRET}", message().id)
    ] * 2
    assert service.got[0][3] == "Größe"


@pytest.mark.parametrize(("login", "header"), [
    (":tk_123456789", "Bearer tk_123456789"), ("me:p%40ss", "Basic bWU6cEBzcw=="),
])  # fmt: skip
def test_a_login_in_the_address_becomes_a_header_and_is_in_no_path(small, service, login, header):
    told(small, service, "ntfy", message(), address=service.url.replace("://", f"://{login}@"))
    _, path, headers, _ = service.got[0]
    assert (path, headers["Authorization"]) == (f"/{SECRET}", header)


@pytest.mark.parametrize(("channel", "address", "code"), [
    ("webhook", "http://127.0.0.1:9/" + SECRET, "notify-failed"),
    ("ntfy", "http://169.254.169.254/" + SECRET, "notify-failed"),
    ("ntfy", "http://" + SECRET + ".invalid/x", "notify-failed"),
    ("webhook", "file:///etc/" + SECRET, "notify-address"),
    ("ntfy", "http://[" + SECRET, "notify-address"),
    ("apprise", "nonsense://" + SECRET, "notify-failed"),
    ("apprise", "json://127.0.0.1:9/" + SECRET, "notify-failed"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's own
def test_what_cannot_be_delivered_is_said_without_the_address(small, service, channel, address, code, capfd):
    with pytest.raises(ToolFailed) as refused:
        told(small, service, channel, message(), address=address)
    assert refused.value.reason_code == code
    said = capfd.readouterr()
    assert SECRET not in refused.value.message + refused.value.hint + said.out + said.err


@pytest.mark.parametrize("status", [301, 404, 500])
def test_an_answer_that_is_no_success_is_no_delivery_and_no_redirect_is_followed(small, service, status):
    service.status = status
    with pytest.raises(ToolFailed) as refused:
        told(small, service, "webhook", message())
    assert str(status) in refused.value.message
    assert len(service.got) == 1


def test_a_private_address_needs_to_be_allowed(small, service):
    notice = Notice("ntfy", url_variable="SERVICE")
    context = small.context(environ={**small.environ, "SERVICE": service.url})
    with pytest.raises(ToolFailed) as refused:
        deliver(context, notice, message())
    assert "address-refused" in refused.value.message
    assert service.got == []


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_apprise_delivers_through_a_real_service(small, service):
    told(small, service, "apprise", message(), address=service.url.replace("http", "json"))
    assert "Acme 1.4.0 waits" in service.got[0][3]


def test_without_apprise_the_refusal_says_what_to_install(small, service, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ToolFailed) as refused:
        told(small, service, "apprise", message())
    assert (refused.value.reason_code, "pilothouse[notify]" in refused.value.hint) == ("notify-not-installed", True)


def test_held_values_are_taken_out_of_messages_before_they_leave(small, service):
    secret = message(text=f"look at {service.url} and {SECRET}")
    told(small, service, "webhook", secret)
    assert service.url not in service.got[0][3]
    assert "[redacted SERVICE]" in service.got[0][3]


def test_a_dead_service_fails_no_act_and_the_outcome_says_so(small, do, service):
    notify = (
        Notice("file", ".pilothouse/notices.jsonl"),
        Notice("webhook", url_variable="SERVICE", allow_private=True),
    )
    box = small.toolbox(
        replace(small.product, notify=notify), environ={**small.environ, "SERVICE": "http://127.0.0.1:9/x"}
    )
    before, after = do(box, "notify.send", TOLD)
    assert (before.presence, after.presence) == (Presence.ABSENT, Presence.APPLIED)
    assert "not delivered: webhook:SERVICE" in after.detail
    assert len(after.facts["undelivered"]) == 1
    assert len(lines(small)) == 1


def test_a_service_is_told_once_by_an_act_that_is_done_again_after_a_crash(small, do, service):
    product = replace(small.product, notify=(Notice("ntfy", url_variable="SERVICE", allow_private=True),))
    environ = {**small.environ, "SERVICE": service.url}
    do(small.toolbox(product, environ=environ), "notify.send", TOLD)
    do(small.toolbox(product, environ=environ, scratch="elsewhere"), "notify.send", TOLD)
    assert len(service.got) == 1
