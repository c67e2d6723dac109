"""Opening a checkpoint: gather what the approval is bound to, render the card by code, write both down (APR-3, 5)."""

from __future__ import annotations

from datetime import timedelta

from pilothouse.canonical import Json, sha256_hex
from pilothouse.engine.pins import changed_since, flat, read_pins, remaining, told
from pilothouse.engine.world import Log, iso
from pilothouse.errors import RequestRefused, ToolFailed
from pilothouse.events import CardVoided, CheckpointOpened, Halted
from pilothouse.guard.approval import approval_digest, shown_value
from pilothouse.guard.clearance import clearance_of, differences
from pilothouse.guard.decide import act_key
from pilothouse.guard.references import Unresolved, fact_of, resolve
from pilothouse.guard.state import MAIN, RunState
from pilothouse.model import PlannedAct, Presence


def open_checkpoint(log: Log, checkpoint: str) -> None:
    """Open a checkpoint, for the first time or again after something changed; or halt where it could not end well.

    Raises:
        ToolFailed: a pin could not be read; the checkpoint does not open on what is not known.
    """
    state, world = log.state, log.world
    assert state.plan is not None
    ahead = remaining(state, checkpoint, MAIN)
    conflict = _conflict(log, ahead)
    if conflict is not None:
        log.append(conflict)
        return
    pins = read_pins(log, ahead)
    basis: dict[str, Json] = {
        "run": state.run,
        "checkpoint": checkpoint,
        "plan": state.plan.digest,
        "acts": [_shown(act, log) for act in state.plan.acts if _follows(act, state, checkpoint)],
        "pins": pins,
        "evidence": dict(sorted(_judged(log).items())),
        "exceptions": list(state.exceptions),
        "clearance": world.clearance(state, checkpoint),
    }
    changes = _changes(log, checkpoint, basis)
    card = world.render_card(state, checkpoint, {**basis, "difference": list(changes)})
    basis["card"] = sha256_hex(card.encode())
    expires = iso(world.now() + timedelta(seconds=world.configuration.policy.checkpoint_expires))
    log.append(CheckpointOpened(checkpoint, approval_digest(basis), card, basis, pins, expires, changes))


def _conflict(log: Log, acts: list[PlannedAct]) -> Halted | None:
    """What already stands in the way of an act that cannot be undone: better known before production is touched."""
    for act in acts:
        if act.undoable:
            continue
        arguments = _known(act, log)
        if arguments is None:
            continue  # it rests on what a covered act will tell
        seen = log.world.tools.probe(act.tool, arguments, act_key(log.state, act.step))
        if seen.presence is Presence.CONFLICT:
            hint = "nothing was changed in production; clear what is in the way, then: pilothouse resume"
            return Halted(act.step, "conflict", f"{act.step}: {seen.detail}", hint)
    return None


def _known(act: PlannedAct, log: Log) -> dict[str, Json] | None:
    """An act's arguments as far as its effect can be looked for by them; None where something of that is not known yet.

    Prose that comes later, and may stay away, is no part of what is looked for.
    """
    spec, facts = log.world.tools.specs()[act.tool], log.state.facts()
    arguments: dict[str, Json] = {}
    for name, value in act.arguments.items():
        try:
            arguments[name] = resolve(value, lambda _form, ref: fact_of(facts, ref))
        except Unresolved:
            known = spec.arguments.get(name)
            if known is None or known.required or not known.text_body:
                return None
    return arguments


def _follows(act: PlannedAct, state: RunState, checkpoint: str) -> bool:
    """Whether an act can still happen after this approval: what the checkpoint covers, and what needs no approval."""
    known = state.acts.get(act.step)
    over = act.step in state.skipped or (known is not None and known.done is not None)
    return act.checkpoint == checkpoint or (act.checkpoint is None and not over)


def _shown(act: PlannedAct, log: Log) -> Json:
    """One covered act as the approval sees it: resolved where known, text bodies by digest."""
    facts = log.state.facts()
    shown: dict[str, Json] = {}
    for name, value in act.arguments.items():
        try:
            worth = resolve(value, lambda _form, ref: fact_of(facts, ref))
        except Unresolved:
            worth = value
        shown[name] = shown_value(worth)
    return {"step": act.step, "tool": act.tool, "branch": act.branch, "arguments": shown}


def _judged(log: Log) -> dict[str, Json]:
    return {f"{step}/{gate}": judged.message for (step, gate), judged in log.state.judged.items()}


def _changes(log: Log, checkpoint: str, basis: dict[str, Json]) -> tuple[str, ...]:
    """What differs from the card that was shown before, where there was one."""
    known = log.state.checkpoints.get(checkpoint)
    if known is None or known.shown is None:
        return ()
    before, after = flat(known.shown.pins), flat(basis["pins"])
    # Acts that are done meanwhile have no pins any more: only what was there before and is still rested on can differ.
    pins = (told(pin, before[pin], value) for pin, value in after.items() if pin in before and before[pin] != value)
    return (*pins, *differences(clearance_of(known.shown.basis), clearance_of(basis)))


def void_if_changed(log: Log, opened: CheckpointOpened) -> bool:
    """Take a card back that waits and whose contents are not so any more; whether it was taken back.

    What cannot be read now changes nothing: it is read again before anybody approves, and before anything moves.
    """
    try:
        pins = changed_since(log, opened)
        now = log.world.clearance(log.state, opened.checkpoint)
    except (ToolFailed, RequestRefused):
        return False
    changed = (*pins, *differences(clearance_of(opened.basis), clearance_of({"clearance": now})))
    if changed:
        log.append(CardVoided(opened.checkpoint, opened.approval_digest, changed))
    return bool(changed)
