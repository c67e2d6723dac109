"""What a run's release record says: every field of it from the folded ledger, nothing read, nothing decided (AUT-2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from pilothouse import events as e
from pilothouse.canonical import Json, digest, sha256_hex
from pilothouse.engine.recording_parts import contents, exceptions, outcome
from pilothouse.guard.clearance import Clearance, clearance_of
from pilothouse.guard.state import RunState
from pilothouse.model import RECORD, Approver, Workflow
from pilothouse.ports import Head
from pilothouse.settings import Product

Part: TypeAlias = dict[str, Json]


def record_of(
    state: RunState, head: Head, product: Product, workflow: Workflow, history: Iterable[e.Event] = ()
) -> Part:
    """The release record of a run as it stands; whoever writes it says whether it is the intent or the outcome.

    Args:
        state: of a run of any workflow; what its steps did not look at is empty.
        head: of the product's chain, which anchors the record in the ledger.
        product: its configuration.
        workflow: as pinned.
        history: the run's events (others are passed over): when each approval was given, and by which word.

    Returns:
        All fields of ``pilothouse.record/1`` (docs/records.md) but ``schema``, ``kind`` and ``release``.
    """
    started = state.started
    person = _starter(state)
    version = _version(state)
    return {
        "run": state.run, "product": product.name, "title": product.title,
        "workflow": {"name": workflow.name, "title": workflow.title,
                     "digest": sha256_hex(started.workflow_source.encode())},
        "tool_version": started.tool_version,
        "composed_at": state.last_at,
        "started": {"by": started.started_by, "name": person.name if person else "",
                    "email": person.email if person else "", "channel": started.channel, "at": state.started_at},
        "from": {"ref": started.base_ref, "sha": started.from_sha, "version": started.from_version},
        "to": {"ref": _released_ref(state, product), "sha": started.to_sha, "version": version},
        "version": version,
        **contents(state),
        "evidence": _evidence(state, workflow),
        "gates": [{"step": step, "gate": gate, "passed": seen.passed, "reason_code": seen.reason_code}
                  for (step, gate), seen in state.judged.items()],
        "verdicts": [{"step": step, "agent": given.agent, "answer": given.answer, "by": given.by}
                     for step, given in state.verdicts.items()],
        **_effects(state, workflow),
        "approvals": _approvals(state, history),
        "plan": _plan(state),
        "acts": _acts(state, workflow),
        "own_commits": _own_commits(state, workflow),
        "outcome": outcome(state, workflow),
        "exceptions": exceptions(state),
        "ledger": {"chain": started.product, "seq": head.seq, "head": head.hash},
    }  # fmt: skip


def _released_ref(state: RunState, product: Product) -> str:
    if product.promotion and any(item.tool == "audit.contents" for item in state.evidence.values()):
        return product.promotion.branch
    return state.started.base_ref


def _version(state: RunState) -> str:
    """The version that was decided; for a way back the one it goes to; empty where a workflow knows none."""
    decided = next((i.facts for i in state.evidence.values() if i.tool in {"version.decide", "version.named"}), {})
    found = decided.get("version") or state.started.inputs.get("to_version")
    return found if isinstance(found, str) else ""


def _cards(state: RunState) -> list[tuple[str, Clearance]]:
    found = []
    for name, checkpoint in state.checkpoints.items():
        card = checkpoint.opened or checkpoint.shown
        clearance = clearance_of(card.basis) if card else None
        if clearance:
            found.append((name, clearance))
    return found


def _starter(state: RunState) -> Approver | None:
    for _, clearance in _cards(state):
        by_account = next((p for p in clearance.approvers if state.started.started_by in p.accounts), None)
        if person := clearance.approver(clearance.starter) or by_account:
            return person
    return None


def _evidence(state: RunState, workflow: Workflow) -> list[Json]:
    where = {step.id: step.arguments.get("environment") for step in workflow.every_step()}
    return [
        {
            "id": item.id, "step": item.step, "tool": item.tool, "sha": item.sha, "at": item.at,
            "environment": place if isinstance(place := where.get(item.step), str) else "",
            "digest": digest(item.facts), "summary": item.summary,
        }
        for item in state.evidence.values()
    ]  # fmt: skip


def _done(state: RunState, workflow: Workflow) -> Iterable[tuple[str, str, str, Part]]:
    """Step, tool, environment and facts of each act that was done, in the workflow's order."""
    for step in workflow.every_step():
        act = state.acts.get(step.id)
        if act and act.done:
            place = step.arguments.get("environment")
            yield step.id, step.target, place if isinstance(place, str) else "", act.done.facts


def _effects(state: RunState, workflow: Workflow) -> Part:
    artefacts: list[Json] = []
    migrations: list[Json] = []
    backups: list[Json] = []
    for step, tool, environment, facts in _done(state, workflow):
        match tool:
            case "deploy.apply":
                artefacts.append({
                    "step": step, "environment": environment, "version": _text(facts, "version"),
                    "commit": _text(facts, "commit"), "digest": _text(facts, "digest") or _text(facts, "sha"),
                    "url": _text(facts, "url"),
                })  # fmt: skip
            case "migrate.apply":
                migrations.append({"step": step, "environment": environment, "names": facts.get("applied", [])})
            case "backup.create":
                size = facts.get("bytes")
                backups.append({
                    "step": step, "environment": environment, "key": _text(facts, "key"),
                    "bytes": size if isinstance(size, int) else 0, "sha256": _text(facts, "sha256"),
                })  # fmt: skip
    for item in state.evidence.values():
        # What a branch's own deployment put there is known by its commit.
        if item.tool == "forge.deployment" and item.facts.get("state") == "success":
            sha = _text(item.facts, "sha")
            artefacts.append({
                "step": item.step, "environment": _text(item.facts, "environment"), "version": _version(state),
                "commit": sha, "digest": sha, "url": _text(item.facts, "url"),
            })  # fmt: skip
    return {"artefacts": artefacts, "migrations": migrations, "backups": backups}


def _text(facts: Mapping[str, Json], name: str) -> str:
    value = facts.get(name)
    return value if isinstance(value, str) else ""


def _approvals(state: RunState, history: Iterable[e.Event]) -> list[Json]:
    """Each approval that stands, when it was given and by which word (spent, so it may be written down)."""
    given: dict[tuple[str, str, str], tuple[str, Json]] = {}
    words: dict[str, Json] = {}
    for event in history:
        match event.fact:
            case e.WordSpent() as spent if event.run == state.run:
                entered: Part = {"presented": spent.presented, "entered": spent.entered}
                words[spent.checkpoint] = entered if spent.matched else None
            case e.Approved() as fact if event.run == state.run:
                given[(fact.checkpoint, fact.approval_digest, fact.who)] = (event.at, words.pop(fact.checkpoint, None))
    people = dict(_cards(state))
    rows: list[Json] = []
    for name, checkpoint in state.checkpoints.items():
        for fact in checkpoint.approvals:
            at, word = given.get((name, fact.approval_digest, fact.who), ("", None))
            person = people[name].approver(fact.who) if name in people else None
            rows.append({
                "checkpoint": name, "who": fact.who, "name": person.name if person else "",
                "email": person.email if person else "", "channel": fact.channel,
                "authentication": fact.authentication, "at": at, "digest": fact.approval_digest, "word": word,
                "signature": fact.signature, "exception": fact.exception or "",
            })  # fmt: skip
    return rows


def _plan(state: RunState) -> Json:
    if state.plan is None:
        return None
    acts: list[Json] = [
        {
            "step": act.step, "tool": act.tool, "branch": act.branch, "reach": str(act.reach),
            "undoable": act.undoable, "effect": str(act.effect), "checkpoint": act.checkpoint or "",
            "arguments": digest(dict(act.arguments)),
        }
        for act in state.plan.acts
    ]  # fmt: skip
    return {"digest": state.plan.digest, "acts": acts}


def _acts(state: RunState, workflow: Workflow) -> list[Json]:
    rows: list[Json] = []
    tools = {step.id: step.target for step in workflow.every_step()}
    for step, act in state.acts.items():
        if act.open:
            standing, found, code, told = "open", False, "", ""
        elif act.done:
            standing, found, code, told = "done", act.done.found, "", act.done.summary
        elif act.failed:
            standing, found, code, told = "failed", False, act.failed.reason_code, act.failed.message
        else:
            continue
        rows.append({
            "step": step, "tool": tools.get(step, ""), "state": standing, "found": found, "reason_code": code,
            "summary": told, "started_at": act.started_at, "ended_at": act.ended_at,
        })  # fmt: skip
    return rows


def _own_commits(state: RunState, workflow: Workflow) -> list[Json]:
    """The commits that this run's acts made: the only ones that may reach production without a pull request."""
    known = {"", state.started.from_sha, state.started.to_sha}
    made: list[Json] = []
    for _, tool, _, facts in _done(state, workflow):
        # What was deployed or promoted was there before; what a run commits it also says the sha of.
        for sha in (_text(facts, "sha"), _text(facts, "merge")):
            if tool != RECORD and sha not in known and sha != facts.get("commit") and len(sha) == 40:
                known.add(sha)
                made.append(sha)
    return made
