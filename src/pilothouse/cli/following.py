"""Following a run on this surface: progress, then how it ended, then the exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.cli.surface import Surface, history, times_of
from pilothouse.errors import RequestRefused
from pilothouse.events import Done
from pilothouse.render.course import state_name
from pilothouse.render.live import Silent, progress_on
from pilothouse.render.report import ending
from pilothouse.render.screen import BLANK, Tone, line
from pilothouse.render.text import safe, wrap
from pilothouse.views import detailed_json, exit_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilothouse.app import Pilothouse
    from pilothouse.events import Event
    from pilothouse.guard.state import RunState
    from pilothouse.render.live import OnTerminal, Plain

EXIT_INTERRUPTED = 130


def progress_of(surface: Surface, app: Pilothouse) -> OnTerminal | Plain | Silent:
    """The progress that suits this call; it listens to the facade from now on."""
    if surface.quiet:
        return Silent()
    progress = progress_on(surface.aside(), lambda state: history(app, state), verbose=surface.verbose)
    app.listen = progress
    return progress


def follow(surface: Surface, app: Pilothouse, run: str, *, approvals: str = "", command: str = "ship") -> int:
    """Go on with a run until it waits for a person, rests or is over, and tell how that was.

    Args:
        approvals: the scripted approvals file to use, or empty: checkpoints wait for people.
        command: whose JSON this is.

    Returns:
        The exit code.
    """
    state = app.find(run)
    approve = scripted(app, state, approvals)
    progress = progress_of(surface, app)
    _told_of_crash(surface, app, state)
    try:
        with progress:
            progress.begin(state, history(app, state))
            last = app.follow(run, approve=approve).state
            progress.end(last)
    except KeyboardInterrupt:
        aside = surface.aside()
        aside.write([line(), line(" ", ("Stopped following.", Tone.STRONG), f" Go on with: pilothouse resume {run}")])
        surface.stopped = True
        return EXIT_INTERRUPTED
    return tell(surface, app, last, command=command)


def tell(surface: Surface, app: Pilothouse, state: RunState, *, command: str) -> int:
    """How a run stands after a command: one JSON object, or the ending for people; the exit code."""
    if surface.json:
        surface.emit(detailed_json(state, times_of(app, state), command))
    elif surface.quiet:
        surface.out().write([line(f"{state.run} {state_name(state)}")])
    else:
        screen = surface.out()
        screen.write(ending(state, times_of(app, state), screen.width))
    return exit_code(state)


def scripted(app: Pilothouse, state: RunState, approvals: str) -> Callable[[RunState, str], bool] | None:
    """How checkpoints are opened without a person: by the very file that policy names on the base ref, or not at all.

    Raises:
        RequestRefused: policy names no such file, or another one.
    """
    if not approvals:
        return None
    from pilothouse.approvalfile import named_by_policy

    _demand_same(app, named_by_policy(app, state), approvals)
    return app.approve_scripted


def demand_named(app: Pilothouse, product: str, approvals: str) -> None:
    """Refuse an approvals file that the policy on the base ref does not name, before anything starts."""
    from pilothouse.approvalfile import named_on_base

    _demand_same(app, named_on_base(app, product), approvals)


def _demand_same(app: Pilothouse, named: str, approvals: str) -> None:
    if not named:
        raise RequestRefused(
            "no-approvals-file", "the policy on the base branch allows no scripted approvals",
            "name a file under policy.scripted_approvals in the pilothouse.yml at the root of the repository, "
            "on the base branch",
        )  # fmt: skip
    if Path(approvals).resolve() != (app.project / named).resolve() and approvals != named:
        raise RequestRefused(
            "other-approvals-file", f"policy names {named}, not {approvals}", f"use: --approvals {named}"
        )


def _told_of_crash(surface: Surface, app: Pilothouse, state: RunState) -> None:
    """Where an act is open from before (its conductor died): say so, and what was found as soon as it is known."""
    step = state.open_act or ""
    act = state.acts.get(step)
    if act is None or surface.quiet:
        return
    _say(surface, f"{state.run} stopped during {step} (intent {act.started_at[11:19]} UTC, no outcome). Looking.")
    surface.aside().write([BLANK])
    listen = app.listen

    def told(event: Event, after: RunState) -> None:
        # What is seen after doing it is no witness of what was there before.
        if isinstance(event.fact, Done) and event.fact.step == step:
            seen = safe(event.fact.summary, 100)
            if event.fact.found:
                _say(surface, f"Looked: {seen} → it had landed; not done again. Going on.")
            else:
                _say(surface, f"Looked: it had not landed. Done now: {seen}. Going on.")
        listen(event, after)

    app.listen = told


def _say(surface: Surface, text: str) -> None:
    screen = surface.aside()
    screen.write(line(" ", part) for part in wrap(text, screen.width - 2))


def on_terminal() -> bool:
    """Whether a person sits there: both standard input and output are terminals."""
    # A stream that was closed before we began is None.
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
