"""What the tools answer: a schema each, and how a run, a rehearsal or a checkpoint becomes one.

Texts that others wrote pass through ``safe``; nothing here holds a word of approval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from pilothouse.guard.clearance import clearance_of
from pilothouse.render.acts import sentence
from pilothouse.render.course import Standing, needed, next_action, open_checkpoint, outline, standing
from pilothouse.render.text import safe
from pilothouse.views import run_json

if TYPE_CHECKING:
    from pilothouse.guard.state import RunState

State = Literal["running", "waiting", "done", "refused", "rolled-back", "failed", "aborted", "halted"]
Tool = Literal["release_plan", "release_start", "release_status", "release_resume", "request_approval"]
_LONGEST = 600  # characters of a message


class Shape(BaseModel):
    """An answer: nothing beside its fields, and none of them changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Next(Shape):
    """What to do now."""

    who: Literal["agent", "person", "nobody"] = Field(description="whose turn it is; nobody: nothing is left to do")
    what: str = Field(description="one sentence")
    tool: Tool | None = Field(default=None, description="the tool to call, where it is the agent's turn")
    command: str | None = Field(default=None, description="what a person types in a terminal, where it is theirs")


class Trouble(Shape):
    """Why something did not simply go well."""

    reason_code: str = Field(description="stable; `pilothouse explain CODE` says more")
    message: str
    hint: str = ""


class Run(Shape):
    """Where a run stands."""

    run: str = Field(description="the run's id")
    product: str
    workflow: str
    state: State
    next_action: Next
    phase: str | None
    step: str | None = Field(description="the step at which it is, waits or rests")
    checkpoint: str | None = Field(description="the checkpoint that waits for a person")
    steps_done: int
    steps_total: int
    version: str | None
    from_version: str | None
    to_sha: str
    plan_digest: str | None
    started_at: str
    started_by: str
    last_at: str
    at_work: bool = Field(description="whether a conductor is at work on it at this moment")
    why: Trouble | None = Field(default=None, description="why it rests, halted, went back or was ended")
    conductor: Trouble | None = Field(default=None, description="why the last attempt to go on with it came to nothing")
    resources: list[str] = Field(description="what there is to read about it")


class Gate(Shape):
    """One gate, judged."""

    step: str
    gate: str
    passed: bool
    message: str
    evidence: list[str]


class Act(Shape):
    """One act of a plan."""

    step: str
    what: str = Field(description="in one plain sentence")
    branch: str = Field(description="main, or the branch that is taken if it goes wrong")
    checkpoint: str | None = Field(description="the checkpoint that a person must open first")


class Plan(Shape):
    """A rehearsal: nothing was changed, and nothing was started."""

    state: Literal["planned", "refused", "checking"] = Field(
        description="refused: a real run would be refused now; checking: ask again with the same arguments"
    )
    next_action: Next
    product: str
    workflow: str
    version: str | None = None
    from_version: str | None = None
    to_sha: str | None = None
    plan_digest: str | None = Field(default=None, description="a real run of the same world has the same one")
    gates: list[Gate] = Field(default_factory=list)
    acts: list[Act] = Field(default_factory=list)
    problems: list[str] = Field(default_factory=list, description="why a real run would be refused now")
    notes: list[str] = Field(default_factory=list)


class Approval(Shape):
    """What a checkpoint asks of a person. No tool approves."""

    run: str
    state: State
    checkpoint: str | None
    waits: bool = Field(description="whether a checkpoint waits for an approval now")
    next_action: Next
    still_needed: list[str] = Field(description="whose approval is missing")
    approvers: list[str]
    accepted: list[str] = Field(description="how an approver may be known: account, ssh-signature, standing, elicited")
    expires_at: str | None
    card: str | None = Field(description="the resource with what the person will be shown")
    asked: Literal["no", "declined", "cancelled", "refused", "approved"] = Field(
        default="no", description="what became of asking the person through this client, where policy allows that"
    )
    told: str = Field(default="", description="why the person was not asked, or what became of it")


def run_of(state: RunState, *, at_work: bool, conductor: Trouble | None = None) -> Run:
    """A run as the tools tell of it.

    Args:
        state: the run, folded.
        at_work: whether a conductor is at work on it.
        conductor: why the last attempt of this server to go on came to nothing.
    """
    told = run_json(state)
    steps = outline(state, state.branch)
    code = told["reason_code"]
    why = Trouble(reason_code=str(code), message=safe(str(told["message"] or ""), _LONGEST)) if code else None
    return Run(
        run=state.run, product=state.started.product, workflow=state.started.workflow,
        state=cast("State", told["state"]), next_action=_next(state, at_work=at_work), phase=_text(told["phase"]),
        step=_text(told["step"]), checkpoint=open_checkpoint(state) or None,
        steps_done=sum(standing(entry, state) in {Standing.DONE, Standing.SKIPPED} for entry in steps),
        steps_total=len(steps), version=_text(told["version"]), from_version=_text(told["from_version"]),
        to_sha=state.started.to_sha, plan_digest=_text(told["plan_digest"]), started_at=state.started_at,
        started_by=safe(state.started.started_by, 80), last_at=state.last_at, at_work=at_work, why=why,
        conductor=conductor, resources=_resources(state),
    )  # fmt: skip


def settled(run: Run) -> bool:
    """Whether a run goes no further by waiting."""
    return run.state != "running" or not run.at_work


def _next(state: RunState, *, at_work: bool) -> Next:
    if state.over:
        return Next(who="nobody", what="The run is over.")
    command = next_action(state)
    if open_checkpoint(state) and not (state.refused or state.halted):
        what = "A person must read the card and approve in a terminal; no tool can. Tell them, then wait."
        return Next(who="person", what=what, tool="request_approval", command=command)
    if state.halted:
        return Next(who="person", what="It halted: a person must look before anything moves.", command=command)
    if " --" in command:
        return Next(who="person", what="A person must decide, in a terminal.", command=command)
    if state.refused:
        what = "It rests. Once what it names is mended, go on with it; nothing is done twice."
        return Next(who="agent", what=what, tool="release_resume", command=command)
    if at_work:
        return Next(who="agent", what="It goes on in the background; ask again.", tool="release_status")
    return Next(
        who="agent", what="Nobody is at work on it; set it going.", tool="release_resume", command=command
    )  # fmt: skip


def _resources(state: RunState) -> list[str]:
    names = ["report", "ledger"]
    names += ["notes"] if state.facts().get("notes", {}).get("text") else []
    names += ["card"] if any(item.shown for item in state.checkpoints.values()) else []
    return [resource(state.run, name) for name in names]


def resource(run: str, name: str) -> str:
    """The address of a run's report, notes, card or ledger."""
    return f"pilothouse://runs/{run}/{name}"


def plan_of(state: RunState, problems: Sequence[str], notes: Sequence[str]) -> Plan:
    """A rehearsed run as ``release_plan`` tells of it."""
    told = run_json(state)
    acts = state.plan.acts if state.plan else ()
    if problems:
        after = Next(who="person", what="A real run would be refused now: see problems and gates.")
    else:
        after = Next(
            who="agent", what="Show this to the person; start it only if they ask for it.", tool="release_start"
        )  # fmt: skip
    return Plan(
        state="refused" if problems else "planned", next_action=after, product=state.started.product,
        workflow=state.started.workflow, version=_text(told["version"]), from_version=_text(told["from_version"]),
        to_sha=state.started.to_sha, plan_digest=_text(told["plan_digest"]),
        gates=[
            Gate(step=step, gate=gate, passed=judged.passed, message=safe(judged.message, _LONGEST),
                 evidence=list(judged.evidence))
            for (step, gate), judged in state.judged.items()
        ],
        acts=[
            Act(step=act.step, what=sentence(act.tool, act.arguments), branch=act.branch, checkpoint=act.checkpoint)
            for act in acts
        ],
        problems=[safe(item, _LONGEST) for item in problems], notes=[safe(item, _LONGEST) for item in notes],
    )  # fmt: skip


def approval_of(state: RunState, asked: str = "no", told: str = "") -> Approval:
    """What a run's checkpoint asks of a person."""
    name = open_checkpoint(state)
    opened = state.checkpoints[name].opened if name else None
    cleared = clearance_of(opened.basis) if opened else None
    if opened is None:
        after = _next(state, at_work=False)
    else:
        command = f"pilothouse approve {state.run}"
        what = f"A person reads the card and types its word in a terminal: {command}. Then ask release_status."
        after = Next(who="person", what=what, command=command)
    return Approval.model_validate({
        "run": state.run, "state": run_json(state)["state"], "checkpoint": name or None, "waits": opened is not None,
        "next_action": after, "still_needed": [safe(item, 200) for item in needed(state)],
        "approvers": [safe(item.id, 80) for item in cleared.approvers] if cleared else [],
        "accepted": list(cleared.authentications) if cleared else [],
        "expires_at": opened.expires_at if opened else None,
        "card": resource(state.run, "card") if opened else None, "asked": asked, "told": safe(told, _LONGEST),
    })  # fmt: skip


def _text(value: object) -> str | None:
    return safe(str(value), 200) if value else None
