"""audit export, audit verify --export: what an auditor takes along, and what they check with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.errors import EXIT_DONE, EXIT_HALTED, UsageError

if TYPE_CHECKING:
    from pilothouse.app import Pilothouse
    from pilothouse.cli.surface import Surface
    from pilothouse.exporting import Export
    from pilothouse.proving import Proof
    from pilothouse.render.screen import Line
    from pilothouse_tools.context import Context

_SHOWN = 50  # findings and exceptions on a screen; all of them are in the files and in --json


def audit_export(surface: Surface, start: str, end: str, out: Path) -> int:
    """Write the export of a period into a new folder.

    Args:
        surface: the call's.
        start: ``--from``, YYYY-MM-DD.
        end: ``--to``, YYYY-MM-DD.
        out: ``--out``.
    """
    from pilothouse.exporting import export

    app = surface.app()
    made = export(_contexts(app), app.journal, start, end, out)
    surface.answer(
        lambda: {
            "schema": "pilothouse.audit-export/1", "folder": str(made.folder), "from": made.start, "to": made.end,
            "releases": made.releases, "exceptions": [gap.as_json() for gap in made.exceptions],
            "heads": {chain: {"seq": head.seq, "hash": head.hash} for chain, head in made.heads.items()},
        },
        lambda: _exported(made),
    )  # fmt: skip
    return EXIT_DONE


def _contexts(app: Pilothouse) -> list[Context]:
    from pilothouse import config
    from pilothouse.composition import context_of
    from pilothouse.engine.world import iso
    from pilothouse.project import FILE

    configuration, at = config.load(app.project / FILE), iso(app.clock.now())
    audited = (name for name, product in configuration.products.items() if product.audit)
    return [context_of(app, configuration, name, "", at, {}) for name in audited]


def _exported(made: Export) -> Iterator[Line]:
    from pilothouse.render.screen import Tone, line
    from pilothouse.render.text import count, safe

    gaps = made.exceptions
    yield line(
        " ", ("✔", Tone.GOOD), f" {made.folder}: {count(made.releases, 'release')} from {made.start} to {made.end}"
    )
    for chain, head in made.heads.items():
        yield line(f"   {chain}: {count(head.seq, 'entry', 'entries')}, head ", (head.hash, Tone.DIM))
    yield line("   ", (f"{count(len(gaps), 'exception')} listed in exceptions.json", Tone.BAD if gaps else Tone.DIM))
    for gap in gaps[:_SHOWN]:
        yield line("     ", safe(f"{gap.kind} {gap.ref[:40]}: {gap.what}"))
    if len(gaps) > _SHOWN:
        yield line(f"     and {len(gaps) - _SHOWN} more")
    yield line(
        "   how to verify it: VERIFY.md, or: pilothouse audit verify --export DIR --remote URL --from DAY --to DAY"
    )


def audit_verify_export(
    surface: Surface, folder: Path, remote: str, key: Path | None, *, days: tuple[str, str] | None, head: str
) -> int:
    """Verify an export, without a project and without its database; exit 50 where something does not fit.

    Args:
        surface: the call's.
        folder: ``--export``.
        remote: ``--remote``: URL or clone, or empty.
        key: ``--key``: a file with the SSH public key of whoever signs records.
        days: ``--from`` and ``--to``: the period that it must be of, YYYY-MM-DD; None: any.
        head: ``--head``: the hash of an entry that one of the chains must hold, or empty.
    """
    from pilothouse.proving import prove

    proof = prove(folder, remote, _public(key) if key else "", days=days, head=head)
    surface.answer(
        lambda: {
            "schema": "pilothouse.audit-verify-export/1", "ok": proof.ok, "from": proof.start, "to": proof.end,
            "files": proof.files, "entries": proof.entries, "records": proof.records, "signed": proof.signed,
            "tags": proof.tags,
            "findings": [{"file": f.file, "kind": f.kind, "what": f.what} for f in proof.findings],
            "notes": list(proof.notes),
        },
        lambda: _proven(proof),
    )  # fmt: skip
    return EXIT_DONE if proof.ok else EXIT_HALTED


def _public(file: Path) -> str:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise UsageError("no-such-key", f"{file} holds no SSH public key", "one line: ssh-ed25519 AAAA…") from error
    if "\n" in text or len(text.split()) < 2:
        raise UsageError("no-such-key", f"{file} holds no SSH public key", "one line: ssh-ed25519 AAAA…")
    return text


def _proven(proof: Proof) -> Iterator[Line]:
    from pilothouse.render.screen import Tone, line
    from pilothouse.render.text import count, safe

    sign = ("✔", Tone.GOOD) if proof.ok else ("✘", Tone.BAD)
    looked = ", ".join((
        count(proof.files, "file"), count(proof.entries, "entry", "entries"),
        f"{count(proof.records, 'record')} ({proof.signed} signed)", count(proof.tags, "anchored tag"),
    ))  # fmt: skip
    yield line(
        " ",
        sign,
        f" {proof.start} to {proof.end}, {looked}: "
        + ("all of it fits" if proof.ok else count(len(proof.findings), "problem")),
    )
    for found in proof.findings[:_SHOWN]:
        yield line("   ", (safe(f"{found.file}: {found.kind}: {found.what}"), Tone.BAD))
    if len(proof.findings) > _SHOWN:
        yield line(f"   and {len(proof.findings) - _SHOWN} more")
    for note in proof.notes:
        yield line("   ", (safe(note), Tone.DIM))
