"""Whole chains as files: the stored bytes, one entry a line, so that sha256sum alone can follow the hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.ledger.chain import GENESIS

if TYPE_CHECKING:
    from pathlib import Path

    from pilothouse.ports import Head, Journal

FOLDER = "ledger"


def write_chains(journal: Journal, folder: Path) -> dict[str, Head]:
    """Write every chain of a journal to ``FOLDER/<chain>.jsonl`` within a folder, and answer what their heads are."""
    from pilothouse.ports import Head

    heads: dict[str, Head] = {}
    (folder / FOLDER).mkdir(parents=True)
    for chain in journal.chains():
        rows = journal.entries(chain)
        # Canonical JSON holds no raw line feed, so a line is an entry and its SHA-256 the next line's `prev`.
        (folder / FOLDER / f"{chain}.jsonl").write_bytes(b"".join(data + b"\n" for _, _, data in rows))
        heads[chain] = Head(rows[-1][0], rows[-1][1]) if rows else Head(0, GENESIS)
    return heads
