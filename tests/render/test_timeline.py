"""The timeline says what happened, what is happening, and what is wanted; it fits and it lies to nobody."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from pilothouse.events import Started
from pilothouse.render.drawing import boxed, draw
from pilothouse.render.report import ending
from pilothouse.render.rows import Mark, Timeline, ticked
from pilothouse.render.screen import Line, Screen, columns, flat
from pilothouse.render.timeline import timeline
from render import story
from render.story import Story

TELLINGS: tuple[Callable[[], Story], ...] = (
    story.refused, story.readied, story.waiting, story.watching, story.done, story.rolled_back, story.crashed,
    story.deploy_failed_on_staging, story.held, story.hostile, story.suite_red, story.command_failed, story.staged_only,
)  # fmt: skip


def told(made: Story) -> Timeline:
    return timeline(made.state, made.times, made.now)


def drawn(made: Story, width: int = 80) -> str:
    return "\n".join(flat(line) for line in draw(told(made), width))


def everything(made: Story, width: int) -> list[Line]:
    lines = [*draw(told(made), width), *draw(told(made), width, verbose=True)]
    return [*lines, *ending(made.state, made.times, width)]


def marks(made: Story) -> dict[str, Mark]:
    return {row.title: row.mark for row in told(made).rows}


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("telling", TELLINGS, ids=lambda telling: telling.__name__)
def test_no_line_is_wider_than_the_screen(telling: Callable[[], Story], width: int) -> None:
    wide = [flat(line) for line in everything(telling(), width) if columns(flat(line)) > width]
    # A command is copied from the screen, so it is never broken; nothing else may stick out.
    assert [line for line in wide if "pilothouse " not in line and width >= 80] == []


def test_a_waiting_run_shows_what_is_done_who_is_awaited_and_what_is_to_come() -> None:
    text = drawn(story.waiting())
    assert "acme 1.3.0 → 1.4.0" in text
    assert "✔ Regression        QA Engineer      e2e 42/42 · smoke 7/7" in text
    assert "◆ Go to production? Approver" in text
    assert "○ Production · ○ Watch · ○ Finalise · ○ Announce" in text
    assert "Rollback" not in text


def test_a_wide_screen_shows_more_pieces_and_no_others() -> None:
    narrow, wide = drawn(story.waiting(), 80), drawn(story.waiting(), 120)
    assert "CI 6/6 green" in wide
    assert "changelog ok" in wide
    assert "changelog ok" not in narrow


def test_a_refusal_lists_every_blocker_with_its_evidence_and_what_to_do() -> None:
    text = drawn(story.refused(), 100)
    assert "✘ Readiness" in text
    assert "refused: ci-red" in text
    assert "web-test (failure) (evidence e-002" in text
    assert "#240 Prices are wrong (evidence e-003" in text
    assert f"pilothouse resume {story.RUN}" in text
    assert "pilothouse ship acme, once a mended commit is on main" in text
    assert "pilothouse explain ci-red" in text


def test_the_end_of_a_failed_suites_log_stands_under_the_refusal_bounded_and_escaped() -> None:
    """REL-2."""
    text = drawn(story.suite_red())
    assert "│ … 31 lines before these" in text
    assert "│ line 40" in text
    assert "│ line 32" in text
    assert "│ line 31\n" not in text
    assert "│ AssertionError: <U+001B>[2Jfive is not six" in text
    assert f"Log      pilothouse audit show {story.RUN} --evidence e-002" in text


def test_what_a_failed_command_wrote_stands_under_the_refusal() -> None:
    """REL-2."""
    text = drawn(story.command_failed())
    assert "│ pushing layer 1\n   │ pushing layer 2\n   │ disk quota exceeded" in text
    assert f"Log      pilothouse audit show {story.RUN} --evidence staging-deploy" in text


def test_what_follows_a_label_stands_under_itself() -> None:
    lines = drawn(story.refused()).split("\n")
    first = next(number for number, line in enumerate(lines) if line.startswith("   Anew     "))
    assert lines[first + 1].startswith(" " * 12)
    assert lines[first + 1][12] != " "


def test_a_rollback_is_its_own_rows_after_the_phase_that_failed() -> None:
    assert list(marks(story.rolled_back()).items())[-3:] == [
        ("Watch", Mark.FAILED), ("Rollback", Mark.BACK), ("Aftermath", Mark.BACK),
    ]  # fmt: skip
    assert "worse: error rate 4.10 %" in drawn(story.rolled_back())


def test_the_time_a_person_takes_is_nobodys_work() -> None:
    rows = {row.title: row for row in told(story.watching()).rows}
    assert rows["Production"].seconds == pytest.approx(8.1)  # four minutes of waiting came before it


def test_an_open_act_is_said_in_words_while_it_runs() -> None:
    made = story.crashed()
    assert marks(made)["Production"] is Mark.RUNNING
    assert "deploy 1.4.0" in drawn(made, 120)


def test_a_running_row_goes_on_with_the_time_and_nothing_else_does() -> None:
    made = story.watching()
    now = made.now
    later = ticked(told(made), now, now + timedelta(minutes=10))
    before = told(made)
    assert later.rows[:-1] == before.rows[:-1]
    assert "1 of 30 min" in before.rows[-1].pieces
    assert "11 of 30 min" in later.rows[-1].pieces


def test_a_hold_says_why_and_how_it_is_lifted() -> None:
    text = drawn(story.held(), 100)
    assert "◆ Staging sign-off" in text
    assert "two smoke tests are flaky (evidence e-013)" in text
    assert "--lift-hold staging-signoff" in text


def test_times_of_day_are_those_of_the_viewer() -> None:
    made = story.waiting()
    berlin = timezone(timedelta(hours=1))
    pieces = timeline(made.state, made.times, made.now.astimezone(berlin)).rows[-1].pieces
    assert pieces[:1] + pieces[-1:] == ("waiting for 1 of ceo", "since 10:40")


def test_what_strangers_wrote_cannot_move_the_cursor_or_turn_the_text() -> None:
    made = story.hostile()
    text = "\n".join(flat(line) for line in everything(made, 120))
    assert not {"\x1b", "\u202e", "\u200b"} & set(text)
    assert "<U+202E>" in text


def test_a_poor_encoding_gets_ascii_and_still_reads() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Screen(stream, 80).write(draw(told(story.waiting()), 80))
    stream.seek(0)
    text = stream.read()
    assert "+ Regression" in text
    assert "acme 1.3.0 -> 1.4.0" in text


def test_colours_only_where_they_are_wanted() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert Screen.on(Terminal(), {"TERM": "xterm"}).colour
    assert not Screen.on(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}).colour
    assert not Screen.on(Terminal(), {"TERM": "dumb"}).colour
    assert not Screen.on(io.StringIO(), {"TERM": "xterm"}).colour
    assert not Screen.on(Terminal(), {"TERM": "xterm", "CI": "true"}).live


def test_a_card_is_wrapped_in_its_frame_and_never_cut() -> None:
    card = "For users     " + "word " * 40 + "end\n"
    lines = [flat(line) for line in boxed("Go?", card, 80)]
    assert {columns(line) for line in lines} == {80}
    assert sum(line.count("word") for line in lines) == 40
    assert "end" in "".join(lines)


def test_the_timeline_of_a_moment_is_always_the_same() -> None:
    made = story.done()
    at = datetime.fromisoformat("2026-11-22T00:00:00+00:00")
    assert timeline(made.state, made.times, at) == timeline(made.state, made.times, at)


def test_a_phase_that_looks_once_more_before_it_asks_is_still_the_approvers() -> None:
    made = story.waiting()
    first = made.events[0]
    assert isinstance(first.fact, Started)
    rows = list(first.fact.outline)
    at = next(number for number, row in enumerate(rows) if row["id"] == "go")
    rows.insert(at, {**rows[at], "id": "live-now", "kind": "observe"})
    made.events[0] = replace(first, fact=replace(first.fact, outline=tuple(rows)))
    made.observed("live-now", {"version": "1.3.0"}, "production answers 1.3.0", 1.0)
    row = next(item for item in told(made).rows if item.phase == "go")
    assert (row.agent, row.mark, row.seconds) == ("Approver", Mark.WAITING, None)
