"""Configured commands of an environment: argv arrays, in an isolated checkout, with its credentials only."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import EffectClass, Presence, Probe
from pilothouse_tools import child, web
from pilothouse_tools.text import one_line, output

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.settings import Command, Environment
    from pilothouse_tools.context import Context

Values: TypeAlias = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where a command works: the product's folder in a checkout, and a home that no other child shares."""

    folder: Path
    home: Path


@contextmanager
def checkout(context: Context, sha: str) -> Iterator[Checkout]:
    """A fresh checkout of a commit with a fresh home; gone afterwards, whatever a command did to them.

    The home is fresh because the repository's own code runs there: what it leaves behind (a configuration of gh, say)
    must not be found by a child that holds a credential.
    """
    parent = context.scratch / "checkouts"
    parent.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix=f"{sha[:12]}-", dir=parent))
    try:
        tree = base / "tree"
        tree.mkdir()
        context.repo.check_out(sha, tree)
        inside = (tree / context.in_product("")).resolve()
        if not inside.is_dir() or not inside.is_relative_to(tree.resolve()):
            raise ToolFailed("product-folder-missing", f"commit {sha[:12]} has no folder {context.product.path}")
        yield Checkout(inside, base / "home")
    finally:
        shutil.rmtree(base, ignore_errors=True)


def expand(argv: Sequence[str], values: Values) -> list[str]:
    """The command with its placeholders filled: whole arguments only, so no value can join or split another."""
    filled: list[str] = []
    for word in argv:
        value = values.get(word[1:-1]) if word.startswith("{") and word.endswith("}") else None
        if value is None:
            filled.append(word)
        elif isinstance(value, str):
            filled.append(value)
        else:
            filled.extend(value)
    return filled


def run(
    context: Context, environment: Environment, sha: str, argv: Sequence[str], values: Values, timeout: float
) -> child.Finished:
    """Run one configured command to its end; the caller judges it.

    Raises:
        ToolFailed: ``credential-missing``, or the command cannot be started.
        Unreachable: the commit cannot be fetched.
    """
    if missing := [name for name in environment.credentials if not context.environ.get(name)]:
        raise ToolFailed("credential-missing", f"{environment.name} needs the variable {missing[0]}, which is not set",
                         f"Set {missing[0]} for the conductor.")  # fmt: skip
    given = {"environment": environment.name, **values}
    with checkout(context, sha) as place:
        env = context.child_environ(*environment.credentials, home=place.home)
        return child.run(expand(argv, given), cwd=place.folder, env=env, timeout=timeout, output_cap=8_000_000)


def answer(
    context: Context, environment: Environment, sha: str, argv: Sequence[str], values: Values, timeout: float
) -> dict[str, Json]:
    """Run a command that prints one JSON object. Raises ToolFailed("command-failed" | "bad-answer")."""
    done = run(context, environment, sha, argv, values, timeout)
    what = f"{argv[-1] if len(argv) == 1 else ' '.join(argv[:3])} on {environment.name}"
    if done.code or done.timed_out or done.truncated:
        raise failed(context, done, what)
    return web.strict_json(done.stdout, what)


def failed(context: Context, done: child.Finished, what: str) -> ToolFailed:
    """A command's visible failure, with the end of what it wrote, redacted."""
    why = "ran out of time" if done.timed_out else "printed too much" if done.truncated else f"exited with {done.code}"
    said = output(done.stderr or done.stdout, 2000, context.redact)
    last = one_line(said.rpartition("\n")[2], 200)
    return ToolFailed(
        "command-failed",
        f"{what} {why}" + (f": {last}" if last else ""),
        "Look at the command's output, mend the environment, then: pilothouse resume",
        detail=said,
    )


def apply(context: Context, environment: Environment, sha: str, command: Command, values: Values) -> None:
    """Run a command that acts; a return proves nothing.

    Raises:
        ToolFailed: ``command-failed``.
        Unreachable: ``command-timeout``, or ``command-unsure`` (exit 75, EX_TEMPFAIL): what it began may still land.
    """
    done = run(context, environment, sha, command.run, values, command.timeout)
    what = f"{' '.join(command.run[:3])} on {environment.name}"
    if done.timed_out:
        raise Unreachable("command-timeout", failed(context, done, what).message, "Look at the target, then resume.")
    if done.code == os.EX_TEMPFAIL:
        raise Unreachable("command-unsure", failed(context, done, what).message, "Look at the target, then resume.")
    if done.code:
        raise failed(context, done, what)


def probe(
    context: Context, environment: Environment, sha: str, command: Command, values: Values, *, verify: bool = False
) -> tuple[Presence, dict[str, Json]]:
    """Ask a command's probe (or its ``verify``) for the state of its effect.

    Returns:
        The presence, and the whole answer. Whatever is no clear answer is UNKNOWN, with the reason as ``detail``.
    """
    argv = (command.verify if verify else None) or command.probe
    if argv is None:
        return Presence.UNKNOWN, {"detail": "the command has no probe: only a person can tell"}
    try:
        said = answer(context, environment, sha, argv, values, command.timeout)
    except ToolFailed as error:
        if error.reason_code in {"command-failed", "bad-answer"}:
            return Presence.UNKNOWN, {"detail": error.message}
        raise
    state = said.get("state")
    if state not in ("absent", "applied", "conflict"):
        return Presence.UNKNOWN, {"detail": f"the probe answered no state but {context.redact(str(state))[:60]!r}"}
    return Presence(state), {**said, "detail": context.redact(str(said.get("detail", "")))}


def as_probe(
    presence: Presence, said: dict[str, Json], facts: dict[str, Json], moves: dict[str, str] | None = None
) -> Probe:
    """A probe for the engine: facts and moves only where the effect is there."""
    applied = presence is Presence.APPLIED
    return Probe(
        presence, one_line(str(said.get("detail", "")), 400), facts if applied else {}, (moves or {}) if applied else {}
    )


def effect_of(*commands: Command) -> EffectClass:
    """Q where every command can be asked for its effect, else H."""
    return EffectClass.QUIESCE if all(command.probe for command in commands) else EffectClass.HUMAN
