"""The whole tree of commands: built, searched by name, and run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import typer
from typer.core import TyperGroup
from typer.models import CommandInfo

from pilothouse.cli import nouns, verbs
from pilothouse.cli.surface import Surface
from pilothouse.cli.tree import PROG, app, name_of, names, new_app
from pilothouse.errors import EXIT_DONE, UsageError

EXIT_INTERRUPTED = 130

__all__ = ["PROG", "group", "invoke", "names", "nouns", "verbs"]

# Typer carries its own click from 0.27 on; its errors are found through a class that both have.
_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def group(only: str = "") -> TyperGroup:
    """All commands, as the tree that parses and documents them.

    Args:
        only: a command that is known to be the one called: building the others takes longer than most commands do.
    """
    _say_how_to_read_it_by_code()
    chosen = new_app("") if only else app
    if only:
        chosen.registered_callback = app.registered_callback
        chosen.registered_commands = [item for item in app.registered_commands if name_of(item) == only]
        chosen.registered_groups = [item for item in app.registered_groups if item.name == only]
    made = typer.main.get_command(chosen)
    assert isinstance(made, TyperGroup)  # there is a callback, so it is a group even with one command
    return made


@cache
def _say_how_to_read_it_by_code() -> None:
    """Put under each command's help how its answer comes as JSON: its own example, with the option."""
    for path, command in every_command():
        rows = (command.callback.__doc__ or "").split("\n") if command.callback else []
        example = next((row.strip() for row in rows if f"{PROG} " in row), f"{PROG} {path}")
        # What a shell would do with it is left out: where the output goes, and what evaluates it.
        called = example.partition(" > ")[0].removeprefix('eval "$(').removesuffix(')"')
        command.epilog = f"\b\nFor scripts, one JSON object on standard output:\n  {called} --json"
        if path in ("unlock", "validate"):
            command.epilog = "\b\nNot for scripts: with --json it is refused, since a person says it."
        if path == "worker":
            command.epilog = f"\b\nFor scripts, one JSON object a line on standard output:\n  {called} --json"
        if path == "approve":
            command.epilog = "\b\nNot for scripts: with --json it is refused, since a person types the word."
        if path == "chat":
            command.epilog = "\b\nNot for scripts: with --json it is refused; a pipe's lines are answered as text."
        if path == "mcp":
            command.epilog = "\b\nNot for scripts: with --json it is refused, since its protocol is JSON-RPC."


def every_command() -> Iterator[tuple[str, CommandInfo]]:
    """Every command that runs something, with its path: ``status``, ``audit show``."""
    for command in app.registered_commands:
        yield name_of(command), command
    for item in app.registered_groups:
        assert item.typer_instance is not None
        for command in item.typer_instance.registered_commands:
            yield f"{item.name} {name_of(command)}", command


def invoke(surface: Surface, rest: list[str]) -> int:
    """Run the command that the arguments name; what is no command is taken as plain words (INT-1).

    Raises:
        UsageError: the arguments do not fit.
    """
    # A first word that is no command, or a whole sentence in quotes, is a request in plain words.
    groups = {str(item.name) for item in app.registered_groups}
    if not rest or rest in [[name] for name in groups]:
        if surface.json:  # help is for people; whoever reads JSON gets one object, always
            raise UsageError("needs-command", f"{' '.join([PROG, *rest])} needs a command", "see: pilothouse --help")
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
    if code == EXIT_INTERRUPTED and not surface.stopped:
        raise KeyboardInterrupt  # typer makes an exit code of it before anybody could answer
    return code if isinstance(code, int) else EXIT_DONE


def _usage(error: BaseException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else PROG
    told = str(getattr(error, "format_message", lambda: str(error))())
    if type(error).__name__ == "NoArgsIsHelpError":
        return UsageError("usage", f"{path} needs a command", f"see: {path} --help")
    return UsageError("usage", told[:1].lower() + told[1:].rstrip("."), f"see: {path} --help")
