"""The words of a timeline's row: what a phase said, what is done, what is awaited, why it failed, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pilothouse.guard.state import RunState
from pilothouse.model import Kind
from pilothouse.render.acts import sentence
from pilothouse.render.brief import FIRST, HIDDEN, Brief, brief
from pilothouse.render.course import (
    Entry,
    Standing,
    Times,
    agent_title,
    awaits_go,
    awaits_model,
    current,
    held,
    needed,
    next_action,
    seconds_between,
    shipped_from,
)
from pilothouse.render.logs import log_of
from pilothouse.render.rows import MIDDLE, Mark, WatchView
from pilothouse.render.text import duration, safe

ROW_TEXT = 400


def told_of(
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
    asked = next((entry.id for entry in phase if entry.kind is Kind.CHECKPOINT), "")
    if asked:
        return _approval(asked, state, times, now)
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
    how = {"scripted": "by a standing approval", "terminal": "on the terminal"}.get(
        given.channel, f"by {given.channel}"
    )
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
    asked = state.consultations.get(entry.id)
    if asked is not None:
        looks = "looks" if asked.unanswered() else "thinks"
        return f"{agent_title(asked.opened.agent)} {looks}, turn {len(asked.answers) + 1}"
    return entry.id.replace("-", " ")


def clock(at: str, now: datetime) -> str:
    """A time of day in the zone of ``now``; with the weekday or the date where it is another day."""
    moment = datetime.fromisoformat(at).astimezone(now.tzinfo)
    if moment.date() == now.date():
        return f"{moment:%H:%M}"
    return f"{moment:%a %H:%M}" if abs((moment - now).total_seconds()) < 6 * 86400 else f"{moment:%Y-%m-%d %H:%M}"


def ago(at: str, now: datetime) -> str:
    """How long ago, in words."""
    passed = (now - datetime.fromisoformat(at)).total_seconds()
    if passed < 5:
        return "just now"
    return f"{duration(passed if passed < 60 else passed // 60 * 60)} ago"


def _waiting(phase: Sequence[Entry], state: RunState, now: datetime) -> tuple[tuple[str, ...], tuple[str, ...]]:
    holding = held(state)
    if holding is not None and any(entry.id == holding.step for entry in phase):
        cited = f" (evidence {', '.join(holding.cites)})" if holding.cites else ""
        reasons = tuple(f"{agent_title(holding.agent)}: {safe(reason, ROW_TEXT)}{cited}" for reason in holding.reasons)
        lift = f"Lift it  {next_action(state)}"
        return (f"holds at {holding.step}",), (*reasons, lift)
    if any(entry.id == awaits_go(state) for entry in phase):
        return (f"{awaits_go(state)} waits for a go",), (f"Let it happen  {next_action(state)}",)
    missed = awaits_model(state)
    if missed and any(entry.id in state.consultations for entry in phase):
        return ("waits for a model",), (safe(missed, ROW_TEXT), f"Ask again  {next_action(state)}")
    for entry in phase:
        known = state.checkpoints.get(entry.id)
        if known and known.opened and not known.approved:
            again = (f"opened again: {len(known.opened.difference)} changed",) if known.openings > 1 else ()
            asked = ", ".join(item.partition(" (")[0] for item in needed(state))
            awaited = f"waiting for {asked}" if asked else "waiting"
            since, expires = clock(known.opened_at, now), clock(known.opened.expires_at, now)
            return (awaited, *again, f"expires {expires}", f"since {since}"), ()
    return (), ()


def _failure(
    phase: Sequence[Entry], stands: dict[str, Standing], state: RunState, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    step = next(entry.id for entry in phase if stands[entry.id] is Standing.FAILED)
    if state.branched and state.branched.at_step == step and not (state.halted and state.halted.step == step):
        why = state.branched
        message = safe(why.message, ROW_TEXT)
        if why.reason_code.startswith("watch-"):
            outcome = why.reason_code.removeprefix("watch-")
            return (*f"{outcome}: {message}".split(MIDDLE), f"severity {why.severity}"), ()
        return (f"failed: {why.reason_code}", f"severity {why.severity}"), (message, *log_of(step, state))
    if state.refused and state.refused.step == step:
        told, again = state.refused, f"pilothouse ship {state.started.product}"
        actions = (
            _sentence(told.hint),
            f"Go on    {next_action(state)}",
            ""
            if told.reason_code.endswith(("-unreachable", "-rate-limited"))
            else f"Anew     {again}, once a mended commit is on {shipped_from(state)}; or abort this run first",
            f"Details  pilothouse explain {told.reason_code}",
        )
        found = (*_findings(step, state, now), *log_of(step, state))
        return (f"refused: {told.reason_code}",), (*found, *filter(None, actions))
    if state.halted and state.halted.step == step:
        stop = state.halted
        then = (f"Then     {next_action(state)}", f"Details  pilothouse explain {stop.reason_code}")
        lines = (safe(stop.message, ROW_TEXT), *log_of(step, state), _sentence(stop.hint), *then)
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
        # Where one look failed, the message holds it and what else was found, and the judgements stand elsewhere.
        *found, last = (safe(part, ROW_TEXT) for part in state.refused.message.split("; "))
        lines = [*found, last + _cited(state.refused.evidence, state, now)]
    return tuple(lines)


def _cited(evidence: Sequence[str], state: RunState, now: datetime) -> str:
    known = [state.evidence_by_id[item] for item in evidence if item in state.evidence_by_id]
    return f" (evidence {', '.join(item.id for item in known)}, {ago(known[-1].at, now)})" if known else ""


def _sentence(hint: str) -> str:
    text = safe(hint, ROW_TEXT)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…", "!")) else ".") if text else ""


def watch_view(state: RunState, step: str) -> WatchView | None:
    """The watch of a step while it is open."""
    watch = state.watches.get(step)
    if watch is None or watch.closed is not None:
        return None
    window = seconds_between(watch.opened_at, watch.opened.ends_at)
    last = watch.last
    return WatchView(watch.opened_at, window, safe(last.message, 200) if last else "", last.outcome if last else "")
