"""The grammars of single values in pilothouse.yml: durations, paths, refs, names, argument vectors.

A refusal never repeats a value that may be a secret: people paste tokens where the name of a variable belongs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_DURATION = re.compile(r"(\d{1,7})(ms|s|m|h|d)")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# What the conductor sets itself, and what changes how every program loads: no configuration hands these through.
_RESERVED_VARIABLES = frozenset({"PATH", "HOME", "LANG", "TZ", "IFS", "BASH_ENV", "ENV", "PYTHONPATH", "NODE_OPTIONS"})
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "cmd", "cmd.exe", "powershell", "pwsh"})
_LONGEST_ARGUMENT = 4000
_LONGEST_LINE = 200
_SECRET_LIKE = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|PRIVATE|CREDENTIAL|_KEY|APIKEY)")


def no(message: str, hint: str = "") -> PydanticCustomError:
    """A refusal of one value, with what to write instead."""
    # The text goes through the context, so that braces in it are not taken for a template's.
    return PydanticCustomError("refused", "{text}", {"text": message, "hint": hint})


def milliseconds(value: object) -> int:
    """Whole milliseconds of ``200ms``, ``5s``, ``15m``, ``2h``, ``3d``."""
    if not isinstance(value, str):
        raise no("a duration is a number with its unit", "write 200ms, 5s, 15m, 2h or 3d")
    found = _DURATION.fullmatch(value)
    if found is None:
        raise no(f"{value[:40]!a} is not a duration", "write 200ms, 5s, 15m, 2h or 3d")
    amount = int(found.group(1)) * _UNITS[found.group(2)]
    if not 0 < amount <= 90 * _UNITS["d"]:
        raise no("a duration is more than nothing and at most 90 days", "write 200ms, 5s, 15m, 2h or 3d")
    return amount


def _matching(pattern: str, what: str, example: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise no(f"{value[:60]!a} is not {what}", f"for example: {example}")
        return value

    return check


def _ref(value: str) -> str:
    # git check-ref-format(1), narrowed to what needs no quoting anywhere (I6).
    bad = ("..", "//", "@{", "/.", ".lock/")
    if (
        re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}", value) is None
        or any(part in value for part in bad)
        or value.endswith(("/", ".", ".lock"))
    ):
        raise no(f"{value[:60]!a} is not a branch name", "letters, digits, '.', '_', '-' and '/', for example main")
    return value


def inside(value: str) -> str:
    """A path that stays within the project: relative, plain, without ``..``."""
    parts = value.split("/")
    if not value or not value.isprintable() or "\\" in value:
        raise no("a path is plain text with '/' between its parts")
    if value.startswith(("/", "~")) or re.match(r"[A-Za-z]:", value):
        raise no(f"{value[:60]!a} is not inside the project", "write it relative to the project's folder")
    if ".." in parts:
        raise no(f"{value[:60]!a} leaves the project", "a path may not contain '..'")
    if ".git" in parts:
        raise no(f"{value[:60]!a} is git's own", "name a file of the project")
    if value.startswith("-"):
        raise no(f"{value[:60]!a} looks like an option", f"write ./{value[:60]}")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise no("is not a URL", "for example: https://staging.acme.example") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not value.isascii() or not value.isprintable():
        raise no("is not an http or https URL", "for example: https://staging.acme.example")
    if parts.username is not None or parts.password is not None:
        raise no(
            "a URL may not carry a user or a password", "put the secret into a variable, its name under credentials"
        )
    if parts.query or parts.fragment or " " in value or port == 0:
        raise no("a URL here is scheme, host, port and path only", "for example: https://staging.acme.example")
    return value.rstrip("/")


def _url_path(value: str) -> str:
    if re.fullmatch(r"/[A-Za-z0-9._~/%-]*(\?[A-Za-z0-9._~=&%-]*)?", value) is None or ".." in value:
        raise no(f"{value[:60]!a} is not a path on the environment", "for example: /health")
    return value


def _variable(value: str) -> str:
    # The value is not repeated: it may be the secret itself.
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", value) is None:
        raise no("is not the name of a variable", "write the variable's name (GH_TOKEN), never its value")
    if value in _RESERVED_VARIABLES or value.startswith(("LD_", "DYLD_")):
        raise no(f"{value} is set by Pilothouse or changes every program", "leave it out")
    return value


def looks_secret(variable: str) -> bool:
    """Whether a variable's name says that its value is a secret."""
    return _SECRET_LIKE.search(variable.upper()) is not None


def _list_of_arguments(value: object) -> object:
    if isinstance(value, str):
        raise no("a command is a list of arguments, there is no shell", "write [python3, -m, unittest], not one text")
    return value


def _argv(value: list[str]) -> list[str]:
    if not value or not value[0]:
        raise no("a command needs at least the program", "for example: [python3, app/manage.py, pending]")
    if any("\0" in argument or "\n" in argument or len(argument) > _LONGEST_ARGUMENT for argument in value):
        raise no(f"an argument is one line of at most {_LONGEST_ARGUMENT} characters")
    program = value[0]
    if program != program.strip() or " " in program:
        raise no(
            f"{program[:60]!a} is one argument",
            "write every argument as an item of its own: [python3, -m, unittest]",
        )
    if ".." in program.split("/"):
        raise no(f"{program[:60]!a} leaves the project", "name a program of the project, or one on PATH")
    if program.rsplit("/", 1)[-1] in _SHELLS and any(
        re.fullmatch(r"[-/][A-Za-z]*[cC]\w*", argument) for argument in value[1:]
    ):
        raise no("shell text has no place here", "put it into a script of the project and name the script")
    return value


def _line(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > _LONGEST_LINE:
        raise no(f"is not one line of 1 to {_LONGEST_LINE} printable characters")
    return value


def _text(pattern: str, about: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "description": about})


_NAME = r"[a-z][a-z0-9-]{0,38}"
_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}"
_REMOTE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_PREFIX = r"(?:[A-Za-z0-9](?:[A-Za-z0-9_-]|[./](?=[A-Za-z0-9])){0,38})?"

Duration = Annotated[
    int, BeforeValidator(milliseconds), _text(r"\d{1,7}(ms|s|m|h|d)", "a duration: 200ms, 5s, 15m, 2h, 3d")
]
Name = Annotated[
    str,
    AfterValidator(_matching(_NAME, "a name of lower-case letters, digits and '-'", "acme")),
    _text(_NAME, "lower-case letters, digits and '-'"),
]
Repository = Annotated[
    str,
    AfterValidator(_matching(_REPOSITORY, "a repository as owner/name", "harbour/acme")),
    _text(_REPOSITORY, "owner/name"),
]
Remote = Annotated[
    str, AfterValidator(_matching(_REMOTE, "the name of a git remote", "origin")), _text(_REMOTE, "a git remote's name")
]
TagPrefix = Annotated[
    str,
    AfterValidator(_matching(_PREFIX, "a prefix for tags", "v")),
    _text(_PREFIX, "what stands before the version in a tag"),
]
Identity = Annotated[
    str,
    AfterValidator(_matching(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,199}", "a database's identity", "acme-staging")),
    _text(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,199}", "what the database itself answers as its identity"),
]
Branch = Annotated[str, AfterValidator(_ref)]
InsidePath = Annotated[str, AfterValidator(inside)]
Url = Annotated[str, AfterValidator(_url)]
UrlPath = Annotated[str, AfterValidator(_url_path)]
Variable = Annotated[
    str, AfterValidator(_variable), _text(r"[A-Za-z_][A-Za-z0-9_]{0,99}", "a variable's name, never its value")
]
Line = Annotated[str, AfterValidator(_line)]
Argv = Annotated[
    list[str],
    BeforeValidator(_list_of_arguments),
    AfterValidator(_argv),
    WithJsonSchema(
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "program and arguments; no shell"}
    ),
]
