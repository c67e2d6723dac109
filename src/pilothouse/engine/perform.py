"""One act, exactly: intend, probe, fresh look, apply, read back, record (architecture, "An act, exactly").

This is the only place that calls ``Tools.apply``; a test walks the code to make sure.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.canonical import Json, digest
from pilothouse.engine.pins import changed_pins
from pilothouse.engine.world import Log
from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.events import Done, Fact, Failed, Halted, Intended
from pilothouse.guard.policy import Constraints, is_held, not_overridden, refusal
from pilothouse.guard.state import ABORTED, ActState, approved_digest
from pilothouse.model import EffectClass, Permit, PlannedAct, Presence, Probe

TRIES = 3  # of a keyed act whose answer was lost: the key or the compare-and-swap makes each further try harmless
SETTLE_SECONDS = 1.0  # between the two equal looks of a quiescing act after a crash
LOOKS = 10  # at most, until two in a row are equal


def perform(log: Log, act: PlannedAct, permit: Permit, arguments: Mapping[str, Json]) -> None:
    """Carry out one permitted act; what came of it is in the ledger when this returns.

    Raises:
        ChainMoved: somebody appended before the intent; nothing moved.
        LeaseLost: another conductor took over; nothing more moves.
    """
    world, known = log.world, log.state.acts.get(act.step, ActState())
    _check_permit(log, act, permit, arguments)
    crashed = known.open is not None
    held = is_held(act, log.state)  # before the act's own intent, which counts as an attempt
    if not crashed:
        world.boundary("before-intent", act.step)
        log.append(
            Intended(
                act.step, act.tool, dict(arguments), permit.key, permit.plan_digest, permit.approval_digest, act.branch,
                known.attempts + 1,
            )
        )  # fmt: skip
        world.journal.sync()
        world.boundary("after-intent", act.step)
    else:
        world.journal.sync()  # an earlier life may have died before its intent was anywhere but on this disk
    if crashed and act.effect is EffectClass.HUMAN:
        return _halt(log, act, "unknown-outcome", f"whether {act.step} happened cannot be told by code",
                     f"look, then: pilothouse resume {permit.run} --settle {act.step}=applied|absent --reason …",
                     keep_open=True)  # fmt: skip
    try:
        seen = _look(log, act, arguments, permit.key, twice=crashed and act.effect is EffectClass.QUIESCE)
    except ToolFailed as failure:
        return _fail(log, act, failure, moved=crashed)
    return _go_on(log, act, permit, arguments, seen, crashed=crashed, held=held)


def look_back(log: Log, step: str) -> bool:
    """Whether an act that was interrupted turns out to be done: then that is recorded, whatever its gates say now."""
    act = log.state.plan.act(step) if log.state.plan else None
    known = log.state.acts[step].open
    assert act is not None and known is not None
    if act.effect is EffectClass.HUMAN:
        return False
    seen = _look(log, act, known.arguments, known.key, twice=act.effect is EffectClass.QUIESCE)
    if seen.presence is Presence.APPLIED:
        _done(log, act, seen, found=True)
    return seen.presence is Presence.APPLIED


def call_off(log: Log, step: str) -> None:
    """Find out what became of an act whose run was aborted meanwhile; it is not tried again, whatever is found."""
    act = log.state.plan.act(step) if log.state.plan else None
    known = log.state.acts[step].open
    assert act is not None and known is not None
    try:
        if act.effect is EffectClass.HUMAN:
            seen = Probe(Presence.UNKNOWN, f"whether {step} happened cannot be told by code")
        else:
            seen = _look(log, act, known.arguments, known.key, twice=act.effect is EffectClass.QUIESCE)
    except ToolFailed as failure:
        seen = Probe(Presence.UNKNOWN, f"{step}: {failure.message}")
    match seen.presence:
        case Presence.APPLIED:
            _done(log, act, seen, found=True)
        case Presence.UNKNOWN:
            hint = f"look, then: pilothouse resume {log.state.run} --settle {step}=applied|absent --reason …"
            _halt(log, act, "unknown-outcome", seen.detail, hint, keep_open=True)
        case _:
            _fail(log, act, ToolFailed("aborted", "the run was ended before it was done"))


def _check_permit(log: Log, act: PlannedAct, permit: Permit, arguments: Mapping[str, Json]) -> None:
    state = log.state
    plan_digest = state.plan.digest if state.plan else None
    approval = approved_digest(state, act.checkpoint) if act.checkpoint else None
    if (
        permit.run != state.run
        or permit.step != act.step
        or permit.plan_digest != plan_digest
        or permit.branch != state.branch
        or permit.approval_digest != approval
        or permit.arguments_digest != digest(dict(arguments))
        or (act.checkpoint and approval is None)
    ):
        raise AssertionError(f"the permit for {permit.step} does not fit the ledger; this is a bug in Pilothouse")


def _look(log: Log, act: PlannedAct, arguments: Mapping[str, Json], key: str, *, twice: bool) -> Probe:
    tools = log.world.tools
    seen = tools.probe(act.tool, arguments, key)
    if not twice:
        return seen
    for _ in range(LOOKS):
        log.world.clock.sleep(SETTLE_SECONDS)
        again = tools.probe(act.tool, arguments, key)
        if again == seen:
            return seen
        seen = again
    return Probe(Presence.UNKNOWN, "it does not come to rest")


def _go_on(
    log: Log, act: PlannedAct, permit: Permit, arguments: Mapping[str, Json], seen: Probe, *, crashed: bool, held: bool
) -> None:
    match seen.presence:
        case Presence.APPLIED:
            return _done(log, act, seen, found=True)
        case Presence.CONFLICT:
            told = "nothing was changed; a person must look"
            return _halt(log, act, "conflict", f"{act.step}: {seen.detail}", told, moved=crashed)
        case Presence.UNKNOWN if act.effect is not EffectClass.HUMAN or crashed:
            told = "look, then resume"
            return _halt(log, act, "unknown-state", f"{act.step}: {seen.detail}", told, moved=crashed)
        case _:
            pass  # absent; or a command without a probe, of which a person is asked afterwards
    try:
        # Looking took its time: whoever froze or locked the product meanwhile, aborted the run, or took the lease over
        # is heard before anything moves. The world is looked at last; what is asked after it stands on this machine.
        constraints = log.world.constraints(log.state) if held else Constraints()
        changed = changed_pins(log, act) if act.checkpoint is not None else ()
        lately = log.world.held_now(log.state) if held else Constraints()
    except ToolFailed as failure:
        return _fail(log, act, failure, moved=crashed)
    if changed and crashed and look_back(log, act.step):
        return None  # what changed is what this very act did: it landed after it was looked for
    if changed:
        message = "changed since it was approved: " + "; ".join(changed)
        hint = "the approval is void; the checkpoint opens again with the difference"
        return _fail(log, act, ToolFailed("plan-changed", message, hint), moved=crashed)
    log.confirm()
    if log.state.over or (log.state.aborted and act.branch != ABORTED):
        return _fail(log, act, ToolFailed("aborted", "the run was ended before anything moved"), moved=crashed)
    for found in (constraints, lately):
        refused = refusal(not_overridden(found, log.state), permit.run)
        if refused is not None:
            return _fail(log, act, ToolFailed(refused.reason_code, refused.message, refused.hint), moved=crashed)
    return _apply(log, act, permit, arguments)


def _apply(log: Log, act: PlannedAct, permit: Permit, arguments: Mapping[str, Json]) -> None:
    attempt, seen = _try(log, act, permit, arguments)
    # The answer was lost and the effect is not there, but it may still land. A keyed act is tried again: whichever
    # push comes second loses its compare-and-swap, so that nothing late can land behind our back.
    for _ in range(TRIES - 1):
        if not (isinstance(attempt, Unreachable) and seen.presence is Presence.ABSENT):
            break
        if act.effect is not EffectClass.KEYED:
            break
        attempt, seen = _try(log, act, permit, arguments)
    if attempt is not None and seen.presence is Presence.ABSENT and act.effect is EffectClass.QUIESCE:
        # What failed visibly may have set something going: it is absent once two looks agree.
        seen = _look(log, act, arguments, permit.key, twice=True)
    match seen.presence:
        case Presence.APPLIED:
            return _done(log, act, seen, found=False)
        case Presence.ABSENT if not isinstance(attempt, Unreachable):
            detail = seen.detail or f"{act.step} had no effect"
            return _fail(log, act, attempt or ToolFailed("no-effect", detail, "look at the target, then resume"))
        case Presence.CONFLICT if act.effect is not EffectClass.HUMAN:  # nothing tells what a command left behind
            return _fail(log, act, attempt or ToolFailed("conflict", seen.detail, "look at the target, then resume"))
        case _:
            told = seen.detail or (attempt.message if attempt else f"{act.step} could not be read back")
            return _halt(log, act, "unknown-outcome", told, "look at the target, then resume", keep_open=True)


def _try(log: Log, act: PlannedAct, permit: Permit, arguments: Mapping[str, Json]) -> tuple[ToolFailed | None, Probe]:
    """Apply once and read back; what the attempt said is what was seen, not what is: the read-back decides (I5)."""
    tools = log.world.tools
    attempt: ToolFailed | None = None
    try:
        tools.apply(act.tool, arguments, permit)
    except ToolFailed as failure:
        attempt = failure
    log.world.boundary("after-apply", act.step)
    try:
        return attempt, tools.verify(act.tool, arguments, permit.key)
    except ToolFailed as failure:
        return attempt, Probe(Presence.UNKNOWN, f"{act.step} could not be read back: {failure.message}")


def _done(log: Log, act: PlannedAct, seen: Probe, *, found: bool) -> None:
    moves: dict[str, Json] = dict(seen.moves)
    log.append_outcome(Done(act.step, log.evidence_id(), seen.facts, moves, found=found, summary=seen.detail))
    log.world.boundary("after-outcome", act.step)


def _fail(log: Log, act: PlannedAct, failure: ToolFailed, *, moved: bool = True) -> None:
    log.append_outcome(
        Failed(act.step, failure.reason_code, failure.message, failure.hint, failure.detail[-4000:], moved)
    )


def _halt(
    log: Log, act: PlannedAct, code: str, message: str, hint: str, *, keep_open: bool = False, moved: bool = True
) -> None:
    facts: list[Fact] = [] if keep_open else [Failed(act.step, code, message, hint, "", moved)]
    log.append_outcome(*facts, Halted(act.step, code, message, hint))
