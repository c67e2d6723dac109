"""Which model a chat may ask: the one that the base branch names, where its key is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse import config
from pilothouse.composition import toolbox
from pilothouse.engine.world import iso
from pilothouse.errors import ModelFailed, PilothouseError
from pilothouse.events import ModelAnswered
from pilothouse.guard.budget import Spent, spent
from pilothouse.policies import policy_on_base

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilothouse.app import Pilothouse
    from pilothouse.settings import Configuration, Models


def policy_of(app: Pilothouse, product: str) -> Configuration:
    """The configuration on a product's base branch, now: what the working tree says of policy and models is nobody's.

    Raises:
        ToolFailed: the remote cannot be read.
        RequestRefused: as ``policies.policy_on_base``.
    """
    tools = toolbox(app, config.load(app.project), product, "r-chat", iso(app.clock.now()), {})
    return policy_on_base(app, tools, product)


def models_of(app: Pilothouse, product: str, environ: Mapping[str, str]) -> tuple[Models | None, str]:
    """The models that may be asked, and else why none is; both empty where none is configured."""
    from pilothouse.llm.clients import key_of

    try:
        models = policy_of(app, product).models
        if models is not None:
            key_of(models, environ)
    except ModelFailed as failure:
        return None, f"No model is asked: {failure.message}"
    except PilothouseError as error:
        return None, f"No model is asked, since the base branch cannot be read: {error.message}"
    return models, ""


def spent_by_runs(app: Pilothouse) -> Spent:
    """What the runs' agents have used up today."""
    day = iso(app.clock.now())[:10]
    found = [
        event.fact
        for chain in app.chains()
        for event in app.journal.read(chain)
        if event.at[:10] == day and isinstance(event.fact, ModelAnswered)
    ]
    return spent(found)
