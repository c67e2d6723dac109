"""Compile the plan: every act in order, every argument resolved or typed, and the digest of it all (INT-3, APR-3).

The plan is compiled once, when the first act is next. What an observe or draft step before it found is a value in the
plan; what only a later step can tell is a typed reference; a text body always is a reference, so that prose is no part
of the plan digest and a dry run has the digest of the real run.
"""

from __future__ import annotations

from pilothouse.canonical import Json, digest, sha256_hex
from pilothouse.engine.world import World, look_up
from pilothouse.errors import InvalidFile
from pilothouse.guard.references import Unresolved, form_of, resolve
from pilothouse.guard.state import MAIN, RunState
from pilothouse.model import Argument, EffectClass, Kind, Plan, PlannedAct, Reach, Step, ToolSpec


def compile_plan(world: World, state: RunState) -> Plan:
    """The plan of a run at this point.

    Raises:
        InvalidFile: an act references something that no step can tell.
    """
    specs = world.tools.specs()
    acts = [
        _planned(step, branch, specs[step.target], world, state)
        for branch in (MAIN, *world.workflow.branches)
        for step in world.workflow.steps(branch)
        if step.kind is Kind.ACT and applies(step, world, state) is not False
    ]
    basis = plan_basis(world, state)
    plan_digest = digest({"acts": [act.as_json() for act in acts], "basis": basis})
    return Plan(tuple(acts), basis, plan_digest)


def applies(step: Step, world: World, state: RunState) -> bool | None:
    """Whether a step's condition holds: True, False, or None where that cannot be told yet."""
    if step.when is None:
        return True
    attempted = step.when.get("attempted")
    if isinstance(attempted, list):
        names = [str(name) for name in attempted]
        # Whether an act was attempted is known once its line was left; an act that the plan leaves out never is.
        return state.attempted(names) if state.branch != MAIN else None
    try:
        value = resolve(dict(step.when), look_up(world, state))
    except Unresolved:
        return _skipped_source(step, state)
    return bool(value)


def _skipped_source(step: Step, state: RunState) -> bool | None:
    reference = form_of(dict(step.when or {}))
    # A fact of a step that was skipped will never be known: what depends on it does not apply either.
    if reference and reference[0] == "ref" and reference[1].partition(".")[0] in state.skipped:
        return False
    return None


def _planned(step: Step, branch: str, spec: ToolSpec, world: World, state: RunState) -> PlannedAct:
    arguments = {
        name: _plan_value(step, name, value, spec.arguments[name], world, state)
        for name, value in step.arguments.items()
    }
    environment = step.arguments.get("environment")
    reach = spec.reach if spec.reach is not None else Reach(str(environment))
    effect = effect_of(spec, str(environment), world)
    return PlannedAct(step.id, step.target, branch, arguments, reach, spec.undoable, effect, step.checkpoint)


def effect_of(spec: ToolSpec, environment: str, world: World) -> EffectClass:
    """The effect class of an act: a configured command without a probe is class H whatever the tool hopes for."""
    known = world.product.environments.get(environment)
    if known is not None:
        command = {
            "deploy.apply": known.deploy.command,
            "migrate.apply": known.database.migrate if known.database else None,
            "backup.create": known.database.backup if known.database else None,
            "backup.restore": known.database.restore if known.database else None,
        }.get(spec.name)
        if command is not None:
            return EffectClass.HUMAN if command.probe is None else EffectClass.QUIESCE
    return spec.effect or EffectClass.HUMAN


def _plan_value(step: Step, name: str, value: Json, argument: Argument, world: World, state: RunState) -> Json:
    reference = form_of(value)
    if reference is None:
        return value
    form, target = reference
    if form == "ref" and argument.text_body:
        return {"ref": target, "type": argument.type}
    if form == "ref" and world.workflow.step(target.partition(".")[0]).kind is Kind.ACT:
        return {"ref": target, "type": argument.type}
    try:
        return resolve(value, look_up(world, state))
    except Unresolved as missing:
        if form == "ref":
            return {"ref": target, "type": argument.type}
        raise InvalidFile(
            world.workflow.path, step.line, f"step {step.id!r}: {name} needs {missing}, which nothing can tell"
        ) from missing


def plan_basis(world: World, state: RunState) -> dict[str, Json]:
    """What the plan rests on beside its acts: digests, shas, the base, the pinned date, and the targets' identities."""
    started = state.started
    return {
        "workflow": sha256_hex(started.workflow_source.encode()),
        "configuration": sha256_hex(started.config_source.encode()),
        "prompts": digest(started.prompts),
        "inputs": {key: value for key, value in started.inputs.items() if key != "dry_run"},
        "product": started.product,
        "from_sha": started.from_sha,
        "from_version": started.from_version,
        "to_sha": started.to_sha,
        "base_ref": started.base_ref,
        "started_on": started.started_on,
        "targets": dict(started.targets),
        "watch": watch_rule(world),
        **({"records": True} if world.product.audit is not None else {}),
    }


def watch_rule(world: World) -> dict[str, Json]:
    """The watch as planned: window and pauses in milliseconds, thresholds with their units (I25)."""
    rule = world.product.watch
    if rule is None:
        return {}
    return {
        "window_ms": rule.window_ms,
        "every_ms": rule.every_ms,
        "error_rate": {"rise": rule.error_rate.rise, "unit": rule.error_rate.unit},
        "latency": {"rise": rule.latency.rise, "unit": rule.latency.unit, "quantile": rule.latency.quantile},
    }
