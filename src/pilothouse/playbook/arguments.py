"""Do a step's arguments and its condition fit: names, types, and facts that an earlier step really leaves?"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import cast

from pilothouse.canonical import Json
from pilothouse.model import Kind, Step
from pilothouse.playbook import known
from pilothouse.playbook.problem import NOTE, Problem
from pilothouse.playbook.reading import one_known
from pilothouse.playbook.scene import MAIN, Scene, missing

_LEAVES_FACTS = frozenset({Kind.OBSERVE, Kind.DRAFT, Kind.ACT})


def findings(scene: Scene, step: Step, earlier: Mapping[str, Step], branch: str) -> Iterator[Problem]:
    """Every finding about the ``with`` and the ``when`` of one step."""
    yield from _arguments(scene, step, earlier)
    yield from _condition(scene, step, earlier, branch)


def reference(value: Json) -> tuple[str, str] | None:
    """``("ref", "branch.sha")`` for a reference, None for a literal."""
    if isinstance(value, dict) and len(value) == 1:
        form, name = next(iter(value.items()))
        if form in known.FORMS and isinstance(name, str):
            return form, name
    return None


def _arguments(scene: Scene, step: Step, earlier: Mapping[str, Step]) -> Iterator[Problem]:
    spec = scene.spec(step)
    if spec is None:
        return
    for name, value in step.arguments.items():
        wanted = spec.arguments.get(name)
        if wanted is None:
            yield scene.problem(
                step,
                f"gives '{spec.name}' the unknown argument '{name}'",
                one_known(name, spec.arguments),
                "with",
                name,
            )
            continue
        if reference(value) is None:
            if not known.literal_fits(value, wanted.type):
                shown = ascii(value)[:60]
                yield scene.problem(
                    step, f"gives '{name}' the value {shown}, which is no {wanted.type}", "", "with", name
                )
            continue
        found = yield from _type_of(scene, step, value, earlier, ("with", name))
        if found is not None and not known.fits(found, wanted.type):
            yield scene.problem(
                step, f"gives '{name}' a fact of type {found}, it takes {wanted.type}", "", "with", name
            )
    for name, argument in spec.arguments.items():
        if argument.required and name not in step.arguments:
            yield scene.problem(step, f"does not give '{spec.name}' its argument '{name}'", argument.about)


def _type_of(
    scene: Scene, step: Step, value: Json, earlier: Mapping[str, Step], place: tuple[str, ...]
) -> Generator[Problem, None, str | None]:
    """Yields what is wrong with a reference; returns its type, or None where that cannot be told."""
    form, name = cast("tuple[str, str]", reference(value))
    match form:
        case "run":
            return known.RUN.get(name)
        case "setting":
            return known.SETTINGS.get(name)
        case "input":
            return None  # the tool's door checks what a person gave
        case _:
            return (yield from _fact(scene, step, name, earlier, place))


def _fact(
    scene: Scene, step: Step, name: str, earlier: Mapping[str, Step], place: tuple[str, ...]
) -> Generator[Problem, None, str | None]:
    other_id, _, fact = name.partition(".")
    other = earlier.get(other_id)
    if other is None:
        yield scene.problem(step, *missing(scene, other_id, earlier), *place)
        return None
    if other.kind not in _LEAVES_FACTS:
        yield scene.problem(step, f"refers to '{other_id}', which is a {other.kind} and has no result", "", *place)
        return None
    if other.when is not None and step.when is None:
        message = f"refers to '{other_id}', which is left out where its condition is false"
        yield scene.problem(step, message, "give this step a condition, too", *place, severity=NOTE)
    if not fact:
        return "object"
    spec = scene.spec(other)
    if spec is None:
        return None
    if fact not in spec.results:
        message = f"refers to '{name}', but '{spec.name}' has no result '{fact}'"
        yield scene.problem(step, message, one_known(fact, spec.results), *place)
        return None
    return spec.results[fact]


def _condition(scene: Scene, step: Step, earlier: Mapping[str, Step], branch: str) -> Iterator[Problem]:
    if step.when is None:
        return
    attempted = step.when.get("attempted")
    if isinstance(attempted, list):
        yield from _attempted(scene, step, [str(name) for name in attempted], branch)
        return
    found = yield from _type_of(scene, step, dict(step.when), earlier, ("when",))
    # {run: …} is true where the run has such a thing (a backup to restore).
    if found is not None and found != "flag" and "run" not in step.when:
        yield scene.problem(step, f"has a condition of type {found}", "a condition is a flag", "when")


def _attempted(scene: Scene, step: Step, names: list[str], branch: str) -> Iterator[Problem]:
    if branch == MAIN:
        yield scene.problem(step, "asks what was attempted, which only a branch can", "when: {ref: step.fact}", "when")
        return
    main = {other.id: other for other in scene.workflow.steps()}
    for index, name in enumerate(names):
        if name not in main:
            message = f"asks whether '{name}' was attempted, which is no step of the main line"
            yield scene.problem(step, message, one_known(name, main), "when", "attempted", index)
        elif main[name].kind is not Kind.ACT:
            message = f"asks whether '{name}' was attempted, but only acts are; it is a {main[name].kind}"
            yield scene.problem(step, message, "", "when", "attempted", index)
