"""approve, reject, resume, abort: what people say to a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pilothouse.app import os_user
from pilothouse.cli.following import follow, on_terminal, tell
from pilothouse.cli.surface import Surface
from pilothouse.errors import EXIT_DONE, RequestRefused, UsageError
from pilothouse.render.course import open_checkpoint, outline
from pilothouse.render.drawing import boxed
from pilothouse.render.live import local_now
from pilothouse.render.screen import BLANK, Line, Tone, line
from pilothouse.views import exit_code

if TYPE_CHECKING:
    from pilothouse.guard.state import RunState

CHANNEL = "terminal"


def approve(surface: Surface, run: str, *, detach: bool) -> int:
    """Show the card, ask for the word on the terminal, record what comes back, and go on."""
    demand_person(surface)
    app = surface.app()
    state = app.find(run)
    screen = surface.out()

    def ask(card: str, word: str) -> str:
        screen.write([BLANK, *boxed(_title(state), card, min(screen.width, 80))])
        return ask_word(surface, word)

    try:
        state = app.approve(state.run, os_user(CHANNEL), ask)
    except KeyboardInterrupt:
        return _left(surface, app.find(state.run))
    screen.write([line(" ", ("✔", Tone.GOOD), f" Approved on this terminal · {local_now():%H:%M}"), BLANK])
    if detach:
        screen.write([line(f" Go on with: pilothouse resume {state.run}")])
        return EXIT_DONE
    return follow(surface, app, state.run, command="approve")


def _left(surface: Surface, state: RunState) -> int:
    """What it means that the prompt was left: nothing was approved, and the run waits as it did."""
    surface.stopped = True
    surface.out().write([
        BLANK, line(" ", ("Nothing was approved.", Tone.STRONG), f" The word is spent, and {state.run} still waits."),
        line(" Ask for a new word: ", (f"pilothouse approve {state.run}", Tone.STRONG)),
    ])  # fmt: skip
    return exit_code(state)


def demand_person(surface: Surface) -> None:
    """Refuse where no person can sit: an approval never comes through a pipe (I14).

    Raises:
        RequestRefused: standard input or output is no terminal.
    """
    if not on_terminal() or surface.json:
        raise RequestRefused(
            "approval-needs-a-terminal", "an approval is typed by a person on a terminal; this is a pipe or a file",
            "run it yourself in a terminal, without --json: pilothouse approve RUN",
        )  # fmt: skip


def ask_word(surface: Surface, word: str) -> str:
    """Ask for the word on the terminal; what was entered, exactly, without its line end."""
    # The word goes to the terminal alone: it is in no log, no JSON and no exception while it lives.
    screen = surface.out()
    screen.write([line(" ABORT ends the run. A wrong word is spent, and nothing happens.")])
    _forget_typed()
    prompt: Line = line(" To approve, type the word ", (word, Tone.STRONG), ": ")
    sys.stdout.write(screen.drawn(prompt) + " ")
    sys.stdout.flush()
    entered = sys.stdin.readline()
    if not entered:
        raise KeyboardInterrupt  # the end of the input is no entry: whoever closes the terminal leaves the prompt
    return entered.removesuffix("\n")


def _forget_typed() -> None:
    """Forget what was typed before the word was on the screen: nobody had read it."""
    import termios

    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _title(state: RunState) -> str:
    name = open_checkpoint(state)
    return next((entry.phase_title for entry in outline(state) if entry.id == name), name or "Checkpoint")


def reject(surface: Surface, run: str, reason: str) -> int:
    """Reject what waits; durable."""
    app = surface.app()
    return tell(surface, app, app.reject(app.find(run).run, os_user(CHANNEL), reason), command="reject")


def abort(surface: Surface, run: str, reason: str) -> int:
    """End a run; durable."""
    app = surface.app()
    return tell(surface, app, app.abort(run, os_user(CHANNEL), reason), command="abort")


def resume(surface: Surface, run: str, *, lift_hold: str, settle: str, reason: str, approvals: str) -> int:
    """Set a run going again, and follow it."""
    if (lift_hold or settle) and not reason.strip():
        raise UsageError("reason-missing", "an exception goes on the record and needs a reason", "add: --reason '…'")
    app = surface.app()
    found = app.resume(run, os_user(CHANNEL), lift_hold=lift_hold, settle=settle, reason=reason)
    return follow(surface, app, found, approvals=approvals, command="resume")
