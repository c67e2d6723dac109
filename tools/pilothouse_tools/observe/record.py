"""The release record, whole: made out of what the ledger knows, checked, and given its place on the audit branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.canonical import Json, sha256_hex
from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools import envelope
from pilothouse_tools.door import Arguments, observes
from pilothouse_tools.records import KINDS, folder_of, release_id
from pilothouse_tools.recordshape import SCHEMA, as_bytes, checked
from pilothouse_tools.shelf import Shelf

if TYPE_CHECKING:
    from pilothouse.settings import Audit
    from pilothouse_tools.context import Context


def audit_of(context: Context) -> Audit:
    """The product's audit settings. Raises ToolFailed("audit-not-configured")."""
    if context.product.audit is None:
        raise ToolFailed("audit-not-configured", f"{context.product.name} has no `audit` in pilothouse.yml",
                         "See docs/records.md.")  # fmt: skip
    return context.product.audit


def _compose(context: Context, arguments: Arguments) -> Observation:
    kind = arguments.text("kind")
    if kind not in KINDS:
        raise ToolFailed("bad-argument", f"record.compose argument 'kind' is one of {', '.join(KINDS)}")
    # A key that is not there must stop the run before anything moves, not when the record is written.
    envelope.key_of(audit_of(context), context.environ, context.child_environ())
    known = arguments.record("record")
    release = release_id(context.product.name, str(known.get("run", "")))
    whole: dict[str, Json] = {**known, "schema": SCHEMA, "kind": kind, "release": release}
    if kind == "intent":
        whole["outcome"] = None
    record = checked(whole)
    data = as_bytes(record)
    facts: dict[str, Json] = {
        "record": record, "release": release, "path": folder_of(release), "digest": sha256_hex(data),
    }  # fmt: skip
    sha = record["to"]["sha"] if isinstance(record["to"], dict) else ""
    return Observation(facts, str(sha), f"{kind} record of {release}, {len(data)} bytes")


def _known(context: Context, arguments: Arguments) -> Observation:
    release = release_id(context.product.name, arguments.text("run"))
    shelf = Shelf.of(context)
    tip = shelf.tip(audit_of(context).branch)
    there = bool(tip and shelf.folder_at(tip, folder_of(release)))
    return Observation({"known": there}, "", f"{release} is {'on record' if there else 'free'}")


TOOLS = (
    observes(
        "record.compose",
        "The release record of the run, checked against its schema: intent before production moves, outcome after.",
        {
            "kind": Argument("text", about="intent or outcome"),
            "record": Argument("object", about="what the ledger knows of the run"),
        },
        {"record": "object", "release": "text", "path": "text", "digest": "text"},
        _compose,
    ),
    observes(
        "record.known",
        "Whether a release of that run's name is on record already.",
        {"run": Argument("text", about="r-2026-11-21-01")},
        {"known": "flag"},
        _known,
    ),
)
