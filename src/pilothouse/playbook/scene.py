"""What a workflow is checked against, and where its steps stand in their file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from pilothouse.model import RECORD, Kind, Reach, Step, ToolSpec, Workflow
from pilothouse.playbook.problem import ERROR, Problem
from pilothouse.playbook.reading import one_known
from pilothouse.yamlfile import Doc, load

MAIN = "main"


@dataclass(frozen=True, slots=True)
class Scene:
    """A workflow with everything that there is: tools, rules of gates, agents, templates."""

    workflow: Workflow
    specs: Mapping[str, ToolSpec]
    rules: AbstractSet[str]
    agents: AbstractSet[str]
    templates: AbstractSet[str]
    # The document is read again only where there is something to report: its lines are needed for nothing else.
    _documents: list[Doc] = field(default_factory=list)

    def lines(self) -> Iterator[tuple[str, Step]]:
        """Every step with the line it belongs to: ``main`` or a branch's name."""
        for branch in (MAIN, *self.workflow.branches):
            for step in self.workflow.steps(branch):
                yield branch, step

    def spec(self, step: Step) -> ToolSpec | None:
        """The tool of a step, where it has one that exists."""
        return self.specs.get(step.target) if step.kind in (Kind.OBSERVE, Kind.DRAFT, Kind.ACT, Kind.WATCH) else None

    def place(self, step: Step, *keys: str | int) -> int:
        """The line of a step, or of something within it."""
        if not keys or not self.workflow.source:
            return step.line
        if not self._documents:
            self._documents.append(load(self.workflow.source, self.workflow.path))
        document = self._documents[0]
        phases = (self.workflow.phases, *(branch.phases for branch in self.workflow.branches.values()))
        roots: tuple[tuple[str, ...], ...] = (
            ("phases",),
            *(("branches", name, "phases") for name in self.workflow.branches),
        )
        for root, line in zip(roots, phases, strict=True):
            for number, phase in enumerate(line):
                if step in phase.steps:
                    return document.line((*root, number, "steps", phase.steps.index(step), *keys))
        return step.line

    def problem(self, step: Step, message: str, hint: str = "", *keys: str | int, severity: str = ERROR) -> Problem:
        """A finding about a step."""
        return Problem(self.place(step, *keys), f"step '{step.id}' {message}", hint, severity)


def missing(scene: Scene, name: str, earlier: Mapping[str, Step]) -> tuple[str, str]:
    """Why a named step cannot be looked back to, and what could be."""
    for branch, other in scene.lines():
        if other.id == name:
            where = "stands later" if branch == MAIN or name in earlier else f"stands later, or in branch '{branch}'"
            return f"looks back to '{name}', which {where} (line {other.line})", "name an earlier step"
    return f"looks back to '{name}', which does not exist", one_known(name, earlier)


def reach_of(step: Step, spec: ToolSpec) -> Reach | None:
    """How far an act reaches; None where only a literal environment could tell and there is none."""
    if spec.reach is not None:
        return spec.reach
    environment = step.arguments.get("environment")
    return Reach(environment) if environment in (Reach.STAGING, Reach.PRODUCTION) else None


def must_be_covered(step: Step, spec: ToolSpec) -> bool:
    """Whether only a checkpoint may let this act happen: it reaches production, or it cannot be undone."""
    return spec.name != RECORD and (reach_of(step, spec) is Reach.PRODUCTION or not spec.undoable)
