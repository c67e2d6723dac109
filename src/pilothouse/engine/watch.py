"""The watch: look at production until the planned window is over; never shorter, never asleep in here (I25)."""

from __future__ import annotations

from datetime import datetime, timedelta

from pilothouse.canonical import Json
from pilothouse.engine import agents
from pilothouse.engine.steps import arguments_of, facts_of
from pilothouse.engine.world import Log, ends_at, iso
from pilothouse.errors import ToolFailed
from pilothouse.events import Sampled, WatchClosed, WatchOpened
from pilothouse.guard.watch import compare
from pilothouse.model import Step, Wait

PATIENCE = 3  # looks in a row that may fail before the watch counts as blind


def watch(log: Log, step: Step) -> Wait | None:
    """Take the look that is due; a wait until the next one, or None once the watch is closed."""
    now = log.world.now()
    known = log.state.watches.get(step.id)
    if known is None:
        basis = log.state.plan.basis if log.state.plan else {}
        rule = basis.get("watch")
        assert isinstance(rule, dict)
        window = rule.get("window_ms")
        baseline = facts_of(log, step.reads[0])
        # From what was recorded last: a clock that was set back shortens nothing.
        start = max(now, datetime.fromisoformat(log.state.last_at))
        log.append(WatchOpened(step.id, ends_at(start, window if isinstance(window, int) else 0), baseline, rule))
        known = log.state.watches[step.id]
    every = known.opened.rule.get("every_ms")
    pause = timedelta(milliseconds=every if isinstance(every, int) else 1000)
    if known.samples:
        due = datetime.fromisoformat(known.samples[-1][0]) + pause
        due = min(due, datetime.fromisoformat(known.opened.ends_at))
        if now < due:
            _ask_how_users_are(log, step, due)
            return Wait("watch", known.last.message if known.last else "watching", iso(due))
    return _sample(log, step, pause)


def _ask_how_users_are(log: Log, step: Step, due: datetime) -> None:
    """Between two looks of the second half, while nothing is due: an agent may say what numbers do not."""
    opened = log.state.watches[step.id].opened
    began, ends = datetime.fromisoformat(log.state.watches[step.id].opened_at), datetime.fromisoformat(opened.ends_at)
    if log.world.now() - began >= (ends - began) / 2:
        samples: list[Json] = [dict(sample) for _, sample in log.state.watches[step.id].samples]
        agents.observe_users(log, step, samples, due)


def _sample(log: Log, step: Step, pause: timedelta) -> Wait | None:
    known = log.state.watches[step.id]
    now = log.world.now()
    ended = iso(now) >= known.opened.ends_at
    try:
        facts = log.world.tools.observe(step.target, arguments_of(log, step)).facts
    except ToolFailed as failure:
        facts = dict[str, Json](unreachable=failure.message)
    samples = [sample for _, sample in known.samples if "unreachable" not in sample]
    if "unreachable" in facts:
        outcome, message = _blind(known.samples, str(facts["unreachable"]), ended=ended)
    else:
        outcome, message = compare(known.opened.baseline, [*samples, facts], known.opened.rule, ended=ended)
    sampled = Sampled(step.id, log.evidence_id(), facts, outcome, message)
    if outcome not in {"worse", "no-data"} and not ended:
        log.append(sampled)
        due = min(now + pause, datetime.fromisoformat(known.opened.ends_at))
        _ask_how_users_are(log, step, due)  # here, too: a worker comes back only when the next look is due
        return Wait("watch", message, iso(now + pause))
    cited = (*[item.id for item in list(log.state.evidence_by_id.values())[-2:]], sampled.evidence)
    # In one batch: a kill in between would let the next look dilute what was seen.
    log.append(sampled, WatchClosed(step.id, outcome, message, cited))
    return None


def _blind(samples: list[tuple[str, dict[str, Json]]], why: str, *, ended: bool) -> tuple[str, str]:
    failed = 0
    for _, sample in reversed(samples):
        if "unreachable" not in sample:
            break
        failed += 1
    return ("no-data" if ended or failed + 1 >= PATIENCE else "thin"), f"no answer: {why}"
