"""What a project's playbook is made of: workflows and personas, checked against the tools and gates there are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pilothouse.guard.gates import RULES
from pilothouse.model import ToolSpec, Workflow
from pilothouse.playbook.find import find_workflow
from pilothouse.playbook.review import Reviewed, load_checked, review_personas, review_workflows
from pilothouse.playbook.workflow import parse


def tool_specs() -> Mapping[str, ToolSpec]:
    """Every registered tool, before a product's configuration says more about its acts."""
    from pilothouse_tools.act import ACTORS
    from pilothouse_tools.draft import DRAFTERS
    from pilothouse_tools.observe import OBSERVERS

    watchers = {tool.spec.name: tool.spec for tool in (*OBSERVERS, *DRAFTERS)}
    return watchers | {tool.spec.name: tool.spec for tool in ACTORS}


def workflows(folder: Path | None) -> tuple[Reviewed, ...]:
    """Every workflow and what was found about it."""
    return review_workflows(folder, tool_specs(), frozenset(RULES))


def personas(folder: Path | None) -> tuple[Reviewed, ...]:
    """Every persona and what was found about it."""
    return review_personas(folder, {name: spec.kind for name, spec in tool_specs().items()})


def workflow(folder: Path | None, name: str) -> Workflow:
    """A workflow that is sound. Raises UsageError, InvalidFile."""
    return load_checked(name, folder, tool_specs(), frozenset(RULES))


def parsed(folder: Path | None, name: str) -> Workflow:
    """A workflow as it is written, sound or not. Raises UsageError, InvalidFile."""
    found = find_workflow(name, folder)
    return parse(found.text(), found.shown)
