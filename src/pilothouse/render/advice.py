"""What an agent says of the trouble at which a run rests: advice, which decides nothing."""

from __future__ import annotations

from pilothouse.events import Advised
from pilothouse.guard.state import RunState
from pilothouse.render.course import agent_title, held
from pilothouse.render.rows import MIDDLE
from pilothouse.render.text import safe


def resting_advice(state: RunState) -> Advised | None:
    """What an agent says of the step at which a run rests, is held or went back; None where nobody does."""
    stop = state.halted or state.refused or held(state)
    if stop is not None:
        return state.advice.get(stop.step)
    return state.advice.get(state.branched.at_step) if state.branched else None


def advice_text(said: Advised, run: str) -> str:
    """Who says what, what is recommended, and the command that shows the evidence."""
    who = f"{agent_title(safe(said.agent, 60))} on {safe(said.by, 60)}"
    recommends = (f"recommends {safe(said.recommends, 60)}",) if said.recommends else ()
    told = f"{who}, {said.kind}, severity {said.severity}: {safe(said.message, 400)}"
    return MIDDLE.join((told, *recommends, f"pilothouse explain {run} --step {said.step}"))
