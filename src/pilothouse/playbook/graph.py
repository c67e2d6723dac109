"""A workflow as a picture: Mermaid flowchart text, deterministic, with every word escaped."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pilothouse.model import Kind, Phase, Step, Workflow

# Opening and closing of a node's shape: checkpoints are diamonds, acts have double walls, verdicts are rounded.
_SHAPES = {
    Kind.OBSERVE: ("[", "]"),
    Kind.DRAFT: ("[/", "/]"),
    Kind.ACT: ("[[", "]]"),
    Kind.VERDICT: ("([", "])"),
    Kind.CHECKPOINT: ("{", "}"),
    Kind.WATCH: ("{{", "}}"),
}


def mermaid(workflow: Workflow) -> str:
    """The flowchart of a workflow: phases as subgraphs, checkpoints as diamonds, contingent branches dashed."""
    return "\n".join(_lines(workflow)) + "\n"


def _lines(workflow: Workflow) -> Iterator[str]:
    yield "flowchart TD"
    for phase in workflow.phases:
        yield from _phase(phase, "  ")
    for branch in workflow.branches.values():
        yield f"  subgraph branch_{_id(branch.name)}[{_text(f'{branch.title}, ends {branch.ends}')}]"
        for phase in branch.phases:
            yield from _phase(phase, "    ")
        yield "  end"
    yield from _path(workflow.steps(), "-->")
    for name in workflow.branches:
        yield from _path(workflow.steps(name), "-.->")
    for step in workflow.steps():
        if step.on_failure is not None:
            first = workflow.steps(step.on_failure)[0]
            yield f"  {_node(step)} -. fails .-> {_node(first)}"
    yield from _look(workflow)


def _look(workflow: Workflow) -> Iterator[str]:
    yield "  classDef checkpoint stroke-width:3px"
    yield "  classDef contingent stroke-dasharray:6 4"
    checkpoints = [step for step in workflow.every_step() if step.kind is Kind.CHECKPOINT]
    if checkpoints:
        yield f"  class {','.join(_node(step) for step in checkpoints)} checkpoint"
    contingent = [_node(step) for branch in workflow.branches for step in workflow.steps(branch)]
    contingent += [f"branch_{_id(name)}" for name in workflow.branches]
    if contingent:
        yield f"  class {','.join(contingent)} contingent"


def _phase(phase: Phase, indent: str) -> Iterator[str]:
    title = f"{phase.title} ({phase.agent})" if phase.agent else phase.title
    yield f"{indent}subgraph phase_{_id(phase.id)}[{_text(title)}]"
    for step in phase.steps:
        opening, closing = _SHAPES[step.kind]
        label = step.target if step.kind is Kind.CHECKPOINT else f"{step.id}\n{_what(step)}"
        yield f"{indent}  {_node(step)}{opening}{_text(label)}{closing}"
    yield f"{indent}end"


def _what(step: Step) -> str:
    environment = step.arguments.get("environment")
    where = f" on {environment}" if isinstance(environment, str) else ""
    condition = ", if it applies" if step.when is not None else ""
    return f"{step.target}{where}{condition}"


def _path(steps: tuple[Step, ...], arrow: str) -> Iterator[str]:
    for before, after in pairwise(steps):
        yield f"  {_node(before)} {arrow} {_node(after)}"


def _node(step: Step) -> str:
    # A prefix, because words like "end" are Mermaid's own.
    return f"step_{_id(step.id)}"


def _id(name: str) -> str:
    return name.replace("-", "_")


def _text(text: str) -> str:
    """A quoted label: Mermaid's entity codes for what could end it or become markup."""
    escaped = "".join(f"#{ord(character)};" if character in '"#<>&`\\;{}[]|' else character for character in text)
    return '"' + escaped.replace("\n", "<br/>") + '"'
