"""Joining one run's world: the pinned bytes parsed again, the tools of the product, the agents, the card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pilothouse import config
from pilothouse.canonical import Json
from pilothouse.engine.world import World
from pilothouse.guard.gates import RULES
from pilothouse.guard.state import RunState
from pilothouse.llm.scripted import ScriptedPersonas
from pilothouse.model import Workflow
from pilothouse.playbook.check import checked
from pilothouse.playbook.find import Found, list_personas
from pilothouse.playbook.workflow import parse
from pilothouse.render.card import render_card
from pilothouse.settings import Configuration

if TYPE_CHECKING:
    from pilothouse.events import Started
    from pilothouse.ports import Tools
    from pilothouse.workspace import Workspace


def toolbox(app: Workspace, configuration: Configuration, product: str, run: str, started_at: str,
            templates: Mapping[str, str]) -> Tools:  # fmt: skip
    """The tools of one product, for one run."""
    from pilothouse_tools.context import Context
    from pilothouse_tools.toolbox import Toolbox

    scratch = app.project.resolve() / ".pilothouse" / "work"
    scratch.mkdir(parents=True, exist_ok=True)
    return Toolbox(
        Context(
            product=configuration.products[product], project=app.project.resolve(), environ=app.environ,
            clock=app.clock, templates=templates, scratch=scratch, run_id=run, started_at=started_at,
        )
    )  # fmt: skip


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

    return World(
        journal=app.journal, tools=tools, personas=app.personas or ScriptedPersonas(), clock=app.clock,
        workflow=workflow, configuration=configuration, chain=started.product, boundary=app.boundary,
        listen=app.listen, render_card=card,
    )  # fmt: skip
