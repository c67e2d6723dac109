"""The end of a log under a refusal (REL-2): what a suite or a command wrote last, escaped and bounded.

What is left out is counted, and the command that shows it whole is named: a log may be long, and most of it went well.
"""

from __future__ import annotations

from collections.abc import Iterator

from pilothouse.guard.state import RunState
from pilothouse.render.text import count, safe

LAST = 10  # lines of a log
SUITES = 3  # logs under one refusal
GUTTER = "│ "  # in front of a line of a log: it is what something else wrote, and is cut, not wrapped
LINE = 300


def log_of(step: str, state: RunState) -> tuple[str, ...]:
    """What the suites that a step's gates refuse, or the command of its act, wrote last.

    Args:
        step: the step at which the run came to rest, to a halt or off its main line.
        state: the run, folded.
    """
    act = state.acts.get(step)
    if act is not None and act.failed is not None and not act.done:
        # One line is in the message already.
        return tuple(_last(act.failed.detail, state.run, step)) if "\n" in act.failed.detail.strip() else ()
    if state.refused is not None and state.refused.step == step and "\n" in state.refused.detail.strip():
        return tuple(_last(state.refused.detail, state.run, step))
    cited = [item for (name, _), judged in state.judged.items() if name == step and not judged.passed
             for item in judged.evidence]  # fmt: skip
    told: list[str] = []
    for name in list(dict.fromkeys(cited))[:SUITES]:
        seen = state.evidence_by_id.get(name)
        log = seen.facts.get("log") if seen else None
        if isinstance(log, str):
            told += _last(log, state.run, name)
    return tuple(told)


def _last(log: str, run: str, name: str) -> Iterator[str]:
    lines = [line for line in log.split("\n") if line.strip()]
    left = len(lines) - LAST
    if left > 0:
        yield f"{GUTTER}… {count(left, 'line')} before these"
    yield from (GUTTER + safe(line.rstrip("\r"), LINE) for line in lines[-LAST:])
    yield f"Log      pilothouse audit show {run} --evidence {name}"
