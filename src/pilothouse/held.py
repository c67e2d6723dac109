"""Held values: the secrets of the conductor's environment that no text may show (AUT-4, I8). Light on purpose.

Every command asks before its first word. Where nothing is held, ``redaction.py`` with its tables need not be loaded.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LARGEST = 4_000_000  # bytes of a pilothouse.yml that are looked through for names
LEAST = 8  # characters of a value and of every form; shorter ones would redact ordinary words
_PLAIN = 12  # characters of a value that is nothing but small letters, or digits: a word, a port, a date
_FEW = 4  # different characters; fewer are filler

# Variables that pilothouse.yml may name and that are no secrets, and names that betray one wherever it is from.
_HARMLESS = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "TERM", "LANG", "LC_ALL", "TZ", "TMPDIR", "CI",
    "EDITOR", "COLUMNS", "LINES", "DISPLAY",
})  # fmt: skip
TELLING = re.compile(
    r"(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|_PWD"
    r"|(?:^|_)(?:PASS|API_?KEY|ACCESS_KEY|PRIVATE_KEY|SECRET_KEY|KEY|DSN|WEBHOOK|COOKIE|JWT|PAT))(?:_(?:URL|B64|BASE64))?$",
    re.IGNORECASE,
)
_NAMED = re.compile(r"(?<![\w-])[A-Za-z_][A-Za-z0-9_]{2,}(?![\w-])")
_ONE = r"[\"']?[A-Za-z_][A-Za-z0-9_]*[\"']?"
# ``environment:`` lists what is handed through and is no secret; in ``suites`` it names where the address goes.
_NOT_SECRET = re.compile(
    rf"(?<![\w-])environment:[ \t]*(?:\[[^\]]*\]|{_ONE}|\n(?:[ \t]*-[ \t]*{_ONE}[ \t]*(?:#[^\n]*)?\n?)+)"
)


@dataclass(frozen=True, slots=True)
class Held:
    """A variable of the conductor's environment whose value must not be shown."""

    name: str
    value: str


def held(configuration: str, environ: Mapping[str, str]) -> tuple[Held, ...]:
    """The values to be kept: of every variable that a configuration names, and of those whose names tell.

    The configuration is looked through as text: what it names is found even where it does not parse, where another
    version wrote it, and without the time that reading it takes.

    Args:
        configuration: the text of pilothouse.yml, or empty.
        environ: the conductor's environment.
    """
    harmless = {name for found in _NOT_SECRET.findall(configuration) for name in _NAMED.findall(found)}
    credentials = set(_NAMED.findall(_NOT_SECRET.sub(" ", configuration)))
    return tuple(
        Held(name, value)
        for name, value in environ.items()
        if name not in _HARMLESS
        and (name in credentials or (name not in harmless and TELLING.search(name)))
        and not weakness(value)
        and not _is_place(value)
    )


def held_by(project: Path | None, environ: Mapping[str, str]) -> tuple[Held, ...]:
    """Every value that this project's configuration or the environment's names say is held.

    Args:
        project: the folder of pilothouse.yml; None: the environment's names alone.
        environ: the conductor's environment.
    """
    text = ""
    if project is not None:
        try:
            with (project / "pilothouse.yml").open("rb") as file:
                text = file.read(_LARGEST).decode("utf-8", "replace")
        except OSError:
            text = ""
    return held(text, environ)


def weakness(value: str) -> str:
    """Why a value cannot be told from ordinary words and is therefore not redacted; empty where it can.

    An empty value has no weakness to be mended: it is missing.
    """
    bare = "".join(value.split())
    if not bare:
        return ""
    if len(bare) < LEAST:
        return f"shorter than {LEAST} characters"
    if len(set(bare)) < _FEW:
        return f"fewer than {_FEW} different characters"
    if len(bare) < _PLAIN and (bare.isdigit() or (bare.isalpha() and bare.islower())):
        return f"a plain word or number shorter than {_PLAIN} characters"
    return ""


def _is_place(value: str) -> bool:
    """Whether a value is a file or folder of this machine: where a secret is, and not the secret."""
    try:
        return value.startswith("/") and os.path.lexists(value)
    except (OSError, ValueError):
        return False
