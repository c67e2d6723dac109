"""Is a workflow sound? What it names exists and fits, stands earlier, and every far-reaching act is covered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from pilothouse.model import EffectClass, Kind, Step, ToolSpec, Workflow
from pilothouse.playbook import arguments, cover, problem
from pilothouse.playbook.problem import NOTE, Problem
from pilothouse.playbook.reading import one_known
from pilothouse.playbook.scene import MAIN, Scene, missing
from pilothouse.playbook.workflow import parse

# A step of these kinds leaves facts: gates judge them, verdicts cite them.
EVIDENT = frozenset({Kind.OBSERVE, Kind.DRAFT, Kind.ACT, Kind.WATCH})
_TOOL_KIND: Mapping[Kind, Kind] = {
    Kind.OBSERVE: Kind.OBSERVE, Kind.DRAFT: Kind.DRAFT, Kind.ACT: Kind.ACT, Kind.WATCH: Kind.OBSERVE,
}  # fmt: skip


def check(
    workflow: Workflow,
    specs: Mapping[str, ToolSpec],
    rules: AbstractSet[str],
    agents: AbstractSet[str],
    templates: AbstractSet[str],
) -> tuple[Problem, ...]:
    """Every finding about a workflow, by line.

    Args:
        workflow: as ``parse`` made it.
        specs: the registered tools.
        rules: the names of the guard's gate rules.
        agents: the names of the personas.
        templates: the names of the prompt templates, relative to prompts/, for example ``briefs/readiness.md.j2``.
    """
    scene = Scene(workflow, specs, rules, agents, templates)
    return tuple(sorted(dict.fromkeys(_findings(scene)), key=lambda found: (found.line, found.severity)))


def checked(
    text: str,
    path: str,
    specs: Mapping[str, ToolSpec],
    rules: AbstractSet[str],
    agents: AbstractSet[str],
    templates: AbstractSet[str],
) -> Workflow:
    """A workflow's text, parsed and found sound.

    Raises:
        InvalidFile: of the first error, with all others listed.
    """
    workflow = parse(text, path)
    problem.refuse(path, check(workflow, specs, rules, agents, templates))
    return workflow


def _findings(scene: Scene) -> Iterator[Problem]:
    earlier: dict[str, Step] = {}
    for branch, step in scene.lines():
        if branch != MAIN and step is scene.workflow.steps(branch)[0]:
            # A branch sees the whole main line and itself, never another branch.
            earlier = {other.id: other for other in scene.workflow.steps()}
        yield from _roles(scene, step)
        yield from _tool(scene, step)
        yield from _looks_back(scene, step, earlier)
        yield from _gates(scene, step, earlier)
        yield from arguments.findings(scene, step, earlier, branch)
        earlier[step.id] = step
    yield from _declared_gates(scene)
    yield from cover.findings(scene)


def _roles(scene: Scene, step: Step) -> Iterator[Problem]:
    if step.agent not in scene.agents:
        yield scene.problem(
            step,
            f"belongs to the agent '{step.agent}', which does not exist",
            one_known(step.agent, scene.agents),
            "agent",
        )
    if step.kind is Kind.VERDICT and f"briefs/{step.target}.md.j2" not in scene.templates:
        briefs = sorted(
            name[7:-6] for name in scene.templates if name.startswith("briefs/") and name.endswith(".md.j2")
        )
        message = f"has no brief: prompts/briefs/{step.target}.md.j2 does not exist"
        yield scene.problem(step, message, one_known(step.target, briefs), "verdict")


def _tool(scene: Scene, step: Step) -> Iterator[Problem]:
    wanted = _TOOL_KIND.get(step.kind)
    if wanted is None:
        return
    spec = scene.specs.get(step.target)
    fitting = [name for name, other in scene.specs.items() if other.kind is wanted]
    if spec is None:
        yield scene.problem(
            step, f"names the tool '{step.target}', which does not exist", one_known(step.target, fitting), step.kind
        )
    elif spec.kind is not wanted:
        yield scene.problem(
            step, f"is of kind {step.kind}, its tool '{step.target}' is of kind {spec.kind}", "", step.kind
        )
    elif spec.effect is EffectClass.HUMAN:
        message = f"is of class H: after a crash only a person can tell whether '{step.target}' had its effect"
        yield scene.problem(step, message, "give its command a probe in pilothouse.yml", severity=NOTE)


def _looks_back(scene: Scene, step: Step, earlier: Mapping[str, Step]) -> Iterator[Problem]:
    for key, names in (("needs", step.needs), ("reads", step.reads)):
        for index, name in enumerate(names):
            if name not in earlier:
                yield scene.problem(step, *missing(scene, name, earlier), key, index)
            elif key == "reads" and earlier[name].kind not in EVIDENT:
                yield scene.problem(
                    step, f"reads '{name}', which is a {earlier[name].kind} and leaves no evidence", "", key, index
                )
    if step.kind is Kind.VERDICT and not step.reads:
        yield scene.problem(step, "judges without evidence", "reads: [step, …]")
    if step.kind is Kind.WATCH:
        yield from _baseline(scene, step, earlier)


def _baseline(scene: Scene, step: Step, earlier: Mapping[str, Step]) -> Iterator[Problem]:
    if len(step.reads) != 1:
        yield scene.problem(
            step, f"reads {len(step.reads)} steps", "a watch reads exactly its baseline: reads: [baseline]", "reads"
        )
        return
    baseline = earlier.get(step.reads[0])
    if baseline is not None and (baseline.target != step.target or baseline.arguments != step.arguments):
        message = f"compares with '{baseline.id}', which did not measure the same"
        yield scene.problem(step, message, f"the baseline observes {step.target} with the same arguments", "reads")


def _gates(scene: Scene, step: Step, earlier: Mapping[str, Step]) -> Iterator[Problem]:
    asked = [("gates", index, name) for index, name in enumerate(step.gates)]
    if step.asks_unless is not None:
        asked.append(("asks_unless", 0, step.asks_unless))
    for key, index, name in asked:
        place = (key, index) if key == "gates" else (key,)
        gate = scene.workflow.gates.get(name)
        if gate is None:
            yield scene.problem(
                step, f"has the gate '{name}', which is not declared", one_known(name, scene.workflow.gates), *place
            )
        elif gate.on not in earlier:
            why, hint = missing(scene, gate.on, earlier)
            yield scene.problem(step, f"has the gate '{name}', which {why}", hint, *place)


def _declared_gates(scene: Scene) -> Iterator[Problem]:
    used = {name for _, step in scene.lines() for name in (*step.gates, step.asks_unless)}
    steps = {step.id: step for _, step in scene.lines()}
    for gate in scene.workflow.gates.values():
        if gate.rule not in scene.rules:
            message = f"gate '{gate.id}' has the rule '{gate.rule}', which does not exist"
            yield Problem(gate.line, message, one_known(gate.rule, scene.rules))
        on = steps.get(gate.on)
        if on is not None and on.kind not in EVIDENT:
            yield Problem(
                gate.line, f"gate '{gate.id}' judges '{gate.on}', which is a {on.kind} and leaves no evidence"
            )
        if gate.id not in used:
            yield Problem(gate.line, f"no step has the gate '{gate.id}'", "use it or leave it out", NOTE)
