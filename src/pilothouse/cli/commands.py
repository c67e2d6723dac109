"""The commands, their options and their help. Each loads what it needs when it is called, and nothing before."""

# No `from __future__ import annotations` here: typer would evaluate every annotation from text, twice, at each start.

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.models import CommandInfo

from pilothouse import __version__
from pilothouse.cli.surface import Surface
from pilothouse.errors import EXIT_DONE, UsageError

PROG = "pilothouse"
# Typer carries its own click from 0.27 on; its errors are found through a class that both have.
_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

GLOBALS = """\
Global options, before or after the command:

\b
  --project DIR   the project (default: the nearest folder upwards with a pilothouse.yml)
  --json          one JSON object on standard output; progress goes to standard error
  --quiet, -q     the result only      --verbose, -v   every step, tool and evidence

\b
Exit codes: 0 done, 1 bug, 2 usage, 10 waiting for a person, 20 refused, 30 rolled back,
40 aborted or rejected, 50 halted: a person must look.
"""


def _app(text: str, **more: Any) -> typer.Typer:
    return typer.Typer(
        help=text, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True,
        context_settings=_HELP, **more,
    )  # fmt: skip


app = _app(
    "A release conductor: agents propose, code decides, people approve, and everything is written down.\n\n"
    '\b\nExamples:\n  pilothouse demo\n  pilothouse ship acme\n  pilothouse "ship acme to production"\n\n' + GLOBALS
)
audit = _app("Look at the ledger and verify it, offline.\n\n\b\nExample:\n  pilothouse audit verify")
workflow = _app("The workflows: what there is, is it sound, how does it look.\n\n\b\nExample:\n  pilothouse workflow list")
agent = _app("The agents: what there is, is it sound.\n\n\b\nExample:\n  pilothouse agent list")
harbour = _app("The sandbox world: a remote, a forge, CI and two environments.\n\n\b\nExample:\n  pilothouse harbour up /tmp/h")
state = _app("state.yml against the ledger.\n\n\b\nExample:\n  pilothouse state check")
for _name, _group in (
    ("audit", audit), ("workflow", workflow), ("agent", agent), ("harbour", harbour), ("state", state),
):  # fmt: skip
    app.add_typer(_group, name=_name)

Run = Annotated[str, typer.Argument(metavar="[RUN]", help="The run's id; default: the one that is open.", show_default=False)]
Detach = Annotated[bool, typer.Option("--detach/--follow", help="Return at once; the run goes on in the background.")]
Approvals = Annotated[
    str, typer.Option("--approvals", metavar="FILE", help="Scripted approvals: the file that policy names on the base branch.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Every check and the whole plan, no effect at all.")]
Version = Annotated[str, typer.Option("--version", metavar="X.Y.Z|major|minor|patch", help="Default: decided from the changes.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it goes on the record.")]


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        sys.stdout.write(f"pilothouse {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Say the version.")] = False,
) -> None:
    pass


@app.command()
def ship(
    ctx: typer.Context,
    product: Annotated[list[str], typer.Argument(metavar="PRODUCT", help="What to ship; plain words may follow.")],
    workflow: Annotated[str, typer.Option("--workflow", "-w", metavar="NAME", help="Default: the one of pilothouse.yml.")] = "",
    version: Version = "",
    dry_run: DryRun = False,
    detach: Detach = False,
    approvals: Approvals = "",
) -> int:
    """Ship a product, and follow the run until it waits or ends.

    \b
    Examples:
      pilothouse ship acme
      pilothouse ship acme --version minor --dry-run
      pilothouse ship acme to production
    """
    from pilothouse.app import Request
    from pilothouse.cli import shipping

    if len(product) > 1:
        words = ["ship", *product, *([version] if version else [])]
        return shipping.say(ctx.obj, words, detach=detach, approvals=approvals, dry_run=dry_run, commands=names())
    request = Request(product[0], workflow, version, {}, dry_run)
    return shipping.start(ctx.obj, request, detach=detach, approvals=approvals)


@app.command()
def run(
    ctx: typer.Context,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW")],
    product: Annotated[str, typer.Option("--product", metavar="NAME", help="Which product; default: the only one.")] = "",
    version: Version = "",
    dry_run: DryRun = False,
    detach: Detach = False,
    approvals: Approvals = "",
) -> int:
    """Start a workflow by its name: the same as ship, for CI.

    \b
    Example:
      pilothouse run release --product acme --approvals approvals.yml --json
    """
    from pilothouse.app import Request
    from pilothouse.cli import shipping

    request = Request(product, workflow, version, {}, dry_run)
    return shipping.start(ctx.obj, request, detach=detach, approvals=approvals, command="run")


@app.command()
def rollback(
    ctx: typer.Context,
    product: Annotated[str, typer.Argument(metavar="PRODUCT")],
    severity: Annotated[str, typer.Option("--severity", metavar="LEVEL", help="critical, high, medium or low.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it goes on the record.")],
    to: Annotated[str, typer.Option("--to", metavar="VERSION", help="Default: the version before.")] = "",
    restore: Annotated[bool, typer.Option("--restore", help="Restore the database from the run's backup, too.")] = False,
    dry_run: DryRun = False,
    detach: Detach = False,
    approvals: Approvals = "",
) -> int:
    """Take production back to a recorded good version.

    \b
    Example:
      pilothouse rollback acme --to 1.3.0 --severity high --reason 'prices are wrong'
    """
    from pilothouse.cli import shipping

    return shipping.rollback(
        ctx.obj, product, to, severity, reason, dry_run=dry_run, detach=detach, approvals=approvals, restore=restore
    )


@app.command(hidden=True)
def say(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="WORDS…")],
    dry_run: DryRun = False,
    detach: Detach = False,
    approvals: Approvals = "",
    version: Version = "",
) -> int:
    """Start what plain words ask for.

    \b
    Example:
      pilothouse "ship acme to production"
    """
    from pilothouse.cli import shipping

    heard = [*words, *([version] if version else [])]
    return shipping.say(ctx.obj, heard, detach=detach, approvals=approvals, dry_run=dry_run, commands=names())


@app.command()
def approve(
    ctx: typer.Context,
    run: Run = "",
    detach: Annotated[bool, typer.Option("--detach", help="Only approve; do not go on with the run.")] = False,
) -> int:
    """Read the card, type its word; only on a terminal.

    \b
    Example:
      pilothouse approve r-2026-11-21-01
    """
    from pilothouse.cli import deciding

    return deciding.approve(ctx.obj, run, detach=detach)


@app.command()
def reject(ctx: typer.Context, run: Run = "", reason: Reason = "") -> int:
    """Say no to what waits; the run is over for good.

    \b
    Example:
      pilothouse reject r-2026-11-21-01 --reason 'not before the holidays'
    """
    from pilothouse.cli import deciding

    return deciding.reject(ctx.obj, run, reason)


@app.command()
def abort(ctx: typer.Context, run: Annotated[str, typer.Argument(metavar="RUN")], reason: Reason = "") -> int:
    """End a run for good; an open act still gets its outcome.

    \b
    Example:
      pilothouse abort r-2026-11-21-01 --reason 'wrong product'
    """
    from pilothouse.cli import deciding

    return deciding.abort(ctx.obj, run, reason)


@app.command()
def resume(
    ctx: typer.Context,
    run: Run = "",
    lift_hold: Annotated[str, typer.Option("--lift-hold", metavar="STEP", help="Go on in spite of an agent's hold.")] = "",
    settle: Annotated[
        str, typer.Option("--settle", metavar="STEP=applied|absent", help="Say what became of an act that code cannot tell.")
    ] = "",
    reason: Reason = "",
    approvals: Approvals = "",
) -> int:
    """Go on after a refusal, a wait or a crash; nothing is done twice.

    \b
    Examples:
      pilothouse resume
      pilothouse resume r-2026-11-21-01 --lift-hold staging-signoff --reason 'known flake'
    """
    from pilothouse.cli import deciding

    return deciding.resume(ctx.obj, run, lift_hold=lift_hold, settle=settle, reason=reason, approvals=approvals)


@app.command()
def status(
    ctx: typer.Context,
    run: Run = "",
    notes: Annotated[bool, typer.Option("--notes", help="Print the release notes.")] = False,
    card: Annotated[bool, typer.Option("--card", help="Show the checkpoint's card.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw the run as an SVG picture.")] = None,
) -> int:
    """Where the runs stand: timeline and next action.

    \b
    Examples:
      pilothouse status
      pilothouse status r-2026-11-21-01 --notes
      pilothouse status --json
    """
    from pilothouse.cli import looking

    return looking.status(ctx.obj, run, notes=notes, card=card, svg=svg)


@app.command()
def explain(ctx: typer.Context, code: Annotated[str, typer.Argument(metavar="CODE")]) -> int:
    """What a reason code means and what to do.

    \b
    Example:
      pilothouse explain ci-red
    """
    from pilothouse.cli import looking

    return looking.explain(ctx.obj, code)


@app.command()
def doctor(ctx: typer.Context) -> int:
    """Check tools, credentials, project, ledger and remote.

    \b
    Example:
      pilothouse doctor
    """
    from pilothouse.cli import sandbox

    return sandbox.doctor(ctx.obj)


@app.command()
def demo(
    ctx: typer.Context,
    ask: Annotated[bool, typer.Option("--ask", help="You type the word yourself, in this terminal.")] = False,
    workflow: Annotated[str, typer.Option("--workflow", "-w", metavar="NAME", help="Which workflow to run.")] = "",
    fault: Annotated[list[str] | None, typer.Option("--fault", metavar="NAME", help="Something that goes wrong; repeatable.")] = None,
    folder: Annotated[Path | None, typer.Option("--dir", metavar="DIR", help="Where; default: a new temporary folder.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the servers running at the end.")] = False,
) -> int:
    """A whole release in a sandbox folder on this machine.

    \b
    Examples:
      pilothouse demo
      pilothouse demo --ask
      pilothouse demo --fault production-errors
    """
    from pilothouse.cli.demo import demonstrate

    return demonstrate(ctx.obj, ask=ask, workflow=workflow, faults=tuple(fault or ()), folder=folder, keep=keep)


@audit.command("show")
def audit_show(ctx: typer.Context, run: Run = "") -> int:
    """Every event of a run, one a line.

    \b
    Example:
      pilothouse audit show r-2026-11-21-01
    """
    from pilothouse.cli import looking

    return looking.audit_show(ctx.obj, run)


@audit.command("verify")
def audit_verify(
    ctx: typer.Context,
    head: Annotated[str, typer.Option("--head", metavar="HASH", help="A head that you know: it must still be in the chain.")] = "",
    product: Annotated[str, typer.Option("--product", metavar="NAME", help="Only this product's chain.")] = "",
) -> int:
    """Recompute every hash, offline; exit 50 where one does not fit.

    \b
    Examples:
      pilothouse audit verify
      pilothouse audit verify --head 7c1e…
    """
    from pilothouse.cli import looking

    return looking.audit_verify(ctx.obj, head, product)


@state.command("show")
def state_show(ctx: typer.Context) -> int:
    """The view of all products, from the ledger.

    \b
    Example:
      pilothouse state show
    """
    from pilothouse.cli import looking

    return looking.state_show(ctx.obj)


@state.command("check")
def state_check(ctx: typer.Context) -> int:
    """Whether state.yml is what the ledger says; exit 20 if not.

    \b
    Example:
      pilothouse state check
    """
    from pilothouse.cli import looking

    return looking.state_check(ctx.obj)


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
    fault: Annotated[list[str] | None, typer.Option("--fault", metavar="NAME", help="A fault to begin with; repeatable.")] = None,
    watch: Annotated[float, typer.Option("--watch", metavar="SECONDS", help="The watch window after a deployment.")] = 4,
    ask: Annotated[bool, typer.Option("--ask", help="No scripted approvals: a person opens the checkpoints.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Return at once; end it with harbour down.")] = False,
) -> int:
    """Build a sandbox world and serve it until Ctrl-C.

    \b
    Example:
      pilothouse harbour up /tmp/h --detach --fault ci-red
    """
    from pilothouse.cli import sandbox

    return sandbox.harbour_up(ctx.obj, folder, faults=tuple(fault or ()), watch=watch, ask=ask, detach=detach)


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


def group(only: str = "") -> TyperGroup:
    """All commands, as the tree that parses and documents them.

    Args:
        only: a command that is known to be the one called: building the others takes longer than most commands do.
    """
    chosen = _app("") if only else app
    if only:
        chosen.registered_callback = app.registered_callback
        chosen.registered_commands = [item for item in app.registered_commands if _name(item) == only]
        chosen.registered_groups = [item for item in app.registered_groups if item.name == only]
    made = typer.main.get_command(chosen)
    assert isinstance(made, TyperGroup)  # there is a callback, so it is a group even with one command
    return made


def _name(command: CommandInfo) -> str:
    return command.name or getattr(command.callback, "__name__", "")


def names() -> tuple[str, ...]:
    """The names of the commands."""
    return (*map(_name, app.registered_commands), *(str(item.name) for item in app.registered_groups))


def invoke(surface: Surface, rest: list[str]) -> int:
    """Run the command that the arguments name; what is no command is taken as plain words (INT-1).

    Raises:
        UsageError: the arguments do not fit.
    """
    # A first word that is no command, or a whole sentence in quotes, is a request in plain words.
    groups = {str(item.name) for item in app.registered_groups}
    if not rest or rest in [[name] for name in groups]:
        rest = [*rest, "--help"]
    words = [*(["say"] if rest and not rest[0].startswith("-") and rest[0] not in names() else []), *rest]
    try:
        only = words[0] if words[0] in names() else ""
        code = group(only).main(words, prog_name=PROG, standalone_mode=False, obj=surface)
    except _CLICK_ERROR as error:
        raise _usage(error) from error
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except SystemExit as error:
        raise BrokenPipeError from error  # typer's own answer to it; with standalone_mode off it exits for nothing else
    return code if isinstance(code, int) else EXIT_DONE


def _usage(error: BaseException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else PROG
    told = str(getattr(error, "format_message", lambda: str(error))())
    if type(error).__name__ == "NoArgsIsHelpError":
        return UsageError("usage", f"{path} needs a command", f"see: {path} --help")
    return UsageError("usage", told[:1].lower() + told[1:].rstrip("."), f"see: {path} --help")
