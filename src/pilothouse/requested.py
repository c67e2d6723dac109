"""What a chat asks to start: typed arguments, or a person's plain words, made into a request (INT-1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pilothouse import config, intent
from pilothouse.errors import UsageError
from pilothouse.playbook.find import list_workflows
from pilothouse.workspace import Request

if TYPE_CHECKING:
    from pilothouse.app import Pilothouse
    from pilothouse.canonical import Json

ROLLBACK = "rollback"
_SEVERITIES = ("critical", "high", "medium", "low")
_VERSION = re.compile(r"major|minor|patch|v?\d+\.\d+\.\d+([-+.][0-9A-Za-z.+-]+)?")


def from_arguments(product: str, workflow: str, version: str, severity: str, reason: str) -> Request:
    """A request of typed arguments.

    Raises:
        UsageError: ``bad-version``, ``bad-severity``, ``reason-missing``.
    """
    if version and not _VERSION.fullmatch(version):
        raise UsageError(
            "bad-version", f"{version!r} is no version", "write X.Y.Z, major, minor or patch, or leave it out"
        )
    bare = version.removeprefix("v")
    if workflow != ROLLBACK:
        return Request(product, workflow, bare)
    if severity not in _SEVERITIES:
        raise UsageError("bad-severity", f"{severity!r} is no severity", f"one of: {', '.join(_SEVERITIES)}")
    if not reason.strip():
        raise UsageError("reason-missing", "a rollback goes on the record and needs a reason", "say why, in reason")
    inputs: dict[str, Json] = {"severity": severity, "reason": reason.strip()[:500]}
    return Request(product, ROLLBACK, bare, inputs)


def from_intent(heard: intent.Intent) -> Request:
    """A request of understood words; of a rollback, severity and reason are put in where none were said."""
    severity, reason = heard.severity or "high", heard.reason or "asked for in plain words"
    version = heard.version or heard.bump or ""
    made = from_arguments(heard.product, heard.workflow, version, severity, reason)
    return Request(made.product, made.workflow, made.version, made.inputs, heard.dry_run)


def from_words(app: Pilothouse, words: str) -> Request:
    """A request in plain words; the parser is the same as the command line's, and no model is asked.

    Raises:
        UsageError: not understood, ambiguous, or to be started later: nothing starts.
    """
    configuration = config.load(app.project / "pilothouse.yml")
    heard = intent.parse(
        words, tuple(configuration.products), workflows=tuple(item.name for item in list_workflows(app.project)),
        default_workflow=configuration.workflow,
    )  # fmt: skip
    match heard:
        case intent.Intent():
            return from_intent(heard)
        case intent.Later():
            raise UsageError(
                "needs-event", "that waits for an event; nothing was started", "a person registers it in pilothouse.yml"
            )
        case intent.Clarify():
            raise UsageError(heard.reason_code, heard.question, "one of: " + ", ".join(heard.choices))
        case _:
            raise UsageError(heard.reason_code, heard.message, "for example: " + "; ".join(heard.choices[:3]))
