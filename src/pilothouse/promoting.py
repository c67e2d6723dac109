"""How a promotion is pinned: the base branch where it is, and the branch that is promoted where it is (AUD-1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pilothouse.canonical import Json
from pilothouse.clearances import ROLLBACK
from pilothouse.errors import NothingToDo, RequestRefused, UsageError
from pilothouse.guard.state import RunState
from pilothouse.model import Workflow
from pilothouse.settings import Product

if TYPE_CHECKING:
    from pilothouse.ports import Tools

LOOKS = "git.promotion"  # the look by which a workflow is known as one that promotes a branch


def promotes(workflow: Workflow) -> bool:
    """Whether a workflow moves the base branch to another branch, and does not go back."""
    return any(step.target == LOOKS for step in workflow.steps())


def pinned(tools: Tools, workflow: Workflow, product: Product, seen: Mapping[str, Json]) -> Mapping[str, Json]:
    """What a run is pinned to: for a promotion both branches, else what was seen of the base.

    Raises:
        NothingToDo: ``nothing-to-promote``: the base is where the promoted branch is.
        UsageError: ``promotion-not-configured``.
        ToolFailed: the remote cannot be read.
    """
    if not promotes(workflow):
        if product.promotion is not None and product.environments["production"].deploy.branch == product.base:
            raise UsageError(
                "promotion-configured",
                f"{product.name} is deployed by moving {product.base}, which only a promotion does",
                f"pilothouse ship {product.name} --workflow promote-audited",
            )
        return seen
    if product.promotion is None or product.audit is None:
        lacking = "promotion" if product.promotion is None else "audit"
        raise UsageError(
            "promotion-not-configured",
            f"{workflow.name} needs products.{product.name}.{lacking} in pilothouse.yml",
            f"say which branch is promoted and where records are kept: {lacking}: {{}} (docs/configuration.md)",
        )
    facts = tools.observe(LOOKS, {"branch": product.promotion.branch, "base": product.base}).facts
    head, base = str(facts["head_sha"]), str(facts["base_sha"])
    if facts["ahead"] == 0:
        raise NothingToDo(
            "nothing-to-promote",
            f"nothing to release: {product.base} holds all of {product.promotion.branch} ({head[:12]})",
            f"merge something into {product.promotion.branch} first",
        )
    return {**seen, "to_sha": head, "from_sha": base}


def way_back(runs: list[RunState], product: Product) -> tuple[RunState, str, str] | None:
    """What a rollback of a promoted product goes from and to: the run that moved the base last, its commit, the good.

    What a promotion moved the base from is good. What a rollback moved it from is not: one that did not come to its end
    is taken up with its own target.

    Returns:
        None where the product is not promoted.

    Raises:
        RequestRefused: ``nothing-to-roll-back``, ``rollback-of-rollback``.
    """
    if product.promotion is None:
        return None
    for state in reversed(runs):
        promoted = state.acts.get("promote")
        if promoted is None or promoted.done is None:
            continue
        if state.started.workflow != ROLLBACK:
            return state, str(promoted.done.facts["sha"]), state.started.from_sha
        if state.standing() == "rolled-back":
            raise RequestRefused(
                "rollback-of-rollback", f"{product.base} was moved last by a rollback ({state.run})",
                "a rollback is never rolled back: ship the version that you want",
            )  # fmt: skip
        return state, str(promoted.done.facts["sha"]), state.started.to_sha
    raise RequestRefused("nothing-to-roll-back", f"no run has promoted {product.name} yet")
