"""A dry run: every check and the whole plan, no effect at all, and the plan digest of the real run (INT-3, I40)."""

from __future__ import annotations

from pilothouse.engine.plan import applies, compile_plan
from pilothouse.engine.steps import observe, record_findings
from pilothouse.engine.world import Log, World, bound_of
from pilothouse.errors import ToolFailed
from pilothouse.events import Planned, Skipped
from pilothouse.guard.decide import gates_of
from pilothouse.guard.gates import judge
from pilothouse.guard.state import RunState
from pilothouse.model import Finding, Kind, Step


def rehearse(run: str, world: World) -> tuple[RunState, list[str]]:
    """Walk the steps before the first act, judging every gate on the way, then compile the plan.

    Args:
        world: with a journal of its own that nobody keeps.

    Returns:
        The state, with its plan where one could be compiled, and every reason why the real run would be refused.
    """
    log = Log.open(world, run)
    problems: list[str] = []
    for step in world.workflow.steps():
        if step.kind in {Kind.ACT, Kind.CHECKPOINT, Kind.WATCH}:
            break
        if applies(step, world, log.state) is False:
            log.append(Skipped(step.id, "its condition does not hold for this release"))
            continue
        try:
            problems += _check(log, step)
        except ToolFailed as failure:
            # What rests on something that failed is a consequence: the cause is told already.
            if failure.reason_code != "reference-unknown" or not problems:
                problems.append(f"{step.id}: {failure.message}")
    else:
        return log.state, problems
    plan = compile_plan(world, log.state)
    log.append(Planned(plan.digest, tuple(act.as_json() for act in plan.acts), dict(plan.basis)))
    return log.state, problems


def _check(log: Log, step: Step) -> list[str]:
    if step.kind is not Kind.VERDICT:
        observe(log, step)
        return []
    findings: tuple[Finding, ...] = tuple(
        judge(gate, log.state, bound_of(log.world, log.state), log.world.now())
        for gate in gates_of(step, log.world.workflow)
    )
    record_findings(log, step, findings)
    return [f"{step.id}: {finding.message}" for finding in findings if not finding.passed]
