"""The first thing a newcomer runs: a sandbox world, a whole release in it, its report, and where to look next."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse import harbour
from pilothouse.app import Pilothouse, Request, os_user
from pilothouse.cli.deciding import ask_word, demand_person
from pilothouse.cli.following import EXIT_INTERRUPTED, progress_of, tell
from pilothouse.cli.surface import Surface, history, program
from pilothouse.errors import RequestRefused, UsageError
from pilothouse.render.course import open_checkpoint, outline, state_name, versions
from pilothouse.render.drawing import boxed
from pilothouse.render.screen import BLANK, Line, Tone, line
from pilothouse.render.text import safe, wrap
from pilothouse.views import exit_code

if TYPE_CHECKING:
    from pilothouse.guard.state import RunState
    from pilothouse.harbour import World

PROG = "pilothouse"
PRODUCT = "acme"
AUDITED = ("promote-audited",)  # what a world with a staging branch is for
TRIES = 3


def demonstrate(
    surface: Surface, *, ask: bool, workflow: str, faults: Sequence[str], folder: Path | None, keep: bool
) -> int:
    """Harbour up, ship, report, verify, harbour down.

    Args:
        ask: a person types the word in this terminal; else a standing approval opens the checkpoint.
        workflow: which one to run, in a world that it is for; empty: the project's own.
        faults: names of harbour faults.
        folder: where; None: a new temporary folder, which stays.
        keep: leave the servers running.

    Returns:
        The run's exit code.

    Raises:
        RequestRefused: the world could not be made, or ``ask`` without a terminal.
        UsageError: a fault that does not exist, or not in such a world.
    """
    if ask:
        demand_person(surface)
    place = folder or Path(tempfile.mkdtemp(prefix="pilothouse-demo-"))
    called = program()  # before the sandbox's own PATH comes in front
    variant = harbour.Variant(layout="promotion" if workflow in AUDITED else "release")
    world = harbour.up(place, faults=faults, scripted_approval=not ask, variant=variant, detached=keep)
    try:
        _greet(surface, world, faults)
        os.environ.update(world.environment)
        app = Pilothouse(world.project)
        surface.opened.append(app)
        state = _ship(surface, app, workflow, ask=ask)
        _verified(surface, world)
        code = exit_code(state)
        _farewell(surface, world, state, keep=keep, called=called)
    except KeyboardInterrupt:
        surface.aside().write([BLANK, line(f" Stopped. The world's files stay in {world.folder}.")])
        surface.stopped = True
        code = EXIT_INTERRUPTED
    finally:
        if not keep:
            harbour.down(world.folder)
    return code


def _greet(surface: Surface, world: World, faults: Sequence[str]) -> None:
    wrong = f", with what goes wrong: {', '.join(faults)}" if faults else ""
    text = f" A sandbox world in {world.folder}{wrong}"
    if not surface.quiet:
        surface.aside().write([line((text, Tone.DIM)), BLANK])


def _ship(surface: Surface, app: Pilothouse, workflow: str, *, ask: bool) -> RunState:
    progress = progress_of(surface, app)
    who = os_user("terminal")
    run = app.start(Request(PRODUCT, workflow), who)
    while True:
        state = app.find(run)
        with progress:
            progress.begin(state, history(app, state))
            # Not approved while the timeline is drawn: the card is to be seen before, by whoever approves.
            state = app.follow(run).state
            progress.end(state)
        checkpoint = open_checkpoint(state)
        if not checkpoint or state.halted or state.refused:
            tell(surface, app, state, command="demo")
            return state
        if not _opened(surface, app, state, checkpoint, ask=ask):
            return app.find(run)


def _opened(surface: Surface, app: Pilothouse, state: RunState, checkpoint: str, *, ask: bool) -> bool:
    """Show the card, and have it approved; whether it was."""
    screen = surface.aside()
    known = state.checkpoints[checkpoint].opened
    title = next((entry.phase_title for entry in outline(state) if entry.id == checkpoint), checkpoint)
    shown = [BLANK, *boxed(title, known.card, min(screen.width, 80))] if known and not surface.quiet else []
    if ask:
        screen.write(shown)
        return _asked(surface, app, state)
    if not app.approve_scripted(state, checkpoint):
        tell(surface, app, state, command="demo")
        return False
    if shown:
        given = app.find(state.run).checkpoints[checkpoint].approved
        by = safe(given.who, 60) if given else "nobody"
        told = f" Approved for {by} by a standing approval, an exception on the record"
        hint = "   Type the word yourself: pilothouse demo --ask"
        screen.write([*shown, line(" ", ("✔", Tone.GOOD), told), line((hint, Tone.DIM)), BLANK])
    return True


def _asked(surface: Surface, app: Pilothouse, state: RunState) -> bool:
    """A person types the word; a wrong one is spent, and a new one may be asked for twice."""
    screen = surface.out()
    for _ in range(TRIES):
        try:
            app.approve(state.run, os_user("terminal"), lambda _card, word: ask_word(surface, word))
        except RequestRefused as refusal:
            screen.write([line(" ", ("✘", Tone.BAD), f" {refusal.message}")])
            if app.find(state.run).over:
                tell(surface, app, app.find(state.run), command="demo")
                return False
            continue
        screen.write([line(" ", ("✔", Tone.GOOD), " Approved on this terminal."), BLANK])
        return True
    return False


def _verified(surface: Surface, world: World) -> None:
    """The ledger, verified offline, as anybody could."""
    if surface.quiet or surface.json:
        return
    from pilothouse.cli.looking import audit_verify

    surface.out().write([BLANK])
    inner = Surface(project=world.project)
    with suppress(UsageError):
        audit_verify(inner, "", "")


def _farewell(surface: Surface, world: World, state: RunState, *, keep: bool, called: str) -> None:
    if surface.quiet or surface.json:
        return
    screen = surface.out()
    screen.write(_where_to_look(world, state, keep=keep, called=called))
    screen.write([BLANK, *(line(" ", (part, Tone.STRONG)) for part in wrap(_why(state), screen.width - 2))])


def _where_to_look(world: World, state: RunState, *, keep: bool, called: str) -> Iterator[Line]:
    folder = shlex.quote(str(world.folder))
    yield BLANK
    yield line((" Look around, with other tools than ours, too:", Tone.STRONG))
    yield line(f"   cd {shlex.quote(str(world.project))}")
    yield line(f"   {called} audit show {state.run}")
    yield line(f"   git -C {shlex.quote(str(world.origin))} log --oneline --graph --all")
    if world.layout == "promotion":
        yield line(f"   git -C {shlex.quote(str(world.origin))} log --stat -2 compliance-archives")
        yield line(f"   sqlite3 {shlex.quote(str(world.folder / 'linear.db'))} '.dump comments'")
    yield line(f"   sqlite3 {shlex.quote(str(world.database('production')))} .tables")
    if keep:
        yield line(f"   curl -s {world.urls['production']}/version")
        yield line(f" The servers are running. End them: {called} harbour down {folder}")
    yield line(f" Remove it all: rm -r {folder}")


def _why(state: RunState) -> str:
    """One sentence: what this showed."""
    _, after = versions(state)
    match state_name(state):
        case "done":
            return (
                f"{after} went out by a plan that was fixed before it was approved; every step of it is in the ledger."
            )
        case "rolled-back":
            return f"{after} did badly in production, so the plan's own way back was taken; nobody had to be woken."
        case "refused":
            return f"It stopped on recorded evidence, before {after or 'anything'} could do harm."
        case "halted":
            return "Something contradicts the plan, so nothing more moves: what is right is for a person to say."
        case "waiting":
            return "It waits for a person, without a process, for days if need be. To go on with it here: demo --keep."
        case _:
            return "The run is over, and why is on the record."
