"""Slots of schedules and events: which one is due, and that each is started once (INT-2)."""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.sample import lately, project
from pilothouse import config, scheduling, starting
from pilothouse.app import Pilothouse
from pilothouse.engine.world import iso
from pilothouse.errors import InvalidFile, RequestRefused
from pilothouse.events import Branched
from pilothouse.guard.fold import fold
from pilothouse.model import Person
from pilothouse.settings import Configuration, Policy, Schedule, Trigger
from pilothouse.workspace import Request
from render import story
from story import SHA, chained, started

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BERLIN = Schedule("acme", "release", "0 9 * * *", "Europe/Berlin", 3600)
AFTER_SPRINT = Trigger("acme", "release", "milestone-closed", "acme", "Sprint *", "", 86400)
AFTER_API = Trigger("web", "release", "phase-reached", "api", "", "released", 86400)


def prepared_run(run, app, inputs, *, to_sha=SHA, gives_way=None):
    """A run about to start, as ``starting`` prepares it in a repository; no policy holds it."""
    known = {"run": run, "at": iso(app.clock.now()), "started": started(inputs=inputs, to_sha=to_sha)}
    names = [item.name for item in fields(starting.Prepared)]
    return starting.Prepared(**dict.fromkeys(names) | known | {"gives_way": gives_way})


def at(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def due(*triggers, product="acme", schedules=(), now=NOON, closed=(), runs=None):
    configuration = Configuration({}, "release", Policy(), "", "", {}, (), tuple(schedules), triggers)
    found = scheduling.due(
        configuration, product, now, closed=lambda: closed, runs=lambda name: (runs or {}).get(name, [])
    )
    return [slot.id for slot in found]


@pytest.mark.parametrize(("now", "slot"), [
    ("2026-11-21T08:00:00+00:00", "cron:release:2026-11-21T08:00Z"),
    ("2026-11-21T08:00:59+00:00", "cron:release:2026-11-21T08:00Z"),
    ("2026-11-21T09:00:00+00:00", "cron:release:2026-11-21T08:00Z"),
    ("2026-11-21T07:59:59+00:00", None), ("2026-11-21T09:00:01+00:00", None),
    ("2026-07-21T07:10:00+00:00", "cron:release:2026-07-21T07:00Z"),  # summer time: nine is seven in UTC
])  # fmt: skip
def test_a_slot_is_due_from_its_minute_until_it_is_too_late_to_make_up_for(now, slot):
    found = scheduling.scheduled(BERLIN, at(now))
    assert (found.id if found else None) == slot


def test_of_several_missed_slots_only_the_latest_is_made_up_for():
    hourly = Schedule("acme", "release", "0 * * * *", "UTC", 12 * 3600)
    assert due(schedules=[hourly], now=NOON + timedelta(minutes=59)) == ["cron:release:2026-11-21T12:00Z"]


@pytest.mark.parametrize(("cron", "now", "local"), [
    ("30 2 * * *", "2026-03-29T01:05:00+00:00", "2026-03-29 03:00"),  # the half hour that summer time leaves out
    ("30 2 * * *", "2026-10-25T00:35:00+00:00", "2026-10-25 02:30"),
    ("30 2 * * *", "2026-10-25T01:35:00+00:00", "2026-10-25 02:30"),  # the same wall clock again: the same slot
])  # fmt: skip
def test_a_day_has_one_slot_on_the_days_when_clocks_change(cron, now, local):
    found = scheduling.scheduled(Schedule("acme", "release", cron, "Europe/Berlin", 2 * 3600), at(now))
    assert found.at.astimezone(ZoneInfo("Europe/Berlin")).strftime("%Y-%m-%d %H:%M") == local
    if local.startswith("2026-10-25"):
        assert found.id == "cron:release:2026-10-25T00:30Z"


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),  # noqa: DTZ001
    st.sampled_from(["*/7 * * * *", "0 9 * * 1-5", "30 2 * * *", "15 3 1 * *", "0 0 * * 0"]),
    st.sampled_from(ZONES),
)
def test_the_latest_slot_is_never_in_the_future_and_no_slot_lies_between(now, cron, zone):
    from cronsim import CronSim

    found = scheduling.scheduled(Schedule("acme", "release", cron, zone, 40 * 86400), now)
    assert found is not None
    assert found.at <= now
    after = next(item for item in CronSim(cron, found.at.astimezone(ZoneInfo(zone))) if item.astimezone(UTC) > found.at)
    assert after.astimezone(UTC) > now


def test_a_milestone_that_was_closed_is_a_slot_whatever_its_case_and_the_last_one_counts():
    closed = [
        (3, "Sprint 3", "2026-11-20T18:00:00Z"), (4, "sprint 4", "2026-11-21T09:00:00Z"),
        (9, "Backlog", "2026-11-21T11:00:00Z"),
    ]  # fmt: skip
    assert due(AFTER_SPRINT, closed=closed) == ["event:release:milestone:4"]
    assert due(AFTER_SPRINT, closed=closed[2:]) == []
    assert due(AFTER_SPRINT, closed=[(1, "Sprint 1", "2026-11-19T11:00:00Z")]) == []  # too long ago


def test_another_product_that_was_released_is_a_slot_of_that_run():
    shipped = story.done().state
    now = datetime.fromisoformat(shipped.last_at) + timedelta(minutes=1)
    assert due(AFTER_API, product="web", now=now, runs={"api": [shipped]}) == [
        f"event:release:phase:{shipped.run}:released"
    ]
    for other in (story.waiting(), story.rolled_back(), story.refused()):
        assert due(AFTER_API, product="web", now=now, runs={"api": [other.state]}) == []
    assert due(AFTER_API, product="web", now=now + timedelta(days=2), runs={"api": [shipped]}) == []


def test_a_phase_that_a_run_reached_and_that_is_taken_back_starts_nothing_and_work_by_hand_takes_nothing_back():
    after = replace(AFTER_API, phase="production")
    watching, back, by_hand = story.watching(), story.watching(), story.watching()
    back.tell(Branched("rollback", "watch", "high", "watch-worse", "worse", returns=False))
    by_hand.tell(Branched("merge-by-hand", "merge", "high", "x", "x", returns=True))

    def slots(told):
        now = datetime.fromisoformat(told.state.last_at) + timedelta(minutes=1)
        return len(due(after, product="web", now=now, runs={"api": [told.state]}))

    assert [slots(told) for told in (watching, back, story.rolled_back(), by_hand)] == [1, 0, 0, 1]


def test_a_slot_that_a_run_has_taken_is_not_due_again_however_that_run_ended():
    taken = fold(chained(started(inputs={"slot": "cron:release:2026-11-21T12:00Z"})))
    noon = Schedule("acme", "release", "0 12 * * *", "UTC", 3600)
    assert due(schedules=[noon]) == ["cron:release:2026-11-21T12:00Z"]
    assert due(schedules=[noon], runs={"acme": [taken]}) == []


def test_many_workers_at_once_start_a_slot_once(tmp_path, monkeypatch):
    """Each has its own connection to one ledger; the compare-and-swap on the chain's head decides."""
    folder = project(tmp_path / "p")
    slot = {"slot": "cron:release:2026-11-21T12:00Z", "slot_cause": "x"}
    ready = threading.Barrier(6)

    def prepared(app, _request, _who):
        ready.wait(10)  # all have seen a product that is free before any of them appends
        return prepared_run(f"r-{threading.get_ident()}", app, slot)

    monkeypatch.setattr(starting, "_prepare", prepared)
    outcomes = []

    def work():
        app = Pilothouse(folder)
        try:
            outcomes.append(starting.start(app, Request("acme", inputs=slot), Person("cron", "worker", "schedule")))
        except RequestRefused as refused:
            outcomes.append(refused.reason_code)
        finally:
            app.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    app = Pilothouse(folder)
    assert len(app.runs("acme")) == 1
    assert len(outcomes) == 6
    assert len([item for item in outcomes if item.startswith("r-")]) == 1
    assert {item for item in outcomes if not item.startswith("r-")} <= {"product-busy", "slot-taken"}
    app.close()


def test_a_slot_whose_run_rests_is_refused_even_where_a_new_commit_would_supersede_it(tmp_path, monkeypatch):
    told = story.refused(lately())
    first = told.events[0].fact
    taken = type(first)(**{name: getattr(first, name) for name in first.__slots__} | {"inputs": {"slot": "s-1"}})
    told.events[0] = type(told.events[0])(
        *(taken if name == "fact" else getattr(told.events[0], name) for name in told.events[0].__slots__)
    )
    folder = project(tmp_path / "p", told)
    app = Pilothouse(folder)

    def prepared(slot):
        return lambda *_: prepared_run("r-new", app, {"slot": slot}, to_sha="9" * 40, gives_way=app.runs("acme")[0])

    monkeypatch.setattr(starting, "_prepare", prepared("s-1"))
    with pytest.raises(RequestRefused) as refused:
        starting.start(app, Request("acme"), Person("cron", "worker", "schedule"))
    assert refused.value.reason_code == "slot-taken"
    monkeypatch.setattr(starting, "_prepare", prepared("s-2"))
    assert starting.start(app, Request("acme"), Person("cron", "worker", "schedule")) == "r-new"
    app.close()


# --- pilothouse.yml ---------------------------------------------------------------------------------------------------


def text_of(tmp_path, more):
    return (project(tmp_path / "p") / "pilothouse.yml").read_text(encoding="utf-8") + more


def test_schedules_and_events_are_read_with_the_workflow_of_the_file(tmp_path):
    made = config.parse(
        text_of(
            tmp_path,
            """\
schedules: [{product: acme, cron: "0 9 * * 1-5", time_zone: Europe/Berlin, catch_up: 2h}]
events: [{product: acme, on: milestone-closed, milestone: "Sprint *"}]
""",
        )
    )
    assert made.schedules == (Schedule("acme", "release", "0 9 * * 1-5", "Europe/Berlin", 7200),)
    assert made.triggers == (AFTER_SPRINT,)


@pytest.mark.parametrize(("line", "told"), [
    ('schedules: [{product: acme, cron: "0 9 * *", time_zone: UTC}]', "five fields"),
    ('schedules: [{product: acme, cron: "61 9 * * *", time_zone: UTC}]', "not a cron expression"),
    ('schedules: [{product: acme, cron: "0 0 30 2 *", time_zone: UTC}]', "30 2"),
    ('schedules: [{product: acme, cron: "0 9 * * *", time_zone: Mars/Olympus}]', "not a time zone"),
    ('schedules: [{product: acme, cron: "0 9 * * *", time_zone: ../../etc/passwd}]', "not a time zone"),
    ('schedules: [{product: acme, cron: "0 9 * * *"}]', "time_zone"),
    ('schedules: [{product: other, cron: "0 9 * * *", time_zone: UTC}]', "no product 'other'"),
    ('schedules: [{product: acme, workflow: rollback, cron: "0 9 * * *", time_zone: UTC}]', "rollback"),
    ("events: [{product: acme, on: phase-reached, of: acme, phase: released}]", "start itself"),
    ("events: [{product: acme, on: phase-reached, of: other, phase: released}]", "no product 'other'"),
    ("events: [{product: acme, on: full-moon}]", "milestone-closed"),
])  # fmt: skip
def test_what_could_never_start_is_refused_by_name(tmp_path, line, told):
    with pytest.raises(InvalidFile) as refused:
        config.parse(text_of(tmp_path, line + "\n"))
    assert told in str(refused.value) + refused.value.hint
