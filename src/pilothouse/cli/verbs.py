"""The commands of one word: their options and help. Each loads what it needs when it is called."""

# No `from __future__ import annotations` here: typer would evaluate every annotation from text, twice, at each start.

from pathlib import Path
from typing import Annotated

import typer

from pilothouse.cli.tree import Approvals, Detach, DryRun, Override, Reason, Run, Version, app, names


@app.command()
def ship(
    ctx: typer.Context,
    product: Annotated[list[str], typer.Argument(metavar="PRODUCT", help="What to ship; plain words may follow.")],
    workflow: Annotated[
        str, typer.Option("--workflow", "-w", metavar="NAME", help="Default: the one of pilothouse.yml.")
    ] = "",
    version: Version = "",
    dry_run: DryRun = False,
    detach: Detach = False,
    approvals: Approvals = "",
    override: Override = None,
    reason: Reason = "",
) -> int:
    """Ship a product, and follow the run until it waits or ends.

    \b
    Examples:
      pilothouse ship acme
      pilothouse ship acme --version minor --dry-run
      pilothouse ship acme to production
      pilothouse ship acme --override weekend --reason 'the shop is down'
    """
    from pilothouse.app import Request
    from pilothouse.cli import shipping

    if len(product) > 1 and not override:
        words = ["ship", *product, *([version] if version else [])]
        return shipping.say(ctx.obj, words, detach=detach, approvals=approvals, dry_run=dry_run, commands=names())
    request = Request(product[0], workflow, version, {}, dry_run, tuple(override or ()), reason)
    return shipping.start(ctx.obj, request, detach=detach, approvals=approvals)


@app.command()
def run(
    ctx: typer.Context,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW")],
    product: Annotated[
        str, typer.Option("--product", metavar="NAME", help="Which product; default: the only one.")
    ] = "",
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
    restore: Annotated[
        bool, typer.Option("--restore", help="Restore the database from the release's backup, too.")
    ] = False,
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
    key: Annotated[str, typer.Option("--key", metavar="FILE", help="Sign with this SSH key instead of a word.")] = "",
    signature: Annotated[
        str, typer.Option("--signature", metavar="FILE", help="A signature that was made elsewhere.")
    ] = "",
    approver: Annotated[str, typer.Option("--approver", metavar="ID", help="Whose signature it is.")] = "",
    statement: Annotated[
        bool, typer.Option("--statement", help="Print the bytes to be signed, and nothing else.")
    ] = False,
) -> int:
    """Read the card, type its word on a terminal; or sign it with an SSH key.

    \b
    Examples:
      pilothouse approve r-2026-11-21-01
      pilothouse approve r-2026-11-21-01 --approver ann@acme.example --key ~/.ssh/id_ed25519
    Signed on another machine:
      pilothouse approve r-2026-11-21-01 --statement > approval
      ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n pilothouse-approval approval
      pilothouse approve r-2026-11-21-01 --approver ann@acme.example --signature approval.sig
    """
    from pilothouse.cli import deciding

    return deciding.approve(ctx.obj, run, deciding.Signing(key, signature, approver, statement), detach=detach)


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
    lift_hold: Annotated[
        str, typer.Option("--lift-hold", metavar="STEP", help="Go on in spite of an agent's hold.")
    ] = "",
    settle: Annotated[
        str,
        typer.Option(
            "--settle", metavar="STEP=applied|absent", help="Say what became of an act that code cannot tell."
        ),
    ] = "",
    override: Override = None,
    go: Annotated[str, typer.Option("--go", metavar="STEP", help="Let this act happen, where each act asks.")] = "",
    reason: Reason = "",
    approvals: Approvals = "",
) -> int:
    """Go on after a refusal, a wait or a crash; nothing is done twice.

    \b
    Examples:
      pilothouse resume
      pilothouse resume r-2026-11-21-01 --lift-hold staging-signoff --reason 'known flake'
      pilothouse resume r-2026-11-21-01 --override weekend --reason 'the shop is down'
    """
    from pilothouse.cli import deciding

    return deciding.resume(
        ctx.obj, run, lift_hold=lift_hold, settle=settle, reason=reason, approvals=approvals,
        override=tuple(override or ()), go=go,
    )  # fmt: skip


@app.command()
def lock(
    ctx: typer.Context,
    product: Annotated[str, typer.Argument(metavar="[PRODUCT]", help="What is held.", show_default=False)] = "",
    every: Annotated[bool, typer.Option("--all", help="Every product.")] = False,
    reason: Reason = "",
    expires: Annotated[
        str, typer.Option("--expires", metavar="DURATION", help="45m, 12h, 3d; default: until it is unlocked.")
    ] = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Default: one is made.")] = "",
) -> int:
    """Hold a product, or all of them: nothing ships until then; rollbacks pass.

    \b
    Examples:
      pilothouse lock acme --reason 'orders get lost' --expires 3d
      pilothouse lock --all --reason 'an incident'
    """
    from pilothouse.cli import locking

    return locking.lock(ctx.obj, product, every=every, name=name, reason=reason, expires=expires)


@app.command()
def unlock(
    ctx: typer.Context,
    product: Annotated[str, typer.Argument(metavar="[PRODUCT]", help="What is held.", show_default=False)] = "",
    every: Annotated[bool, typer.Option("--all", help="The lock of every product.")] = False,
    reason: Reason = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Default: the only one.")] = "",
) -> int:
    """Take a lock off: your own, or as a permitted approver anybody's.

    \b
    Example:
      pilothouse unlock acme --name rollback-r-2026-11-21-01 --reason 'the cause is found'
    """
    from pilothouse.cli import locking

    return locking.unlock(ctx.obj, product, every=every, name=name, reason=reason)


@app.command()
def validate(
    ctx: typer.Context,
    product: Annotated[str, typer.Argument(metavar="PRODUCT")],
    sha: Annotated[
        str, typer.Option("--sha", metavar="COMMIT", help="Default: the open run's, else the base branch's head.")
    ] = "",
) -> int:
    """Answer the product's manual checks, one by one, on a terminal.

    \b
    Example:
      pilothouse validate acme
    """
    from pilothouse.cli import validating

    return validating.validate(ctx.obj, product, sha)


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
    """
    from pilothouse.cli import looking

    return looking.status(ctx.obj, run, notes=notes, card=card, svg=svg)


@app.command()
def worker(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="One round, then end: for cron and timers.")] = False,
    every: Annotated[str, typer.Option("--every", metavar="DURATION", help="Pause between two rounds.")] = "15s",
) -> int:
    """Go on with every run that is due, and start what is scheduled.

    Watches, deadlines, runs approved elsewhere or left by a killed conductor; never a checkpoint: that is a person's.

    \b
    Examples:
      pilothouse worker
      pilothouse worker --once
    """
    from pilothouse.cli import worker as working

    return working.work(ctx.obj, every, once=once)


@app.command()
def mcp(
    ctx: typer.Context,
    http: Annotated[bool, typer.Option("--http", help="Streamable HTTP instead of standard input and output.")] = False,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0: any that is free.")] = 8765,
    token_variable: Annotated[
        str, typer.Option("--token-variable", metavar="NAME", help="The variable that holds the clients' token.")
    ] = "PILOTHOUSE_MCP_TOKEN",  # noqa: S107 - a name, not a token
    name: Annotated[
        list[str] | None, typer.Option("--name", metavar="HOST", help="By which clients call it, too; repeatable.")
    ] = None,
) -> int:
    """Serve an agent chat: it starts and watches releases, and can approve none.

    \b
    Examples:
      pilothouse mcp
      pilothouse mcp --http --port 8765
    """
    from pilothouse.cli import serving

    return serving.serve(
        ctx.obj, http=http, host=host, port=port, token_variable=token_variable, names=tuple(name or ())
    )


@app.command()
def chat(ctx: typer.Context) -> int:
    """Talk: order a release in plain words, ask where it stands, approve at its card.

    \b
    Example:
      pilothouse chat
    """
    from pilothouse.cli import chatting

    return chatting.chat(ctx.obj)


@app.command()
def explain(
    ctx: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="[RUN|CODE]", help="A run's id, or a reason code; default: the open run.", show_default=False
        ),
    ] = "",
    step: Annotated[str, typer.Option("--step", metavar="STEP", help="Only what was said at this step.")] = "",
    agent: Annotated[str, typer.Option("--agent", metavar="NAME", help="Only this agent, and its steps.")] = "",
    full: Annotated[
        bool, typer.Option("--full", help="Questions, replies and results whole, with the model's thinking.")
    ] = False,
) -> int:
    """Who said what on which evidence, and why a run went or stopped; or a reason code.

    \b
    Examples:
      pilothouse explain r-2026-11-21-01
      pilothouse explain r-2026-11-21-01 --step staging-signoff --full
      pilothouse explain ci-red
    """
    from pilothouse.cli import explaining

    return explaining.explain(ctx.obj, what, step=step, agent=agent, full=full)


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
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="NAME", help="Something that goes wrong; repeatable.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where; default: a new temporary folder.")
    ] = None,
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
