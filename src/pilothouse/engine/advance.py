"""The only engine: fold, find the next step, decide, perform, record, until the run must wait or is done.

Anyone may call ``advance`` at any time on any machine that holds the product's lease; calling it again after a kill is
the recovery. Nothing sleeps here: a wait is returned, with the time it is due.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pilothouse.canonical import Json
from pilothouse.engine import agents
from pilothouse.engine.checkpoint import open_checkpoint, void_if_changed
from pilothouse.engine.perform import call_off, look_back, perform
from pilothouse.engine.plan import applies, compile_plan
from pilothouse.engine.steps import (
    arguments_of,
    evidence_for,
    observe,
    other_blockers,
    record_findings,
    scripted_verdict,
    seen_as,
)
from pilothouse.engine.watch import watch
from pilothouse.engine.world import Log, World, bound_of, no_lease
from pilothouse.errors import ChainMoved, ToolFailed
from pilothouse.events import (
    PRODUCT_LINE,
    Branched,
    CheckpointExpired,
    Ended,
    Halted,
    Locked,
    Planned,
    Refused,
    Skipped,
    VerdictGiven,
)
from pilothouse.guard.approval import expired
from pilothouse.guard.decide import Decision, decide, next_step, on_trouble, unhandled
from pilothouse.guard.policy import Constraints, is_held
from pilothouse.guard.product import fold_product
from pilothouse.guard.state import MAIN, RunState
from pilothouse.model import Kind, Permit, Refuse, Step, Wait


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands when ``advance`` returns: its state, and what it waits for, if it waits."""

    state: RunState
    wait: Wait | None = None


def advance(run: str, world: World) -> Standing:
    """Go on with a run until it waits, rests, halts or is done.

    Raises:
        LedgerError: the ledger cannot be read or written, or another conductor holds the product.
    """
    log = Log.open(world, run)
    while True:
        try:
            rests = log.state.over or log.state.refused or log.state.halted
            wait = None if rests else _one(log)
            if rests or wait is not None:
                world.journal.sync()  # whoever goes on may do so on another machine
                return Standing(log.state, wait)
        except ChainMoved:
            # An approval or an abort came in: what was decided on the older state is void, so decide again.
            log.refresh()


def explain(standing: Standing, world: World) -> Standing:
    """Let agents say what they make of the trouble that a run rests with, or is held for; once.

    Called without the product's lease: whoever does something about the trouble need not wait for it, and ends it.

    Raises:
        LedgerError: the ledger cannot be read or written.
    """
    if world.thinking is None or standing.state.over:
        return standing
    world.lease = no_lease
    log = Log.open(world, standing.state.run)
    try:
        if log.state.refused or log.state.halted:
            _explain_rest(log)
        elif standing.wait is not None and standing.wait.reason_code == "hold":
            _explain_hold(log, standing.wait)
    except ChainMoved:
        log.refresh()  # somebody does something about it
    return replace(standing, state=log.state)


def _one(log: Log) -> Wait | None:
    """Do the next thing; a Wait when nothing can be done now."""
    world, state = log.world, log.state
    if state.aborted and state.open_act:
        call_off(log, state.open_act)
        return None
    step = next_step(world.workflow, state)
    if step is None:
        ending = _ending(log)
        log.append(ending, first=_lock(log, ending))
        return None
    left_over = unhandled(step, state)
    if left_over is not None:
        _trouble(log, step, *left_over)
        return None
    if step.kind is Kind.ACT and state.plan is None:
        plan = compile_plan(world, state)
        log.append(Planned(plan.digest, tuple(act.as_json() for act in plan.acts), dict(plan.basis)))
    if not _open_intent(step, state) and applies(step, world, log.state) is False:
        log.append(Skipped(step.id, "its condition does not hold for this release"))
        return None
    try:
        if _open_intent(step, log.state) and look_back(log, step.id):
            return None
        # Before the evidence: some of it is good for seconds only, and reading the remote's policy takes some.
        held = _constraints(log, step)
        evidence_for(log, step)
        bound = replace(bound_of(world, log.state), held=held)
        decision = decide(step, world.workflow, log.state, bound, world.now())
        record_findings(log, step, decision.findings)
        # What a gate refuses now may be what the interrupted act itself did, landed since it was looked for.
        if not isinstance(decision.answer, Permit) and _open_intent(step, log.state) and look_back(log, step.id):
            return None
        return _carry_out(log, step, decision)
    except ToolFailed as failure:
        others = other_blockers(log, step)
        told = "; ".join((failure.message, *others))
        _trouble(log, step, failure.reason_code, told, failure.hint, detail=failure.detail[-4000:])
        return None


def _constraints(log: Log, step: Step) -> Constraints:
    """Freezes and locks, read afresh for an act that they may hold."""
    planned = log.state.plan.act(step.id) if log.state.plan and step.kind is Kind.ACT else None
    if planned is None or not is_held(planned, log.state):
        return Constraints()
    return log.world.constraints(log.state)


def _open_intent(step: Step, state: RunState) -> bool:
    act = state.acts.get(step.id)
    return act is not None and act.open is not None


def _carry_out(log: Log, step: Step, decision: Decision) -> Wait | None:
    match decision.answer:
        case Wait() as wait:
            return _wait(log, step, wait)
        case Refuse() as refusal:
            cited = tuple(item for finding in refusal.findings for item in finding.evidence)
            _trouble(log, step, refusal.reason_code, refusal.message, refusal.hint, cited)
            return None
        case Permit() as permit:
            return _do(log, step, permit, decision)


def _wait(log: Log, step: Step, wait: Wait) -> Wait | None:
    if wait.checkpoint is not None:
        return _at_checkpoint(log, wait.checkpoint)
    if step.asks_unless is not None and step.id not in log.state.verdicts:
        # What the gate found is put as a hold of the step's agent, so that lifting it is one act of one person.
        log.append(VerdictGiven(step.id, step.agent, "hold", (wait.message,), (), "guard"))
    return wait


def _do(log: Log, step: Step, permit: Permit, decision: Decision) -> Wait | None:
    match step.kind:
        case Kind.OBSERVE:
            observe(log, step)
        case Kind.DRAFT:
            return _draft(log, step)
        case Kind.VERDICT:
            return _verdict(log, step)
        case Kind.CHECKPOINT:
            return _at_checkpoint(log, step.id)
        case Kind.WATCH:
            return watch(log, step)
        case Kind.ACT:
            _act(log, step, permit, decision)
    return None


def _verdict(log: Log, step: Step) -> Wait | None:
    reads = [log.state.evidence[name] for name in step.reads if name in log.state.evidence]
    given = agents.verdict(log, step, reads, scripted_verdict(log, step, reads))
    if isinstance(given, Wait):
        return given
    log.append(*given)
    return None


def _draft(log: Log, step: Step) -> Wait | None:
    _explain_way_back(log)
    arguments = arguments_of(log, step)
    drafted = agents.draft(log, step, arguments, log.world.tools.observe(step.target, arguments))
    if isinstance(drafted, Wait):
        return drafted
    facts, text = drafted
    log.append(*facts, seen_as(log, step, arguments, text))
    return None


def _explain_rest(log: Log) -> None:
    """What an agent makes of the trouble that a run rests with."""
    trouble = log.state.refused or log.state.halted
    if trouble is None or log.state.over:
        return
    step = next((item for item in log.world.workflow.every_step() if item.id == trouble.step), None)
    if step is None:
        return
    detail = trouble.detail if isinstance(trouble, Refused) else ""
    agents.counsel(log, step, _trouble_told(trouble.reason_code, trouble.message, trouble.hint, detail))


def _explain_way_back(log: Log) -> None:
    """What an agent makes of the failure that a run goes back from: after production is good again, for the record."""
    branched = log.state.branched
    if branched is not None and log.state.branch != MAIN:
        step = log.world.workflow.step(branched.at_step)
        agents.counsel(log, step, _trouble_told(branched.reason_code, branched.message, "", ""))


def _explain_hold(log: Log, wait: Wait) -> None:
    """What an agent makes of a hold that code put, or that was handed over to it."""
    step = next_step(log.world.workflow, log.state)
    if step is None:
        return
    verdict = log.state.verdicts.get(step.id)
    passed = any(item.step == step.id for item in log.state.handoffs)
    if wait.reason_code == "hold" and verdict is not None and (passed or verdict.by == "guard"):
        agents.counsel(log, step, _trouble_told("hold", wait.message, "", ""))


def _trouble_told(code: str, message: str, hint: str, detail: str) -> dict[str, Json]:
    return {"reason_code": code, "message": message, "hint": hint, "detail": detail}


def _act(log: Log, step: Step, permit: Permit, decision: Decision) -> None:
    planned = log.state.plan.act(step.id) if log.state.plan else None
    assert planned is not None and decision.arguments is not None  # the guard permits only what is planned
    # A failure is in the ledger now; its consequence is the next turn's, so that a kill in between changes nothing.
    perform(log, planned, permit, decision.arguments)


def _at_checkpoint(log: Log, checkpoint: str) -> Wait | None:
    known = log.state.checkpoints.get(checkpoint)
    waited = known is not None and known.opened is not None
    if known is None or known.opened is None:
        if log.state.plan is None:
            plan = compile_plan(log.world, log.state)
            log.append(Planned(plan.digest, tuple(act.as_json() for act in plan.acts), dict(plan.basis)))
        open_checkpoint(log, checkpoint)
        if log.state.halted:
            return None
        known = log.state.checkpoints[checkpoint]
    assert known.opened is not None
    if expired(known, log.world.now()):
        log.append(CheckpointExpired(checkpoint, known.opened.approval_digest))
        return None
    if waited and void_if_changed(log, known.opened):
        return None
    return Wait("checkpoint", log.world.workflow.step(checkpoint).target, known.opened.expires_at, checkpoint)


def _trouble(
    log: Log, step: Step, code: str, message: str, hint: str, cited: tuple[str, ...] = (), detail: str = ""
) -> None:
    """A step failed or was refused: rest, take the contingent branch, or halt, as the guard says."""
    if log.state.open_act is not None:
        told = f"{log.state.open_act} has no outcome yet, and: {message}"
        log.append(Halted(step.id, "unknown-outcome", told, hint or "look at the target, then: pilothouse resume"))
        return
    way = on_trouble(step, log.world.workflow, log.state)
    if way == "halt":
        hint = hint or "bring production to a good state by hand, then: pilothouse resume"
        log.append(Halted(step.id, f"{log.state.branch}-failed", f"{step.id}: {message}", hint))
    elif way == "rest":
        log.append(Refused(step.id, code, message, hint, cited, detail))
    else:
        severity = "critical" if code in {"unhealthy", "no-effect", "deploy-failed"} else "high"
        returns = log.world.workflow.branches[way].ends == "halted"
        log.append(Branched(way, step.id, severity, code, message, returns=returns))


def _lock(log: Log, ending: Ended | Halted) -> tuple[str, Locked] | None:
    """After a rollback the product is locked, in one batch with the run's end: a kill leaves both or neither."""
    state, world = log.state, log.world
    if not isinstance(ending, Ended) or ending.outcome != "rolled-back" or not world.locks_after_rollback():
        return None
    name = f"rollback-{state.run}"
    if name in fold_product(world.journal.read(world.chain)).locks:
        return None
    why = state.branched.message if state.branched else str(state.started.inputs.get("reason") or "")
    reason = f"rolled back: {why or 'see the run'}"[:500]
    return PRODUCT_LINE, Locked(name, reason, "pilothouse", "engine", "", state.run)


def _ending(log: Log) -> Ended | Halted:
    state, workflow = log.state, log.world.workflow
    if state.branch == MAIN:
        outcome = "rolled-back" if workflow.name == "rollback" else "done"
        return Ended(outcome, f"{workflow.title} finished")
    branch = workflow.branches[state.branch]
    if state.aborted:
        return Ended(branch.ends, str(getattr(state.aborted, "reason", "")) or "aborted")
    assert state.branched is not None
    if branch.ends == "halted":
        return Halted(state.branched.at_step, state.branched.reason_code, state.branched.message,
                      "finish by hand what is prepared for you, then resume: the run goes on from there")  # fmt: skip
    return Ended(branch.ends, state.branched.message)
