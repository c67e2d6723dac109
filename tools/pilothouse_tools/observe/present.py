"""Whether everything is there that a release needs: programs at known versions, the product and its places (INT-5)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Observation
from pilothouse_tools import child, programs
from pilothouse_tools.door import Arguments, observes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pilothouse.canonical import Json
    from pilothouse.settings import Environment, Product
    from pilothouse_tools.context import Context

_TIMEOUT = 15.0


def _needed(context: Context) -> dict[str, str]:
    """Program to what it is needed for: what we call ourselves, and what configured commands begin with."""
    product = context.product
    named = {"git": "every look at the repository"}
    if product.forge is not None:
        named["gh"] = "the forge"
    if context.signatures:
        named["ssh-keygen"] = "signatures on approvals"
    for use, argv in _configured(product):
        # A path leads into the checkout of the released commit: that is the commit's own business.
        if argv and "/" not in argv[0]:
            named.setdefault(argv[0], use)
    return named


def _configured(product: Product) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, suite in product.suites.items():
        yield f"the suite {name}", suite.run
    for environment in product.environments.values():
        yield from _of_environment(environment)


def _of_environment(environment: Environment) -> Iterator[tuple[str, tuple[str, ...]]]:
    name, deploy, database = environment.name, environment.deploy, environment.database
    if deploy.command is not None:
        yield f"deploying to {name}", deploy.command.run
        yield f"deploying to {name}", deploy.command.probe or ()
    if database is not None:
        yield f"the database of {name}", database.pending
        for command in (database.migrate, database.backup, database.restore):
            yield f"the database of {name}", command.run
    yield f"the logs of {name}", environment.logs.run if environment.logs else ()
    yield f"the settings of {name}", environment.settings or ()


def _present(context: Context, _arguments: Arguments) -> Observation:
    tools: list[Json] = [_looked(context, name, use) for name, use in _needed(context).items()]
    lacking = sum(1 for tool in tools if isinstance(tool, dict) and tool["problem"])
    return Observation({"tools": tools}, "", f"{len(tools) - lacking} of {len(tools)} programs present")


def _looked(context: Context, name: str, use: str) -> dict[str, Json]:
    least, _ = programs.LEAST.get(name, ((), ""))
    wanted = ".".join(map(str, least))
    row: dict[str, Json] = {"name": name, "use": use, "least": wanted, "version": "", "problem": ""}
    if not least:
        found = _found(context, name)
        return row if found else {**row, "problem": "not found on the PATH"}
    try:
        done = child.run(
            [name, "--version"], cwd=context.scratch, env=context.child_environ(), timeout=_TIMEOUT, output_cap=10_000
        )
    except ToolFailed as failure:
        return {**row, "problem": "not found on the PATH" if failure.reason_code == "tool-missing" else failure.message}
    version = programs.version_in(done.stdout.decode("utf-8", "replace")) if done.code == 0 else ""
    if not version:
        return {**row, "problem": "does not say its version"}
    problem = f"is {version}, and {wanted} or later is needed" if programs.too_old(version, least) else ""
    return {**row, "version": version, "problem": problem}


def _found(context: Context, name: str) -> bool:
    # As the runner looks: a relative entry of PATH would let the working directory choose the program.
    folders = [folder for folder in context.child_environ().get("PATH", "").split(":") if folder.startswith("/")]
    return shutil.which(name, path=":".join(folders)) is not None


def _standing(context: Context, _arguments: Arguments) -> Observation:
    product = context.product
    head = context.repo.head(product.base)
    facts: dict[str, Json] = {
        "product": product.name, "phase": product.phase, "base": head, "environments": [*sorted(product.environments)],
    }  # fmt: skip
    where = f"{product.base} at {head[:7]}" if head else f"no branch {product.base} on {product.remote}"
    return Observation(facts, "", f"{product.name}: {product.phase}, {where}")


TOOLS = (
    observes(
        "tools.present", "Which programs are needed here, and whether they are there at versions that work.", {},
        {"tools": "object"}, _present,
    ),
    observes(
        "product.standing", "The product's phase, its base branch on the remote, and its environments.", {},
        {"product": "text", "phase": "text", "base": "text", "environments": "names"}, _standing,
    ),
)  # fmt: skip
