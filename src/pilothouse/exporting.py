"""The auditor's export: one folder for a period, complete against the base branch and the deployments (AUT-3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilothouse.covering import Gap, undeployed
from pilothouse.errors import ToolFailed, UsageError
from pilothouse.exported import MANIFEST, RECORDS, SCHEMA, Told, Where, as_json, derived, releases_of, told_of
from pilothouse.ledger.chain import GENESIS
from pilothouse.ledger.export import FOLDER as LEDGER
from pilothouse.ledger.export import write_chains
from pilothouse.ports import Head
from pilothouse_tools import audited

if TYPE_CHECKING:
    from pilothouse.ports import Journal
    from pilothouse_tools.context import Context

_DAYS = "--from 2026-01-01 --to 2026-12-31"


@dataclass(frozen=True, slots=True)
class Export:
    """What was written, and where."""

    folder: Path
    start: str
    end: str
    parts: tuple[Told, ...]
    heads: Mapping[str, Head]

    @property
    def releases(self) -> int:
        """How many."""
        return sum(len(part.releases) for part in self.parts)

    @property
    def exceptions(self) -> tuple[Gap, ...]:
        """All of them."""
        return tuple(gap for part in self.parts for gap in part.gaps)


def period(start: str, end: str) -> tuple[str, str]:
    """Two days as YYYY-MM-DD, in order. Raises UsageError("bad-period")."""
    try:
        one, other = date.fromisoformat(start), date.fromisoformat(end)
    except ValueError:
        raise UsageError("bad-period", f"{start!a} to {end!a} are no two days", _DAYS) from None
    if other < one:
        raise UsageError("bad-period", f"{end} is before {start}", _DAYS)
    return one.isoformat(), other.isoformat()


def export(contexts: Sequence[Context], journal: Journal, start: str, end: str, folder: Path) -> Export:
    """Write the export of a period.

    Args:
        contexts: of each product that has ``audit`` in pilothouse.yml.
        journal: the ledger, all of whose chains go along, whole.
        start: the first day, YYYY-MM-DD in UTC.
        end: the last day.
        folder: where to; it must not be there yet, or be empty.

    Raises:
        UsageError: ``bad-period``, ``export-folder-not-empty``, ``nothing-to-export``.
        ToolFailed, Unreachable: the remote's branches could not be read.
    """
    start, end = period(start, end)
    if not contexts:
        raise UsageError("nothing-to-export", "no product has `audit` in pilothouse.yml", "see docs/records.md")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("export-folder-not-empty", f"{folder} is there and not empty", "name another folder")
    ordered = sorted(contexts, key=lambda context: context.product.name)
    parts = tuple(gathered(context, start, end) for context in ordered)
    folder.mkdir(parents=True, exist_ok=True)
    heads = write_chains(journal, folder)
    for part in parts:
        if part.where.product not in heads:
            # A chain without entries goes along as such: a missing file could not be told from one taken away.
            _write(folder / LEDGER / f"{part.where.product}.jsonl", b"")
            heads[part.where.product] = Head(0, GENESIS)
    made = Export(folder, start, end, parts, dict(sorted(heads.items())))
    for part in parts:
        for path, data in part.files.items():
            _write(folder / RECORDS / part.where.product / path, data)
    for path, data in derived(parts, start, end, made.heads).items():
        _write(folder / path, data)
    _write(folder / MANIFEST, as_json(_manifest(made)))
    return made


def gathered(context: Context, start: str, end: str) -> Told:
    """One product's records and gaps of a period, read from the remote now."""
    audit, repo, base = context.product.audit, context.repo, context.product.base
    assert audit is not None
    tip, base_head = repo.head(audit.branch), repo.head(base)
    files: Mapping[str, bytes] = {}
    if tip:
        repo.require(tip)
        files = audited.files_on(repo.read, tip)
    line: list[audited.Row] = []
    if base_head:
        repo.require(base_head)
        line = audited.of_period(audited.line_of(repo.read, base_head), start, end)
    known, broken = releases_of(files, context.product.name, lambda record: audited.reached(repo.read, record))
    deployments, why = None, ""
    try:
        deployments = audited.deployments(context, start, end)
    except ToolFailed as error:
        why = error.message
    where = Where(context.product.name, audit.branch, tip, base, base_head, audit.public_key)
    others = undeployed(context.product.name, known, deployments, why)
    return told_of(where, files, (known, broken), line, (start, end), others)


def _manifest(made: Export) -> dict[str, Any]:
    files = {
        path.relative_to(made.folder).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(made.folder.rglob("*"))
        if path.is_file()
    }
    return {
        "schema": SCHEMA, "from": made.start, "to": made.end,
        "heads": {chain: {"seq": head.seq, "hash": head.hash} for chain, head in made.heads.items()},
        "products": {
            part.where.product: {name: value for name, value in asdict(part.where).items() if name != "product"}
            for part in made.parts
        },
        "files": files,
    }  # fmt: skip


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
