"""Runs that this chat follows: what happens to them becomes lines, from the ledger, while a person types."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilothouse.chat.answers import said_at_rest as at_rest
from pilothouse.chat.answers import sentences, told
from pilothouse.errors import PilothouseError
from pilothouse.guard.fold import fold
from pilothouse.render.course import open_checkpoint, state_name
from pilothouse.render.live import Plain
from pilothouse.render.screen import BLANK, Line, Screen, Tone, line

if TYPE_CHECKING:
    from pilothouse.app import Pilothouse
    from pilothouse.conductors import Conductors
    from pilothouse.events import Event
    from pilothouse.guard.state import RunState

_EVERY = 0.3  # seconds between two looks at the ledger
_PATIENCE = 5  # looks at a run at which nobody is at work, before that is said
_AGAIN = 1  # times that a conductor is set going again by itself, where the one before was just ending


class _Gathering(Screen):
    """A screen that keeps the lines: whoever owns the terminal writes them when it suits the person who types."""

    lines: list[Line]

    def write(self, lines: Iterable[Line]) -> None:
        """Keep them."""
        self.lines.extend(lines)


def _gathering(width: int) -> _Gathering:
    from io import StringIO

    made = _Gathering(StringIO(), width)
    object.__setattr__(made, "lines", [])
    return made


@dataclass(slots=True)
class _Followed:
    run: str
    screen: _Gathering
    progress: Plain
    begun: bool = False
    head: int = -1
    seen: int = 0
    unattended: int = 0
    again: int = 0
    state: RunState | None = None
    rested: tuple[str, str, int, int] | None = None


@dataclass(slots=True)
class Watching:
    """The runs that one chat follows.

    Args:
        app: the facade of the chat. It is the only one of this process: SQLite's locks are the process's, and a second
            connection that is opened or closed would give up those of the first.
        conductors: those who are at work.
        width: of the terminal, now.
    """

    app: Pilothouse
    conductors: Conductors
    width: Callable[[], int]
    lines: deque[Line] = field(default_factory=deque)
    _runs: dict[str, _Followed] = field(default_factory=dict)
    _one: threading.RLock = field(default_factory=threading.RLock)  # held while a run is looked at
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def follow(self, run: str, *, ours: bool) -> None:
        """Tell of a run from now on, until it is over.

        Args:
            ours: this chat has set it going, and may once more where that came too early; else it is looked at only.
        """
        with self._one:
            known = self._runs.get(run)
            if known is not None:
                known.unattended, known.again = 0, 0 if ours else _AGAIN
                known.state = known.rested = None  # where it stood before somebody set it going counts no more
                return
            screen = _gathering(self.width())
            self._runs[run] = _Followed(run, screen, Plain(screen, self._history), again=0 if ours else _AGAIN)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name="chat-watch")
                self._thread.start()

    def drain(self) -> list[Line]:
        """What there is to be said by now; each line once."""
        found: list[Line] = []
        while self.lines:
            found.append(self.lines.popleft())
        return found

    @property
    def busy(self) -> bool:
        """Whether a run that is followed has not come to rest."""
        with self._one:
            return any(known.rested is None and known.unattended < _PATIENCE for known in self._runs.values())

    def close(self) -> None:
        """Look no more; the runs go on."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(5)

    # --- in its own thread --------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._ended.wait(_EVERY):
            with self._one:
                followed = list(self._runs.values())
            for known in followed:
                with self._one:
                    self._look(self.app, known)

    def _look(self, app: Pilothouse, known: _Followed) -> None:
        try:
            state = known.state or app.find(known.run)
            head = app.journal.head(state.started.product).seq
            if head != known.head:
                state = known.state = self._tell(app, known, state)
                known.head = head
            self._rest(app, known, state)
        except PilothouseError as error:
            self.lines.extend(told(f"{known.run} cannot be looked at: {error.message}", self.width(), Tone.BAD))
            self._forget(known)
        self.lines.extend(known.screen.lines)
        known.screen.lines.clear()

    def _tell(self, app: Pilothouse, known: _Followed, state: RunState) -> RunState:
        events = [event for event in app.journal.read(state.started.product) if event.run == known.run]
        state = fold(events)
        if not known.begun:
            known.begun = True
            known.progress.begin(state, events)
        else:
            for event in events:
                if event.seq > known.seen:
                    known.progress(event, state)
        known.seen = events[-1].seq
        return state

    def _rest(self, app: Pilothouse, known: _Followed, state: RunState) -> None:
        name = state_name(state)
        if name == "running":
            known.rested = None
            self._attended(app, known, state)
            return
        key = (name, open_checkpoint(state), state.resumed_seq, state.void_seq)
        if known.rested == key:
            return
        width = self.width()
        known.progress.end(state)
        known.screen.write([*at_rest(app, state, width), *self._what_now(state), BLANK])
        known.rested = key
        if state.over:
            self._forget(known)

    def _what_now(self, state: RunState) -> list[Line]:
        if state_name(state) == "waiting" and open_checkpoint(state):
            way = line("      ", ("◆", Tone.WAIT), " Only you can approve: ", ("/approve", Tone.STRONG),
                       f"      To say no: /reject {state.run} …")  # fmt: skip
            return [way]
        return []

    def _attended(self, app: Pilothouse, known: _Followed, state: RunState) -> None:
        """See to it that somebody is at work on a run that is under way; where nobody is, say so once."""
        if self.conductors.at_work(app, state):
            known.unattended = 0
            return
        known.unattended += 1
        if known.unattended == _PATIENCE and known.again < _AGAIN:
            # The conductor before was just ending when this run was set going again.
            known.again, known.unattended = known.again + 1, 0
            self.conductors.set_going(known.run)
        elif known.unattended == _PATIENCE:
            trouble = self.conductors.trouble(known.run)
            why = f"{trouble.reason_code}: {trouble.message}" if trouble else "it was stopped or killed"
            said = sentences(f"Nobody is at work on {known.run} ({why})", f"Go on with it: /resume {known.run}")
            known.screen.write(told(said, self.width(), Tone.WAIT))

    def _forget(self, known: _Followed) -> None:
        with self._one:
            self._runs.pop(known.run, None)

    def _history(self, state: RunState) -> tuple[Event, ...]:
        return tuple(event for event in self.app.journal.read(state.started.product) if event.run == state.run)
