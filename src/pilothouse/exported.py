"""What an export says, made of what it was given alone: so a proof can make it anew and compare the bytes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from pilothouse.covering import Gap, Release, recorded, untold
from pilothouse.errors import ToolFailed
from pilothouse_tools import audited
from pilothouse_tools.recordshape import parsed, place_of
from pilothouse_tools.text import markdown

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.ports import Head

SCHEMA = "pilothouse.export/1"
MANIFEST = "manifest.json"
RECORDS = "records"
EXCEPTIONS = "exceptions.json"
DERIVED = ("releases.json", "releases.csv", EXCEPTIONS, "report.md", "VERIFY.md")
Reach = Callable[[dict[str, "Json"]], frozenset[str]]
_COLUMNS = (
    "release", "product", "workflow", "state", "started_at", "started_by", "from_sha", "to_sha", "version", "commits",
    "pulls", "tickets", "approved_by", "exceptions", "reason",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")


@dataclass(frozen=True, slots=True)
class Where:
    """Where one product's part of an export comes from: its branches, their tips then, and whose signature counts."""

    product: str
    branch: str
    tip: str
    base: str
    base_head: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Told:
    """What one product's part of an export holds."""

    where: Where
    files: Mapping[str, bytes]
    releases: tuple[Release, ...]
    gaps: tuple[Gap, ...]


def told_of(
    where: Where, files: Mapping[str, bytes], known: tuple[Sequence[Release], Sequence[Gap]],
    line: Sequence[Mapping[str, str]] | None, days: tuple[str, str], others: Iterable[Gap],
) -> Told:  # fmt: skip
    """One product's part of an export.

    Args:
        where: it comes from.
        files: path on the audit branch to bytes.
        known: what ``releases_of`` makes of these files.
        line: the base branch's commits of the period; None: not known, so that ``files`` are taken for the period's,
            and ``others`` for all that there is to say of commits.
        days: first and last of the period.
        others: what git cannot tell: of the forge's deployments.
    """
    releases, broken = known
    spoilt = {gap.ref.rpartition("/")[0] for gap in broken}
    chosen = tuple(
        item for item in releases if line is None or in_period(item, line, *days) or place_of(item.record) in spoilt
    )
    rest = tuple(others)
    given = [gap for gap in rest if line is None and gap.kind.startswith("commit-")]
    found = (*given, *untold(where.product, line or (), releases), *(gap for gap in rest if gap not in given))
    left = {item.name for item in releases} - {item.name for item in chosen}
    told = [gap for gap in found if gap.ref not in left]
    told += [*broken, *(gap for item in chosen for gap in recorded(where.product, item))]
    folders = {place_of(item.record) for item in chosen} | spoilt
    kept = {path: data for path, data in files.items() if path.rpartition("/")[0] in folders}
    return Told(where, kept, chosen, tuple(told))


def derived(parts: Sequence[Told], start: str, end: str, heads: Mapping[str, Head]) -> dict[str, bytes]:
    """The files that people read, path to bytes: each follows from what the export holds besides."""
    made = (
        as_json([_row(part, item) for part in parts for item in part.releases]),
        _csv(parts),
        as_json([gap.as_json() for part in parts for gap in part.gaps]),
        _report(parts, start, end, heads).encode(),
        resources.files("pilothouse").joinpath("schemas/VERIFY.md").read_bytes(),
    )
    return dict(zip(DERIVED, made, strict=True))


def as_json(value: Any) -> bytes:
    """A value as every JSON file of an export is written."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def releases_of(files: Mapping[str, bytes], product: str, reach: Reach) -> tuple[tuple[Release, ...], tuple[Gap, ...]]:
    """The releases of a product among the files of an audit branch by name, and the records that cannot be read."""
    found: dict[str, dict[str, dict[str, Json]]] = {}
    broken = []
    for path, data in files.items():
        kind, _, form = path.rsplit("/", 1)[-1].partition(".")
        if kind not in {"intent", "outcome"} or form != "json":
            continue
        try:
            record = parsed(data)
        except ToolFailed as error:
            broken.append(Gap(product, error.reason_code, path, error.message))
            continue
        if record["product"] != product:
            continue
        if path != f"{place_of(record)}/{record['kind']}.json":
            broken.append(Gap(product, "record-misplaced", path, f"it is the {record['kind']} of {record['release']}"))
            continue
        found.setdefault(str(record["release"]), {})[kind] = record
    made = []
    for name, kinds in sorted(found.items()):
        intent, outcome = kinds.get("intent"), kinds.get("outcome")
        made.append(Release(name, intent, outcome, reach(outcome or intent or {})))
    return tuple(made), tuple(broken)


def in_period(release: Release, line: Iterable[Mapping[str, str]], start: str, end: str) -> bool:
    """Whether a release belongs to a period: by when it was recorded, or by a commit of the period's line."""
    times = (release.said("started", "at"), release.said("composed_at"))
    return any(audited.within(at, start, end) for at in times) or any(row["sha"] in release.commits for row in line)


def _row(part: Told, item: Release) -> dict[str, Any]:
    record: Mapping[str, Any] = item.record
    outcome = record["outcome"]
    return {
        "release": item.name, "product": part.where.product, "workflow": record["workflow"]["name"],
        "state": outcome["state"] if outcome else "intent",
        "started_at": record["started"]["at"], "started_by": record["started"]["by"],
        "from_sha": record["from"]["sha"], "to_sha": record["to"]["sha"], "version": record["version"],
        "commits": record["counts"]["commits"], "pulls": record["counts"]["pulls"],
        "tickets": record["counts"]["tickets"],
        "approved_by": sorted({approval["who"] for approval in record["approvals"]}),
        "exceptions": len(record["exceptions"]), "reason": outcome["reason"] if outcome else "",
    }  # fmt: skip


def neutral(value: object) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP, "CSV Injection")."""
    text = "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) and not isinstance(value, int) else text


def _csv(parts: Sequence[Told]) -> bytes:
    held = io.StringIO(newline="")
    writer = csv.writer(held, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for part in parts:
        for item in part.releases:
            row = _row(part, item)
            writer.writerow([neutral(row[column]) for column in _COLUMNS])
    return held.getvalue().encode()


def _report(parts: Sequence[Told], start: str, end: str, heads: Mapping[str, Head]) -> str:
    lines = [f"# Releases from {start} to {end}", ""]
    for part in parts:
        lines += [
            f"## {markdown(part.where.product)}", "",
            f"{len(part.releases)} releases, {len(part.gaps)} exceptions.", "",
            f"- records: `{part.where.branch}` at `{part.where.tip or 'no such branch'}`",
            f"- base branch: `{part.where.base}` at `{part.where.base_head or 'no such branch'}`",
            "", "| Release | Workflow | State | Started | By | Commits | Approved by | Exceptions |",
            "|" + " --- |" * 8,
        ]  # fmt: skip
        for item in part.releases:
            row = _row(part, item)
            cells = (row["release"], row["workflow"], row["state"], row["started_at"], row["started_by"],
                     row["commits"], ", ".join(row["approved_by"]), row["exceptions"])  # fmt: skip
            lines.append("| " + " | ".join(markdown(str(cell)) for cell in cells) + " |")
        lines += ["", "### Exceptions", ""]
        lines += [f"- {markdown(g.kind)} {markdown(g.ref)}: {markdown(g.what)}" for g in part.gaps] or ["None."]
        lines.append("")
    lines += ["## Ledger", ""]
    lines += [f"- `{chain}`: {head.seq} entries, head `{head.hash}`" for chain, head in heads.items()]
    return "\n".join(lines) + "\n"
