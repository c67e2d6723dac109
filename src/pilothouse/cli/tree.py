"""The trunk of the command line: its groups, the options that several commands share, and `--version`."""

# No `from __future__ import annotations` here: typer would evaluate every annotation from text, twice, at each start.

import sys
from typing import Annotated, Any

import typer
from typer.models import CommandInfo

from pilothouse import __version__

PROG = "pilothouse"
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


def new_app(text: str, **more: Any) -> typer.Typer:
    """A group of commands that looks like the others."""
    return typer.Typer(
        help=text, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True,
        context_settings=_HELP, **more,
    )  # fmt: skip


app = new_app(
    "A release conductor: agents propose, code decides, people approve, and everything is written down.\n\n"
    '\b\nExamples:\n  pilothouse demo\n  pilothouse ship acme\n  pilothouse "ship acme to production"\n\n' + GLOBALS
)
audit = new_app("Look at the ledger and verify it, offline.\n\n\b\nExample:\n  pilothouse audit verify")
workflow = new_app(
    "The workflows: what there is, is it sound, how does it look.\n\n\b\nExample:\n  pilothouse workflow list"
)
agent = new_app("The agents: what there is, is it sound.\n\n\b\nExample:\n  pilothouse agent list")
harbour = new_app(
    "The sandbox world: a remote, a forge, CI and two environments.\n\n\b\nExample:\n  pilothouse harbour up /tmp/h"
)
freeze = new_app("Windows in which nothing ships.\n\n\b\nExample:\n  pilothouse freeze list")
state = new_app("state.yml against the ledger.\n\n\b\nExample:\n  pilothouse state check")
for _name, _group in (
    ("audit", audit), ("workflow", workflow), ("agent", agent), ("harbour", harbour), ("freeze", freeze),
    ("state", state),
):  # fmt: skip
    app.add_typer(_group, name=_name)

Run = Annotated[
    str, typer.Argument(metavar="[RUN]", help="The run's id; default: the one that is open.", show_default=False)
]
Detach = Annotated[bool, typer.Option("--detach/--follow", help="Return at once; the run goes on in the background.")]
Approvals = Annotated[
    str,
    typer.Option(
        "--approvals", metavar="FILE", help="Scripted approvals: the file that policy names on the base branch."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Every check and the whole plan, no effect at all.")]
Version = Annotated[
    str, typer.Option("--version", metavar="X.Y.Z|major|minor|patch", help="Default: decided from the changes.")
]
Override = Annotated[
    list[str] | None,
    typer.Option("--override", metavar="NAME", help="Pass this freeze or lock, as a permitted approver; repeatable."),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it goes on the record.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"pilothouse {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Say the version.")
    ] = False,
) -> None:
    pass


def name_of(command: CommandInfo) -> str:
    """The name of a command as it is typed."""
    return command.name or str(getattr(command.callback, "__name__", ""))


def names() -> tuple[str, ...]:
    """The names of the commands."""
    verbs_named = tuple(name_of(command) for command in app.registered_commands)
    return (*verbs_named, *(str(item.name) for item in app.registered_groups))
