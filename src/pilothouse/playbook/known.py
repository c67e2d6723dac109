"""The vocabulary of workflows: keys, what references may name, and which types fit where."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pilothouse.model import EACH_ACT, Kind

SCHEMA = "pilothouse.workflow/1"

WORKFLOW_KEYS = ("schema", "name", "title", "summary", "asks", "inputs", "gates", "phases", "branches")
PHASE_KEYS = ("id", "title", "agent", "steps")
BRANCH_KEYS = ("title", "ends", "phases")
GATE_KEYS = ("rule", "on", "max_age")
INPUT_KEYS = ("type", "default", "about")
ASKS = (EACH_ACT,)
ENDS = ("rolled-back", "halted", "failed", "aborted")
STOP = "stop"  # on_failure: the run rests where it is

KINDS = tuple(str(kind) for kind in Kind)
_COMMON = ("id", "title", "agent", "needs", "gates")
STEP_KEYS: Mapping[Kind, tuple[str, ...]] = {
    Kind.OBSERVE: (*_COMMON, "observe", "with", "when", "on_failure"),
    Kind.DRAFT: (*_COMMON, "draft", "with", "when", "on_failure"),
    Kind.ACT: (*_COMMON, "act", "with", "when", "checkpoint", "on_failure", "asks_unless"),
    Kind.VERDICT: (*_COMMON, "verdict", "reads", "when", "on_failure"),
    Kind.CHECKPOINT: (*_COMMON, "checkpoint"),
    Kind.WATCH: (*_COMMON, "watch", "with", "reads", "when", "on_failure"),
}
EVERY_STEP_KEY = tuple(dict.fromkeys(key for keys in STEP_KEYS.values() for key in keys))
# Why a key that other kinds have is refused in one; what is not listed here speaks for itself.
MISPLACED: Mapping[tuple[Kind, str], str] = {
    (Kind.ACT, "reads"): "an act runs no persona; let a verdict read and put it into needs",
    (Kind.CHECKPOINT, "when"): "a checkpoint that may be left out covers nothing",
    (Kind.CHECKPOINT, "on_failure"): "what follows a rejection is the person's, not the workflow's",
    (Kind.OBSERVE, "reads"): "only a verdict or a watch reads evidence",
    (Kind.DRAFT, "reads"): "give a draft its facts through with: {name: {ref: step.fact}}",
    (Kind.VERDICT, "with"): "a verdict gets its facts through reads: [step, …]",
}

FORMS = ("ref", "input", "setting", "run")

# What {run: name} may name, by type.
RUN: Mapping[str, str] = {
    "backup": "key", "base_ref": "ref", "failure": "text", "from_sha": "sha", "from_version": "version",
    "ledger_head": "object", "product": "text", "record": "object", "release": "text", "run_id": "key",
    "started_on": "text", "superseded_branch": "text", "timeline": "object",
    "to_sha": "sha", "to_version": "version",
}  # fmt: skip

# What {setting: dotted.path} may name, by type: the same names that config.freeze.visible makes (a test compares them).
SETTINGS: Mapping[str, str] = {
    "blocker_labels": "labels", "comments_tickets": "flag",
    "delete_branch": "flag", "deploys_itself": "flag", "has_database": "flag", "has_drift": "flag",
    "has_forge": "flag", "has_logs": "flag", "has_performance": "flag", "has_staging": "flag", "has_watch": "flag",
    "has_manual_checks": "flag", "has_promotion": "flag", "has_record": "flag", "has_tickets": "flag",
    "promotion.branch": "ref", "promotion.deployment": "text", "promotion.timeout": "integer",
    "release_labels": "labels", "rollback_minutes": "integer",
    "rollback_restore_asks": "flag", "watch.every_ms": "integer", "watch.window_ms": "integer",
}  # fmt: skip

INPUT_TYPES = ("text", "version", "flag", "integer")

# Which types of facts an argument takes besides its own. Text is what people read, so every one-line value fits.
FITS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"version", "sha", "ref", "tag", "key", "environment", "suite", "integer"}),
    "names": frozenset({"labels"}),
    "labels": frozenset({"names"}),
}

IDENTIFIER = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LITERALS: Mapping[str, re.Pattern[str]] = {
    "sha": re.compile(r"[0-9a-f]{40}"),
    "version": re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?"),
    "environment": re.compile(r"staging|production"),
    "suite": IDENTIFIER,
    "ref": re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*"),
    "tag": re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*"),
    "key": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*"),
}


def fits(found: str, wanted: str) -> bool:
    """Whether a fact of type ``found`` may be given to an argument of type ``wanted``."""
    return wanted in (found, "object") or found in FITS.get(wanted, frozenset())


def literal_fits(value: object, wanted: str) -> bool:
    """Whether a literal of the file is of an argument's type."""
    match wanted:
        case "object":
            return True
        case "flag":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "names" | "labels":
            return isinstance(value, list) and all(isinstance(item, str) and item.isprintable() for item in value)
        case "text":
            return isinstance(value, str)
        case _:
            pattern = _LITERALS.get(wanted)
            return isinstance(value, str) and (pattern is None or pattern.fullmatch(value) is not None)
