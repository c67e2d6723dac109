"""The parts of a release record that differ by workflow: contents, outcome, exceptions. By tool, not by step's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from pilothouse.canonical import Json
from pilothouse.guard.state import MAIN, RunState
from pilothouse.model import Workflow

Part: TypeAlias = dict[str, Json]

_PULL: Mapping[str, Json] = {
    "number": 0, "title": "", "url": "", "author": "", "merged_at": "", "merged_by": "", "how": "", "head_sha": "",
    "merge_commit": "", "reviewers": [], "reviewed_sha": "", "reviewed": None, "tickets": [], "archive": "",
    "archive_sha": "",
}  # fmt: skip
_TICKET: Mapping[str, Json] = {"key": "", "title": "", "url": "", "status": "", "found": None}
_COMMIT: Mapping[str, Json] = {"sha": "", "subject": "", "author": ""}
_AREA: Mapping[str, Json] = {"area": "", "files": 0, "insertions": 0, "deletions": 0}
_DEPLOYMENT: Mapping[str, Json] = {
    "found": False, "state": "", "id": "", "url": "", "environment": "", "sha": "",
}  # fmt: skip
_ENDS = ("rolled-back", "halted", "failed", "aborted")


def facts_by(state: RunState, *tools: str) -> Part:
    """The facts of the first of these tools that was asked; empty where none was."""
    for tool in tools:
        for item in state.evidence.values():
            if item.tool == tool:
                return item.facts
    return {}


def fitted(row: object, shape: Mapping[str, Json]) -> Part:
    """A row with exactly the fields of a shape; what is absent or of another type has the shape's value.

    A field of the shape that is None is true, false, or None: nobody looked.
    """
    given = row if isinstance(row, dict) else {}
    made = {}
    for name, absent in shape.items():
        value = given.get(name)
        if isinstance(absent, str) and type(value) is int:
            value = str(value)
        fits = isinstance(value, bool) if absent is None else type(value) is type(absent)
        made[name] = value if fits else absent
    return made


def rows(facts: Mapping[str, Json], name: str, shape: Mapping[str, Json]) -> list[Json]:
    """A list of rows in the facts, each fitted."""
    found = facts.get(name)
    return [fitted(row, shape) for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _size(facts: Mapping[str, Json], name: str) -> int:
    value = facts.get(name)
    return len(value) if isinstance(value, list) else value if type(value) is int else 0


def contents(state: RunState) -> Part:
    """Counts, pull requests, tickets, areas, checks."""
    whole = facts_by(state, "audit.contents")
    plain = whole or facts_by(state, "git.contents")
    pulls = rows(whole or facts_by(state, "forge.pulls"), "pulls", _PULL)
    looked = facts_by(state, "tickets.look")
    tickets = rows(looked, "tickets", _TICKET)
    if not looked:
        keys = plain.get("tickets")
        tickets = [{**_TICKET, "key": str(key)} for key in keys] if isinstance(keys, list) else []
    counted = whole.get("counts")
    counts = counted if isinstance(counted, dict) else plain
    return {
        "counts": {name: _size(counts, name)
                   for name in ("commits", "pulls", "tickets", "files", "insertions", "deletions")},
        "pulls": pulls,
        "tickets": tickets,
        "unlinked": rows(whole, "unlinked", _COMMIT),
        "areas": rows(whole, "areas", _AREA),
        "checks": _checks(state),
    }  # fmt: skip


def _checks(state: RunState) -> list[Json]:
    ci = facts_by(state, "forge.ci")
    found, sha = ci.get("checks"), ci.get("sha")
    return [
        {
            "name": str(row.get("name", "")),
            "result": str(row.get("state", "")),
            "sha": sha if isinstance(sha, str) else "",
        }
        for row in (found if isinstance(found, list) else [])
        if isinstance(row, dict)
    ]


def outcome(state: RunState, workflow: Workflow) -> Part:
    """How the run ends: by what happened, and by the branch that it is on."""
    branch, reason_code, reason = state.branched, "", ""
    back = workflow.name == "rollback"
    ended = "rolled-back" if back else "done"
    if state.ended:
        ended = state.ended.outcome
    elif state.aborted:
        ended = "aborted"
    elif state.superseded_by:
        ended = "superseded"
    elif state.halted or state.refused:
        ended = "halted"
    elif state.branch != MAIN and state.branch in workflow.branches:
        ended = workflow.branches[state.branch].ends
    if branch:
        reason_code, reason = branch.reason_code, branch.message
    for trouble in (state.halted, state.refused):
        if trouble and not branch:
            reason_code, reason = trouble.reason_code, trouble.message
    if state.aborted:
        reason_code = {"Aborted": "aborted", "Rejected": "rejected"}.get(type(state.aborted).__name__, "expired")
        reason = str(getattr(state.aborted, "reason", ""))
    deployed = facts_by(state, "forge.deployment")
    publishing = [step.id for step in workflow.every_step() if step.target == "forge.release"]
    published = [act.done.facts for step in publishing if (act := state.acts.get(step)) and act.done]
    return {
        "state": ended if ended in {*_ENDS, "done", "superseded"} else "failed",
        "severity": branch.severity if branch else _asked(state, "severity") if back else "",
        "reason_code": reason_code,
        "reason": reason or (_asked(state, "reason") if back else ""),
        "deployment": fitted(deployed, _DEPLOYMENT) if deployed else None,
        "release_url": str(published[0].get("url", "")) if published else "",
    }


def _asked(state: RunState, name: str) -> str:
    value = state.started.inputs.get(name)
    return value if isinstance(value, str) else ""


def exceptions(state: RunState) -> list[Json]:
    """All that was not as the rules have it: overrides and lifted holds, and what the contents lack."""
    listed: list[tuple[str, str]] = [("granted", text) for text in state.exceptions]
    whole, looked = facts_by(state, "audit.contents"), facts_by(state, "tickets.look")
    for row in rows(whole, "unlinked", _COMMIT):
        assert isinstance(row, dict)
        listed.append(("commit-without-pull", f"{row['sha']}: {row['subject']}"))
    for row in rows(whole, "own", {"sha": "", "subject": "", "run": ""}):
        assert isinstance(row, dict)
        listed.append(("commit-of-a-run", f"{row['sha']}: vouched for by the record of {row['run']} alone"))
    for name, kind, told in (
        ("missing_archives", "archive-missing", "pull request #{} has no archive"),
        ("unreviewed", "pull-unreviewed", "pull request #{} was not approved as it was merged"),
    ):
        found = whole.get(name)
        listed += [(kind, told.format(item)) for item in found] if isinstance(found, list) else []
    absent = looked.get("missing")
    listed += [("ticket-missing", f"{key} was not found") for key in absent] if isinstance(absent, list) else []
    return [{"kind": kind, "what": what} for kind, what in listed]
