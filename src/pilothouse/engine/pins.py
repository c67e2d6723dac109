"""Pins: the closed list of what an approval rests on in the world, read again before each covered act (I10)."""

from __future__ import annotations

from pilothouse.canonical import Json
from pilothouse.engine.world import Log
from pilothouse.events import CheckpointOpened
from pilothouse.guard.references import FORMS, form_of
from pilothouse.guard.state import MAIN, RunState
from pilothouse.model import PlannedAct

IDENTITY = "identity:"


def remaining(state: RunState, checkpoint: str | None, branch: str) -> list[PlannedAct]:
    """The acts of a branch that a checkpoint covers and that are not done."""
    acts = state.plan.acts if state.plan else ()
    return [
        act
        for act in acts
        if act.branch == branch and act.checkpoint == checkpoint and act.step not in state.skipped
        and not (act.step in state.acts and state.acts[act.step].done)
    ]  # fmt: skip


def read_pins(log: Log, acts: list[PlannedAct]) -> dict[str, Json]:
    """What these acts rest on, as it is now, by act and pin.

    Raises:
        ToolFailed: something could not be read; then nothing is known, and nothing may move.
    """
    facts = log.state.facts()
    pins: dict[str, Json] = {}
    for act in acts:
        known = {
            name: value if form_of(value) is None else _resolved(value, facts) for name, value in act.arguments.items()
        }
        arguments = {name: value for name, value in known.items() if form_of(value) is None}
        pins[act.step] = dict(log.world.tools.pins(act.tool, arguments))
    return pins


def _resolved(value: Json, facts: dict[str, dict[str, Json]]) -> Json:
    assert isinstance(value, dict)
    reference = form_of(value)
    assert reference is not None and reference[0] in FORMS
    step, _, fact = reference[1].partition(".")
    known = facts.get(step)
    if known is None:
        return value
    return dict(known) if not fact else known.get(fact, value)


def changed_pins(log: Log, act: PlannedAct) -> list[str]:
    """What differs from the pins of the approved card, one line each; what this run moved itself is expected.

    In a contingent branch only identities are compared: what the main line touched before it failed is what the
    branch is there to undo.

    Raises:
        ToolFailed: a pin could not be read.
    """
    state = log.state
    opened = state.checkpoints[str(act.checkpoint)].opened
    assert opened is not None
    if act.branch != MAIN:
        fresh = read_pins(log, [act])
        approved: dict[str, Json] = flat(opened.pins)
        return [
            told(pin, approved[pin], value)
            for pin, value in flat(fresh).items()
            if pin.startswith(IDENTITY) and pin in approved and approved[pin] != value
        ]
    return changed_since(log, opened)


def changed_since(log: Log, opened: CheckpointOpened) -> list[str]:
    """What differs now from the pins of a card, for the acts of the main line that it still waits for.

    Raises:
        ToolFailed: a pin could not be read.
    """
    state = log.state
    fresh = read_pins(log, remaining(state, opened.checkpoint, MAIN))
    lines: list[str] = []
    for step, pins in fresh.items():
        before = opened.pins.get(step)
        assert isinstance(pins, dict)
        for pin, value in pins.items():
            # Each act's own reading: what moved while the card was made stands there twice, and one of them is wrong.
            if isinstance(before, dict) and pin in before and (expected := state.moves.get(pin, before[pin])) != value:
                line = told(pin, expected, value)
                if line not in lines:
                    lines.append(line)
    return lines


def flat(pins: Json) -> dict[str, Json]:
    """Pins by name alone; acts that rest on the same thing name it alike."""
    known: dict[str, Json] = {}
    if isinstance(pins, dict):
        for item in pins.values():
            if isinstance(item, dict):
                known.update(item)
    return known


def told(pin: str, before: Json, after: Json) -> str:
    """A change of a pin as a person reads it."""
    kind, _, name = pin.partition(":")
    what = {
        "ref": f"{name.removeprefix('refs/heads/').removeprefix('refs/tags/')} moved",
        "pending": f"the migrations that are pending on {name} changed",
        "identity": f"{name} is another database",
    }.get(kind, f"{pin} changed")
    return f"{what}: {_short(before)} → {_short(after)}"


def _short(value: Json) -> str:
    text = str(value)
    return text[:7] if len(text) == 40 else text[:12] if len(text) == 64 else text or "nothing"
