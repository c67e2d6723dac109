"""chat: the terminal of a chat. It reads lines, writes answers and progress, and asks a person for the word."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from pilothouse.app import os_user
from pilothouse.chat import orders
from pilothouse.chat.answers import told
from pilothouse.chat.completion import offered
from pilothouse.chat.keeping import History
from pilothouse.chat.session import Heard, Session
from pilothouse.chat.wants import Approve, Clear, Confirm, Quit
from pilothouse.cli import deciding
from pilothouse.cli.following import on_terminal
from pilothouse.cli.surface import Surface
from pilothouse.errors import EXIT_DONE, EXIT_REFUSED, PilothouseError, UsageError
from pilothouse.redaction import redactor
from pilothouse.render.course import needed, open_checkpoint, outline
from pilothouse.render.drawing import boxed
from pilothouse.render.live import local_now
from pilothouse.render.screen import BLANK, Line, Tone, line
from pilothouse.views import exit_code

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from pilothouse.chat.orders import Order
    from pilothouse.chat.wants import Want

PROMPT = "you   "
_LOOK = 0.2  # seconds between two looks for progress while a person types
_YES = ("y", "yes")


def chat(surface: Surface) -> int:
    """Talk until the person leaves; or, where standard input is no terminal, answer its lines.

    Returns:
        0 for a person who leaves. Of a pipe: where the run that it set going stands, else what its last failure was.

    Raises:
        UsageError: ``usage``: with ``--json``; ``no-project``.
    """
    if surface.json:
        raise UsageError("usage", "a chat has no one answer in JSON", "ask for one thing: pilothouse status --json")
    folder = surface.folder()
    session = Session(folder, dict(os.environ), lambda: surface.out().width, lambda lines: surface.out().write(lines))
    try:
        return _Terminal(surface, session).talk() if on_terminal() else _answered(surface, session)
    finally:
        session.close()


# --- through a pipe -------------------------------------------------------------------------------------------------


def _answered(surface: Surface, session: Session) -> int:
    """Answer each line, then wait until what was set going needs a person; nothing here can approve or confirm."""
    code = EXIT_DONE
    out = surface.out()
    for text in sys.stdin:
        heard = session.hear(text)
        more, refused = _not_through_a_pipe(surface, session, heard.want)
        out.write([*heard.lines, *more, *session.watching.drain()])
        code = heard.code or refused or code
        if isinstance(heard.want, Quit):
            break
    while session.watching.busy:
        out.write(session.watching.drain())
        session.app.clock.sleep(_LOOK)
    out.write(session.watching.drain())
    return exit_code(session.app.find(session.followed)) if session.followed else code


def _person_missing(surface: Surface) -> PilothouseError:
    """Why a pipe approves nothing, as ``pilothouse approve`` says it."""
    try:
        deciding.demand_person(surface)
    except PilothouseError as error:
        return error
    raise AssertionError("only asked where there is no terminal")


def _not_through_a_pipe(surface: Surface, session: Session, want: Want | None) -> tuple[list[Line], int]:
    match want:
        case Approve():
            error = _person_missing(surface)
            return session.complaint(error), error.exit_code
        case Confirm(order):
            said = f"Understood: {_in_words(session, order)}. Nothing was started: a person confirms it at a terminal."
            return told(said, surface.out().width), EXIT_REFUSED
        case _:
            return [], EXIT_DONE


def _in_words(session: Session, order: Order) -> str:
    from pilothouse import config

    return orders.in_words(order, config.load(session.project).workflow)


# --- at a terminal --------------------------------------------------------------------------------------------------


class _Terminal:
    """A person's terminal.

    Args:
        surface: the streams.
        session: the chat.
    """

    def __init__(self, surface: Surface, session: Session) -> None:
        self.surface, self.session = surface, session
        self.history = History(session.project, redactor(session.project, session.environ))
        self.reader = _reader(session, self.history)
        session.notice = self._notice
        session.show = self._show
        self._noticed = False

    def talk(self) -> int:
        """Until the person leaves: /quit, or the end of the input."""
        self._greet()
        while True:
            self._write(self.session.watching.drain())
            try:
                text = self.reader.prompt(PROMPT, pre_run=self._watch)
            except KeyboardInterrupt:
                continue  # what was typed is dropped, as in a shell
            except EOFError:
                break
            try:
                if not self._answer(text):
                    break
            except KeyboardInterrupt:
                self._done_noticing()
                self._write([line(), *told("Stopped. What was started goes on; /status says how.", self._width())])
        self._leave()
        return EXIT_DONE

    def _answer(self, text: str) -> bool:
        """Whether to go on."""
        heard: Heard = self.session.hear(text)
        self._done_noticing()
        ends = heard.want is None and text.strip()
        self._write([*heard.lines, *([BLANK] if heard.lines or ends else [])])
        match heard.want:
            case Quit():
                return False
            case Clear():
                sys.stdout.write("\x1b[2J\x1b[3J\x1b[H")
                sys.stdout.flush()
            case Approve(run):
                self._approve(run)
            case Confirm(order):
                self._confirm(order)
            case None:
                pass
        return True

    # --- what only a person does ----------------------------------------------------------------------------------

    def _approve(self, run: str) -> None:
        """The card and the word, by the code of ``pilothouse approve``: no history, no model, no pipe."""
        session = self.session
        try:
            deciding.demand_person(self.surface)
            try:
                state = session.app.approve(run, os_user(deciding.CHANNEL), partial(self._ask, run))
            except KeyboardInterrupt:
                self._write([BLANK, *told(f"Nothing was approved. The word is spent, and {run} still waits: /approve",
                                          self._width()), BLANK])  # fmt: skip
                return
        except PilothouseError as error:
            self._write([*session.complaint(error), BLANK])
            return
        still = needed(state)
        self._write([
            line("      ", ("✔", Tone.GOOD), f" Approved on this terminal · {local_now():%H:%M}"),
            *(told(f"Still needed: {'; '.join(still)}", self._width()) if still else []), BLANK,
        ])  # fmt: skip
        session.approved(run)

    def _ask(self, run: str, card: str, word: str) -> str:
        state = self.session.app.find(run)
        name = open_checkpoint(state)
        title = next((entry.phase_title for entry in outline(state) if entry.id == name), name or "Checkpoint")
        self._write(boxed(title, card, min(self._width(), 80)))
        return deciding.ask_word(self.surface, word)

    def _confirm(self, order: Order) -> None:
        """An order that a model has understood: only what is typed after it was shown starts it."""
        what = _in_words(self.session, order)
        self._write(told(f"Order: {what}", self._width(), Tone.STRONG))
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
        sys.stdout.write(self.surface.out().drawn(line("      Start it? y or n: ")) + " ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in _YES:
            self._write([*told("Nothing was started.", self._width()), BLANK])
            return
        try:
            lines = self.session.begin(order)
        except PilothouseError as error:
            lines = self.session.complaint(error)
        self._write([*lines, BLANK])

    # --- words ------------------------------------------------------------------------------------------------------

    def _greet(self) -> None:
        session = self.session
        products = ", ".join(session.products())
        self._write([line(" ", (f"Pilothouse · {products}", Tone.STRONG), ("   /help · /quit", Tone.DIM))])
        for state in session.app.runs():
            if not state.over:
                session.watching.follow(state.run, ours=False)
        self._write([BLANK])

    def _leave(self) -> None:
        going = [state.run for state in self.session.app.runs() if not state.over]
        if going:
            self._write(told(f"{', '.join(going)} goes on without you: pilothouse status", self._width(), Tone.DIM))

    def _notice(self, text: str) -> None:
        """A remark that goes away when the answer comes."""
        screen = self.surface.out()
        if screen.live:
            sys.stdout.write("\r\x1b[2K" + screen.drawn(line("      ", (f"… {text}", Tone.DIM))))
            sys.stdout.flush()
            self._noticed = True

    def _done_noticing(self) -> None:
        if self._noticed:
            sys.stdout.write("\r\x1b[2K")
            sys.stdout.flush()
            self._noticed = False

    def _show(self, lines: Iterable[Line]) -> None:
        shown = list(lines)
        if shown:
            self._done_noticing()
            self._write(shown)

    def _write(self, lines: Iterable[Line]) -> None:
        self.surface.out().write(lines)

    def _width(self) -> int:
        return self.surface.out().width

    def _watch(self) -> None:
        """Write progress above the prompt, while the person types."""
        from prompt_toolkit.application import get_app, in_terminal

        async def work() -> None:
            import asyncio

            while True:
                await asyncio.sleep(_LOOK)
                if self.session.watching.lines:
                    async with in_terminal():
                        self._write(self.session.watching.drain())

        get_app().create_background_task(work())


def _reader(session: Session, history: History) -> PromptSession[str]:
    """The line editor: history, the tab key. Slow to load, so only here."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document
    from prompt_toolkit.history import History as Lines

    class Names(Completer):
        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
            before = document.text_before_cursor
            typed = before.rpartition(" ")[2]
            for name in offered(before, session.known()):
                yield Completion(name, -len(typed))

    class Kept(Lines):
        def load_history_strings(self) -> Iterable[str]:
            return reversed(history.lines())

        def store_string(self, string: str) -> None:
            history.keep(string)

        def append_string(self, string: str) -> None:
            # Not even for this chat's own up key: a word of approval is in no history.
            if history.keeps(string):
                super().append_string(string)

    return PromptSession(history=Kept(), completer=Names(), complete_while_typing=False)
