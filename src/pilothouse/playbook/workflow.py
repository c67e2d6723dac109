"""workflows/NAME.yml to ``model.Workflow``: the shape of the file; what it means together is ``check``'s business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import cast

from pilothouse.canonical import Json
from pilothouse.errors import InvalidFile
from pilothouse.model import Branch, Gate, Kind, Phase, Step, Workflow
from pilothouse.playbook import known
from pilothouse.playbook.reading import Node, one_known
from pilothouse.yamlfile import load


@dataclass(frozen=True, slots=True)
class Input:
    """What a workflow may be started with: its type, its default, and a line for people."""

    name: str
    type: str
    default: str | int | bool
    about: str = ""
    line: int = 0


def parse(text: str, path: str) -> Workflow:
    """The workflow that a file's text means.

    Args:
        text: the file's text; it is kept as the workflow's source.
        path: the file as the person knows it; its name must be the workflow's.

    Raises:
        InvalidFile: at the line of the first thing that is not in the grammar (docs/workflows.md).
    """
    top = Node(load(text, path), path)
    top.mapping(known.WORKFLOW_KEYS, needed=("schema", "name", "phases"))
    if top.text("schema") != known.SCHEMA:
        top.refuse(f"this Pilothouse reads schema {known.SCHEMA}", f"write schema: {known.SCHEMA}", at="schema")
    name = top.identifier("name")
    if PurePath(path).stem != name:
        top.refuse(f"the workflow is called '{name}', its file '{PurePath(path).name}'", f"name the file {name}.yml", at="name")
    _inputs(top)
    phases = _phases(top.at("phases", "phases"))
    branches = {branch.name: branch for branch in _branches(top)}
    _unique(top, phases, branches)
    return Workflow(
        name=name,
        title=top.text("title", name.replace("-", " ").capitalize()),
        summary=top.text("summary", " ").strip(),
        phases=phases,
        gates=_gates(top),
        branches=branches,
        source=text,
        path=path,
    )


def inputs(workflow: Workflow) -> Mapping[str, Input]:
    """The inputs that a workflow declares, read from its source; none where it was not read from a file."""
    if not workflow.source:
        return {}
    return _inputs(Node(load(workflow.source, workflow.path), workflow.path))


def _inputs(top: Node) -> dict[str, Input]:
    if not top.has("inputs"):
        return {}
    declared = top.at("inputs", "inputs")
    found: dict[str, Input] = {}
    for name in declared.mapping():
        node = declared.at(name, f"input '{name}'")
        node.mapping(known.INPUT_KEYS, needed=("type", "default"))
        kind = node.one_of("type", known.INPUT_TYPES)
        default = node.at("default").value
        # An empty text says "not given" for a version, too.
        if not known.literal_fits(default, kind) and not (kind == "version" and default == ""):
            node.refuse(f"input '{name}': the default is not of type {kind}", at="default")
        found[name] = Input(name, kind, cast("str | int | bool", default), node.text("about", " ").strip(), node.line)
    return found


def _gates(top: Node) -> dict[str, Gate]:
    if not top.has("gates"):
        return {}
    declared = top.at("gates", "gates")
    found: dict[str, Gate] = {}
    for name in declared.mapping():
        if known.IDENTIFIER.fullmatch(name) is None:
            declared.refuse(f"a gate's name is lower-case words joined by '-', found {ascii(name)}", at=name)
        node = declared.at(name, f"gate '{name}'")
        node.mapping(known.GATE_KEYS, needed=("rule", "on"))
        found[name] = Gate(name, node.identifier("rule"), node.identifier("on"), node.seconds("max_age"), node.line)
    return found


def _branches(top: Node) -> list[Branch]:
    if not top.has("branches"):
        return []
    declared = top.at("branches", "branches")
    found: list[Branch] = []
    for name in declared.mapping():
        if known.IDENTIFIER.fullmatch(name) is None or name in ("main", known.STOP):
            declared.refuse(f"{ascii(name)} is no name for a branch", "lower-case words joined by '-', not 'main' or 'stop'", at=name)
        node = declared.at(name, f"branch '{name}'")
        node.mapping(known.BRANCH_KEYS, needed=("ends", "phases"))
        phases = _phases(node.at("phases", f"branch '{name}', phases"))
        title = node.text("title", name.replace("-", " ").capitalize())
        found.append(Branch(name, title, phases, node.one_of("ends", known.ENDS)))
    return found


def _phases(node: Node) -> tuple[Phase, ...]:
    found: list[Phase] = []
    for item in node.items():
        item.mapping(known.PHASE_KEYS, needed=("id", "steps"))
        phase_id = item.identifier("id")
        agent = item.identifier("agent") if item.has("agent") else ""
        steps = tuple(_step(step, phase_id, agent) for step in item.at("steps", f"phase '{phase_id}', steps").items())
        if not steps:
            item.refuse(f"phase '{phase_id}' has no steps", "give it a step or leave it out", at="steps")
        found.append(Phase(phase_id, item.text("title", phase_id.replace("-", " ").capitalize()), agent, steps))
    if not found:
        node.refuse(f"{node.name}: there is no phase", "a workflow does something")
    return tuple(found)


def _step(item: Node, phase: str, phase_agent: str) -> Step:
    item.mapping(needed=("id",))
    step_id = item.identifier("id")
    node = Node(item.doc, item.path, item.place, f"step '{step_id}'")
    kind = _kind(node)
    agent = node.identifier("agent") if node.has("agent") else phase_agent
    if not agent:
        node.refuse(f"step '{step_id}' belongs to no agent", "name one in the step or in its phase: agent: release-manager")
    return Step(
        id=step_id,
        agent=agent,
        kind=kind,
        target=node.text(kind),
        title=node.text("title", " ").strip(),
        phase=phase,
        arguments=_arguments(node),
        needs=node.names("needs"),
        gates=node.names("gates"),
        reads=node.names("reads"),
        checkpoint=node.identifier("checkpoint") if kind is Kind.ACT and node.has("checkpoint") else None,
        on_failure=_on_failure(node),
        when=_when(node),
        asks_unless=node.identifier("asks_unless") if node.has("asks_unless") else None,
        line=node.line,
    )


def _kind(node: Node) -> Kind:
    """The one kind key of a step; ``checkpoint`` is one only where no other stands."""
    keys = node.mapping(known.EVERY_STEP_KEY)
    named = [key for key in known.KINDS if key in keys]
    others = [key for key in named if key != Kind.CHECKPOINT]
    if len(others) > 1:
        node.refuse(f"{node.name} is of two kinds: {' and '.join(others)}", "make them two steps", at=others[1])
    if not named:
        node.refuse(f"{node.name} has no kind", f"exactly one of {', '.join(known.KINDS)}")
    kind = Kind(others[0] if others else Kind.CHECKPOINT)
    for key in keys:
        if key not in known.STEP_KEYS[kind]:
            article = "an" if kind in (Kind.ACT, Kind.OBSERVE) else "a"
            why = known.MISPLACED.get((kind, key), f"{article} {kind} step has {', '.join(known.STEP_KEYS[kind])}")
            node.refuse(f"{node.name}: '{key}' has no place in {article} {kind} step", why, at=key)
    return kind


def _on_failure(node: Node) -> str | None:
    named = node.identifier("on_failure") if node.has("on_failure") else known.STOP
    return None if named == known.STOP else named


def _arguments(node: Node) -> dict[str, Json]:
    if not node.has("with"):
        return {}
    given = node.at("with", f"{node.name}, with")
    return {name: _value(given.at(name, f"{node.name}, argument '{name}'")) for name in given.mapping()}


def _value(node: Node) -> Json:
    """A literal (text, number, flag, list of them) or a reference of one of the four forms."""
    value = node.value
    if value is None or isinstance(value, float):
        node.refuse(f"{node.name} has no value that a plan can hold", "text, a whole number, true, false, a list or a reference")
    if isinstance(value, list):
        if any(isinstance(item, dict | list) or item is None or isinstance(item, float) for item in value):
            node.refuse(f"{node.name}: a list holds text, whole numbers and flags only", "refer to a whole list: {ref: step.fact}")
        return cast("Json", list(value))
    if isinstance(value, dict):
        return _reference(node, value)
    return cast("Json", value)


def _reference(node: Node, value: Mapping[object, object]) -> Json:
    node.mapping(known.FORMS)
    if len(value) != 1:
        node.refuse(f"{node.name}: a reference has exactly one of {', '.join(known.FORMS)}")
    form, name = cast("tuple[str, object]", next(iter(value.items())))
    if not isinstance(name, str) or not name:
        node.refuse(f"{node.name}: '{form}' names something", f"for example {{{form}: {_EXAMPLES[form]}}}", at=form)
    table = {"run": known.RUN, "setting": known.SETTINGS}.get(form)
    if table is not None and name not in table:
        node.refuse(f"{node.name}: there is no {form} '{name}'", one_known(name, table), at=form)
    return {form: name}


_EXAMPLES = {"ref": "branch.sha", "input": "version", "setting": "has_database", "run": "to_sha"}


def _when(node: Node) -> Mapping[str, Json] | None:
    if not node.has("when"):
        return None
    condition = node.at("when", f"{node.name}, when")
    value = condition.mapping((*known.FORMS, "attempted"))
    if "attempted" in value:
        if len(value) != 1:
            condition.refuse(f"{condition.name}: one condition a step")
        names = condition.names("attempted")
        if not names:
            condition.refuse(f"{condition.name}: 'attempted' names at least one step", at="attempted")
        return {"attempted": list(names)}
    return cast("Mapping[str, Json]", _reference(condition, cast("Mapping[object, object]", value)))


def _unique(top: Node, phases: tuple[Phase, ...], branches: Mapping[str, Branch]) -> None:
    every = (*phases, *(phase for branch in branches.values() for phase in branch.phases))
    seen: dict[str, Step] = {}
    phase_ids: set[str] = set()
    for phase in every:
        if phase.id in phase_ids:
            line = phase.steps[0].line
            raise InvalidFile(top.path, line, f"two phases are called '{phase.id}'", "every phase has a name of its own")
        phase_ids.add(phase.id)
        for step in phase.steps:
            if step.id in seen:
                message = f"two steps are called '{step.id}' (the other one in line {seen[step.id].line})"
                raise InvalidFile(top.path, step.line, message, "rename one")
            seen[step.id] = step
