"""The guard's answer for one step: Permit, Wait or Refuse. Pure; the engine does what it says and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pilothouse.canonical import Json, digest, sha256_hex
from pilothouse.guard.approval import expired
from pilothouse.guard.bound import Bound
from pilothouse.guard.gates import judge
from pilothouse.guard.policy import is_held, not_overridden, refusal
from pilothouse.guard.references import Unresolved
from pilothouse.guard.state import MAIN, RunState, approved_digest, is_complete, resolve_planned, unrecorded
from pilothouse.model import EACH_ACT, Finding, Gate, Kind, Permit, PlannedAct, Refuse, Step, Wait, Workflow


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer and the judgements it rests on (every one of them becomes an event)."""

    answer: Permit | Wait | Refuse
    findings: tuple[Finding, ...] = ()
    arguments: Mapping[str, Json] | None = None  # of a permitted act, resolved


def next_step(workflow: Workflow, state: RunState) -> Step | None:
    """The first step of the current branch that is not complete, or None at its end."""
    return next((step for step in workflow.steps(state.branch) if not is_complete(step.kind, step.id, state)), None)


def unhandled(step: Step, state: RunState) -> tuple[str, str, str] | None:
    """A recorded failure whose consequence is not recorded yet (the conductor died in between): code, message, hint.

    A void approval is no failure of that kind: its consequence is that the checkpoint is open again.
    """
    act = state.acts.get(step.id)
    if act is not None and act.failed and act.open is None and act.failed_seq > state.resumed_seq:
        void = act.failed.reason_code == "plan-changed" and state.branch == MAIN
        if not void:
            return act.failed.reason_code, act.failed.message, act.failed.hint
    watch = state.watches.get(step.id)
    if watch is not None and watch.closed is not None and watch.closed.outcome != "healthy":
        return f"watch-{watch.closed.outcome}", watch.closed.message, "see the samples in the ledger"
    return None


def gates_of(step: Step, workflow: Workflow) -> list[Gate]:
    """The gates that a step names, as declared; ``asks_unless`` is one of them only for that question."""
    return [workflow.gates[name] for name in step.gates]


def decide(step: Step, workflow: Workflow, state: RunState, bound: Bound, now: datetime) -> Decision:
    """Answer for one step.

    Order: holds, gates, freezes and locks, the checkpoint, the act's own go, then the permit; all failing gates are
    reported together.
    """
    held = _held(step, state)
    if held is not None:
        return Decision(held)
    findings = tuple(judge(gate, state, bound, now) for gate in gates_of(step, workflow))
    refusal = _refusal(findings)
    if refusal is not None:
        return Decision(refusal, findings)
    if step.kind is not Kind.ACT:
        return Decision(_plain_permit(step, state), findings)
    return _decide_act(step, workflow, state, bound, now, findings)


def _held(step: Step, state: RunState) -> Wait | None:
    for name in step.needs if step.kind is not Kind.VERDICT else (*step.needs, step.id):
        verdict = state.verdicts.get(name)
        if verdict is not None and verdict.answer == "hold" and name not in state.lifted:
            reasons = "; ".join(verdict.reasons)
            return Wait("hold", f"{verdict.agent} holds at {name}: {reasons}")
    return None


def _refusal(findings: tuple[Finding, ...]) -> Refuse | None:
    failed = tuple(finding for finding in findings if not finding.passed)
    if not failed:
        return None
    message = "; ".join(finding.message for finding in failed)
    return Refuse(failed[0].reason_code, message, failed[0].hint, failed)


def _plain_permit(step: Step, state: RunState) -> Permit:
    plan_digest = state.plan.digest if state.plan else ""
    return Permit(state.run, step.id, step.target, "", plan_digest, None, state.branch, "")


def act_key(state: RunState, step: str) -> str:
    """The idempotency key of an act: one a run, plan and step, whatever the attempt."""
    plan_digest = state.plan.digest if state.plan else ""
    return sha256_hex(f"{state.run}:{state.started_at}:{plan_digest}:{step}".encode())[:20]


def _decide_act(
    step: Step, workflow: Workflow, state: RunState, bound: Bound, now: datetime, findings: tuple[Finding, ...]
) -> Decision:
    planned = state.plan.act(step.id) if state.plan else None
    if state.plan is None or planned is None:
        return Decision(Refuse("not-in-plan", f"the act {step.id} is not in the plan"), findings)
    if planned.branch != state.branch:
        return Decision(Refuse("not-in-plan", f"the act {step.id} belongs to {planned.branch}"), findings)
    missing = unrecorded(state, planned)
    if missing is not None:
        return Decision(Refuse("intent-unrecorded", f"{step.id} waits for its record: {missing} is not done"), findings)
    if is_held(planned, state):
        frozen = refusal(not_overridden(bound.held, state), state.run)
        if frozen is not None:
            return Decision(frozen, findings)
    approval: str | None = None
    if planned.checkpoint is not None:
        approval = approved_digest(state, planned.checkpoint)
        if approval is None:
            return Decision(Wait("checkpoint", f"{planned.checkpoint} awaits approval", checkpoint=planned.checkpoint))
        if _outlived(planned, state, now):
            return Decision(
                Wait("checkpoint", f"the approval of {planned.checkpoint} expired", checkpoint=planned.checkpoint)
            )
    if asks_each(workflow, step, state.branch) and step.id not in state.allowed:
        return Decision(Wait("step-go", f"{step.id} waits for a go: pilothouse resume {state.run} --go {step.id}"))
    if step.asks_unless is not None:
        finding = judge(workflow.gates[step.asks_unless], state, bound, now)
        findings = (*findings, finding)
        if not finding.passed and step.id not in state.lifted:
            question = f"{step.id}: {finding.message}. Lift it with: resume --lift-hold {step.id} --reason …"
            return Decision(Wait("hold", question), findings)
    try:
        arguments = resolve_planned(planned, state)
    except Unresolved as unknown:
        return Decision(Refuse("reference-unknown", f"{step.id} needs {unknown}, which is not known"), findings)
    permit = Permit(
        state.run, step.id, planned.tool, digest(dict(arguments)), state.plan.digest, approval, planned.branch,
        act_key(state, step.id),
    )  # fmt: skip
    return Decision(permit, findings, arguments)


def asks_each(workflow: Workflow, step: Step, branch: str) -> bool:
    """Whether an act waits for a go of its own: each of the main line that no checkpoint covers (PRO-11).

    A way back never waits for one: whoever is not there would keep production broken.
    """
    return workflow.asks == EACH_ACT and branch == MAIN and step.kind is Kind.ACT and step.checkpoint is None


def _outlived(planned: PlannedAct, state: RunState, now: datetime) -> bool:
    """Whether an approval is older than its card may get. Once production was touched, to finish is the safer way."""
    if planned.branch != MAIN or state.production_attempted():
        return False
    known = state.checkpoints.get(str(planned.checkpoint))
    return known is not None and expired(known, now)


def on_trouble(step: Step, workflow: Workflow, state: RunState) -> str:
    """Where a failing step leads: a branch's name, ``rest`` (refused, may be resumed) or ``halt``.

    A branch is taken only once production was touched; before that there is nothing to undo. Trouble inside a branch
    halts: a rollback is never rolled back (RB-3).
    """
    if state.branch != MAIN:
        return "halt"
    if step.on_failure in workflow.branches and state.production_attempted():
        return str(step.on_failure)
    return "rest"
