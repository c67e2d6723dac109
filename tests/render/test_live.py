"""Progress: appended lines in a log, a picture drawn in place on a terminal; both end with the same last word."""

from __future__ import annotations

import io
from collections.abc import Iterable

from pilothouse.events import Event
from pilothouse.guard.fold import step_on
from pilothouse.guard.state import RunState
from pilothouse.render.live import OnTerminal, Plain, progress_on
from pilothouse.render.screen import Screen
from render import story
from render.story import Story


class Terminal(io.StringIO):
    """A terminal as far as a stream can tell."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def followed(made: Story, progress: Plain | OnTerminal, skip: int = 0) -> str:
    """Feed a progress with a story's events, as the facade does; the first ``skip`` come before it looks."""
    state: RunState | None = None
    for event in made.events[:skip]:
        state = step_on(state, event)
    with progress:
        if state is not None:
            progress.begin(state, made.events[:skip])
        for event in made.events[skip:]:
            state = step_on(state, event)
            progress(event, state)
        assert state is not None
        progress.end(state)
    stream = progress.screen.stream
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def history(made: Story) -> Iterable[Event]:
    return tuple(made.events)


def test_a_log_gets_each_finished_phase_once_and_in_order() -> None:
    made = story.done()
    text = followed(made, Plain(Screen(io.StringIO(), 100), lambda _: history(made)))
    marks = [line for line in text.splitlines() if line.startswith(" ✔ ")]
    titles = (
        "Readiness",
        "Regression",
        "Version",
        "Release",
        "Staging",
        "Staging",
        "Go",
        "Production",
        "Watch",
        "Fin",
        "Ann",
    )
    assert [line[3:].startswith(title) for line, title in zip(marks, titles, strict=True)] == [True] * len(titles)
    assert "\x1b" not in text


def test_a_log_tells_the_failed_phase_before_the_way_back() -> None:
    made = story.rolled_back()
    text = followed(made, Plain(Screen(io.StringIO(), 100), lambda _: history(made)))
    assert text.index("✘ Watch") < text.index("↩ Rollback")


def test_a_log_taken_up_in_the_middle_begins_with_what_is_finished() -> None:
    made = story.done()
    text = followed(made, Plain(Screen(io.StringIO(), 100), lambda _: history(made)), skip=8)
    assert text.count("Readiness") == 1
    assert text.count("Announce") == 1


def test_the_last_picture_on_a_terminal_is_the_whole_timeline() -> None:
    made = story.waiting()
    text = followed(made, OnTerminal(Screen(Terminal(), 100, colour=True, live=True), lambda _: history(made)))
    last = text.rsplit("1.3.0", 1)[1]
    assert "Go to production?" in last
    assert "Announce" in last


def test_going_on_below_a_picture_does_not_draw_finished_rows_again() -> None:
    made = story.done()
    cut = next(i for i, event in enumerate(made.events) if event.kind == "CheckpointOpened") + 1
    screen = Screen(io.StringIO(), 100)
    progress = Plain(screen, lambda _: history(made))
    first = Story(events=made.events[:cut])
    with progress:
        progress.begin(first.state, first.events)
        progress.end(first.state)
    text = followed(made, progress, skip=cut)
    assert text.count("✔ Regression") == 1
    assert text.count("Production  ") >= 1


def test_what_a_screen_can_do_decides_which_progress_it_gets() -> None:
    assert isinstance(progress_on(Screen(Terminal(), live=True), lambda _: ()), OnTerminal)
    assert isinstance(progress_on(Screen(io.StringIO()), lambda _: ()), Plain)
