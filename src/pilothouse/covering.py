"""Whether the records tell the whole story (I35): each commit and each deployment has one record, or is listed.

Pure. What does not fit is never an error here: it is listed, and a person reads the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pilothouse.canonical import Json

Row = Mapping[str, str]

# What only the forge can tell: whoever holds an export against git alone can say nothing of these.
FORGE = frozenset({
    "deployment-without-record", "deployment-in-several-records", "record-without-deployment", "deployments-unknown",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that the records do not tell, or tell twice.

    ``kind``: commit-without-record, commit-in-several-records, deployment-without-record,
    deployment-in-several-records, record-without-deployment, intent-without-outcome, outcome-without-intent,
    deployments-unknown, record-malformed, record-misplaced, or what a record itself lists (``recorded:`` and its kind).
    ``ref``: a sha, a deployment's id, a release or a path.
    """

    product: str
    kind: str
    ref: str
    what: str

    def as_json(self) -> dict[str, Json]:
        """For exceptions.json."""
        return {"product": self.product, "kind": self.kind, "ref": self.ref, "what": self.what}


@dataclass(frozen=True, slots=True)
class Release:
    """A release by its records: the intent, the outcome, and the commits that it answers for."""

    name: str
    intent: Mapping[str, Json] | None
    outcome: Mapping[str, Json] | None
    commits: frozenset[str]

    @property
    def record(self) -> Mapping[str, Json]:
        """The outcome where there is one, else the intent."""
        found = self.outcome or self.intent
        assert found is not None
        return found

    def said(self, *names: str) -> str:
        """A text of the record, empty where it is not there."""
        value: Json = dict(self.record)
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, str) else ""


def gaps(
    product: str, line: Iterable[Row], releases: Sequence[Release], deployments: Sequence[Row] | None, why: str = "",
) -> tuple[Gap, ...]:  # fmt: skip
    """All that does not fit.

    Args:
        product: its name.
        line: the base branch's first-parent commits of the period.
        releases: every release whose record is on the audit branch, also those outside of the period.
        deployments: the forge's of the period; None: they are not known.
        why: they are not known.
    """
    return (*untold(product, line, releases), *undeployed(product, releases, deployments, why))


def untold(product: str, line: Iterable[Row], releases: Sequence[Release]) -> tuple[Gap, ...]:
    """The part of ``gaps`` that git alone can tell: commits, and releases of which one half is missing."""
    return (*_commits(product, line, releases), *_halves(product, releases))


def undeployed(
    product: str, releases: Sequence[Release], deployments: Sequence[Row] | None, why: str = ""
) -> tuple[Gap, ...]:
    """The part of ``gaps`` that only the forge can tell: each is of a kind in ``FORGE``."""
    if deployments is None:
        return (Gap(product, "deployments-unknown", "", why or "the forge was not asked"),)
    return tuple(_deployments(product, releases, deployments))


def _commits(product: str, line: Iterable[Row], releases: Sequence[Release]) -> Iterable[Gap]:
    for row in line:
        holders = [release.name for release in releases if row["sha"] in release.commits]
        told = f"{row['at']} {row['author']}: {row['subject']}"
        if not holders:
            yield Gap(product, "commit-without-record", row["sha"], told)
        elif len(holders) > 1:
            yield Gap(product, "commit-in-several-records", row["sha"], f"{', '.join(holders)}: {told}")


def _halves(product: str, releases: Sequence[Release]) -> Iterable[Gap]:
    for release in releases:
        if release.outcome is None:
            yield Gap(product, "intent-without-outcome", release.name, "the run is not over, or its outcome was lost")
        elif release.intent is None:
            yield Gap(product, "outcome-without-intent", release.name, "production may have moved before its record")


def recorded(product: str, release: Release) -> Iterable[Gap]:
    """The exceptions that a record itself lists."""
    listed = release.record.get("exceptions")
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict):
            yield Gap(product, f"recorded:{item.get('kind')}", release.name, str(item.get("what")))


def _deployments(product: str, releases: Sequence[Release], deployments: Sequence[Row]) -> Iterable[Gap]:
    matched: set[str] = set()
    for row in deployments:
        by_id = [item for item in releases if row["id"] and item.said("outcome", "deployment", "id") == row["id"]]
        holders = by_id or [item for item in releases if item.outcome and row["sha"] in _deployed(item)]
        matched.update(item.name for item in holders)
        told = f"{row['at']} {row['environment']} {row['sha']}"
        if not holders:
            yield Gap(product, "deployment-without-record", row["id"], told)
        elif len(holders) > 1:
            names = ", ".join(item.name for item in holders)
            yield Gap(product, "deployment-in-several-records", row["id"], f"{names}: {told}")
    for item in releases:
        # Only a workflow that watches the forge's deployments says that there was one.
        claimed = item.said("outcome", "deployment", "id")
        if claimed and item.name not in matched:
            yield Gap(product, "record-without-deployment", item.name, f"the forge lists no deployment {claimed}")


def _deployed(release: Release) -> frozenset[str]:
    """The commits that a record says production ran."""
    rows = release.record.get("artefacts")
    found = {
        str(row.get(name))
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and row.get("environment") == "production"
        for name in ("commit", "digest")
    }
    deployed = release.said("outcome", "deployment", "sha")
    return frozenset(found | ({deployed} if deployed else set()))
