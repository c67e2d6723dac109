"""Following a run on this surface: progress, then how it ended, then the exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.cli.surface import Surface, history, times_of
from pilothouse.errors import RequestRefused
from pilothouse.render.course import agent_title, current, state_name
from pilothouse.render.live import Silent, progress_on
from pilothouse.render.report import ending
from pilothouse.render.screen import Tone, line
from pilothouse.render.text import safe
from pilothouse.views import detailed_json, exit_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilothouse.app import Pilothouse
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
    crashed = _told_of_crash(surface, state)
    try:
        progress = progress_of(surface, app)
        with progress:
            progress.begin(state, history(app, state))
            last = app.follow(run, approve=approve).state
            progress.end(last)
    except KeyboardInterrupt:
        aside = surface.aside()
        aside.write([line(), line(" ", ("Stopped following.", Tone.STRONG), f" Go on with: pilothouse resume {run}")])
        return EXIT_INTERRUPTED
    if crashed:
        _told_of_recovery(surface, last, crashed)
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

    named = named_by_policy(app, state)
    given = Path(approvals).resolve()
    if not named:
        raise RequestRefused(
            "no-approvals-file", "the policy on the base branch allows no scripted approvals",
            "name a file under policy.scripted_approvals in pilothouse.yml, on the base branch",
        )  # fmt: skip
    if given != (app.project / named).resolve() and approvals != named:
        raise RequestRefused(
            "other-approvals-file", f"policy names {named}, not {approvals}", f"use: --approvals {named}"
        )
    return app.approve_scripted


def _told_of_crash(surface: Surface, state: RunState) -> str:
    """Say that an act is open from before (its conductor died); the step, or an empty string."""
    step = state.open_act or ""
    act = state.acts.get(step)
    if not step or act is None or surface.quiet:
        return step
    at = act.started_at[11:19]
    doing = current(state)
    who = f" ({agent_title(doing.agent)})" if doing else ""
    text = f" {state.run} stopped during {step}{who}: intended at {at} UTC, no outcome recorded. Looking."
    surface.aside().write([line(text), line()])
    return step


def _told_of_recovery(surface: Surface, state: RunState, step: str) -> None:
    done = state.acts[step].done
    if done is None or surface.quiet:
        return
    what = "it had landed; not done again" if done.found else "it had not landed; done now"
    surface.aside().write([line(f" Looked at {step}: {safe(done.summary, 100)} → {what}.")])


def on_terminal() -> bool:
    """Whether a person sits there: both standard input and output are terminals."""
    return sys.stdin.isatty() and sys.stdout.isatty()
