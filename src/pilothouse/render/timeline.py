"""The timeline of a run: one row a phase, made from its state alone, so that every surface shows the same one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby

from pilothouse.guard.state import MAIN, RunState
from pilothouse.model import Kind
from pilothouse.render.course import (
    Entry,
    Standing,
    Times,
    agent_title,
    outline,
    seconds_between,
    shipped_from,
    standing,
    versions,
)
from pilothouse.render.rows import Mark, Row, StepRow, Timeline
from pilothouse.render.telling import ROW_TEXT, told_of, watch_view
from pilothouse.render.text import safe, short


def timeline(state: RunState, times: Times, now: datetime) -> Timeline:
    """The timeline of a run.

    Args:
        state: the run, folded.
        times: when its steps were at work.
        now: the present, in the time zone in which times of day are shown.
    """
    rows: list[Row] = []
    for phase in _phases(state, MAIN):
        rows.append(_row(phase, state, times, now))
        if state.branched and any(entry.id == state.branched.at_step for entry in phase):
            rows.extend(_branch_rows(state, times, now))
            if state.branch != MAIN:
                break
    shown = [row for row in rows if row.mark is not Mark.TO_COME]
    coming = [row.title for row in rows if row.mark is Mark.TO_COME] if not state.over else []
    return Timeline(headline(state), origin(state), tuple(shown), tuple(coming))


def headline(state: RunState) -> str:
    """``acme 1.3.0 → 1.4.0``."""
    before, after = versions(state)
    return f"{state.started.product} {before or 'nothing'} → {safe(after, 40) or 'next'}"


def origin(state: RunState, *, named: bool = True) -> tuple[str, ...]:
    """Where a run comes from: workflow, id, pinned commit, who. Not ``named``: a rehearsal, which leaves no run."""
    started = state.started
    return (
        started.workflow, f"run {state.run}" if named else "dry run",
        f"{safe(shipped_from(state), 30)} {short(started.to_sha)}", f"started by {safe(started.started_by, 40)}",
    )  # fmt: skip


def _phases(state: RunState, branch: str) -> list[tuple[Entry, ...]]:
    return [tuple(group) for _, group in groupby(outline(state, branch), key=lambda entry: entry.phase)]


def _branch_rows(state: RunState, times: Times, now: datetime) -> list[Row]:
    assert state.branched is not None
    rows = []
    for phase in _phases(state, state.branched.branch):
        row = _row(phase, state, times, now)
        if row.mark is Mark.DONE:
            row = replace(row, mark=Mark.BACK)
        if row.mark is not Mark.TO_COME or state.branch != MAIN:
            rows.append(row)
    return rows


def _row(phase: Sequence[Entry], state: RunState, times: Times, now: datetime) -> Row:
    first = phase[0]
    stands = {entry.id: standing(entry, state) for entry in phase}
    mark = _mark(set(stands.values()))
    worked = [times.steps[entry.id].worked for entry in phase if entry.id in times.steps]
    running = mark is Mark.RUNNING
    busy = max(0.0, (now - datetime.fromisoformat(times.last_at)).total_seconds()) if running and times.last_at else 0.0
    seconds = sum(worked) + busy if worked or running else None
    pieces, details = told_of(phase, mark, stands, state, times, now)
    asks = any(entry.kind is Kind.CHECKPOINT for entry in phase)
    if asks and mark is not Mark.RUNNING:
        seconds = None  # what was looked at before asking is no work that anybody waits for
    steps = () if asks and len(phase) == 1 else tuple(_step_row(entry, stands[entry.id], state) for entry in phase)
    agent = "Approver" if asks else agent_title(first.phase_agent)
    watch = next((view for entry in phase if (view := watch_view(state, entry.id))), None) if running else None
    return Row(mark, first.phase, first.phase_title, agent, pieces, seconds, details, steps, watch)


def _mark(stands: set[Standing]) -> Mark:
    if Standing.FAILED in stands:
        return Mark.FAILED
    if Standing.WAITING in stands:
        return Mark.WAITING
    if Standing.RUNNING in stands:
        return Mark.RUNNING
    return Mark.TO_COME if Standing.PENDING in stands else Mark.DONE


def _step_row(entry: Entry, stands: Standing, state: RunState) -> StepRow:
    seen = state.evidence.get(entry.id)
    act = state.acts.get(entry.id)
    planned = state.plan.act(entry.id) if state.plan else None
    tool = seen.tool if seen else planned.tool if planned else str(entry.kind)
    evidence = seen.id if seen else act.done.evidence if act and act.done else ""
    own = act.done.summary if act and act.done else seen.summary if seen else ""
    text = state.skipped.get(entry.id) or safe(own, ROW_TEXT)
    if act and act.failed and not act.done:
        text = safe(act.failed.message, ROW_TEXT)
    verdict = state.verdicts.get(entry.id)
    if verdict is not None:
        tool, evidence = "verdict", ", ".join(verdict.cites)
        text = f"{verdict.answer}: {safe('; '.join(verdict.reasons), 200)}"
    return StepRow(entry.id, stands, tool, text, evidence)


def total_seconds(state: RunState, times: Times) -> float:
    """How long the run took, from its start to its end or last event."""
    return seconds_between(state.started_at, times.ended_at or times.last_at or state.started_at)
