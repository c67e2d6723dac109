"""explain RUN: who said what on which evidence, and why the run was let go or stopped; explain CODE: a reason code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pilothouse.cli.surface import Surface, history
from pilothouse.errors import EXIT_DONE, UsageError
from pilothouse.views import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilothouse.render.said import Explanation
    from pilothouse.render.screen import Line

_RUN = re.compile(r"r-\d.*")  # no reason code looks like this


def explain(surface: Surface, what: str, *, step: str, agent: str, full: bool) -> int:
    """A run, or the reason code of that name; without a name the run that is open, else the latest.

    Raises:
        UsageError: there is no such run, code, step or agent.
    """
    if what and _RUN.fullmatch(what) is None:
        from pilothouse.cli import looking

        if step or agent or full:
            raise UsageError("usage", "--step, --agent and --full are for a run", f"see: pilothouse explain {what}")
        return looking.explain(surface, what)
    from pilothouse.explaining import as_json, explained

    app = surface.app()
    state = app.find(what)
    told = explained(state, history(app, state), step=step, agent=agent, full=full)
    surface.answer(
        lambda: {"schema": schema("explain"), **as_json(told)},
        lambda: _lines(told, surface.out().width, full=full, narrowed=bool(step or agent)),
    )
    return EXIT_DONE


def _lines(told: Explanation, width: int, *, full: bool, narrowed: bool) -> Iterator[Line]:
    from pilothouse.render.screen import BLANK, line
    from pilothouse.render.transcript import draw

    yield from draw(told, width, full=full)
    if not told.passages:
        yield BLANK
        yield line(" Nothing was said there yet." if narrowed else " Nothing was decided yet.")
