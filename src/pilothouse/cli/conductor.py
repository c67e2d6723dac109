"""Whether anybody is at work on a run: its product's lease, and whether the process that holds it still lives."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from pilothouse.render.course import state_name
from pilothouse.render.screen import BLANK, Line, Tone, line
from pilothouse.render.text import wrap

if TYPE_CHECKING:
    from pilothouse.app import Pilothouse
    from pilothouse.canonical import Json
    from pilothouse.guard.state import RunState

AT_WORK, GONE = "at-work", "gone"


def conductor(app: Pilothouse, state: RunState) -> str:
    """``at-work`` or ``gone`` of a run that is under way; empty where the run waits, rests or is over."""
    if state_name(state) != "running":
        return ""
    lease = app.journal.holder(state.started.product)
    if lease is None:
        return GONE
    host, _, rest = lease.holder.rpartition(":")[0].rpartition(":")
    if host == socket.gethostname() and rest.isdecimal():
        return AT_WORK if _alive(int(rest)) else GONE
    # Elsewhere nobody can look: whoever lives renews the lease.
    return AT_WORK if datetime.fromisoformat(lease.expires_at) > app.clock.now() else GONE


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def marked(app: Pilothouse, runs: list[RunState], told: dict[str, Json]) -> dict[str, Json]:
    """The JSON of runs, each with its ``conductor``: at-work, gone, or null."""
    listed = told["runs"]
    assert isinstance(listed, list)
    for state, run in zip(runs, listed, strict=True):
        assert isinstance(run, dict)
        run["conductor"] = conductor(app, state) or None
    return told


def told_of_conductor(app: Pilothouse, state: RunState, width: int) -> Iterator[Line]:
    """Who is at work on a run that is under way; and where nobody is, how to go on."""
    found = conductor(app, state)
    if not found:
        return
    yield BLANK
    if found == AT_WORK:
        yield line(" A conductor is at work on it. Look again: ", (f"pilothouse status {state.run}", Tone.STRONG))
        return
    act = state.acts.get(state.open_act or "")
    during = f" It stopped during {state.open_act} (intent {act.started_at[11:19]} UTC, no outcome)." if act else ""
    text = f"No conductor is at work on it: it was stopped or killed, or nobody has gone on yet.{during}"
    yield from (line(" ", part) for part in wrap(text, width - 2))
    looks = "   (looks first whether that happened)" if act else ""
    yield line(" Go on: ", (f"pilothouse resume {state.run}", Tone.STRONG), (looks, Tone.DIM))
