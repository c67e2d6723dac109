"""What the laws' tests share: bounded, repeatable examples, a clock that never really waits, and the toy world's ways."""

from __future__ import annotations

from hypothesis import settings

from conftest import SteppingClock
from pilothouse import events as e
from pilothouse.engine.advance import advance
from pilothouse.engine.world import iso
from pilothouse.guard.fold import fold
from toyworld import ToyTools, toy

# Few and always the same: a law that broke yesterday breaks today. More of them cost time and find little here.
LAW = settings(max_examples=40, deadline=None, derandomize=True, database=None)
FEW = settings(max_examples=12, deadline=None, derandomize=True, database=None)

BOUNDARIES = ("before-intent", "after-intent", "after-apply", "after-outcome")


class Clock(SteppingClock):
    """Sleeping passes at once."""

    def sleep(self, seconds):
        self.slept += max(0.0, seconds)


class Killed(BaseException):
    """A kill: nothing of ours catches it."""


def world_of(tools=None, **options):
    return toy(tools or ToyTools(), clock=options.pop("clock", None) or Clock(), **options)


def events_of(world):
    return world.journal.read("acme")


def state_of(world):
    return fold(events_of(world))


def tell(world, *facts):
    """Append what a person does."""
    world.journal.append("acme", "r-1", list(facts), iso(world.now()))


def approve(world):
    card = state_of(world).checkpoints["go"].opened
    tell(world, e.Approved("go", card.approval_digest, "ceo", "t", "standing", None, ""))


def go(world):
    """On with it, approving on the way, until it rests or is done."""
    standing = advance("r-1", world)
    if standing.wait and standing.wait.checkpoint:
        approve(world)
        standing = advance("r-1", world)
    return standing


def intents(world):
    """Every effect that was set out for, in order, with all that it depends on."""
    facts = [event.fact for event in events_of(world) if event.kind == "Intended"]
    return [(fact.step, fact.tool, fact.arguments, fact.key, fact.branch) for fact in facts]


def production(tools):
    """What was called on production."""
    return [target for target in tools.calls if target.startswith("production")]
