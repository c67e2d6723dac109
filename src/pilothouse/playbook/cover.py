"""Reach: an act that reaches production or cannot be undone is covered by a checkpoint, or the workflow does not load.

The cover is a checkpoint of the main line, because that is where a person sees the card: it stands before the act, and
a contingent branch can only be entered after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pilothouse.guard.state import ABORTED
from pilothouse.model import Kind, Reach, Step
from pilothouse.playbook.problem import Problem
from pilothouse.playbook.reading import one_known
from pilothouse.playbook.scene import MAIN, Scene, must_be_covered, reach_of


def findings(scene: Scene) -> Iterator[Problem]:
    """Every finding about reach, checkpoints and branches."""
    order = {step.id: number for number, step in enumerate(scene.workflow.steps())}
    for branch, step in scene.lines():
        yield from _environment(scene, step)
        yield from _cover(scene, step, branch, order)
        yield from _failure(scene, step, branch)
        if branch != MAIN and step.kind is Kind.CHECKPOINT:
            hint = "cover its acts by a checkpoint of the main line; asks_unless lets one ask again"
            yield scene.problem(step, f"asks in branch '{branch}', which is approved together with the main line", hint)
        if branch == MAIN and step.asks_unless is not None:
            yield scene.problem(step, "has asks_unless, which only a branch has", "checkpoint: STEP", "asks_unless")
    for name in scene.workflow.branches:
        yield from _entrances(scene, name, order)


def _environment(scene: Scene, step: Step) -> Iterator[Problem]:
    spec = scene.spec(step)
    if step.kind is Kind.ACT and spec is not None and spec.reach is None and reach_of(step, spec) is None:
        message = "does not say literally where it acts, so its reach is unknown before it runs"
        yield scene.problem(step, message, "environment: staging, or environment: production", "with", "environment")


def _cover(scene: Scene, step: Step, branch: str, order: Mapping[str, int]) -> Iterator[Problem]:
    spec = scene.spec(step)
    if step.kind is not Kind.ACT or spec is None:
        return
    checkpoints = [other.id for other in scene.workflow.steps() if other.kind is Kind.CHECKPOINT]
    if step.checkpoint is not None and step.checkpoint not in checkpoints:
        message = f"names the checkpoint '{step.checkpoint}', which the main line does not have"
        yield scene.problem(step, message, one_known(step.checkpoint, checkpoints), "checkpoint")
    elif step.checkpoint is not None and branch == MAIN and order[step.checkpoint] > order[step.id]:
        message = f"names the checkpoint '{step.checkpoint}', which stands later (line {_line(scene, step.checkpoint)})"
        yield scene.problem(step, message, "a checkpoint covers only what follows it", "checkpoint")
    elif step.checkpoint is None and must_be_covered(step, spec):
        what = "acts on production" if reach_of(step, spec) is Reach.PRODUCTION else "cannot be undone"
        hint = (
            f"checkpoint: {checkpoints[0]}"
            if checkpoints
            else 'add a step {id: go, checkpoint: "Go to production?"} before it'
        )
        yield scene.problem(step, f"{what}, so a checkpoint must cover it", hint)


def _failure(scene: Scene, step: Step, branch: str) -> Iterator[Problem]:
    if step.on_failure is None:
        return
    if branch != MAIN:
        message = f"branches to '{step.on_failure}' from within branch '{branch}'"
        yield scene.problem(
            step, message, "a branch that fails halts the run: nothing rolls back a rollback", "on_failure"
        )
    elif step.on_failure not in scene.workflow.branches:
        message = f"fails into the branch '{step.on_failure}', which does not exist"
        yield scene.problem(step, message, one_known(step.on_failure, (*scene.workflow.branches, "stop")), "on_failure")


def _entrances(scene: Scene, name: str, order: Mapping[str, int]) -> Iterator[Problem]:
    """A branch may be entered only where every checkpoint that covers it is behind."""
    covers = {act.checkpoint for act in scene.workflow.steps(name) if act.checkpoint in order}
    entrances = [step for step in scene.workflow.steps() if step.on_failure == name]
    for step in entrances:
        for checkpoint in sorted(str(cover) for cover in covers):
            if order[checkpoint] >= order[step.id]:
                message = (
                    f"can fail into branch '{name}' before '{checkpoint}' is asked, and that checkpoint covers its acts"
                )
                yield scene.problem(step, message, "on_failure: stop", "on_failure")
    if not entrances and name != ABORTED:
        first = scene.workflow.steps(name)[0]
        yield Problem(first.line, f"no step fails into branch '{name}'", f"on_failure: {name}", "note")


def _line(scene: Scene, step_id: str) -> int:
    return scene.workflow.step(step_id).line
