"""Joining one run's world: the pinned bytes parsed again, the tools of the product, the agents, the card."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse import config
from pilothouse.canonical import Json
from pilothouse.engine.world import World
from pilothouse.guard.gates import RULES
from pilothouse.guard.state import RunState
from pilothouse.llm.scripted import ScriptedPersonas
from pilothouse.model import Workflow
from pilothouse.playbook import load_checked_text
from pilothouse.render.card import render_card
from pilothouse.settings import Configuration

if TYPE_CHECKING:
    from pilothouse.app import Pilothouse
    from pilothouse.events import Started
    from pilothouse.ports import Tools


def toolbox(app: Pilothouse, configuration: Configuration, product: str, run: str, started_at: str,
            templates: Mapping[str, str]) -> Tools:  # fmt: skip
    """The tools of one product, for one run."""
    from pilothouse_tools.context import Context  # noqa: PLC0415
    from pilothouse_tools.toolbox import Toolbox  # noqa: PLC0415

    scratch = Path(tempfile.gettempdir())
    return Toolbox(
        Context(
            product=configuration.products[product], project=app.project, environ=app.environ, clock=app.clock,
            templates=templates, scratch=scratch, run_id=run, started_at=started_at,
        )
    )  # fmt: skip


def checked_workflow(app: Pilothouse, text: str, path: str, tools: Tools, templates: Mapping[str, str]) -> Workflow:
    """A workflow that is sound for these tools, gates, agents and templates.

    Raises:
        InvalidFile: with file, line and hint.
    """
    return load_checked_text(app.project, text, path, tools.specs(), frozenset(RULES), templates)


def world_of(app: Pilothouse, run: str, started: Started, started_at: str) -> World:
    """The world of a run, from the bytes that its Started holds."""
    configuration = config.parse(started.config_source, "pilothouse.yml")
    templates = {name: str(text) for name, text in started.prompts.items()}
    tools = toolbox(app, configuration, started.product, run, started_at, templates)
    workflow = checked_workflow(app, started.workflow_source, f"workflows/{started.workflow}.yml", tools, templates)

    def card(state: RunState, _checkpoint: str, basis: dict[str, Json]) -> str:
        return render_card(state, configuration.products[started.product], basis)

    return World(
        journal=app.journal, tools=tools, personas=app.personas or ScriptedPersonas(), clock=app.clock,
        workflow=workflow, configuration=configuration, chain=started.product, boundary=app.boundary,
        listen=app.listen, render_card=card,
    )  # fmt: skip
