"""Handmade histories: a small workflow, its events, and the events' chain, for tests of the guard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pilothouse import events as e
from pilothouse.canonical import digest, sha256_hex
from pilothouse.guard.approval import approval_digest
from pilothouse.guard.clearance import ACCOUNT, SIGNATURE, STANDING, Clearance, Requirement
from pilothouse.settings import Approver

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SHA = "4f2a91c" + "0" * 33


def started(**changes):
    fields = {
        "product": "acme", "workflow": "release", "workflow_source": "", "config_source": "", "prompts": {}, "inputs": {},
        "started_by": "ceo", "channel": "terminal", "started_on": "2026-11-21", "from_version": "1.3.0",
        "from_sha": "1" * 40, "to_sha": SHA, "base_ref": "main", "targets": {}, "global_head": "0" * 64,
        "supersedes": None, "outline": (), "tool_version": "0.1.0",
    }  # fmt: skip
    return e.Started(**{**fields, **changes})


def observed(step, evidence, facts, *, sha="", tool="x.y"):
    return e.Observed(step, evidence, tool, {}, facts, digest(facts), sha, "")


def act(step, tool="deploy.apply", *, branch="main", checkpoint="go", arguments=None, effect="K", reach="production"):
    return {
        "step": step, "tool": tool, "branch": branch, "arguments": arguments or {"environment": "production"},
        "reach": reach, "undoable": True, "effect": effect, "checkpoint": checkpoint,
    }  # fmt: skip


def planned(*acts, basis=None):
    basis = basis or {}
    return e.Planned(digest({"acts": list(acts), "basis": basis}), tuple(acts), basis)


CEO = Approver("ceo", ("ceo",), ("ann",))
ONE = (Requirement("ceo", 1, "go"),)


def clearance(*approvers, requires=ONE, authentications=None, four_eyes="record", starter="bob"):
    """What a card needs: by default one approval of the group ceo, by any means."""
    known = authentications or (ACCOUNT, SIGNATURE, STANDING)
    return Clearance(requires, approvers or (CEO,), known, four_eyes, starter, "b" * 40).as_json()


def opened(checkpoint="go", *, plan=None, pins=None, basis=None, cleared=None, expires=START + timedelta(days=3)):
    acts = (
        [{name: item[name] for name in ("step", "tool", "branch", "arguments")} for item in plan.acts] if plan else []
    )
    basis = basis or {
        "checkpoint": checkpoint, "plan": plan.digest if plan else "", "acts": acts, "pins": pins or {},
    }  # fmt: skip
    basis = {"clearance": cleared or clearance(), "card": sha256_hex(b"card"), **basis}
    return e.CheckpointOpened(checkpoint, approval_digest(basis), "card", basis, pins or {}, expires.isoformat(), ())


def approved(card, checkpoint="go"):
    return e.Approved(checkpoint, card.approval_digest, "ceo", "scripted", "standing", None, "")


def intended(plan, step, *, approval=None, arguments=None, branch="main", attempt=1, tool="deploy.apply"):
    return e.Intended(
        step, tool, arguments or {"environment": "production"}, "key", plan.digest, approval, branch, attempt
    )


def done(step, evidence="e-900", *, facts=None, moves=None):
    return e.Done(step, evidence, facts or {}, moves or {}, found=False, summary="")


def failed(step, code="no-effect"):
    return e.Failed(step, code, "it failed", "", "")


def chained(*facts, run="r-2026-11-21-01", every=1.0):
    """Facts as events, one second apart."""
    return [
        e.Event("acme", seq, "0" * 64, run, (START + timedelta(seconds=every * seq)).isoformat(), fact, f"{seq:064d}")
        for seq, fact in enumerate(facts, 1)
    ]
