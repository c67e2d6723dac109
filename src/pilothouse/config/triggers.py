"""The shape of what starts runs without a person: schedules and events (INT-2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from pilothouse.config.scalars import Duration, Line, Name, no
from pilothouse.config.shape import Shape, duration

_FIELDS = 5  # with seconds, or @daily: not every cron would read it alike


def _cron(value: str) -> str:
    # Loaded here: only who has a schedule pays for it at start-up.
    from cronsim import CronSim, CronSimError

    example = "for example: 0 9 * * 1-5 (minute, hour, day, month, weekday)"
    if len(value.split()) != _FIELDS or len(value) > 100:
        raise no("a schedule has five fields", example)
    try:
        next(CronSim(value, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise no(f"{value[:60]!a} is not a cron expression", example) from error
    except StopIteration as error:
        raise no(f"{value[:60]!a} never comes", example) from error
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise no(f"{value[:60]!a} is not a time zone", "for example: Europe/Berlin, or UTC") from error
    return value


Cron = Annotated[str, AfterValidator(_cron)]
Zone = Annotated[str, AfterValidator(_zone)]


class Schedule(Shape):
    """A run that a clock starts, once a slot."""

    product: Name = Field(description="what is shipped")
    workflow: Name | None = Field(default=None, description="which workflow; default: the file's")
    cron: Cron = Field(description="minute, hour, day of the month, month, day of the week")
    time_zone: Zone = Field(description="in which the cron expression is read, for example Europe/Berlin")
    catch_up: Duration = duration("1h", "how late the latest missed slot is still made up for")


class MilestoneClosed(Shape):
    """A run that starts when a milestone of the forge is closed: after the sprint."""

    product: Name = Field(description="what is shipped")
    workflow: Name | None = Field(default=None, description="which workflow; default: the file's")
    on: Literal["milestone-closed"] = Field(description="a milestone is closed")
    milestone: Line = Field(description="its title; * stands for any text, for example Sprint *")
    catch_up: Duration = duration("1d", "how long ago it may have been closed")


class PhaseReached(Shape):
    """A run that starts when another product has reached a phase of state.yml."""

    product: Name = Field(description="what is shipped")
    workflow: Name | None = Field(default=None, description="which workflow; default: the file's")
    on: Literal["phase-reached"] = Field(description="another product reaches a phase")
    of: Name = Field(description="the other product")
    phase: Name = Field(description="as in state.yml: released, staged, or a phase of its workflow")
    catch_up: Duration = duration("1d", "how long ago it may have been reached")
