"""The commands of two words: audit, state, workflow, agent, harbour. Each loads what it needs when it is called."""

# No `from __future__ import annotations` here: typer would evaluate every annotation from text, twice, at each start.

from pathlib import Path
from typing import Annotated

import typer

from pilothouse.cli.tree import Run, agent, audit, freeze, harbour, state, workflow
from pilothouse.errors import UsageError


@audit.command("show")
def audit_show(
    ctx: typer.Context,
    run: Run = "",
    evidence: Annotated[
        str,
        typer.Option(
            "--evidence", metavar="ID", help="One piece of evidence, whole; or a step whose act failed: what it wrote."
        ),
    ] = "",
) -> int:
    """Every event of a run, one a line.

    \b
    Examples:
      pilothouse audit show r-2026-11-21-01
      pilothouse audit show r-2026-11-21-01 --evidence e-010
    """
    from pilothouse.cli import looking

    return looking.audit_show(ctx.obj, run, evidence)


@audit.command("verify")
def audit_verify(
    ctx: typer.Context,
    head: Annotated[
        str, typer.Option("--head", metavar="HASH", help="A head that you know: it must still be in a chain.")
    ] = "",
    product: Annotated[str, typer.Option("--product", metavar="NAME", help="Only this product's chain.")] = "",
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="DIR", help="An export, instead of this project's ledger; needs no project."),
    ] = None,
    remote: Annotated[
        str, typer.Option("--remote", metavar="URL", help="With --export: hold it against this remote or clone, too.")
    ] = "",
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="With --export: the SSH public key of whoever signs records."),
    ] = None,
    start: Annotated[
        str, typer.Option("--from", metavar="YYYY-MM-DD", help="With --export: the first day that it must be of, UTC.")
    ] = "",
    end: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="With --export: the last day.")] = "",
) -> int:
    """Recompute every hash, offline; exit 50 where one does not fit.

    \b
    Examples:
      pilothouse audit verify
      pilothouse audit verify --head 7c1e…
      pilothouse audit verify --export audit-2026 --remote https://github.com/o/r --from 2026-01-01 --to 2026-12-31
    """
    if export is not None:
        from pilothouse.cli import exporting

        if product:
            raise UsageError("usage", "--product is of this project's ledger", "leave it out")
        if bool(start) != bool(end):
            raise UsageError("usage", "--from and --to go together", "name both days, or none")
        days = (start, end) if start else None
        return exporting.audit_verify_export(ctx.obj, export, remote, key, days=days, head=head)
    if remote or key or start or end:
        told = "--remote, --key, --from and --to go with --export DIR"
        raise UsageError("usage", told, "name the export: --export DIR")
    from pilothouse.cli import looking

    return looking.audit_verify(ctx.obj, head, product)


@audit.command("export")
def audit_export(
    ctx: typer.Context,
    start: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="The period's first day, UTC.")],
    end: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="Its last day.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="A new folder; default: audit-FROM-TO.")
    ] = None,
) -> int:
    """Write what an auditor needs of a period into one folder: ledger, records, tables, how to verify them.

    \b
    Example:
      pilothouse audit export --from 2026-01-01 --to 2026-12-31
    """
    from pilothouse.cli import exporting

    return exporting.audit_export(ctx.obj, start, end, out or Path(f"audit-{start}-{end}"))


Product = Annotated[str, typer.Option("--product", metavar="NAME", help="Which product; default: the only one.")]


@freeze.command("list")
def freeze_list(ctx: typer.Context, product: Product = "") -> int:
    """The freezes of the base branch: which hold now, and when the others begin.

    \b
    Example:
      pilothouse freeze list
    """
    from pilothouse.cli import locking

    return locking.freeze_list(ctx.obj, product)


@freeze.command("check")
def freeze_check(
    ctx: typer.Context,
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="ISO 8601; default: now.")] = "",
    product: Product = "",
) -> int:
    """Whether a product could ship at a moment; exit 20 where a freeze or a lock holds it.

    \b
    Example:
      pilothouse freeze check --at 2026-12-24T18:00+01:00
    """
    from pilothouse.cli import locking

    return locking.freeze_check(ctx.obj, product, at)


@state.command("show")
def state_show(ctx: typer.Context) -> int:
    """The view of all products, from the ledger.

    \b
    Example:
      pilothouse state show
    """
    from pilothouse.cli import viewing

    return viewing.state_show(ctx.obj)


@state.command("check")
def state_check(ctx: typer.Context) -> int:
    """Whether state.yml is what the ledger says; exit 20 if not.

    \b
    Example:
      pilothouse state check
    """
    from pilothouse.cli import viewing

    return viewing.state_check(ctx.obj)


@workflow.command("list")
def workflow_list(ctx: typer.Context) -> int:
    """The workflows there are.

    \b
    Example:
      pilothouse workflow list
    """
    from pilothouse.cli import book

    return book.workflows(ctx.obj, check=False)


@workflow.command("check")
def workflow_check(ctx: typer.Context) -> int:
    """Whether every workflow is sound; exit 2 where one is not.

    \b
    Example:
      pilothouse workflow check
    """
    from pilothouse.cli import book

    return book.workflows(ctx.obj, check=True)


@workflow.command("show")
def workflow_show(ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME")]) -> int:
    """A workflow, phase by phase.

    \b
    Example:
      pilothouse workflow show release
    """
    from pilothouse.cli import book

    return book.show(ctx.obj, name)


@workflow.command("graph")
def workflow_graph(ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME")]) -> int:
    """A workflow as a Mermaid flowchart.

    \b
    Example:
      pilothouse workflow graph release > release.mmd
    """
    from pilothouse.cli import book

    return book.graph(ctx.obj, name)


@agent.command("list")
def agent_list(ctx: typer.Context) -> int:
    """The agents there are.

    \b
    Example:
      pilothouse agent list
    """
    from pilothouse.cli import book

    return book.agents(ctx.obj, check=False)


@agent.command("check")
def agent_check(ctx: typer.Context) -> int:
    """Whether every persona is sound; exit 2 where one is not.

    \b
    Example:
      pilothouse agent check
    """
    from pilothouse.cli import book

    return book.agents(ctx.obj, check=True)


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The world's folder.")]


@harbour.command("up")
def harbour_up(
    ctx: typer.Context,
    folder: Folder,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="NAME", help="A fault to begin with; repeatable.")
    ] = None,
    watch: Annotated[
        float, typer.Option("--watch", metavar="SECONDS", help="The watch window after a deployment.")
    ] = 4,
    ask: Annotated[bool, typer.Option("--ask", help="No scripted approvals: a person opens the checkpoints.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Return at once; end it with harbour down.")] = False,
    layout: Annotated[
        str, typer.Option("--layout", metavar="release|promotion", help="promotion: staging is promoted to main.")
    ] = "release",
) -> int:
    """Build a sandbox world and serve it until Ctrl-C.

    \b
    Example:
      pilothouse harbour up /tmp/h --detach --fault ci-red
      pilothouse harbour up /tmp/h --detach --layout promotion
    """
    from pilothouse.cli import sandbox

    return sandbox.harbour_up(
        ctx.obj, folder, faults=tuple(fault or ()), watch=watch, ask=ask, detach=detach, layout=layout
    )


@harbour.command("down")
def harbour_down(ctx: typer.Context, folder: Folder) -> int:
    """End a world's servers; its files stay to be looked at.

    \b
    Example:
      pilothouse harbour down /tmp/h
    """
    from pilothouse.cli import sandbox

    return sandbox.harbour_down(ctx.obj, folder)


@harbour.command("fault")
def harbour_fault(
    ctx: typer.Context,
    folder: Folder,
    name: Annotated[str, typer.Argument(metavar="[NAME]", show_default=False)] = "",
    switch: Annotated[str, typer.Argument(metavar="[on|off]", show_default=False)] = "on",
) -> int:
    """Turn a fault on or off; without a name, list them all.

    \b
    Examples:
      pilothouse harbour fault /tmp/h
      pilothouse harbour fault /tmp/h ci-red off
    """
    from pilothouse.cli import sandbox

    if switch not in {"on", "off"}:
        raise UsageError("usage", f"{switch!r} is neither on nor off", "pilothouse harbour fault DIR NAME on|off")
    return sandbox.harbour_fault(ctx.obj, folder, name, switch)


@harbour.command("env")
def harbour_env(ctx: typer.Context, folder: Folder) -> int:
    """The variables that a shell needs to work in a world.

    \b
    Example:
      eval "$(pilothouse harbour env /tmp/h)"
    """
    from pilothouse.cli import sandbox

    return sandbox.harbour_env(ctx.obj, folder)
