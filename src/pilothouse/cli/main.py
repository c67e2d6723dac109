"""The entry point: arguments in, exit code out. Heavy modules load inside the command that needs them."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pilothouse.cli.streams import guarded_streams
from pilothouse.cli.surface import Surface
from pilothouse.errors import EXIT_BUG, EXIT_DONE, EXIT_USAGE, PilothouseError, UsageError

EXIT_INTERRUPTED = 130
EXIT_PIPE = 141  # what a shell sees of a process that a broken pipe ended
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
_FLAGS = {"--json": "json", "--quiet": "quiet", "-q": "quiet", "--verbose": "verbose", "-v": "verbose"}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    code = run(sys.argv[1:] if argv is None else argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _broken_pipe()
    sys.exit(code)


def run(argv: Sequence[str]) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; global options may stand anywhere before ``--``.

    Returns:
        The exit code (architecture, interfaces: 0 done, 1 bug, 2 usage, 10 waiting, 20 refused …).
    """
    surface = Surface(json="--json" in argv)
    with suppress(UsageError):  # told below, where it is said to whom it concerns
        surface, _ = global_options(argv)
    try:
        with guarded_streams(surface.place):
            return _answered(surface, argv)
    except BrokenPipeError:  # what was kept back could not be said any more
        return _broken_pipe()


def _answered(surface: Surface, argv: Sequence[str]) -> int:
    try:
        _, rest = global_options(argv)
        return _dispatch(surface, rest)
    except PilothouseError as error:
        return _failed(surface, error)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Nothing more was started; see where it stands: pilothouse status\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _broken_pipe()
    except OSError as error:
        refusal = _not_writable(error)
        return _failed(surface, refusal) if refusal else _bug(surface, error)
    except Exception as error:  # noqa: BLE001 - the last door: a person never sees a traceback
        return _bug(surface, error)
    finally:
        surface.close()


def global_options(argv: Sequence[str]) -> tuple[Surface, list[str]]:
    """Take the global options out of the arguments, wherever they stand.

    Raises:
        UsageError: ``--project`` without a folder, or ``--quiet`` together with ``--verbose``.
    """
    surface, rest = Surface(), []
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _FLAGS:
            setattr(surface, _FLAGS[word], True)
        elif word == "--project" or word.startswith("--project="):
            value = word.partition("=")[2] if "=" in word else next(words, "")
            if not value:
                raise UsageError("usage", "--project needs a folder", "pilothouse --project DIR COMMAND")
            surface.project = Path(value)
        else:
            rest.append(word)
    if surface.quiet and surface.verbose:
        raise UsageError("usage", "--quiet and --verbose exclude each other", "choose one of them")
    return surface, rest


def _dispatch(surface: Surface, rest: list[str]) -> int:
    if rest[:1] == ["status"] and len(rest) <= 2 and not any(word.startswith("-") for word in rest):
        # What scripts poll: without options there is nothing to parse, and the parser costs as much as the answer.
        from pilothouse.cli import looking

        return looking.status(surface, "".join(rest[1:]), notes=False, card=False, svg=None)
    from pilothouse.cli import commands

    return commands.invoke(surface, rest)


def _failed(surface: Surface, error: PilothouseError) -> int:
    if not error.hint:
        from pilothouse import reasons

        known = reasons.collect().get(error.reason_code)
        error.hint = known.advice if known else ""
    if surface.json:
        from pilothouse.views import error_json, nothing_json

        surface.emit(nothing_json(error) if error.exit_code == EXIT_DONE else error_json(error))
        return error.exit_code
    if error.exit_code == EXIT_DONE:
        sys.stdout.write(f"{error.message[:1].upper()}{error.message[1:]}.\n" if not surface.quiet else "")
        return EXIT_DONE
    _complain("pilothouse: ", error.message, "1;31")
    if error.hint:
        _complain("  → ", error.hint, "2")
    if error.reason_code not in {"usage", "invalid-file"} and error.exit_code != EXIT_USAGE:
        _complain("  ", f"details: pilothouse explain {error.reason_code}", "2")
    return error.exit_code


def _not_writable(error: OSError) -> UsageError | None:
    """A folder that this user may not write, or a full disk: a matter of the machine, and no bug. Else None."""
    if error.errno not in _NOT_WRITABLE:
        return None
    what = str(error.filename or "a file")
    return UsageError(
        "not-writable", f"{what} cannot be written or read: {(error.strerror or str(error)).lower()}",
        "make the project's folder writable for this user, or work in a clone of your own; then try again",
    )  # fmt: skip


def _complain(lead: str, text: str, colour: str) -> None:
    from pilothouse.render.screen import Screen

    screen = Screen.on(sys.stderr)
    shown = screen.encodable(lead + " ".join(text.split("\n")))
    sys.stderr.write(f"\x1b[{colour}m{shown}\x1b[0m\n" if screen.colour else f"{shown}\n")


def _bug(surface: Surface, error: Exception) -> int:
    """A failure that nobody foresaw: the traceback goes to a file, and the person hears where it is."""
    import traceback
    from datetime import UTC, datetime

    from pilothouse.redaction import redactor

    name = f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"
    text = "".join(traceback.format_exception(error))
    place = _kept(surface, name, redactor(surface.place(), os.environ)(text))
    told = f"this is a bug in Pilothouse ({type(error).__name__}); details are in {place}"
    hint = (
        "report it with that file, after reading it: it may name things of yours. A run goes on with: pilothouse resume"
    )
    if surface.json:
        sys.stdout.write(
            json.dumps({"schema": "pilothouse.error/1", "reason_code": "bug", "message": told, "hint": hint}) + "\n"
        )
    else:
        _complain("pilothouse: ", told, "1;31")
        _complain("  → ", hint, "2")
    return EXIT_BUG


def _kept(surface: Surface, name: str, text: str) -> str:
    import tempfile

    folders = [app.project / ".pilothouse" for app in surface.opened]
    with suppress(PilothouseError, OSError):  # without a project the temporary folder has to do
        folders.append(surface.folder() / ".pilothouse")
    for folder in (*(own for own in folders if own.is_dir()), Path(tempfile.gettempdir())):
        path = folder / name
        try:
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return str(path)
    return "nothing: no file could be written"


def _broken_pipe() -> int:
    # Whoever read us has gone; the interpreter would complain once more when it flushes at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_PIPE


if __name__ == "__main__":
    main()
