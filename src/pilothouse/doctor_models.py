"""Whether agents can think: what the endpoint of the models can do, tried out with a few small requests.

A key goes to the address that the same configuration names, so what is tried is what the base branch says, as in a run:
a working tree that names another address gets no key. All of it is a warning at most: scripted agents go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.doctor import OK, WARN, Check
from pilothouse.errors import ModelFailed, PilothouseError

if TYPE_CHECKING:
    from pilothouse.llm.probing import Finding
    from pilothouse.settings import Configuration, Models

_ABLE = {
    "answers": "answers", "tools": "calls tools", "strict": "strict tools", "output_format": "structured answers",
    "cache": "prompt caching", "effort": "effort", "counting": "counts tokens",
}  # fmt: skip
_NAME = "models"


def examine_models(folder: Path, here: Configuration, env: Mapping[str, str]) -> Iterator[Check]:
    """The checks of ``models``; none where the working tree has none.

    Args:
        folder: the project's.
        here: its pilothouse.yml, as it lies there.
        env: the conductor's environment.
    """
    if here.models is None:
        return  # a run that starts here has scripted agents, whatever the base branch says
    try:
        models = _on_base(folder, here, env)
    except PilothouseError as error:
        yield Check(_NAME, WARN, f"not tried: {error.message}", "what counts is on the base branch; see remote, above")
        return
    if models is None:
        yield Check(_NAME, WARN, "the base branch's pilothouse.yml has none: agents are scripted", "push yours there")
        return
    if models != here.models:
        yield Check(
            _NAME, WARN, "the base branch's differ from the working tree's, and count", "pull it, or push yours"
        )
    yield from _tried(models, env)


def _on_base(folder: Path, here: Configuration, env: Mapping[str, str]) -> Models | None:
    from pilothouse.app import Pilothouse
    from pilothouse.composition import toolbox
    from pilothouse.engine.world import iso
    from pilothouse.policies import in_force

    product = next(iter(here.products))
    app = Pilothouse(folder, environ=env)
    try:
        tools = toolbox(app, here, product, "r-doctor", iso(app.clock.now()), {})
        return in_force(app, tools, product).models
    finally:
        app.close()


def _tried(models: Models, env: Mapping[str, str]) -> Iterator[Check]:
    from pilothouse.llm.anthropic import AnthropicModel
    from pilothouse.llm.clients import key_of
    from pilothouse.llm.probing import probe

    where = f"{models.model} at {AnthropicModel(models, env).where}"
    meanwhile = "agents are scripted until then" if models.outage == "scripted" else "runs wait until then"
    try:
        key_of(models, env)
    except ModelFailed as error:
        yield Check(_NAME, WARN, f"{where}: {error.message}", f"{error.hint}; {meanwhile}")
        return
    found = probe(models, env)
    if not found[0].works:
        yield Check(_NAME, WARN, f"{where} does not answer: {found[0].reason}", meanwhile)
        return
    able = ", ".join(_ABLE[item.name] for item in found if item.works)
    yield Check(_NAME, OK, f"{where}: {able}")
    yield from (_lacking(item, models) for item in found if item.sent and not item.works)


def _lacking(item: Finding, models: Models) -> Check:
    if item.name == "tools":
        hint = "choose a model that calls tools: without them an agent cannot look at anything"
    elif item.name == "counting":
        hint = "tokens are estimated instead; to save the attempt, name the server in models.profile"
    else:
        hint = f"name the server in models.profile (it is {models.profile!r}): what it lacks is then left out"
    return Check(_NAME, WARN, f"no {_ABLE[item.name]}: {item.reason}", hint)
