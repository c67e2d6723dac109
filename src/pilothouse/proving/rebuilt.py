"""The files that an auditor reads, made anew from what they are derived of, and compared byte by byte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.covering import FORGE, Gap
from pilothouse.exported import EXCEPTIONS, Told, derived, releases_of, told_of

if TYPE_CHECKING:
    from pilothouse.ports import Head
    from pilothouse.proving.found import Part, Proof

_FIELDS = {"product", "kind", "ref", "what"}


def listed(folder: Path) -> tuple[Gap, ...]:
    """The rows of exceptions.json that are rows; what else the file holds makes its bytes differ."""
    try:
        rows = json.loads((folder / EXCEPTIONS).read_bytes())
    except (OSError, ValueError, RecursionError):
        return ()
    return tuple(Gap(**row) for row in (rows if isinstance(rows, list) else []) if _fits(row))


def _fits(row: object) -> bool:
    return isinstance(row, dict) and row.keys() == _FIELDS and all(isinstance(value, str) for value in row.values())


def foreign(part: Part, *, with_commits: bool = False) -> list[Gap]:
    """The rows of a part that can only be taken as they are: of the forge, and without a remote also of commits."""
    return [gap for gap in part.listed if gap.kind in FORGE or (with_commits and gap.kind.startswith("commit-"))]


def alone(part: Part) -> Told:
    """What a part tells by its own files, without a remote: its records are taken for all of the period's."""
    known = releases_of(part.files, part.product, lambda _: frozenset())
    return told_of(part.where, part.files, known, None, part.days, foreign(part, with_commits=True))


def compare(folder: Path, parts: Sequence[Told], rows: Iterable[Gap], heads: Mapping[str, Head], proof: Proof) -> None:
    """Hold the derived files against what they must say.

    Args:
        folder: the export.
        parts: every product's, by name, as it was told anew.
        rows: of exceptions.json.
        heads: of the chains as they lie in the export, by name.
        proof: takes what is found, and the period.
    """
    before = len(proof.findings)
    there, due = set(rows), {gap for part in parts for gap in part.gaps}
    for gap in sorted(due - there, key=repr):
        proof.add(EXCEPTIONS, "unlisted", f"{gap.kind} {gap.ref}: {gap.what}")
    for gap in sorted(there - due, key=repr):
        proof.add(EXCEPTIONS, "invented", f"nothing leads to {gap.kind} {gap.ref}: {gap.what}")
    named = len(proof.findings) > before
    for path, data in derived(parts, proof.start, proof.end, heads).items():
        file = folder / path
        if not file.is_file():
            if path not in {item.file for item in proof.findings if item.kind == "file-missing"}:
                proof.add(path, "file-missing", "every export has it")
        elif file.read_bytes() != data and not (named and path == EXCEPTIONS):
            other = (
                "the one of this version of Pilothouse" if path == "VERIFY.md" else "what the rest of the export says"
            )
            proof.add(path, "not-derived", f"it is not {other}")


def noted(parts: Iterable[Part], proof: Proof, *, remote: bool) -> None:
    """Say which rows were taken as they are."""
    for part in parts:
        count = len(foreign(part))
        told = f"{part.product}: the forge was not asked; {count} exceptions of its deployments are as exported"
        proof.notes.append(told if remote else f"{told}, and so is each of a commit")
