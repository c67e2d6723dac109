"""Put a commit onto an environment: by a push that deploys, or by a configured command."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, EffectClass, Permit, Presence, Probe
from pilothouse_tools import commands, health
from pilothouse_tools.door import Actor, Arguments, acts

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.settings import Command, Environment, Product
    from pilothouse_tools.context import Context

_CARRIES = re.compile(r"^Pilothouse-Deploys: ([0-9a-f]{40})$", re.MULTILINE)
_PAUSE = 0.2
_GRACE = 2.0  # seconds that a read-back waits after an apply that has waited itself


def _effect(product: Product) -> EffectClass:
    """The most careful class that any environment's way of deploying asks for."""
    models = [environment.deploy for environment in product.environments.values()]
    asked = [commands.effect_of(model.command) for model in models if model.command]
    return next((kind for kind in (EffectClass.HUMAN, EffectClass.QUIESCE) if kind in asked), EffectClass.KEYED)


def _pins(context: Context, arguments: Arguments) -> dict[str, str]:
    if "environment" not in arguments:
        return {}
    environment = context.environment(arguments.text("environment"))
    branches = [environment.deploy.branch] if environment.deploy.model == "push" else []
    if environment.name == "production":
        branches.append(context.product.base)
    refs = [f"refs/heads/{branch}" for branch in branches]
    heads = context.repo.heads(*refs) if refs else {}
    return {f"ref:{ref}": heads.get(ref, "") for ref in refs}


def _probe(context: Context, arguments: Arguments, key: str) -> Probe:
    return _look(context, arguments, key, None)


def _verify(context: Context, arguments: Arguments, key: str) -> Probe:
    return _look(context, arguments, key, _GRACE)


def _look(context: Context, arguments: Arguments, key: str, patience: float | None) -> Probe:
    environment = context.environment(arguments.text("environment"))
    if environment.deploy.model == "push":
        return _look_at_push(context, environment, arguments, patience)
    return _look_at_command(context, environment, arguments, key, verify=patience is not None)


# -- by a push --------------------------------------------------------------------------------------------------------


def _look_at_push(context: Context, environment: Environment, arguments: Arguments, patience: float | None) -> Probe:
    commit, version, branch = arguments.text("commit"), arguments.text("version"), environment.deploy.branch
    head = context.repo.head(branch)
    if not head or not _carries(context, head, commit):
        return Probe(Presence.ABSENT, f"{branch} is at {head[:12] or 'nothing'}, which is not {commit[:12]}")
    # A push that landed just before a crash is still being deployed: it gets its time before it counts as failed.
    seconds = environment.deploy.timeout if patience is None else patience
    problem = _await_answer(context, environment, version, head, seconds)
    if problem:
        return Probe(Presence.ABSENT, f"{branch} is at {head[:12]}, but {environment.name} {problem}")
    facts: dict[str, Json] = {"sha": head, "commit": commit, "version": version, "url": environment.url}
    return Probe(
        Presence.APPLIED,
        f"{environment.name} answers {version} at {head[:12]}",
        facts,
        {f"ref:refs/heads/{branch}": head},
    )


def _carries(context: Context, head: str, commit: str) -> bool:
    """Whether a deploy branch's head is the commit, or a commit of ours that carries exactly its tree."""
    if head == commit:
        return True
    context.repo.require(head)
    found = _CARRIES.findall(context.repo.message(head))
    if found != [commit]:
        return False
    context.repo.require(commit)
    return context.repo.tree(head) == context.repo.tree(commit)


def _await_answer(context: Context, environment: Environment, version: str, sha: str, seconds: float) -> str:
    """Wait until an environment answers a version at a sha; why it does not, or an empty text."""
    deadline = context.clock.now() + timedelta(seconds=seconds)
    while True:
        said = health.answering(environment)
        if said.problem:
            problem = f"does not say what it runs: {said.problem}"
        elif (said.version, said.sha or sha) == (version, sha):
            return ""
        else:
            problem = f"answers {said.version} at {said.sha[:12] or 'an unknown commit'}"
        if context.clock.now() >= deadline:
            return problem
        context.clock.sleep(_PAUSE)


def _apply(context: Context, arguments: Arguments, permit: Permit) -> None:
    environment = context.environment(arguments.text("environment"))
    if environment.deploy.model == "push":
        _push(context, environment, arguments, permit)
    else:
        command = _command(environment)
        commands.apply(context, environment, arguments.text("commit"), command, _values(arguments, permit.key))


def _push(context: Context, environment: Environment, arguments: Arguments, permit: Permit) -> None:
    commit, version, branch = arguments.text("commit"), arguments.text("version"), environment.deploy.branch
    repo = context.repo
    repo.require(commit)
    head = repo.head(branch)
    if head:
        repo.require(head)
    new = commit
    if head == commit or (head and not repo.is_ancestor(head, commit)):
        # Back to an older release, or once more: a new commit carries the tree, so the branch only ever goes forward.
        message = (f"Deploy {context.product.name} {version} to {environment.name}\n\n"
                   f"Pilothouse-Deploys: {commit}\nPilothouse-Key: {permit.key}\n")  # fmt: skip
        new = repo.commit(repo.tree(commit), [head], message)
    repo.push(f"refs/heads/{branch}", new, head, timeout=max(environment.deploy.timeout, 30.0))
    problem = _await_answer(context, environment, version, new, environment.deploy.timeout)
    if problem:
        raise ToolFailed(
            "deploy-not-answering",
            f"{new[:12]} was pushed to {branch}, but {environment.name} {problem} "
            f"after {environment.deploy.timeout:g} s",
            "Look at the platform's deployment log.",
        )


# -- by a command -----------------------------------------------------------------------------------------------------


def _command(environment: Environment) -> Command:
    if environment.deploy.command is None:
        raise ToolFailed("deploy-not-configured", f"{environment.name} has no deploy command", "Mend pilothouse.yml.")
    return environment.deploy.command


def _values(arguments: Arguments, key: str) -> dict[str, str]:
    return {"commit": arguments.text("commit"), "version": arguments.text("version"), "key": key}


def _look_at_command(
    context: Context, environment: Environment, arguments: Arguments, key: str, *, verify: bool
) -> Probe:
    commit, version, command = arguments.text("commit"), arguments.text("version"), _command(environment)
    values = _values(arguments, key)
    presence, said = commands.probe(context, environment, commit, command, values, verify=verify)
    if presence is Presence.APPLIED:
        # The command's word is not enough: the environment itself must answer the version.
        seconds = _GRACE if verify else 0.0
        problem = _await_answer(context, environment, version, commit, seconds)
        if problem:
            said = {"detail": f"the probe says applied, but {environment.name} {problem}"}
            presence = Presence.UNKNOWN
    facts: dict[str, Json] = {"sha": commit, "commit": commit, "version": version, "url": environment.url}
    return commands.as_probe(presence, said, facts)


TOOLS = (
    Actor(
        acts(
            "deploy.apply",
            "Deploy a commit to an environment and wait until that version answers.",
            {"environment": Argument("environment"), "commit": Argument("sha"), "version": Argument("version")},
            {"sha": "sha", "commit": "sha", "version": "version", "url": "text"},
            effect=EffectClass.KEYED, reach=None,
        ),
        _probe, _apply, _pins, _verify, _effect,
    ),
)  # fmt: skip
