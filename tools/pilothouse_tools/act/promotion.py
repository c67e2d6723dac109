"""Move the base branch to the exact approved commit, and take that back by a revert that goes the same way (AUD-9, 15).

Nothing is checked out: a promotion is one compare-and-swap on the remote, forward only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, EffectClass, Permit, Presence, Probe, Reach
from pilothouse_tools.act.git import merged_tree
from pilothouse_tools.door import Actor, Arguments, acts

if TYPE_CHECKING:
    from pilothouse_tools.context import Context


def _pins(context: Context, arguments: Arguments) -> dict[str, str]:
    if "into" not in arguments:
        return {}
    ref = f"refs/heads/{arguments.text('into')}"
    return {f"ref:{ref}": context.repo.heads(ref).get(ref, "")}


def _probe_promoted(context: Context, arguments: Arguments, _key: str) -> Probe:
    into, commit, repo = arguments.text("into"), arguments.text("commit"), context.repo
    head = repo.head(into)
    if not head:
        return Probe(Presence.CONFLICT, f"{into} does not exist on the remote")
    repo.require(head)
    repo.require(commit)
    if repo.is_ancestor(commit, head):
        told = f"{into} is at {commit[:12]}" if head == commit else f"{into} contains {commit[:12]}"
        return Probe(Presence.APPLIED, told, {"sha": commit, "branch": into}, {f"ref:refs/heads/{into}": head})
    if repo.is_ancestor(head, commit):
        return Probe(Presence.ABSENT, f"{into} is at {head[:12]}")
    alone = int(repo.read("rev-list", "--count", "--end-of-options", f"{commit}..{head}"))
    return Probe(
        Presence.CONFLICT,
        f"{into} has {alone} {'commit' if alone == 1 else 'commits'} that {commit[:12]} lacks "
        f"(git log {commit[:12]}..{head[:12]}); it is never forced",
    )


def _promote(context: Context, arguments: Arguments, _permit: Permit) -> None:
    commit, before = arguments.text("commit"), arguments.text("from")
    context.repo.require(commit)
    context.repo.push(f"refs/heads/{arguments.text('into')}", commit, before)


# -- the way back -----------------------------------------------------------------------------------------------------


def _reverting(context: Context, arguments: Arguments) -> str:
    """The commit that puts the good tree on top of the bad commit; the same arguments make the same sha."""
    good, bad, repo = arguments.text("good"), arguments.text("bad"), context.repo
    repo.require(good)
    repo.require(bad)
    if not repo.is_ancestor(good, bad):
        raise ToolFailed(
            "not-an-ancestor", f"{bad[:12]} does not descend from {good[:12]}, so it cannot be reverted to"
        )
    message = (f"revert: {context.product.name} back to {good[:12]}\n\n"
               f"This reverts everything between {good} and {bad}.\n\n"
               f"Pilothouse-Run: {context.run_id or 'none'}\n")  # fmt: skip
    return repo.commit(repo.tree(good), [bad], message)


def _probe_reverted(context: Context, arguments: Arguments, _key: str) -> Probe:
    branch, repo = arguments.text("branch"), context.repo
    head = repo.head(branch)
    if not head:
        return Probe(Presence.CONFLICT, f"{branch} does not exist on the remote")
    repo.require(head)
    wanted = _reverting(context, arguments)
    if repo.is_ancestor(wanted, head):
        facts = {"sha": wanted, "merge": _merge_of(context, wanted, head), "commit": arguments.text("good")}
        return Probe(
            Presence.APPLIED,
            f"{branch} holds the revert {wanted[:12]}",
            dict(facts),
            {f"ref:refs/heads/{branch}": head},
        )
    return Probe(Presence.ABSENT, f"{branch} is at {head[:12]}")


def _merge_of(context: Context, wanted: str, head: str) -> str:
    """The merge that brought the revert onto the branch; empty where the branch just moved to it."""
    line = context.repo.read("rev-list", "--first-parent", "--ancestry-path", "--end-of-options", f"{wanted}..{head}")
    for sha in reversed(line.decode().split()):
        if wanted in context.repo.parents(sha)[1:]:
            return sha
    return ""


def _revert(context: Context, arguments: Arguments, _permit: Permit) -> None:
    branch, bad, repo = arguments.text("branch"), arguments.text("bad"), context.repo
    wanted, head = _reverting(context, arguments), repo.head(branch)
    repo.require(head)
    if not repo.is_ancestor(bad, head):
        told = f"{branch} at {head[:12]} does not contain {bad[:12]}, which is to be reverted on it"
        raise ToolFailed("not-an-ancestor", told, f"Merge the base branch into {branch} first, then: pilothouse resume")
    new = wanted
    if head != bad:
        # What was merged since stays: the revert comes to it as a merge, and the next promotion is a fast-forward.
        message = f"Merge the revert of {bad[:12]} into {branch}\n\nPilothouse-Run: {context.run_id or 'none'}\n"
        try:
            tree = merged_tree(context, head, wanted, branch)
        except ToolFailed as conflict:
            if conflict.reason_code == "merge-conflict":
                _leave_revert(context, wanted, branch, conflict)
            raise
        new = repo.commit(tree, [head, wanted], message)
    repo.push(f"refs/heads/{branch}", new, head)


def _leave_revert(context: Context, wanted: str, branch: str, conflict: ToolFailed) -> None:
    """Push the revert to a branch of its own, for a person to merge: the probe finds it once the branch contains it."""
    name = f"revert/{context.product.name}/{wanted[:12]}"
    if not context.repo.head(name):
        context.repo.push(f"refs/heads/{name}", wanted, "")
    conflict.hint = f"Merge {name} into {branch} by hand, keeping what came since; then: pilothouse resume"
    conflict.args = (conflict.message,)


TOOLS = (
    Actor(
        acts(
            "git.promote",
            "Move a branch of the remote forward to exactly this commit.",
            {
                "into": Argument("ref"), "commit": Argument("sha"),
                "from": Argument("sha", about="where the branch is expected to be"),
            },
            {"sha": "sha", "branch": "ref"},
            effect=EffectClass.KEYED, reach=Reach.PRODUCTION, undoable=False,
        ),
        _probe_promoted, _promote, _pins,
    ),
    Actor(
        acts(
            "git.revert",
            "Revert a promoted range on the branch that is promoted, without losing what came since.",
            {
                "branch": Argument("ref"), "bad": Argument("sha", about="what is promoted now"),
                "good": Argument("sha", about="what it goes back to"),
            },
            {"sha": "sha", "merge": "text", "commit": "sha"},
            effect=EffectClass.KEYED, reach=Reach.STAGING,
        ),
        _probe_reverted, _revert, lambda _context, _arguments: {},
    ),
)  # fmt: skip
