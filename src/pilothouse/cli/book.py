"""workflow list|check|show|graph and agent list|check: what there is, is it sound, how does it look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse import inventory
from pilothouse.cli.surface import Surface
from pilothouse.errors import EXIT_DONE, EXIT_USAGE, UsageError
from pilothouse.render.course import agent_title
from pilothouse.render.screen import BLANK, Line, Tone, columns, cut, line, padded
from pilothouse.render.text import wrap
from pilothouse.views import schema

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.model import Phase, Step, Workflow
    from pilothouse.playbook.review import Reviewed


def _folder(surface: Surface) -> Path | None:
    """The project, or None: then the shipped playbook is looked at."""
    try:
        return surface.folder()
    except UsageError:
        if surface.project is not None:
            raise
        return None


def workflows(surface: Surface, *, check: bool) -> int:
    """List or check the workflows."""
    return _review(surface, inventory.workflows(_folder(surface)), "workflow", check=check)


def agents(surface: Surface, *, check: bool) -> int:
    """List or check the personas."""
    return _review(surface, inventory.personas(_folder(surface)), "agent", check=check)


def _review(surface: Surface, found: Sequence[Reviewed], noun: str, *, check: bool) -> int:
    sound = all(item.sound for item in found)
    command = f"{noun}-check" if check else f"{noun}-list"
    surface.answer(
        lambda: {"schema": schema(command), "sound": sound, f"{noun}s": [_reviewed_json(item) for item in found]},
        lambda: _reviewed_lines(found, surface.out().width, check=check),
    )
    return EXIT_DONE if sound or not check else EXIT_USAGE


def _reviewed_json(item: Reviewed) -> dict[str, Json]:
    return {
        "name": item.name, "path": item.path, "origin": item.origin, "title": item.title, "about": item.about,
        "sound": item.sound,
        "problems": [
            {"line": p.line, "severity": p.severity, "message": p.message, "hint": p.hint} for p in item.problems
        ],
    }  # fmt: skip


def _reviewed_lines(found: Sequence[Reviewed], width: int, *, check: bool) -> Iterator[Line]:
    room = max((columns(item.name) for item in found), default=0)
    for item in found:
        sign = ("✔", Tone.GOOD) if item.sound else ("✘", Tone.BAD)
        where = "" if item.origin == "shipped" else f"  ({item.origin})"
        about = item.about or item.title
        left = width - room - 6 - columns(where)
        yield line(" ", sign, " ", (padded(item.name, room), Tone.STRONG), "  ", cut(about, left), (where, Tone.DIM))
        for problem in item.problems if check else ():
            place = f"{item.path}:{problem.line}" if problem.line else item.path
            text = f"{place}: {problem.severity}: {problem.message}" + (f" → {problem.hint}" if problem.hint else "")
            yield from (line("     ", part) for part in wrap(text, width - 6))


def show(surface: Surface, name: str) -> int:
    """A workflow, phase by phase."""
    workflow = inventory.parsed(_folder(surface), name)
    surface.answer(lambda: _workflow_json(workflow), lambda: _workflow_lines(workflow))
    return EXIT_DONE


def graph(surface: Surface, name: str) -> int:
    """A workflow as a Mermaid flowchart."""
    from pilothouse.playbook.graph import mermaid

    text = mermaid(inventory.parsed(_folder(surface), name))
    surface.answer(
        lambda: {"schema": schema("workflow-graph"), "name": name, "mermaid": text},
        lambda: [line(raw) for raw in text.rstrip("\n").split("\n")],
    )
    return EXIT_DONE


def _workflow_json(workflow: Workflow) -> dict[str, Json]:
    return {
        "schema": schema("workflow-show"), "name": workflow.name, "title": workflow.title, "summary": workflow.summary,
        "steps": [
            {
                "id": step.id, "agent": step.agent, "kind": str(step.kind), "target": step.target, "branch": branch,
                "checkpoint": step.checkpoint, "gates": [*step.gates], "needs": [*step.needs], "line": step.line,
            }
            for branch in ("main", *workflow.branches)
            for step in workflow.steps(branch)
        ],
    }  # fmt: skip


def _workflow_lines(workflow: Workflow) -> Iterator[Line]:
    yield line(" ", (workflow.title, Tone.STRONG), f"   {workflow.summary}")
    yield BLANK
    for phase in workflow.phases:
        yield from _phase_lines(phase)
    for branch in workflow.branches.values():
        yield BLANK
        yield line(" ", ("↩", Tone.BACK), f" only if it goes wrong: {branch.title}, ends {branch.ends}")
        for phase in branch.phases:
            yield from _phase_lines(phase)


def _phase_lines(phase: Phase) -> Iterator[Line]:
    yield line(" ", (padded(phase.title, 18), Tone.STRONG), (agent_title(phase.agent), Tone.DIM))
    for step in phase.steps:
        yield _step_line(step)


def _step_line(step: Step) -> Line:
    if step.kind == "checkpoint":
        return line("   ", ("◆", Tone.WAIT), f" {padded(step.id, 22)} a person opens it")
    asks = ("  after " + step.checkpoint, Tone.WAIT) if step.checkpoint else ("", Tone.DIM)
    tone = Tone.STRONG if step.kind == "act" else Tone.PLAIN
    gates = f"  gates: {', '.join(step.gates)}" if step.gates and step.kind == "verdict" else ""
    return line(
        "     ", (padded(step.id, 22), Tone.PLAIN), " ", (padded(str(step.kind), 8), tone), " ",
        (f"{step.target}{gates}", Tone.DIM), asks,
    )  # fmt: skip
