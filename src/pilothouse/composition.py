"""Joining one run's world: the pinned bytes parsed again, the tools of the product, the agents, the card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pilothouse import config
from pilothouse.canonical import Json
from pilothouse.clearances import clearance, within_repository
from pilothouse.engine.world import World
from pilothouse.errors import InvalidFile
from pilothouse.folder import own_folder
from pilothouse.guard.gates import RULES
from pilothouse.guard.policy import Constraints
from pilothouse.guard.state import RunState
from pilothouse.llm.scripted import ScriptedPersonas
from pilothouse.model import Workflow
from pilothouse.playbook.check import checked
from pilothouse.playbook.find import Found, list_personas
from pilothouse.playbook.workflow import parse
from pilothouse.policies import answers, held_by, in_force, locks_after_rollback
from pilothouse.render.card import render_card
from pilothouse.settings import Configuration

if TYPE_CHECKING:
    from pilothouse.events import Started
    from pilothouse.ports import Tools
    from pilothouse.workspace import Workspace
    from pilothouse_tools.context import Context


def toolbox(app: Workspace, configuration: Configuration, product: str, run: str, started_at: str,
            templates: Mapping[str, str]) -> Tools:  # fmt: skip
    """The tools of one product, for one run."""
    from pilothouse_tools.toolbox import Toolbox

    return Toolbox(context_of(app, configuration, product, run, started_at, templates))


def context_of(app: Workspace, configuration: Configuration, product: str, run: str, started_at: str,
               templates: Mapping[str, str]) -> Context:  # fmt: skip
    """What the tools of one product may know, for one run."""
    from pilothouse_tools.context import Context

    scratch = own_folder(app.project.resolve()) / "work"
    scratch.mkdir(parents=True, exist_ok=True)
    return Context(
        product=configuration.products[product], project=app.project.resolve(), environ=app.environ,
        clock=app.clock, templates=templates, scratch=scratch, run_id=run, started_at=started_at,
        signatures=any(person.key for person in configuration.approvers), redact=app.redactor(),
        answers=lambda sha: answers(app, product, sha),
        allowed_secrets=lambda base: allowed_secrets(base, product),
    )  # fmt: skip


def allowed_secrets(base: str, product: str) -> frozenset[str]:
    """What a pilothouse.yml allows; one that is not sound allows nothing."""
    try:
        found = config.parse(base, "pilothouse.yml").products.get(product)
    except InvalidFile:
        return frozenset()
    return frozenset(found.readiness.allowed_secrets) if found else frozenset()


def checked_workflow(app: Workspace, found: Found, tools: Tools, templates: Mapping[str, str]) -> Workflow:
    """A workflow that is sound for these tools, gates, agents and templates.

    Raises:
        InvalidFile: with file, line and hint.
    """
    agents = frozenset(persona.name for persona in list_personas(app.project))
    return checked(found.text(), found.shown, tools.specs(), frozenset(RULES), agents, frozenset(templates))


def world_of(app: Workspace, run: str, started: Started, started_at: str) -> World:
    """The world of a run, from the bytes that its Started holds."""
    configuration = config.parse(started.config_source, "pilothouse.yml")
    templates = {name: str(text) for name, text in started.prompts.items()}
    tools = toolbox(app, configuration, started.product, run, started_at, templates)
    # Only parsed: it was found sound when the run started, and an upgrade of the checks must not strand a waiting run.
    workflow = parse(started.workflow_source, f"workflows/{started.workflow}.yml")

    def card(state: RunState, _checkpoint: str, basis: dict[str, Json]) -> str:
        return render_card(state, configuration.products[started.product], basis)

    def cleared(state: RunState, checkpoint: str) -> dict[str, Json]:
        return clearance(tools, state, checkpoint, within_repository(app.project)).as_json()

    read: list[Configuration] = []  # the policy that was read last

    def held(_state: RunState) -> Constraints:
        read[:] = [in_force(app, tools, started.product)]
        return held_by(app, read[0], started.product)

    def held_now(_state: RunState) -> Constraints:
        return held_by(app, read[0], started.product) if read else Constraints()

    def locks() -> bool:
        return locks_after_rollback(app, tools, started.product)

    thinking = None
    if configuration.models is not None and app.personas is None:
        from pilothouse.thinking import Desk

        thinking = Desk(app, lambda: in_force(app, tools, started.product), templates, run)
    return World(
        journal=app.journal, tools=tools, thinking=thinking, personas=app.personas or ScriptedPersonas(),
        clock=app.clock, workflow=workflow, configuration=configuration, chain=started.product, boundary=app.boundary,
        listen=app.listen, render_card=card, clearance=cleared,
        constraints=held, held_now=held_now, locks_after_rollback=locks,
    )  # fmt: skip
