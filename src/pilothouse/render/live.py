"""Progress: a timeline that lives on a terminal, and appended lines everywhere else. Fed by the facade's ``listen``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from pilothouse.events import Event, Sampled
from pilothouse.guard.state import RunState
from pilothouse.render.course import Times
from pilothouse.render.drawing import draw, draw_headline, draw_row, draw_to_come
from pilothouse.render.rows import Mark, Timeline, ticked
from pilothouse.render.screen import BLANK, Screen, Tone
from pilothouse.render.timeline import timeline

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
ASCII_FRAMES = "|/-\\"
REFRESH = 6  # frames a second
LOUD = {Mark.WAITING, Mark.FAILED}  # rows that are said again where they say something else
QUIET_SECONDS = 60.0  # at most one line of a watch in this time, where lines are only appended


def local_now() -> datetime:
    """The present in the machine's time zone, in which times of day are shown."""
    return datetime.now(UTC).astimezone()


class Progress(Protocol):
    """What follows a run on a screen."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def begin(self, state: RunState, history: Iterable[Event]) -> None:
        """What happened before this screen came to it."""

    def __call__(self, event: Event, state: RunState) -> None:
        """One more event."""

    def end(self, state: RunState) -> None:
        """The run waits, rests or is over: its last picture."""


class Silent:
    """No progress at all (``--quiet``)."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def begin(self, state: RunState, history: Iterable[Event]) -> None:
        """Nothing is shown."""

    def __call__(self, event: Event, state: RunState) -> None:
        """Nothing is shown."""

    def end(self, state: RunState) -> None:
        """Nothing is shown."""


class _Following:
    """What both kinds of progress know: the run's times, kept whole even where others append to it, too."""

    def __init__(
        self, screen: Screen, history: Callable[[RunState], Iterable[Event]], *, verbose: bool = False
    ) -> None:
        self.screen = screen
        self.verbose = verbose
        self._history = history
        self._times = Times()
        self._seq = 0
        self._left: frozenset[str] = frozenset()  # phases that the last picture of this screen showed as finished
        self._above: frozenset[str] = frozenset()  # those of them that stand above the present picture

    def __enter__(self) -> Self:
        return self

    def _take(self, event: Event, state: RunState) -> Timeline:
        # An approval is appended by whoever gives it, not by the engine that this listens to: read again after a gap.
        if self._seq and event.seq > self._seq + 1 and (whole := tuple(self._history(state))):
            self._times = Times.of(item for item in whole if item.seq <= event.seq)
        else:
            self._times.add(event)
        self._seq = event.seq
        return self._since(timeline(state, self._times, local_now()))

    def _since(self, told: Timeline) -> Timeline:
        """Without the rows that an earlier picture on this screen has left standing above."""
        return replace(told, rows=tuple(row for row in told.rows if row.phase not in self._above))

    def _begin(self, state: RunState, history: Iterable[Event]) -> Timeline:
        self._above |= self._left
        self._times = Times.of(history)
        self._seq = state.head_seq
        return self._since(timeline(state, self._times, local_now()))

    def _last(self, state: RunState) -> Timeline:
        whole = tuple(self._history(state))  # none of a rehearsal, whose journal nobody keeps
        self._times = Times.of(whole) if whole else self._times
        told = self._since(timeline(state, self._times, local_now()))
        self._left = frozenset(row.phase for row in told.rows if row.mark in {Mark.DONE, Mark.BACK})
        return told


class Plain(_Following):
    """A line for each phase that is finished: for logs, CI and dumb terminals."""

    def __init__(
        self, screen: Screen, history: Callable[[RunState], Iterable[Event]], *, verbose: bool = False
    ) -> None:
        super().__init__(screen, history, verbose=verbose)
        self._shown: set[tuple[str, str, bool, tuple[str, ...]]] = set()
        self._headed = False
        self._sampled = time.monotonic()

    def __exit__(self, *_: object) -> None:
        return

    def begin(self, state: RunState, history: Iterable[Event]) -> None:
        """What is finished already, at once."""
        self._show(self._begin(state, history))

    def __call__(self, event: Event, state: RunState) -> None:
        """A line where a phase was finished; a line of the watch now and then."""
        told = self._take(event, state)
        self._show(told)
        if isinstance(event.fact, Sampled) and time.monotonic() - self._sampled >= QUIET_SECONDS:
            self._sampled = time.monotonic()
            running = [row for row in told.rows if row.mark is Mark.RUNNING]
            self.screen.write(part for row in running for part in draw_row(row, self.screen.width, spinner="…"))

    def end(self, state: RunState) -> None:
        """The rows that stand otherwise now, and what is to come."""
        told = self._last(state)
        self._show(told, last=True)
        self.screen.write(draw_to_come(told.to_come, self.screen.width))

    def _show(self, told: Timeline, *, last: bool = False) -> None:
        if not self._headed:
            self._headed = True
            self.screen.write([*draw_headline(told, self.screen.width), BLANK])
        for row in told.rows:
            settled = row.mark in {Mark.DONE, Mark.BACK, Mark.FAILED} or (last and row.mark is not Mark.TO_COME)
            # The same phase is said again only where it says something else: why it halted, or that it asks once more.
            key = (row.phase, str(row.mark), bool(row.details), row.pieces[:2] if row.mark in LOUD else ())
            if settled and key not in self._shown:
                self._shown.add(key)
                self.screen.write(draw_row(row, self.screen.width, verbose=self.verbose, spinner="…"))


class OnTerminal(_Following):
    """The timeline drawn in place, without flicker; the running row and the watch go on between the events."""

    def __init__(
        self, screen: Screen, history: Callable[[RunState], Iterable[Event]], *, verbose: bool = False
    ) -> None:
        super().__init__(screen, history, verbose=verbose)
        self._told: Timeline | None = None
        self._at = local_now()
        self._live: Live | None = None
        self._still = False

    def __enter__(self) -> Self:
        self._still = False
        from rich.console import Console
        from rich.live import Live

        console = Console(
            file=self.screen.stream, width=self.screen.width, highlight=False, soft_wrap=False, force_terminal=True,
            color_system="standard", no_color=not self.screen.colour, legacy_windows=False,
        )  # fmt: skip
        self._live = Live(
            console=console, get_renderable=self._picture, refresh_per_second=REFRESH, vertical_overflow="visible",
        )  # fmt: skip
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def begin(self, state: RunState, history: Iterable[Event]) -> None:
        """The timeline so far."""
        self._put(self._begin(state, history))

    def __call__(self, event: Event, state: RunState) -> None:
        """The timeline after one more event."""
        self._put(self._take(event, state))

    def end(self, state: RunState) -> None:
        """The last picture, which stays."""
        self._still = True
        self._put(self._last(state))

    def _put(self, told: Timeline) -> None:
        # The thread that draws only ever sees this finished, frozen picture, never the state that the engine changes.
        self._at = local_now()
        self._told = told
        if self._live is not None:
            self._live.refresh()

    def _picture(self) -> RenderableType:
        from rich.text import Text

        if self._told is None:
            return Text("")
        now = local_now()
        told = self._told if self._still else ticked(self._told, self._at, now)
        frames = FRAMES if self.screen.encodable(FRAMES) == FRAMES else ASCII_FRAMES
        spinner = frames[int(now.timestamp() * REFRESH) % len(frames)]
        text = Text(no_wrap=True, overflow="ellipsis")
        lines = draw(told, self.screen.width, verbose=self.verbose, spinner=spinner, headed=not self._above)
        for number, spans in enumerate(lines):
            text.append("\n" if number else "")
            for span in spans:
                text.append(self.screen.encodable(span.text), style=_STYLES[span.tone])
        return text


_STYLES = {
    Tone.PLAIN: "", Tone.STRONG: "bold", Tone.DIM: "dim", Tone.GOOD: "green", Tone.BAD: "bold red",
    Tone.WAIT: "bold yellow", Tone.BACK: "magenta", Tone.BUSY: "cyan",
}  # fmt: skip


def progress_on(
    screen: Screen, history: Callable[[RunState], Iterable[Event]], *, verbose: bool = False
) -> Plain | OnTerminal:
    """The progress that suits a screen."""
    return (OnTerminal if screen.live else Plain)(screen, history, verbose=verbose)


__all__ = ["OnTerminal", "Plain", "Progress", "Silent", "local_now", "progress_on"]
