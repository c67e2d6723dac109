"""A run as JSON, for scripts, jobs and agent chats: the fields of ``pilothouse.status/1``, stable and documented.

Nothing secret and no living word is in here: a word is in the ledger only once it is spent, and never in a view.
"""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.canonical import Json
from pilothouse.errors import (
    EXIT_ABORTED,
    EXIT_DONE,
    EXIT_HALTED,
    EXIT_REFUSED,
    EXIT_ROLLED_BACK,
    EXIT_WAITING,
    PilothouseError,
)
from pilothouse.events import fact_to_json
from pilothouse.guard.state import RunState
from pilothouse.render.advice import resting_advice
from pilothouse.render.costs import Spending, by_agent
from pilothouse.render.course import (
    Entry,
    Standing,
    Times,
    current,
    next_action,
    open_checkpoint,
    outline,
    standing,
    state_name,
    versions,
)

EXITS = {
    "running": EXIT_DONE, "waiting": EXIT_WAITING, "done": EXIT_DONE, "refused": EXIT_REFUSED,
    "failed": EXIT_HALTED, "rolled-back": EXIT_ROLLED_BACK, "aborted": EXIT_ABORTED, "halted": EXIT_HALTED,
}  # fmt: skip


def exit_code(state: RunState) -> int:
    """The exit code that says where a run stands."""
    return EXITS[state_name(state)]


def schema(command: str) -> str:
    """The versioned name of a command's JSON."""
    return f"pilothouse.{command}/1"


def error_json(error: PilothouseError) -> dict[str, Json]:
    """``pilothouse.error/1``."""
    return {
        "schema": schema("error"), "reason_code": error.reason_code, "message": error.message, "hint": error.hint,
    }  # fmt: skip


def nothing_json(error: PilothouseError) -> dict[str, Json]:
    """``pilothouse.nothing/1``: nothing was started, because the world is as it was wanted already."""
    return {**error_json(error), "schema": schema("nothing"), "runs": []}


def status_json(runs: Iterable[RunState]) -> dict[str, Json]:
    """``pilothouse.status/1``: every run, oldest first."""
    return {"schema": schema("status"), "runs": [run_json(state) for state in runs]}


def detailed_json(state: RunState, times: Times, command: str = "status") -> dict[str, Json]:
    """One run with its steps, as the answer of a command; ``runs`` holds it, as in the list of all runs."""
    run = run_json(state, times)
    run["steps"] = [step_json(entry, state, times) for entry in outline(state)]
    return {"schema": schema(command), "runs": [run]}


def run_json(state: RunState, times: Times | None = None) -> dict[str, Json]:
    """One run.

    Args:
        times: where given, events are counted by kind, too.
    """
    at = _at(state)
    before, after = versions(state)
    code, message = _why(state)
    events: dict[str, Json] = {"total": state.events}
    if times is not None:
        events |= dict(sorted(times.kinds.items()))
    advice = resting_advice(state)
    return {
        "id": state.run,
        "product": state.started.product,
        "workflow": state.started.workflow,
        "state": state_name(state),
        "phase": at.phase if at else None,
        "step": at.id if at else None,
        "checkpoint": open_checkpoint(state) or None,
        "version": after or None,
        "from_version": before or None,
        "from_sha": state.started.from_sha,
        "to_sha": state.started.to_sha,
        "plan_digest": state.plan.digest if state.plan else None,
        "started_at": state.started_at,
        "started_by": state.started.started_by,
        "last_at": state.last_at,
        "next_action": next_action(state) or None,
        "reason_code": code or None,
        "message": message or None,
        "supersedes": state.started.supersedes,
        "superseded_by": state.superseded_by or None,
        "exceptions": list[Json](state.exceptions),
        "advice": fact_to_json(advice) if advice else None,
        "models": _models(state, times),
        "conductor": None,  # who looks at the lease, too, says here whether anybody is at work on the run
        "events": events,
    }


def _models(state: RunState, times: Times | None) -> Json:
    """What agents on models used up, by agent where the times are known; None where all were scripted."""
    if not state.model_answers:
        return None
    whole = Spending.of(fact for _, fact in state.model_answers).as_json()
    if times is not None:
        whole["agents"] = [{"agent": name, **part.as_json()} for name, part in by_agent(times.said)]
    return whole


def _at(state: RunState) -> Entry | None:
    """The step at which a run is, waits or rests; None once it is over."""
    return None if state.over else current(state)


def _why(state: RunState) -> tuple[str, str]:
    """The reason code and sentence of a run that did not simply go well."""
    if state.halted:
        return state.halted.reason_code, state.halted.message
    if state.refused:
        return state.refused.reason_code, state.refused.message
    if state.superseded_by:
        return "superseded", f"gave way to {state.superseded_by}"
    if state.aborted:
        code = {"Aborted": "aborted", "Rejected": "rejected"}.get(type(state.aborted).__name__, "checkpoint-expired")
        return code, str(getattr(state.aborted, "reason", "nobody answered in time"))
    if state.branched:
        return state.branched.reason_code, state.branched.message
    return "", ""


def step_json(entry: Entry, state: RunState, times: Times) -> dict[str, Json]:
    """One step of a run."""
    when = times.steps.get(entry.id)
    stands = standing(entry, state)
    ended = when.ended_at if when and stands in {Standing.DONE, Standing.FAILED} else None
    return {
        "id": entry.id,
        "agent": entry.agent,
        "kind": str(entry.kind),
        "phase": entry.phase,
        "branch": entry.branch,
        "state": str(stands),
        "started_at": when.started_at if when else None,
        "ended_at": ended,
        "evidence": [*_evidence(entry, state)],
        "reason_code": _step_reason(entry.id, state) or None,
    }


def _evidence(entry: Entry, state: RunState) -> tuple[str, ...]:
    verdict = state.verdicts.get(entry.id)
    if verdict is not None:
        return verdict.cites
    return tuple(item.id for item in state.evidence_by_id.values() if item.step == entry.id)


def _step_reason(step: str, state: RunState) -> str:
    for fact, name in ((state.halted, "step"), (state.refused, "step"), (state.branched, "at_step")):
        if fact is not None and getattr(fact, name) == step:
            return fact.reason_code
    act = state.acts.get(step)
    return act.failed.reason_code if act and act.failed and not act.done else ""
