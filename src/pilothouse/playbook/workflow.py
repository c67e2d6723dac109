"""workflows/NAME.yml to ``model.Workflow``: the shape of the file; what it means together is ``check``'s business."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import cast

from pilothouse.canonical import Json
from pilothouse.errors import InvalidFile
from pilothouse.model import Branch, Gate, Kind, Phase, Step, Workflow
from pilothouse.playbook import known
from pilothouse.playbook.reading import Entry, one_known
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
    top = Entry(load(text, path), (), known.WORKFLOW_KEYS, needed=("schema", "name", "phases"))
    if top.text("schema") != known.SCHEMA:
        raise top.refuse(f"this Pilothouse reads {known.SCHEMA} only", "schema", f"write schema: {known.SCHEMA}")
    name = top.identifier("name")
    if PurePath(path).stem != name:
        file = PurePath(path).name
        raise top.refuse(f"the workflow is called '{name}', its file '{file}'", "name", f"name the file {name}.yml")
    _inputs(top)
    phases = _phases(top)
    branches = _branches(top)
    _unique(path, (*phases, *(phase for branch in branches for phase in branch.phases)))
    return Workflow(
        name=name,
        title=top.text("title", _titled(name)),
        summary=top.text("summary", ""),
        phases=phases,
        gates=_gates(top),
        branches={branch.name: branch for branch in branches},
        source=text,
        path=path,
        asks=top.one_of("asks", known.ASKS) if "asks" in top else "",
    )


def inputs(workflow: Workflow) -> Mapping[str, Input]:
    """The inputs that a workflow declares, read from its source; none where it was not read from a file."""
    return _inputs(Entry(load(workflow.source, workflow.path))) if workflow.source else {}


def _titled(name: str) -> str:
    return name.replace("-", " ").capitalize()


def _named(top: Entry, key: str, keys: tuple[str, ...], needed: tuple[str, ...]) -> list[tuple[str, Entry]]:
    """The mappings of a mapping by their kebab-case names."""
    if key not in top:
        return []
    declared = top.inner(key)
    for name in declared.data:
        if known.IDENTIFIER.fullmatch(name) is None:
            raise declared.refuse(f"{name!a} is no name in {key}: lower-case words joined by '-'", name)
    return [(name, declared.inner(name, keys, needed)) for name in declared.data]


def _inputs(top: Entry) -> dict[str, Input]:
    found: dict[str, Input] = {}
    for name, entry in _named(top, "inputs", known.INPUT_KEYS, ("type", "default")):
        kind = entry.one_of("type", known.INPUT_TYPES)
        default = entry.data["default"]
        # An empty text says "not given" for a version, too.
        if not known.literal_fits(default, kind) and not (kind == "version" and default == ""):
            raise entry.refuse(f"the default of input '{name}' is not of type {kind}", "default")
        found[name] = Input(name, kind, cast("str | int | bool", default), entry.text("about", ""), entry.line())
    return found


def _gates(top: Entry) -> dict[str, Gate]:
    return {
        name: Gate(name, entry.identifier("rule"), entry.identifier("on"), entry.seconds("max_age"), entry.line())
        for name, entry in _named(top, "gates", known.GATE_KEYS, ("rule", "on"))
    }


def _branches(top: Entry) -> list[Branch]:
    found: list[Branch] = []
    for name, entry in _named(top, "branches", known.BRANCH_KEYS, ("ends", "phases")):
        if name in ("main", known.STOP):
            raise entry.refuse(
                f"a branch cannot be called '{name}'", hint="'main' is the main line, 'stop' is no branch"
            )
        found.append(Branch(name, entry.text("title", _titled(name)), _phases(entry), entry.one_of("ends", known.ENDS)))
    return found


def _phases(entry: Entry) -> tuple[Phase, ...]:
    found: list[Phase] = []
    for phase in entry.each("phases"):
        phase.demand_known(known.PHASE_KEYS)
        phase_id = phase.identifier("id")
        agent = phase.identifier("agent") if "agent" in phase else ""
        steps = tuple(_step(step, phase_id, agent) for step in phase.each("steps"))
        found.append(Phase(phase_id, phase.text("title", _titled(phase_id)), agent, steps))
    return tuple(found)


def _step(entry: Entry, phase: str, phase_agent: str) -> Step:
    entry.demand_known(known.EVERY_STEP_KEY)
    step_id = entry.identifier("id")
    kind = _kind(entry, step_id)
    agent = entry.identifier("agent") if "agent" in entry else phase_agent
    if not agent:
        raise entry.refuse(f"step '{step_id}' belongs to no agent", hint="name one in the step or in its phase")
    return Step(
        id=step_id,
        agent=agent,
        kind=kind,
        target=entry.text(kind),
        title=entry.text("title", ""),
        phase=phase,
        arguments=_arguments(entry, step_id),
        needs=entry.names("needs"),
        gates=entry.names("gates"),
        reads=entry.names("reads"),
        checkpoint=entry.identifier("checkpoint") if kind is Kind.ACT and "checkpoint" in entry else None,
        on_failure=_on_failure(entry),
        when=_when(entry, step_id),
        asks_unless=entry.identifier("asks_unless") if "asks_unless" in entry else None,
        line=entry.line(),
    )


def _kind(entry: Entry, step_id: str) -> Kind:
    """The one kind key of a step; ``checkpoint`` is one only where no other stands."""
    named = [key for key in known.KINDS if key in entry]
    others = [key for key in named if key != Kind.CHECKPOINT]
    if len(others) > 1:
        message = f"step '{step_id}' is of two kinds: {' and '.join(others)}"
        raise entry.refuse(message, others[1], "make them two steps")
    if not named:
        raise entry.refuse(f"step '{step_id}' has no kind", hint=f"exactly one of {', '.join(known.KINDS)}")
    kind = Kind(others[0] if others else Kind.CHECKPOINT)
    article = "an" if kind in (Kind.ACT, Kind.OBSERVE) else "a"
    for key in entry.data:
        if key not in known.STEP_KEYS[kind]:
            why = known.MISPLACED.get((kind, key), f"{article} {kind} step has {', '.join(known.STEP_KEYS[kind])}")
            raise entry.refuse(f"step '{step_id}': '{key}' has no place in {article} {kind} step", key, why)
    return kind


def _on_failure(entry: Entry) -> str | None:
    named = entry.identifier("on_failure") if "on_failure" in entry else known.STOP
    return None if named == known.STOP else named


def _arguments(entry: Entry, step_id: str) -> dict[str, Json]:
    if "with" not in entry:
        return {}
    given = entry.inner("with")
    return {name: _value(given, name, f"step '{step_id}': '{name}'") for name in given.data}


def _value(given: Entry, name: str, called: str) -> Json:
    """A literal (text, number, flag, list of them) or a reference of one of the four forms."""
    match given.data[name]:
        case None:
            raise given.refuse(f"{called} has no value", name, 'write "" for an empty text')
        case list() as items if any(item is None or isinstance(item, dict | list) for item in items):
            message = f"{called}: a list holds text, whole numbers and flags only"
            raise given.refuse(message, name, "refer to a whole list: {ref: step.fact}")
        case dict():
            return _reference(given.inner(name, known.FORMS), called)
        case value:
            return value


def _reference(entry: Entry, called: str) -> Json:
    if len(entry.data) != 1:
        raise entry.refuse(f"{called}: a reference has exactly one of {', '.join(known.FORMS)}")
    form = next(iter(entry.data))
    name = entry.text(form)
    tables: Mapping[str, Iterable[str]] = {
        "run": known.RUN,
        "setting": known.SETTINGS,
        "input": _declared_inputs(entry),
    }
    if form in tables and name not in tables[form]:
        raise entry.refuse(f"{called}: there is no {form} '{name}'", form, one_known(name, tables[form]))
    return {form: name}


def _declared_inputs(entry: Entry) -> Iterable[str]:
    declared = cast("Mapping[str, Json]", entry.doc.data).get("inputs")
    return declared if isinstance(declared, dict) else ()


def _when(entry: Entry, step_id: str) -> Mapping[str, Json] | None:
    if "when" not in entry:
        return None
    condition = entry.inner("when", (*known.FORMS, "attempted"))
    called = f"step '{step_id}': the condition"
    if "attempted" not in condition:
        return cast("Mapping[str, Json]", _reference(condition, called))
    if len(condition.data) != 1:
        raise condition.refuse(f"{called} is one of {', '.join(known.FORMS)}, attempted")
    names = condition.names("attempted")
    if not names:
        raise condition.refuse(f"{called} names no step", "attempted", "attempted: [step, …]")
    return {"attempted": list(names)}


def _unique(path: str, phases: tuple[Phase, ...]) -> None:
    steps: dict[str, int] = {}
    seen: set[str] = set()
    for phase in phases:
        if phase.id in seen:
            line = phase.steps[0].line
            raise InvalidFile(path, line, f"two phases are called '{phase.id}'", "every phase has a name of its own")
        seen.add(phase.id)
        for step in phase.steps:
            if step.id in steps:
                message = f"two steps are called '{step.id}' (the other one on line {steps[step.id]})"
                raise InvalidFile(path, step.line, message, "every step has a name of its own")
            steps[step.id] = step.line
