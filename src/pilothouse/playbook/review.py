"""The playbook as data for `workflow list|check|show|graph` and `agent list|check`: nothing is printed here."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from pilothouse.errors import InvalidFile
from pilothouse.model import Kind, ToolSpec, Workflow
from pilothouse.playbook import persona, workflow
from pilothouse.playbook.check import check, checked
from pilothouse.playbook.find import Found, find_workflow, list_personas, list_workflows, load_templates
from pilothouse.playbook.persona import Persona
from pilothouse.playbook.problem import ERROR, Problem, problem_of, refuse


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One file of the playbook with what was found: ``about`` is its summary or description, empty where unreadable."""

    name: str
    path: str
    origin: str  # shipped | project
    title: str
    about: str
    problems: tuple[Problem, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing refuses it."""
        return all(problem.severity != ERROR for problem in self.problems)


def review_workflows(
    folder: Path | None, specs: Mapping[str, ToolSpec], rules: AbstractSet[str]
) -> tuple[Reviewed, ...]:
    """Every workflow, checked; a file that does not parse is one problem, not an exception.

    Args:
        folder: the user's project, or None for the shipped playbook alone.
        specs: the registered tools.
        rules: the names of the guard's gate rules.
    """
    agents, templates = agent_names(folder), frozenset(load_templates(folder))
    found: list[Reviewed] = []
    for file in list_workflows(folder):
        try:
            parsed = workflow.parse(file.text(), file.shown)
        except InvalidFile as error:
            found.append(Reviewed(file.name, file.shown, file.origin, file.name, "", (problem_of(error),)))
            continue
        problems = check(parsed, specs, rules, agents, templates)
        found.append(Reviewed(file.name, file.shown, file.origin, parsed.title, parsed.summary, problems))
    return tuple(found)


def review_personas(folder: Path | None, known_tools: Mapping[str, Kind]) -> tuple[Reviewed, ...]:
    """Every persona, linted; ``known_tools`` are the registered tools and their kinds."""
    files = list_personas(folder)
    agents = frozenset(file.name for file in files)
    found: list[Reviewed] = []
    for file in files:
        try:
            text = file.text()
        except InvalidFile as error:
            found.append(Reviewed(file.name, file.shown, file.origin, file.name, "", (problem_of(error),)))
            continue
        problems = persona.lint(text, file.shown, known_tools, agents)
        title, about = _told(text, file)
        found.append(Reviewed(file.name, file.shown, file.origin, title, about, problems))
    return tuple(found)


def load_checked(name: str, folder: Path | None, specs: Mapping[str, ToolSpec], rules: AbstractSet[str]) -> Workflow:
    """The workflow of that name, parsed and found sound against everything there is.

    Raises:
        UsageError: ``unknown-workflow``.
        InvalidFile: of the first error, with all others listed.
    """
    file = find_workflow(name, folder)
    templates = frozenset(load_templates(folder))
    return checked(file.text(), file.shown, specs, rules, agent_names(folder), templates)


def load_personas(folder: Path | None, known_tools: Mapping[str, Kind]) -> Mapping[str, Persona]:
    """Every persona by name, found sound. Raises InvalidFile."""
    files = list_personas(folder)
    agents = frozenset(file.name for file in files)
    found: dict[str, Persona] = {}
    for file in files:
        text = file.text()
        refuse(file.shown, persona.lint(text, file.shown, known_tools, agents))
        found[file.name] = persona.parse(text, file.shown)
    return found


def agent_names(folder: Path | None) -> frozenset[str]:
    """The names of the personas there are, without reading them."""
    return frozenset(file.name for file in list_personas(folder))


def _told(text: str, file: Found) -> tuple[str, str]:
    try:
        parsed = persona.parse(text, file.shown)
    except InvalidFile:
        return file.name, ""
    return parsed.role, parsed.description
