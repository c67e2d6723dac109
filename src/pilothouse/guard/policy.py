"""Policy in force: what holds a product at a moment, until when, and whether a run may pass. Pure: time is given.

A freeze is a window of local time that may recur (RFC 5545); a lock is a fact of the ledger. Both hold what ships, and
neither holds a way back: rollbacks are exempt (as shipped, or as the base branch has them), and so is a run that has
touched production, for which to finish or to take back is the safer way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from pilothouse.guard.product import Lock, ProductState
from pilothouse.guard.state import MAIN, RunState
from pilothouse.model import PlannedAct, Reach, Refuse

if TYPE_CHECKING:
    from dateutil.rrule import rrulebase

    from pilothouse.settings import Freeze, Needed

FREEZE, LOCK, LOCK_ALL = "freeze", "lock", "lock-all"
_MOST = 40_000  # windows of a rule that are walked: one a day from 2000 to 2100 and some more
_HOPS = 100  # windows one after another, when the next opening is looked for


@dataclass(frozen=True, slots=True)
class Block:
    """What holds a product now.

    Attributes:
        kind: freeze, lock (of one product) or lock-all.
        until: ISO 8601 UTC; empty where it holds until somebody unlocks.
        since: ISO 8601 UTC of the window's start, or of the lock.
    """

    kind: str
    name: str
    reason: str
    owner: str
    until: str
    since: str

    @property
    def id(self) -> str:
        """By which an override names it: freeze/NAME, lock/NAME or lock-all/NAME."""
        return f"{self.kind}/{self.name}"


def _usual() -> Needed:
    from pilothouse.settings import Needed  # status begins without the classes of a whole configuration

    return Needed()


@dataclass(frozen=True, slots=True)
class Constraints:
    """What holds a product now, when nothing will any more, and who may let a run pass in spite of it.

    Attributes:
        opens: ISO 8601 UTC; empty where that is not known.
    """

    blocks: tuple[Block, ...] = ()
    opens: str = ""
    override: Needed = field(default_factory=_usual)


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds, as every time of the ledger: sorts as text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def window(freeze: Freeze, now: datetime) -> tuple[datetime, datetime] | None:
    """The window of a freeze that covers a moment, in UTC: the one that ends last; None where none does.

    The length of a window is local time: Friday 16:00 and 62 hours end on Monday at 06:00, also where clocks change.
    """
    from zoneinfo import ZoneInfo  # here: who looks at a run without freezes does not pay for it

    zone, start = ZoneInfo(freeze.time_zone), datetime.fromisoformat(freeze.start)
    length = timedelta(seconds=freeze.duration)
    begun: list[datetime] = [start]
    if freeze.rule:
        local = now.astimezone(zone).replace(tzinfo=None)
        # Clocks change by some hours: a day more on both sides leaves nothing out.
        begun = _recurring(freeze.rule, start, local - length - timedelta(days=1), local + timedelta(days=1))
    found = None
    for begin in begun:
        # Where an hour comes twice or not at all, local time has two readings: a window is never shorter than said.
        since = min(begin.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        until = max((begin + length).replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if since <= now < until and (found is None or until > found[1]):
            found = since, until
    return found


@lru_cache(maxsize=256)
def _rule(rule: str, start: datetime) -> rrulebase:
    from dateutil.rrule import rrulestr

    return rrulestr(rule, dtstart=start)


def _begins(rule: str, start: datetime) -> Iterator[datetime]:
    return islice(_rule(rule, start), _MOST)


def _recurring(rule: str, start: datetime, after: datetime, before: datetime) -> list[datetime]:
    until_then = takewhile(lambda begin: begin <= before, _begins(rule, start))
    return [begin for begin in until_then if begin >= after]


def next_window(freeze: Freeze, now: datetime) -> str:
    """When the next window of a freeze begins after a moment (ISO 8601 UTC); empty: never again."""
    from zoneinfo import ZoneInfo

    zone, start = ZoneInfo(freeze.time_zone), datetime.fromisoformat(freeze.start)
    local = now.astimezone(zone).replace(tzinfo=None)
    begins = _begins(freeze.rule, start) if freeze.rule else iter((start,))
    begin = next((begin for begin in begins if begin > local), None)
    return stamp(begin.replace(tzinfo=zone)) if begin else ""


def blocks(
    freezes: Iterable[Freeze], product: ProductState, everything: ProductState, name: str, now: datetime
) -> tuple[Block, ...]:
    """All that holds a product at a moment: freezes, its locks, and the locks of every product.

    Args:
        freezes: of policy; one that names products holds those only.
        product: the product's line.
        everything: the line of all products.
        name: the product's.
        now: with its time zone.
    """
    found: list[Block] = []
    for freeze in freezes:
        covered = window(freeze, now) if not freeze.products or name in freeze.products else None
        if covered is not None:
            since, until = covered
            found.append(Block(FREEZE, freeze.name, freeze.reason, "policy", stamp(until), stamp(since)))
    for kind, line in ((LOCK, product), (LOCK_ALL, everything)):
        found += [_of_lock(kind, lock) for lock in line.held(stamp(now))]
    return tuple(found)


def _of_lock(kind: str, lock: Lock) -> Block:
    return Block(kind, lock.fact.name, lock.fact.reason, lock.fact.owner, lock.fact.expires_at, lock.at)


def opens_at(
    freezes: Iterable[Freeze], product: ProductState, everything: ProductState, name: str, now: datetime
) -> str:
    """When nothing holds a product any more (ISO 8601 UTC), windows that follow at once included; empty: not known.

    It is not known where a lock has no end, or where window follows window without a gap.
    """
    frozen, moment = tuple(freezes), now
    for _ in range(_HOPS):
        held = blocks(frozen, product, everything, name, moment)
        if not held:
            return stamp(moment)
        if not all(block.until for block in held):
            return ""
        moment = datetime.fromisoformat(max(block.until for block in held))
    return ""


def constraints(
    freezes: Iterable[Freeze], product: ProductState, everything: ProductState, name: str, now: datetime,
    override: Needed,
) -> Constraints:  # fmt: skip
    """All of it at once: what holds a product, until when, and who may override."""
    frozen = tuple(freezes)
    held = blocks(frozen, product, everything, name, now)
    opens = opens_at(frozen, product, everything, name, now) if held else ""
    return Constraints(held, opens, override)


def is_held(act: PlannedAct, state: RunState) -> bool:
    """Whether freezes and locks hold an act: one of the main line that reaches an environment, on the way forward."""
    return (
        not state.started.way_back
        and state.branch == MAIN
        and act.branch == MAIN
        and act.reach in {Reach.STAGING, Reach.PRODUCTION}
        and not state.production_attempted()
    )


def not_overridden(held: Constraints, state: RunState) -> Constraints:
    """What holds a run in spite of the overrides on its record.

    An override of a lock is one of that very lock: who locks again under the same name is heard again.
    """
    return replace(held, blocks=tuple(item for item in held.blocks if _given(item, state) < held.override.number))


def _given(block: Block, state: RunState) -> int:
    of_lock = block.kind != FREEZE
    return len(
        {fact.who for fact, at in state.overridden if fact.name == block.id and not (of_lock and at < block.since)}
    )


def refusal(held: Constraints, run: str) -> Refuse | None:
    """Why a run or a start may not go on now, and what a person can do; None where nothing holds it.

    Args:
        held: what is not overridden.
        run: the run's id; empty where none has started yet.
    """
    if not held.blocks:
        return None
    told = "; ".join(_told(block) for block in held.blocks)
    opens = f". Open again: {held.opens[:16].replace('T', ' ')} UTC" if held.opens else ""
    first = held.blocks[0]
    command = f"pilothouse resume {run}" if run else "pilothouse ship PRODUCT"
    named = " ".join(f"--override {block.id}" for block in held.blocks)
    needed = held.override
    who = f"{needed.number} of {needed.group}" if needed.number > 1 else f"one of {needed.group}"
    hint = f"wait; or, by {who}: {command} {named} --reason '…'"
    return Refuse("frozen" if first.kind == FREEZE else "locked", told + opens, hint)


def _told(block: Block) -> str:
    until = f"until {block.until[:16].replace('T', ' ')} UTC" if block.until else "until it is unlocked"
    if block.kind == FREEZE:
        return f"frozen by {block.name} {until}: {block.reason}"
    what = "every product is locked" if block.kind == LOCK_ALL else "locked"
    return f"{what} by {block.owner} ({block.name}) {until}: {block.reason}"
