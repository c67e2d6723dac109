"""The whole tree of commands: built, searched by name, and run."""

from __future__ import annotations

import typer
from typer.core import TyperGroup

from pilothouse.cli import nouns, verbs
from pilothouse.cli.surface import Surface
from pilothouse.cli.tree import PROG, app, name_of, names, new_app
from pilothouse.errors import EXIT_DONE, UsageError

__all__ = ["PROG", "group", "invoke", "names", "nouns", "verbs"]

# Typer carries its own click from 0.27 on; its errors are found through a class that both have.
_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def group(only: str = "") -> TyperGroup:
    """All commands, as the tree that parses and documents them.

    Args:
        only: a command that is known to be the one called: building the others takes longer than most commands do.
    """
    chosen = new_app("") if only else app
    if only:
        chosen.registered_callback = app.registered_callback
        chosen.registered_commands = [item for item in app.registered_commands if name_of(item) == only]
        chosen.registered_groups = [item for item in app.registered_groups if item.name == only]
    made = typer.main.get_command(chosen)
    assert isinstance(made, TyperGroup)  # there is a callback, so it is a group even with one command
    return made


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
