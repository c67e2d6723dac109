"""What is due to start without a person: slots of schedules and of events, each with an id of its own (INT-2).

A slot is started once: its id is an input of the run that it started, and ``starting`` refuses a second one. So nothing
is remembered here, and it does not matter how many workers of one ledger look, or when one was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import islice
from zoneinfo import ZoneInfo

from pilothouse.canonical import Json
from pilothouse.guard.state import MAIN, RunState
from pilothouse.render.course import complete, outline
from pilothouse.settings import Configuration, Schedule, Trigger
from pilothouse.stateview import phase_at_end

SLOT, CAUSE = "slot", "slot_cause"  # inputs of a run that nobody asked for
_REPEATED = 4  # the hour that a clock set back repeats: so many slots of one hour are looked at


@dataclass(frozen=True, slots=True)
class Slot:
    """One moment at which a run is to start. ``cause`` is for people; ``at`` when it was due."""

    id: str
    product: str
    workflow: str
    cause: str
    at: datetime


Closed = tuple[int, str, str]  # number, title, and when it was closed (ISO 8601)


def scheduled(schedule: Schedule, now: datetime) -> Slot | None:
    """The latest slot of a schedule, or None where it is too long ago to be made up for.

    Args:
        schedule: cron and time zone.
        now: UTC.
    """
    at = _latest(schedule, now)
    if at is None or now - at > timedelta(seconds=schedule.catch_up):
        return None
    shown = at.astimezone(ZoneInfo(schedule.time_zone)).strftime("%Y-%m-%d %H:%M")
    cause = f"schedule {schedule.cron} ({schedule.time_zone}), {shown}"
    return Slot(f"cron:{schedule.workflow}:{at:%Y-%m-%dT%H:%MZ}", schedule.product, schedule.workflow, cause, at)


def _latest(schedule: Schedule, now: datetime) -> datetime | None:
    from cronsim import CronSim

    # From a whole minute later backwards: the slot of this very minute is due, too.
    start = now.astimezone(ZoneInfo(schedule.time_zone)).replace(second=0, microsecond=0) + timedelta(minutes=1)
    for found in islice(CronSim(schedule.cron, start, reverse=True), _REPEATED):
        at = found.astimezone(UTC)
        if at <= now:
            return at
    return None


def by_milestone(trigger: Trigger, closed: Sequence[Closed], now: datetime) -> Slot | None:
    """The slot of the milestone that was closed last, of those that a trigger means."""
    meant = [item for item in closed if fnmatchcase(item[1].casefold(), trigger.milestone.casefold())]
    if not meant:
        return None
    number, title, when = max(meant, key=lambda item: (item[2], item[0]))
    at = datetime.fromisoformat(when)
    # A milestone that is opened and closed again is closed once: its number is the slot.
    return _of_event(trigger, f"milestone:{number}", f"milestone {title} was closed", at, now)


def by_phase(trigger: Trigger, runs: Sequence[RunState], now: datetime) -> Slot | None:
    """The slot of the other product's latest run, where it has reached the phase."""
    if not runs or not _reached(runs[-1], trigger.phase):
        return None
    last = runs[-1]
    cause = f"{trigger.of} reached {trigger.phase} ({last.run})"
    return _of_event(trigger, f"phase:{last.run}:{trigger.phase}", cause, datetime.fromisoformat(last.last_at), now)


def _of_event(trigger: Trigger, what: str, cause: str, at: datetime, now: datetime) -> Slot | None:
    if now - at > timedelta(seconds=trigger.catch_up):
        return None
    return Slot(f"event:{trigger.workflow}:{what}", trigger.product, trigger.workflow, cause, at)


def _reached(state: RunState, phase: str) -> bool:
    if state.over and phase_at_end(state) == phase:
        return True
    if state.branched is not None and state.branch != MAIN and not state.branched.returns:
        return False  # what it had reached is being taken back, or was
    steps = [entry for entry in outline(state, MAIN) if entry.phase == phase]
    return bool(steps) and all(complete(entry, state) for entry in steps)


def due(
    configuration: Configuration, product: str, now: datetime, *,
    closed: Callable[[], Sequence[Closed]], runs: Callable[[str], Sequence[RunState]],
) -> Iterator[Slot]:  # fmt: skip
    """The slots of one product that are due and not started yet, the one that was due first before the others.

    Args:
        configuration: as it lies there now.
        product: whose.
        now: UTC.
        closed: the closed milestones of the product's forge; asked only where a trigger needs them.
        runs: all runs of a product, oldest first.

    Raises:
        ToolFailed: the forge does not answer.
    """
    found = [scheduled(item, now) for item in configuration.schedules if item.product == product]
    for trigger in configuration.triggers:
        if trigger.product != product:
            continue
        if trigger.on == "milestone-closed":
            found.append(by_milestone(trigger, closed(), now))
        else:
            found.append(by_phase(trigger, runs(trigger.of), now))
    taken = {state.started.inputs.get(SLOT) for state in runs(product)}
    fresh = {slot.id: slot for slot in found if slot is not None and slot.id not in taken}
    yield from sorted(fresh.values(), key=lambda slot: slot.at)


def inputs_of(slot: Slot) -> dict[str, Json]:
    """What a run that a slot starts is told: the slot that it takes, and why."""
    return {SLOT: slot.id, CAUSE: slot.cause}
