"""The worker on real worlds: a schedule, an approval from elsewhere, a watch, a killed conductor, a signal (INT-2, FACE-6)."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from crash.conductor import Conductor, ledger, ship
from pilothouse.app import Pilothouse, Request, os_user
from pilothouse.guard.approval import WORDS
from pilothouse.harbour import settle
from pilothouse.worker import Worker
from shipping import state_of

WHO = os_user("test")
EVERY_MINUTE = 'schedules: [{product: acme, cron: "0 9 * * *", time_zone: UTC, catch_up: 2h}]\n'
SECRET = "topic-nobody-guesses-4711"


class Service:
    """An HTTP service that takes messages: ``shown`` is what it shows by id, ``got`` every request."""

    def __init__(self):
        self.got, self.shown = [], {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                service.got.append((self.command, self.path, dict(self.headers), body))
                key = self.headers.get("X-Sequence-ID") or self.path
                service.shown[key] = body
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_POST = answer  # noqa: N815

            def log_message(self, *_): ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.port = self.server.server_address[1]


@pytest.fixture
def service():
    made = Service()
    yield made
    made.server.shutdown()
    made.server.server_close()


def configure(world, *, notify="", more=""):
    """Change the project's pilothouse.yml as its owner would, in the working tree."""
    file = world.project / "pilothouse.yml"
    text = file.read_text(encoding="utf-8")
    if notify:
        old = next(line for line in text.splitlines() if line.startswith("    notify:"))
        text = text.replace(old, f"    notify: [{notify}]")
    file.write_text(text + more, encoding="utf-8")


def workers(world, clock, number=1):
    environ = {**os.environ, **world.environment}
    return [Worker(lambda: Pilothouse(world.project, environ=environ, clock=clock)) for _ in range(number)]


def notified(app, run):
    return [(event.fact.occasion.partition(":")[0], event.fact.channel.partition(":")[0], event.fact.delivered)
            for event in app.journal.read("acme") if event.run == run and event.kind == "Notified"]  # fmt: skip


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's own
def test_a_schedule_starts_one_run_that_waits_for_its_person_and_is_brought_to_its_end(
    harbour, conduct, clock, service, monkeypatch
):
    world = harbour(scripted_approval=False)
    address = f"http://127.0.0.1:{service.port}/{SECRET}"
    for name, value in (("NTFY", address), ("HOOK", f"{address}-hook"), ("CHAT", address.replace("http", "json"))):
        monkeypatch.setenv(name, value)
    configure(world, more=EVERY_MINUTE, notify=(
        "{channel: file, path: .pilothouse/notices.jsonl, states: [waiting]}, "
        "{channel: ntfy, url_variable: NTFY, allow_private: true}, "
        "{channel: webhook, url_variable: HOOK, allow_private: true}, {channel: apprise, url_variable: CHAT}"
    ))  # fmt: skip
    one, other = workers(world, clock, 2)
    rounds = [threading.Thread(target=item.round) for item in (one, other)]
    for thread in rounds:
        thread.start()
    for thread in rounds:
        thread.join(180)
    app = conduct(world)
    for _ in range(5):
        one.round()
    (state,) = app.runs("acme")
    assert state.started.inputs["slot"] == "cron:release:2026-11-21T09:00Z"
    assert (state.started.started_by, state.started.channel) == ("cron", "worker")
    assert state.standing() == "waiting", (state.refused, state.halted)

    # The person approves from another process; nobody follows the run.
    app.approve(state.run, WHO, lambda _card, word: word)
    for _ in range(40):
        outcomes = one.round()
        if state_of(app, state.run).over:
            break
        if any(item.until for item in outcomes):
            clock.sleep(0.5)  # for real: the watch wants traffic, and that takes its time whatever a clock says
    state = state_of(app, state.run)
    assert state.standing() == "done", (state.refused, state.halted, state.branched)
    assert one.round() == []
    assert len(app.runs("acme")) == 1

    told = notified(app, state.run)
    assert ("waiting", "ntfy", True) in told
    assert ("waiting", "webhook", True) in told
    assert ("waiting", "apprise", True) in told
    assert ("waiting", "file", True) in told
    assert len(told) == len(set(told)), told
    # One message, updated through its states, where the service can: the last state is what it shows.
    (shown,) = [body for key, body in service.shown.items() if not key.startswith("/")]
    assert "Acme 1.4.0" in shown or "finished" in shown
    hooks = [(method, path, json.loads(body)) for method, path, _, body in service.got if "-hook/" in path]
    assert len({path for _, path, _ in hooks}) == 1
    assert hooks[0][2]["state"] == "waiting"
    assert {method for method, _, _ in hooks} == {"PUT"}
    waiting = next(body for _, _, body in hooks if body["state"] == "waiting")
    assert f"pilothouse approve {state.run}" in waiting["text"]
    everything = json.dumps([body for *_, body in service.got]) + (
        (world.project / ".pilothouse" / "notices.jsonl").read_text(encoding="utf-8")
    )
    assert not [word for word in WORDS if word in everything]
    held = b"".join(entry for _, _, entry in app.journal.entries("acme"))
    assert SECRET.encode() not in held
    assert SECRET not in everything


def test_a_dead_notifier_stops_nothing_and_the_ledger_says_that_nobody_was_told(harbour, conduct, clock, monkeypatch):
    world = harbour(scripted_approval=False)
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/" + SECRET)
    configure(world, notify=(
        "{channel: webhook, url_variable: HOOK, allow_private: true}, {channel: ntfy, url_variable: NOT_SET_ANYWHERE}, "
        "{channel: file, path: .pilothouse/notices.jsonl}"
    ))  # fmt: skip
    app = conduct(world)
    run = app.start(Request("acme"), WHO)
    standing = app.follow(run)
    assert standing.wait.checkpoint == "go"
    assert notified(app, run) == [("waiting", "webhook", False), ("waiting", "ntfy", False)]
    app.approve(run, WHO, lambda _card, word: word)
    assert app.follow(run).state.standing() == "done"
    done = next(e.fact for e in app.journal.read("acme") if e.kind == "Done" and e.fact.step == "announce")
    assert len(done.facts["undelivered"]) == 2
    assert "not delivered" in done.summary
    held = b"".join(entry for _, _, entry in app.journal.entries("acme"))
    assert SECRET.encode() not in held
    assert b"NOT_SET_ANYWHERE" in held


def test_a_closed_milestone_starts_a_run_once(harbour, conduct, clock):
    world = harbour("ci-red", scripted_approval=False)
    configure(world, more='events: [{product: acme, on: milestone-closed, milestone: "Sprint *", catch_up: 1d}]\n')
    (own,) = workers(world, clock)
    app = conduct(world)
    assert [item for item in own.round() if item.did in {"started", "failed"}] == []
    with closing(sqlite3.connect(world.folder / "forge.db")) as forge, forge:
        forge.execute(
            "INSERT INTO milestones VALUES (7, 'Backlog', 'closed', '2026-11-01T00:00:00Z', '2026-11-21T08:59:00Z')"
        )
        forge.execute("INSERT INTO milestones VALUES (8, 'Sprint 8', 'open', '2026-11-01T00:00:00Z', NULL)")
    clock.slept += 120
    assert [item for item in own.round() if item.did in {"started", "failed"}] == []
    with closing(sqlite3.connect(world.folder / "forge.db")) as forge, forge:
        forge.execute("UPDATE milestones SET state = 'closed', closed = '2026-11-21T09:01:00Z' WHERE number = 8")
    clock.slept += 120
    started = [item for item in own.round() if item.did == "started"]
    assert [(item.due, item.message) for item in started] == [
        ("event:release:milestone:8", "milestone Sprint 8 was closed")
    ]
    clock.slept += 120
    assert [item for item in own.round() if item.did in {"started", "failed"}] == []
    (state,) = app.runs("acme")
    assert state.refused.reason_code == "ci-red"


def test_a_run_whose_conductor_was_killed_is_finished_by_a_worker_that_ends_when_asked(harbour):
    world = harbour(watch_seconds=600.0)
    killed = ship(world)
    killed.until_intended("production-deploy")
    killed.kill()
    worker = Conductor(world, "worker", "--every", "500ms")
    worker.until(lambda: [kind for kind, *_ in ledger(world)].count("Sampled") > 1, "the watch")
    os.kill(worker.pid, signal.SIGTERM)
    worker.process.wait(20)
    assert worker.process.returncode == 0, worker.said
    told = [json.loads(line) for line in worker._out.read_text().splitlines()]
    assert {line["schema"] for line in told} == {"pilothouse.worker/1"}
    assert "advanced" in {line["did"] for line in told}
    kinds = [kind for kind, *_ in ledger(world)]
    assert kinds.count("Started") == 1
    deploys = [data for kind, _, data in ledger(world) if kind == "Intended" and data["step"] == "production-deploy"]
    assert len({data["key"] for data in deploys}) == 1
    with closing(sqlite3.connect(world.project / ".pilothouse" / "ledger.db")) as connection:
        assert connection.execute("SELECT count(*) FROM lease WHERE holder != ''").fetchone()[0] == 0
    # And again, as a timer would: the watch goes on, one look at a time.
    before = len(ledger(world))
    once = Conductor(world, "worker", "--once")
    once.process.wait(60)
    assert once.process.returncode == 0, once.said
    assert len(ledger(world)) >= before


def test_a_missing_program_and_a_paused_product_are_refused_at_readiness(harbour, conduct):
    world = harbour()
    configure(world)
    file = world.project / "pilothouse.yml"
    text = file.read_text(encoding="utf-8")
    text = text.replace("    remote: origin\n", "    remote: origin\n    phase: paused\n")
    text = text.replace("e2e: {run: [python3,", "e2e: {run: [no-such-program,")
    assert "phase: paused" in text
    assert "no-such-program" in text
    file.write_text(text, encoding="utf-8")
    name = ["-c", "user.name=ann", "-c", "user.email=ann@acme.test"]
    for argv in (
        ["add", "pilothouse.yml"],
        [*name, "commit", "-qm", "chore: pause (#261)"],
        ["push", "-q", "origin", "HEAD:main"],
    ):
        subprocess.run(["git", *argv], cwd=world.project, check=True)
    settle(world.folder)
    app = conduct(world)
    state = app.follow(app.start(Request("acme"), WHO)).state
    assert state.refused.reason_code == "product-not-shippable"
    assert "no-such-program (for the suite e2e): not found on the PATH" in state.refused.message
    assert "paused" in state.refused.message
    facts = state.facts()["programs"]["tools"]
    assert {tool["name"]: bool(tool["version"]) for tool in facts if tool["name"] in {"git", "gh"}} == {
        "git": True, "gh": True,
    }  # fmt: skip
