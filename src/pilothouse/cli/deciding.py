"""approve, reject, resume, abort: what people say to a run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.app import os_user
from pilothouse.cli.following import follow, on_terminal, tell
from pilothouse.cli.locking import demand_terminal
from pilothouse.cli.surface import Surface
from pilothouse.errors import EXIT_DONE, RequestRefused, UsageError
from pilothouse.guard import approval
from pilothouse.render.course import needed, open_checkpoint, outline
from pilothouse.render.drawing import boxed
from pilothouse.render.live import local_now
from pilothouse.render.screen import BLANK, Line, Tone, line
from pilothouse.views import exit_code

if TYPE_CHECKING:
    from pilothouse.app import Pilothouse
    from pilothouse.guard.state import RunState

CHANNEL = "terminal"


@dataclass(frozen=True, slots=True)
class Signing:
    """How an approval is signed: with a key of one's own, or by a signature that was made elsewhere."""

    key: str = ""
    signature: str = ""
    approver: str = ""
    statement: bool = False


def approve(surface: Surface, run: str, signing: Signing, *, detach: bool) -> int:
    """Show the card, ask for the word on the terminal, record what comes back, and go on."""
    app = surface.app()
    state = app.find(run)
    if signing.statement:
        sys.stdout.write(app.statement(state.run).decode())
        return EXIT_DONE
    if signing.key or signing.signature:
        return _signed(surface, app, state, signing, detach=detach)
    demand_person(surface)
    screen = surface.out()

    def ask(card: str, word: str) -> str:
        screen.write([BLANK, *boxed(_title(state), card, min(screen.width, 80))])
        return ask_word(surface, word)

    try:
        state = app.approve(state.run, os_user(CHANNEL), ask)
    except KeyboardInterrupt:
        return _left(surface, app.find(state.run))
    return _approved(surface, app, state, "on this terminal", detach=detach)


def _signed(surface: Surface, app: Pilothouse, state: RunState, signing: Signing, *, detach: bool) -> int:
    """Approve by an SSH signature: the key says who it was, so that no word is asked for."""
    from pilothouse import approving, signatures

    if not signing.approver:
        raise UsageError("approver-missing", "a signature is somebody's: whose?", "add: --approver ann@acme.example")
    name, screen = open_checkpoint(state), surface.out()
    opened = state.checkpoints[name].opened if name else None
    if opened is not None and not surface.json:
        screen.write([BLANK, *boxed(_title(state), opened.card, min(screen.width, 80))])
    if signing.key:
        # Of the card that was shown: what was opened since is for another look, and another signature.
        made = signatures.sign(approving.statement_of(state), Path(signing.key).expanduser())
    else:
        made = signatures.read(Path(signing.signature))
    state = app.approve_signed(state.run, signing.approver, "ssh", made)
    return _approved(surface, app, state, f"by the signature of {signing.approver}", detach=detach)


def _approved(surface: Surface, app: Pilothouse, state: RunState, how: str, *, detach: bool) -> int:
    screen, still = surface.out(), needed(state)
    if not surface.json:
        screen.write([line(" ", ("✔", Tone.GOOD), f" Approved {how} · {local_now():%H:%M}")])
        screen.write([line(f" Still needed: {'; '.join(still)}")] if still else [])
        screen.write([BLANK])
    if detach and not surface.json:
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
    entered = entered.removesuffix("\n")
    return entered if entered == approval.ABORT or not _more_waits() else f"{entered}\n"


def _forget_typed() -> None:
    """Forget what was typed before the word was on the screen: nobody had read it."""
    import termios

    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _more_waits() -> bool:
    """Whether more than a line came at once: what was pasted has not been typed, and is no entry. It is forgotten."""
    import select
    import termios

    terminal = sys.stdin.fileno()
    kept = termios.tcgetattr(terminal)
    by_keys = [*kept[:3], kept[3] & ~termios.ICANON, *kept[4:]]
    try:  # by lines, a terminal hides a line that has not ended
        termios.tcsetattr(terminal, termios.TCSANOW, by_keys)
        more = bool(select.select([terminal], [], [], 0)[0])
        termios.tcflush(terminal, termios.TCIFLUSH)
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, kept)
    return more


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


def resume(
    surface: Surface, run: str, *, lift_hold: str, settle: str, reason: str, approvals: str,
    override: tuple[str, ...] = (), go: str = "",
) -> int:  # fmt: skip
    """Set a run going again, and follow it."""
    if lift_hold or settle or override or go:
        demand_terminal(surface)
    if (lift_hold or settle or override) and not reason.strip():
        raise UsageError("reason-missing", "an exception goes on the record and needs a reason", "add: --reason '…'")
    app = surface.app()
    found = app.resume(
        run, os_user(CHANNEL), lift_hold=lift_hold, settle=settle, reason=reason, override=override, go=go
    )
    return follow(surface, app, found, approvals=approvals, command="resume")
