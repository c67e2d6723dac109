"""The grammars of single values in pilothouse.yml: durations, paths, refs, names, argument vectors.

A refusal never repeats a value that may be a secret: people paste tokens where the name of a variable belongs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
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


def _local_time(value: str) -> str:
    example = "for example: 2026-12-18T16:00, without seconds and offset"
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2})?", value) is None:
        raise no(f"{value[:60]!a} is not a local time", example)
    try:
        year = datetime.fromisoformat(value).year
    except ValueError as error:
        raise no(f"{value[:60]!a} is not on the calendar", example) from error
    if year not in YEARS:
        raise no(f"{value[:60]!a} is not in the years {YEARS[0]} to {YEARS[-1]}", example)
    return value


YEARS = range(2000, 2101)  # of all times that a person writes down
_RULE = r"FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;[A-Z]+=[A-Z0-9,+-]+){0,10}"
_RULE_EXAMPLE = "for example: FREQ=WEEKLY;BYDAY=FR"
_MOST = {"INTERVAL": 1000, "COUNT": 10_000}
_LATER = 19 * 400  # years: after each 400 the calendar comes again, weekdays included; the last of them end in 9999


def _recurrence(value: str) -> str:
    if len(value) > _LONGEST_LINE or re.fullmatch(_RULE, value) is None:
        raise no(f"{value[:60]!a} is not a recurrence of days, weeks, months or years", _RULE_EXAMPLE)
    if re.search(r"BY(HOUR|MINUTE|SECOND)=", value):
        raise no("a window begins at its start's time of day", "leave BYHOUR, BYMINUTE and BYSECOND out")
    parts = dict(part.split("=", 1) for part in value.split(";"))
    if len(parts) <= value.count(";") or {"COUNT", "UNTIL"} <= parts.keys():
        raise no(f"{value[:60]!a} says something twice", _RULE_EXAMPLE)
    for name, most in _MOST.items():
        number = parts.get(name, "1")
        if re.fullmatch(r"\d{1,6}", number) is None or not 1 <= int(number) <= most:
            raise no(f"{name} is a number from 1 to {most}", "for example: FREQ=WEEKLY;INTERVAL=2;BYDAY=FR")
    until = parts.get("UNTIL", f"{YEARS[0]}0101")
    if re.fullmatch(r"\d{8}(T\d{6})?", until) is None or int(until[:4]) not in YEARS:
        told = f"UNTIL is a local time in the years {YEARS[0]} to {YEARS[-1]}"
        raise no(told, "for example: FREQ=DAILY;UNTIL=20261231, or UNTIL=20261231T160000")
    return value


def demand_coming(rule: str, start: str) -> None:
    """Refuse a recurrence that is none, or of which no window ever comes.

    Args:
        rule: that ``Recurrence`` took.
        start: local time of the first window.
    """
    from dateutil.rrule import rrulestr

    # Looking for what never comes goes on to the year 9999. So it begins in the last cycle of the calendar, where every
    # weekday and leap year is as in its own, and UNTIL, which counts from there, is compared by itself.
    begin = datetime.fromisoformat(start)
    shifted = begin.replace(year=begin.year + _LATER)
    endless = re.sub(r";UNTIL=[^;]*", "", rule)
    try:
        first = next(iter(rrulestr(endless, dtstart=shifted)), None)
        until = re.search(r";UNTIL=([^;]*)", rule)
        ends = datetime.fromisoformat(until[1]) if until else None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise no(f"{rule[:60]!a} is not a recurrence rule", _RULE_EXAMPLE) from error
    if first is None or (ends is not None and first.replace(year=first.year - _LATER) > ends):
        raise no(f"{rule[:60]!a} never comes", _RULE_EXAMPLE)


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
Fingerprint = Annotated[
    str,
    AfterValidator(_matching(r"[0-9a-f]{32}", "the fingerprint of a finding", "5f2a… as the gate no-secrets names it")),
    _text(r"[0-9a-f]{32}", "the fingerprint of a finding of the gate no-secrets"),
]
Line = Annotated[str, AfterValidator(_line)]
_APPROVER = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}"
ApproverId = Annotated[
    str,
    AfterValidator(_matching(_APPROVER, "the id of an approver", "ann@acme.example")),
    _text(_APPROVER, "letters, digits and . _ @ + -"),
]
LocalTime = Annotated[
    str, AfterValidator(_local_time), _text(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2})?", "a local time: 2026-12-18T16:00")
]
Recurrence = Annotated[str, AfterValidator(_recurrence), _text(_RULE, "a recurrence rule of RFC 5545")]
_KEY_KINDS = (
    "ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh.com|sk-ecdsa-sha2-nistp256@openssh.com"
)
_KEY = rf"({_KEY_KINDS}) [A-Za-z0-9+/]{{40,2000}}={{0,3}}( [ -~]{{1,200}})?"
PublicKey = Annotated[
    str,
    AfterValidator(_matching(_KEY, "an SSH public key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA… ann")),
    _text(_KEY, "a line of an authorized_keys file, without options"),
]
Argv = Annotated[
    list[str],
    BeforeValidator(_list_of_arguments),
    AfterValidator(_argv),
    WithJsonSchema(
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "program and arguments; no shell"}
    ),
]
