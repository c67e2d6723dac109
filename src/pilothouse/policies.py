"""Policy in force for a product, read from the remote's base branch and the ledger; and who is permitted by it.

Never from the working tree: whoever can edit that could end a freeze, or make themselves an approver.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pilothouse.clearances import on_base, trusted_base, within_repository
from pilothouse.errors import PilothouseError, RequestRefused, ToolFailed, UsageError
from pilothouse.events import GLOBAL_CHAIN
from pilothouse.guard.clearance import ACCOUNT
from pilothouse.guard.policy import Constraints, constraints

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilothouse.canonical import Json
    from pilothouse.guard.policy import Block
    from pilothouse.model import Approver, Person
    from pilothouse.ports import Tools
    from pilothouse.settings import Configuration
    from pilothouse.workspace import Workspace


def policy_on_base(app: Workspace, tools: Tools, product: str) -> Configuration:
    """The configuration on the remote's base branch, now, where that is a branch whose policy counts.

    Raises:
        ToolFailed: the base branch cannot be read.
        RequestRefused: ``policy-unreadable``: there is no sound pilothouse.yml on it; ``base-not-named``.
    """
    path = within_repository(app.project)
    return on_base(tools, trusted_base(tools, product, path), path)


def in_force(app: Workspace, tools: Tools, product: str) -> Configuration:
    """The policy that holds now. Raises ToolFailed where it cannot be read: then nothing may go on."""
    try:
        return policy_on_base(app, tools, product)
    except RequestRefused as refused:
        raise ToolFailed(refused.reason_code, refused.message, refused.hint) from refused


def held_by(app: Workspace, policy: Configuration, product: str) -> Constraints:
    """What holds a product now by a policy and by the ledger."""
    return constraints(
        policy.policy.freezes, app.line(product), app.line(GLOBAL_CHAIN), product, app.clock.now(),
        policy.policy.override,
    )  # fmt: skip


def demand_pushed(mine: Configuration, base: Configuration, product: str) -> None:
    """What lets a release through stands on the base branch: a working tree that says otherwise starts nothing.

    Raises:
        RequestRefused: ``policy-not-pushed``.
    """

    def told(found: Configuration) -> dict[str, object]:
        known, policy = found.products.get(product), found.policy
        return {
            "phase": known.phase if known else None,
            "manual_checks": known.manual_checks if known else None,
            "readiness": replace(known.readiness, allowed_secrets=()) if known else None,
            "promotion": known.promotion if known else None,
            "audit": known.audit if known else None,
            "tickets": known.tickets if known else None,
            "ledger": found.ledger,
            "policy.unconfigured_suites": policy.unconfigured_suites,
            "policy.checkpoint_expires": policy.checkpoint_expires,
            "policy.allow_short_watch": policy.allow_short_watch,
        }

    here, there = told(mine), told(base)
    differing = ", ".join(name for name, value in here.items() if value != there[name])
    if differing:
        raise RequestRefused(
            "policy-not-pushed", f"{differing} in the working tree's pilothouse.yml is not what the base branch says",
            "what lets a release through is decided on the base branch: pull it, or push yours there first",
        )  # fmt: skip


def locks_after_rollback(app: Workspace, tools: Tools, product: str) -> bool:
    """Whether a rollback locks its product; where policy cannot be read, it does."""
    try:
        return policy_on_base(app, tools, product).policy.lock_after_rollback
    except PilothouseError:
        return True


def answers(app: Workspace, product: str, sha: str) -> list[dict[str, Json]]:
    """How a product's manual checks were answered for a commit: id, answer, who, at, note."""
    return [
        {"id": item, "answer": given.fact.answer, "who": given.fact.who, "at": given.at, "note": given.fact.note}
        for (item, of), given in app.line(product).answers.items()
        if of == sha
    ]


def approver_of(policy: Configuration, person: Person) -> Approver | None:
    """The approver whom an account belongs to. An account that is only named like an approver is nobody's."""
    return next((item for item in policy.approvers if person.identity in item.accounts), None)


def permitted(policy: Configuration, person: Person, group: str = "") -> Approver:
    """The approver that a person is, where policy permits them what they ask.

    Args:
        policy: as it is on the base branch.
        person: as their channel knows them.
        group: which they must belong to; empty: any approver will do.

    Raises:
        RequestRefused: a stranger, the wrong group, or known by less than policy asks.
    """
    approver = approver_of(policy, person)
    if approver is None:
        raise RequestRefused(
            "not-an-approver", f"the account {person.identity} is no approver's on the base branch",
            "approvers are named in pilothouse.yml on the base branch (docs/approvals.md)",
        )  # fmt: skip
    if person.authentication != ACCOUNT or policy.policy.signature == "require":
        raise RequestRefused(
            "authentication-refused", f"{approver.id} is known here by {person.authentication}, and that is too little",
            "where policy takes signatures only, permissions are given on the base branch: change the policy there",
        )  # fmt: skip
    if group and group not in approver.groups:
        raise RequestRefused("wrong-group", f"{approver.id} is not in the group {group}, which policy asks")
    return approver


def named(blocks: Iterable[Block], name: str) -> Block:
    """The block that a person means by its name or its id.

    Raises:
        UsageError: none, or more than one, is called so.
    """
    held = tuple(blocks)
    found = [block for block in held if name in (block.id, block.name)]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(block.id for block in found or held) or "none"
    if found:
        raise UsageError("which-block", f"{name!r} is more than one", f"one of: {listed}")
    raise UsageError("nothing-to-override", f"nothing called {name!r} holds the product now", f"what does: {listed}")
