"""The timeline of a run: one row a phase, made from its state alone, so that every surface shows the same one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from pilothouse.guard.state import MAIN, RunState
from pilothouse.model import Kind
from pilothouse.render.acts import sentence
from pilothouse.render.brief import FIRST, HIDDEN, Brief, brief
from pilothouse.render.course import (
    Entry,
    Standing,
    Times,
    agent_title,
    current,
    held,
    next_action,
    outline,
    seconds_between,
    standing,
    versions,
)
from pilothouse.render.text import duration, safe, short

ROW_TEXT = 400
MIDDLE = " · "
_LOOKS = {"healthy": "healthy so far", "thin": "thin traffic so far", "no-data": "no data", "": "watching"}


class Mark(StrEnum):
    """The sign in front of a row."""

    DONE = "✔"
    WAITING = "◆"
    FAILED = "✘"
    BACK = "↩"
    TO_COME = "○"
    RUNNING = "⠋"


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step under its phase: where it stands, its tool, what it said, its evidence."""

    id: str
    standing: Standing
    tool: str
    summary: str
    evidence: str


@dataclass(frozen=True, slots=True)
class WatchView:
    """A watch that is open: its window (seconds), and the last look at it."""

    opened_at: str
    window: float
    message: str
    outcome: str

    def pieces(self, now: datetime) -> tuple[str, ...]:
        """The one line of a watch that lives: how far it is, how it looks, the last comparison."""
        gone = min(self.window, max(0.0, (now - datetime.fromisoformat(self.opened_at)).total_seconds()))
        told = tuple(part for part in self.message.split(MIDDLE) if part)
        return (*told, _of(gone, self.window), _LOOKS.get(self.outcome, self.outcome))


@dataclass(frozen=True, slots=True)
class Row:
    """One phase of the timeline.

    Args:
        pieces: what it said, most telling first; a narrow screen shows fewer of them.
        seconds: of work, None where there was none yet.
        details: whole lines under the row (why it was refused, what to do).
        watch: the open watch that the pieces tell about, so that they can go on with the time.
    """

    mark: Mark
    phase: str
    title: str
    agent: str
    pieces: tuple[str, ...]
    seconds: float | None
    details: tuple[str, ...] = ()
    steps: tuple[StepRow, ...] = ()
    watch: WatchView | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run's headline, its rows so far, and the titles of what is to come."""

    headline: str
    origin: tuple[str, ...]
    rows: tuple[Row, ...]
    to_come: tuple[str, ...]


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


def origin(state: RunState) -> tuple[str, ...]:
    """Where a run comes from: workflow, id, pinned commit, who."""
    started = state.started
    return (
        started.workflow, f"run {state.run}", f"{safe(started.base_ref, 30)} {short(started.to_sha)}",
        f"started by {safe(started.started_by, 40)}",
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
    pieces, details = _told(phase, mark, stands, state, times, now)
    if phase[0].kind is Kind.CHECKPOINT and len(phase) == 1:
        return Row(mark, first.phase, first.phase_title, "Approver", pieces, None, details, ())
    steps = tuple(_step_row(entry, stands[entry.id], state) for entry in phase)
    agent = agent_title(first.phase_agent)
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


def _told(
    phase: Sequence[Entry], mark: Mark, stands: dict[str, Standing], state: RunState, times: Times, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pieces of a row and the lines under it."""
    match mark:
        case Mark.FAILED:
            return _failure(phase, stands, state, now)
        case Mark.WAITING:
            return _waiting(phase, state, now)
        case Mark.RUNNING:
            return _running(phase, state, now), ()
        case _:
            return _summaries(phase, state, times, now), ()


def _summaries(phase: Sequence[Entry], state: RunState, times: Times, now: datetime) -> tuple[str, ...]:
    if len(phase) == 1 and phase[0].kind is Kind.CHECKPOINT:
        return _approval(phase[0].id, state, times, now)
    told = [part for text in _ranked(phase, state) for part in text.split(MIDDLE)]
    if told:
        return tuple(dict.fromkeys(told))
    return ("nothing to do",) if all(entry.id in state.skipped for entry in phase) else ()


def _ranked(phase: Sequence[Entry], state: RunState) -> list[str]:
    """What the steps of a phase said, most telling first; what tells little only where nothing else was said."""
    briefs = [item for entry in phase if (item := _brief(entry, state)) is not None and item.text]
    telling = [item for item in briefs if item.rank < HIDDEN] or briefs
    return [item.text for item in sorted(telling, key=lambda item: item.rank)]


def _approval(checkpoint: str, state: RunState, times: Times, now: datetime) -> tuple[str, ...]:
    known = state.checkpoints.get(checkpoint)
    if known is None or known.approved is None:
        return ()
    given = known.approved
    how = {"scripted": "by a standing approval", "terminal": "on the terminal"}.get(given.channel, f"by {given.channel}")
    at = times.approved_at.get(checkpoint)
    return (f"approved by {safe(given.who, 60)}", how, *([clock(at, now)] if at else []))


def _brief(entry: Entry, state: RunState) -> Brief | None:
    """What one step said, in a few words; None where it has not said anything (yet)."""
    name = entry.id
    match entry.kind:
        case Kind.ACT:
            act = state.acts.get(name)
            planned = state.plan.act(name) if state.plan else None
            if act is None or act.done is None or planned is None:
                return None
            told = brief(planned.tool, act.done.facts, planned.arguments, act.done.summary)
            return Brief(told.rank, told.text + " (found done)") if act.done.found and act.attempts > 1 else told
        case Kind.WATCH:
            watch = state.watches.get(name)
            return Brief(FIRST, safe(watch.closed.message, 160)) if watch and watch.closed else None
        case Kind.VERDICT:
            return Brief(FIRST, f"hold lifted by {safe(state.lifted[name].who, 60)}") if name in state.lifted else None
        case _:
            seen = state.evidence.get(name)
            return brief(seen.tool, seen.facts, {}, seen.summary) if seen else None


def _running(phase: Sequence[Entry], state: RunState, now: datetime) -> tuple[str, ...]:
    at = current(state)
    view = watch_view(state, at.id) if at is not None else None
    if view is not None:
        return view.pieces(now)
    done = _ranked(phase, state)
    doing = [f"{_doing(at, state)} …"] if at is not None else []
    return (*doing, *done)


def _doing(entry: Entry, state: RunState) -> str:
    """What is being done now, in words."""
    act = state.acts.get(entry.id)
    if act is not None and act.open is not None:
        return sentence(act.open.tool, act.open.arguments)
    return entry.id.replace("-", " ")


def watch_view(state: RunState, step: str) -> WatchView | None:
    """The watch of a step while it is open."""
    watch = state.watches.get(step)
    if watch is None or watch.closed is not None:
        return None
    window = seconds_between(watch.opened_at, watch.opened.ends_at)
    last = watch.last
    return WatchView(watch.opened_at, window, safe(last.message, 200) if last else "", last.outcome if last else "")


def ticked(told: Timeline, at: datetime, now: datetime) -> Timeline:
    """The same timeline a little later: what is running has run longer, nothing else has changed."""
    passed = max(0.0, (now - at).total_seconds())
    return replace(told, rows=tuple(_ticked(row, passed, now) for row in told.rows))


def _ticked(row: Row, passed: float, now: datetime) -> Row:
    if row.mark is not Mark.RUNNING or row.seconds is None:
        return row
    return replace(row, seconds=row.seconds + passed, pieces=row.watch.pieces(now) if row.watch else row.pieces)


def _of(gone: float, window: float) -> str:
    if window >= 120:
        return f"{int(gone // 60)} of {round(window / 60)} min"
    return f"{int(gone)} of {round(window)} s"


def clock(at: str, now: datetime) -> str:
    """A time of day in the zone of ``now``; with the weekday or the date where it is another day."""
    moment = datetime.fromisoformat(at).astimezone(now.tzinfo)
    if moment.date() == now.date():
        return f"{moment:%H:%M}"
    return f"{moment:%a %H:%M}" if abs((moment - now).total_seconds()) < 6 * 86400 else f"{moment:%Y-%m-%d %H:%M}"


def ago(at: str, now: datetime) -> str:
    """How long ago, in words."""
    passed = (now - datetime.fromisoformat(at)).total_seconds()
    return "just now" if passed < 5 else f"{duration(passed)} ago"


def _waiting(phase: Sequence[Entry], state: RunState, now: datetime) -> tuple[tuple[str, ...], tuple[str, ...]]:
    holding = held(state)
    if holding is not None and any(entry.id == holding.step for entry in phase):
        cited = f" (evidence {', '.join(holding.cites)})" if holding.cites else ""
        reasons = tuple(f"{agent_title(holding.agent)}: {safe(reason, ROW_TEXT)}{cited}" for reason in holding.reasons)
        lift = f"Lift it  {next_action(state)}"
        return (f"holds at {holding.step}",), (*reasons, lift)
    for entry in phase:
        known = state.checkpoints.get(entry.id)
        if known and known.opened and not known.approved:
            again = (f"opened again: {len(known.opened.difference)} changed",) if known.openings > 1 else ()
            since = f"waiting since {clock(known.opened_at, now)}"
            return (since, *again, f"expires {clock(known.opened.expires_at, now)}"), ()
    return (), ()


def _failure(
    phase: Sequence[Entry], stands: dict[str, Standing], state: RunState, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    step = next(entry.id for entry in phase if stands[entry.id] is Standing.FAILED)
    if state.branched and state.branched.at_step == step and not (state.halted and state.halted.step == step):
        why = state.branched
        kind = f"{why.reason_code.removeprefix('watch-')}: " if why.reason_code.startswith("watch-") else ""
        return (*(kind + safe(why.message, ROW_TEXT)).split(MIDDLE), f"severity {why.severity}"), ()
    if state.refused and state.refused.step == step:
        told, again = state.refused, f"pilothouse ship {state.started.product}"
        actions = (
            _sentence(told.hint),
            f"Go on    {next_action(state)}",
            f"Anew     {again} (supersedes this run)",
            f"Details  pilothouse explain {told.reason_code}",
        )
        return (f"refused: {told.reason_code}",), (*_findings(step, state, now), *filter(None, actions))
    if state.halted and state.halted.step == step:
        stop = state.halted
        then = (f"Then     {next_action(state)}", f"Details  pilothouse explain {stop.reason_code}")
        lines = (safe(stop.message, ROW_TEXT), _sentence(stop.hint), *then)
        return (f"halted: {stop.reason_code}",), tuple(filter(None, lines))
    return _given_up(state), ()


def _given_up(state: RunState) -> tuple[str, ...]:
    if state.superseded_by:
        return (f"superseded by {state.superseded_by}",)
    fact = state.aborted
    if fact is None:
        return ()
    who, reason = getattr(fact, "who", ""), getattr(fact, "reason", "")
    word = {"Aborted": "aborted", "Rejected": "rejected"}.get(type(fact).__name__, "expired, nobody answered")
    return (f"{word} by {safe(who, 60)}: {safe(reason, 200)}" if who else word,)


def _findings(step: str, state: RunState, now: datetime) -> tuple[str, ...]:
    """Every blocker of a refused step: what, which evidence, how old."""
    failed = [judged for (name, _), judged in state.judged.items() if name == step and not judged.passed]
    lines = [safe(judged.message, ROW_TEXT) + _cited(judged.evidence, state, now) for judged in failed]
    if not lines and state.refused is not None:
        lines = [safe(state.refused.message, ROW_TEXT) + _cited(state.refused.evidence, state, now)]
    return tuple(lines)


def _cited(evidence: Sequence[str], state: RunState, now: datetime) -> str:
    known = [state.evidence_by_id[item] for item in evidence if item in state.evidence_by_id]
    return f" (evidence {', '.join(item.id for item in known)}, {ago(known[-1].at, now)})" if known else ""


def _sentence(hint: str) -> str:
    text = safe(hint, ROW_TEXT)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…", "!")) else ".") if text else ""


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
