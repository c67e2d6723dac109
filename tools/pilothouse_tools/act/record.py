"""Write a release record to the audit branch of the remote: plumbing, compare-and-swap, never over another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.canonical import Json, sha256_hex
from pilothouse.errors import ToolFailed
from pilothouse.model import RECORD, Argument, EffectClass, Permit, Presence, Probe, Reach
from pilothouse_tools import envelope
from pilothouse_tools.door import Actor, Arguments, acts, no_pins
from pilothouse_tools.observe.record import audit_of
from pilothouse_tools.recordshape import as_bytes, checked, place_of
from pilothouse_tools.recordtext import as_markdown
from pilothouse_tools.shelf import Shelf, blob_name

if TYPE_CHECKING:
    from pilothouse_tools.context import Context

Files = dict[str, bytes]


def _files(context: Context, arguments: Arguments) -> tuple[str, str, Files]:
    """Release, folder, and the record's files (the signature apart, which need not be repeatable)."""
    kind = arguments.text("kind")
    record = checked(arguments.record("record"))
    if record["kind"] != kind:
        raise ToolFailed("bad-argument", f"the record is no {kind[:40]} record")
    if record["product"] != context.product.name:
        raise ToolFailed("bad-argument", "the record is of another product")
    files = {f"{kind}.json": as_bytes(record), f"{kind}.md": as_markdown(record).encode()}
    return str(record["release"]), place_of(record), files


def _probe(context: Context, arguments: Arguments, _key: str) -> Probe:
    branch = audit_of(context).branch
    release, folder, files = _files(context, arguments)
    shelf = Shelf.of(context)
    tip = shelf.tip(branch)
    there = shelf.folder_at(tip, folder) if tip else {}
    json_file = f"{arguments.text('kind')}.json"
    found = there.get(json_file)
    if found is None:
        return Probe(Presence.ABSENT, f"{folder}/{json_file} is not on {branch}")
    if found[1:] != ("blob", blob_name(files[json_file])):
        return Probe(Presence.CONFLICT, f"{folder}/{json_file} is on {branch} with other content; none is rewritten")
    facts: dict[str, Json] = {
        "commit": tip, "path": folder, "url": _url(context, tip, folder), "digest": sha256_hex(files[json_file]),
        "release": release,
    }  # fmt: skip
    return Probe(Presence.APPLIED, f"{folder}/{json_file} is on {branch} at {tip[:12]}", facts)


def _url(context: Context, commit: str, folder: str) -> str:
    forge = context.product.forge
    if forge is None or forge.kind != "github":
        return ""
    host = next(
        (context.environ[n] for n in forge.environment if n == "GH_HOST" and n in context.environ), "github.com"
    )
    return f"https://{host}/{forge.repository}/tree/{commit}/{folder}"


def _apply(context: Context, arguments: Arguments, _permit: Permit) -> None:
    audit, kind = audit_of(context), arguments.text("kind")
    release, folder, files = _files(context, arguments)
    key = envelope.key_of(audit, context.environ, context.child_environ())
    if key:
        signed = envelope.sign(files[f"{kind}.json"], key)
        if audit.public_key and envelope.verified(signed, audit.public_key, context.child_environ()) is None:
            raise ToolFailed("signing-key-mismatch", f"{audit.signing_key} is not the private half of audit.public_key",
                             "Use the key that auditors know, or publish the new one.")  # fmt: skip
        files[f"{kind}.dsse.json"] = signed
    message = f"record: {kind} of {release}\n\nPilothouse-Run: {context.run_id or 'none'}\n"
    Shelf.of(context).add(audit.branch, folder, files, message)


TOOLS = (
    Actor(
        acts(
            RECORD,
            "Write the release record to the audit branch of the remote, once, and never over another one.",
            {"record": Argument("object", about="as composed"), "kind": Argument("text", about="intent or outcome")},
            {"commit": "sha", "path": "text", "url": "text", "digest": "text", "release": "text"},
            effect=EffectClass.KEYED, reach=Reach.WORKSPACE, undoable=False,
        ),
        _probe, _apply, no_pins,
    ),
)  # fmt: skip
