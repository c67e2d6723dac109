"""What a worker goes on with, what it leaves to people, and that one product's trouble stays its own."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from cli.sample import lately, project
from pilothouse import worker
from pilothouse.app import Pilothouse
from pilothouse.errors import EXIT_BUG, RequestRefused
from pilothouse.worker import Outcome, Worker, due, next_look
from render import story


def moment(state, **more):
    return datetime.fromisoformat(state.last_at) + timedelta(**more)


@pytest.mark.parametrize(("told", "later", "why"), [
    (story.waiting, {"minutes": 1}, ""),
    (story.waiting, {"days": 4}, "deadline"),
    (story.held, {"days": 4}, ""),
    (story.refused, {"days": 4}, ""),
    (story.done, {"days": 4}, ""),
    (story.rolled_back, {"days": 4}, ""),
    (story.crashed, {"minutes": 1}, "open"),
    (story.readied, {"minutes": 1}, "open"),
    (story.watching, {"milliseconds": 1}, ""),
    (story.watching, {"minutes": 3}, "watch"),
])  # fmt: skip
def test_a_run_is_due_where_no_person_is_needed(told, later, why):
    state = told().state
    assert due(state, moment(state, **later)) == why


def test_an_approval_from_elsewhere_makes_a_waiting_run_due():
    told = story.waiting()
    assert due(told.state, moment(told.state, minutes=1)) == ""
    told.approved()
    assert due(told.state, moment(told.state, minutes=1)) == "open"


def test_a_watch_is_due_at_its_next_look_and_never_after_its_end():
    state = story.watching().state
    watch = next(iter(state.watches.values()))
    until = next_look(state)
    assert until > datetime.fromisoformat(watch.samples[-1][0])
    assert until <= datetime.fromisoformat(watch.opened.ends_at)
    assert (due(state, until - timedelta(milliseconds=1)), due(state, until)) == ("", "watch")


def renamed(told, product):
    told.product, told.run = product, f"r-{product}"
    return told


def working(folder, told=None):
    return Worker(lambda: Pilothouse(folder), (told if told is not None else []).append)


def test_a_product_whose_ledger_is_broken_keeps_no_other_from_going_on(tmp_path, monkeypatch):
    folder = project(
        tmp_path / "p", renamed(story.readied(lately()), "first"), renamed(story.readied(lately()), "second")
    )
    with closing(sqlite3.connect(folder / ".pilothouse" / "ledger.db")) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(
            "UPDATE events SET entry = replace(CAST(entry AS TEXT), 'first', 'other') WHERE chain = 'first'"
        )
    gone = []
    monkeypatch.setattr(
        Pilothouse, "advance", lambda _app, run: gone.append(run) or (_ for _ in ()).throw(KeyError("x"))
    )
    outcomes = {item.product: item for item in working(folder).round()}
    assert gone == ["r-second"]
    app = Pilothouse(folder)
    assert app.find("r-second").started.product == "acme"  # as the story has it; what counts is that it is found
    app.close()
    assert outcomes["first"].did == "failed"
    assert outcomes["first"].reason_code.startswith("ledger-") or outcomes["first"].reason_code == "impossible-history"
    assert (outcomes["second"].did, outcomes["second"].reason_code) == ("failed", "bug")
    assert worker.exit_code([*outcomes.values()]) >= EXIT_BUG


def test_a_configuration_that_is_broken_is_told_and_runs_go_on_all_the_same(tmp_path, monkeypatch):
    folder = project(tmp_path / "p", renamed(story.readied(lately()), "acme"))
    (folder / "pilothouse.yml").write_text("version: 1\nproduct: {}\n", encoding="utf-8")
    gone = []

    def advance(_app, run):
        gone.append(run)
        raise RequestRefused("product-busy", "another conductor is at work on acme: it is held")

    monkeypatch.setattr(Pilothouse, "advance", advance)
    outcomes = working(folder).round()
    assert gone == ["r-acme"]
    assert [(item.did, item.reason_code) for item in outcomes] == [("failed", "invalid-file"), ("busy", "product-busy")]
    assert worker.exit_code(outcomes) == 2


def test_another_conductor_at_work_is_no_failure(tmp_path):
    """A real lease, held by a living process on another machine: nobody takes it."""
    folder = project(tmp_path / "p", renamed(story.crashed(lately()), "acme"))
    app = Pilothouse(folder)
    now = app.clock.now().isoformat(timespec="microseconds")
    app.journal.acquire("acme", "elsewhere:1:0:room", now, 600)
    head = app.journal.head("acme")
    outcomes = [item for item in working(folder).round() if item.run]
    assert [(item.did, item.reason_code) for item in outcomes] == [("busy", "product-busy")]
    assert worker.exit_code(outcomes) == 0
    assert app.journal.head("acme") == head
    app.close()


def test_what_only_a_person_can_go_on_with_is_looked_at_once(tmp_path, monkeypatch):
    from pilothouse.engine.advance import Standing
    from pilothouse.model import Wait

    folder = project(tmp_path / "p", renamed(story.readied(lately()), "acme"))
    calls = []

    def advance(app, run):
        calls.append(run)
        return Standing(app.find(run), Wait("step-go", "somebody says go"))

    monkeypatch.setattr(Pilothouse, "advance", advance)
    own = working(folder)
    own.round()
    own.round()
    assert calls == ["r-acme"]


def test_a_worker_that_is_asked_to_stop_stops_between_two_rounds_and_leaves_nothing_held(tmp_path):
    folder = project(tmp_path / "p", renamed(story.waiting(lately()), "acme"))
    told = []
    own = working(folder, told)
    own.tell = lambda outcome: told.append(outcome) or own.stop()
    own.stopping = True
    assert own.run(600) == 0
    assert told == []


def test_a_slow_product_keeps_no_other_waiting_and_is_waited_for_at_the_end(tmp_path, monkeypatch):
    from pilothouse.engine.advance import Standing

    folder = project(
        tmp_path / "p", renamed(story.readied(lately()), "slow"), renamed(story.readied(lately()), "quick")
    )
    calls, often, released, over = [], threading.Event(), threading.Event(), []

    def advance(app, run):
        calls.append(run)
        if run == "r-slow":
            released.wait(60)
            over.append(run)
        elif calls.count("r-quick") == 3:
            often.set()
        return Standing(app.find(run))

    monkeypatch.setattr(Pilothouse, "advance", advance)
    own = working(folder)
    thread = threading.Thread(target=own.run, args=(0.01,))
    thread.start()
    try:
        assert often.wait(30)
        assert (calls.count("r-slow"), over) == (1, [])
        own.stop()
        thread.join(0.5)
        assert thread.is_alive()  # what is under way is waited for
    finally:
        own.stop()
        released.set()
        thread.join(30)
    assert not thread.is_alive()
    assert over == ["r-slow"]


def test_an_outcome_is_one_flat_line_of_json():
    line = Outcome("acme", "r-1", "advanced", "watch", "running").as_json()
    assert line["did"] == "advanced"
    assert line["message"] is None
    assert all(value is None or isinstance(value, str) for value in line.values())
