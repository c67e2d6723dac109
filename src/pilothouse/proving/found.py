"""What a proof found, and what it was given of one product."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from pilothouse.covering import Gap
from pilothouse.exported import Where
from pilothouse_tools.clone import BARE


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit: the file (or branch, or tag), a kind, and what.

    ``kind``:

    - of the folder: file-changed, file-missing, file-added, not-derived, unlisted, invented;
    - of the manifest: no-products, product-missing, manifest-differs, config-missing, period-differs, tip-missing;
    - of the ledger: ``chain:`` and what the verification calls it, chain-missing, head-missing, not-in-ledger,
      not-written, run-open, tag-anchor;
    - of the records: record-malformed, record-misplaced, record-missing, markdown-differs, unsigned, bad-signature;
    - of the remote: remote-differs, branch-rewritten.
    """

    file: str
    kind: str
    what: str


@dataclass(slots=True)
class Proof:
    """What was looked at, and what does not fit.

    Attributes:
        start: the period's first day, as the export claims it; ``end``: its last.
        findings: what does not fit.
        notes: what could not be looked at.
    """

    start: str = ""
    end: str = ""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    entries: int = 0
    records: int = 0
    signed: int = 0
    tags: int = 0

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def add(self, file: str, kind: str, what: str) -> None:
        """One thing that does not fit."""
        self.findings.append(Finding(file, kind, what))


@dataclass(frozen=True, slots=True)
class Part:
    """One product's part of an export.

    Attributes:
        where: it comes from: names and key as the remote's pilothouse.yml has them where a remote is known, else as the
            manifest claims them, and so both tips in any case.
        files: path on the audit branch to bytes, as exported.
        days: first and last of the period.
        listed: what the export lists of the product.
    """

    where: Where
    files: Mapping[str, bytes]
    days: tuple[str, str]
    listed: tuple[Gap, ...]

    @property
    def product(self) -> str:
        """Its name."""
        return self.where.product

    def place(self, path: str) -> str:
        """Where a file of the branch lies in the export."""
        return f"records/{self.product}/{path}"


def environ() -> dict[str, str]:
    """What children of a proof see."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSH_AUTH_SOCK") if name in os.environ}
    return {**kept, **BARE}
