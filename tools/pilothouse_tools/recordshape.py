"""The shape of a release record, ``pilothouse.record/1``: read strictly, and the source of its published JSON Schema.

What an auditor reads years later must mean what it meant, so a field is never renamed and never changes its meaning
within a version (docs/records.md).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pilothouse.canonical import Json, NotCanonical, canonical
from pilothouse.errors import ToolFailed
from pilothouse_tools.records import folder_of, release_id

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "pilothouse.record/1"

Sha = Annotated[str, Field(pattern=r"^(?:[0-9a-f]{40})?$", description="a whole commit sha; empty: none")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, lower-case hexadecimal")]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Workflow(_Part):
    """What was carried out; the digest is of the workflow's text, whose bytes the ledger's first event holds."""

    name: str
    title: str
    digest: Digest


class Started(_Part):
    """Who started the run, and when; name and e-mail where the approver list of the card knows them."""

    by: str
    name: str
    email: str
    channel: str
    at: str = Field(description="ISO 8601, UTC")


class End(_Part):
    """One end of what was released."""

    ref: str
    sha: Sha
    version: str


class Counts(_Part):
    """How much was released."""

    commits: Count
    pulls: Count
    tickets: Count
    files: Count
    insertions: Count
    deletions: Count


class Pull(_Part):
    """A pull request. ``reviewed``: somebody approved exactly ``head_sha``, which was merged."""

    number: int
    title: str
    url: str
    author: str
    merged_at: str
    merged_by: str
    how: str = Field(description="merge, squash, rebase; empty: not looked at")
    head_sha: Sha
    merge_commit: Sha
    reviewers: list[str]
    reviewed_sha: Sha
    reviewed: bool | None = Field(description="null: nobody looked")
    tickets: list[str]
    archive: str = Field(description="path on the audit branch; empty: none")
    archive_sha: Sha = Field(description="its blob")


class Ticket(_Part):
    """A ticket, as its server answered."""

    key: str
    title: str
    url: str
    status: str
    found: bool | None = Field(description="null: nobody looked")


class Commit(_Part):
    """A commit without a pull request that no run vouches for."""

    sha: Sha
    subject: str
    author: str


class Area(_Part):
    """Changes by area (``other``: those of no configured one)."""

    area: str
    files: Count
    insertions: Count
    deletions: Count


class Check(_Part):
    """A check of CI on the commit that was released."""

    name: str
    result: str
    sha: Sha


class Evidence(_Part):
    """A recorded tool result; the digest is of its facts, which the ledger holds. ``environment``: where it looked."""

    id: str
    step: str
    tool: str
    environment: str
    sha: str
    at: str
    digest: Digest
    summary: str


class Gate(_Part):
    """A gate's last judgement."""

    step: str
    gate: str
    passed: bool
    reason_code: str


class Verdict(_Part):
    """What an agent said; ``by`` is scripted, or the model."""

    step: str
    agent: str
    answer: str
    by: str


class Artefact(_Part):
    """What was deployed, and its digest: of the artefact where the platform tells one, else the commit's name."""

    step: str
    environment: str
    version: str
    commit: Sha
    digest: str
    url: str


class Migration(_Part):
    """Migrations that were applied to an environment's database."""

    step: str
    environment: str
    names: list[str]


class Backup(_Part):
    """A backup that was made before them."""

    step: str
    environment: str
    key: str
    bytes: Count
    sha256: str


class Word(_Part):
    """The confirmation word as it was presented and entered; it is spent, so it opens nothing any more."""

    presented: str
    entered: str


class Approval(_Part):
    """Who let it go; ``digest`` covers all that they were shown, and ``signature`` is an armoured SSH signature."""

    checkpoint: str
    who: str
    name: str
    email: str
    channel: str
    authentication: str
    at: str
    digest: Digest
    word: Word | None
    signature: str
    exception: str


class PlannedAct(_Part):
    """An act of the plan; the digest is of its arguments, typed references unresolved."""

    step: str
    tool: str
    branch: str
    reach: str
    undoable: bool
    effect: str
    checkpoint: str
    arguments: Digest


class Plan(_Part):
    """What was approved to happen; ``digest`` is the plan digest that the card showed."""

    digest: Digest
    acts: list[PlannedAct]


class Act(_Part):
    """What happened; ``found``: the effect was there already and was not done again."""

    step: str
    tool: str
    state: Literal["done", "failed", "open"]
    found: bool
    reason_code: str
    summary: str
    started_at: str
    ended_at: str


class Deployment(_Part):
    """The forge's deployment of the promoted commit."""

    found: bool
    state: str
    id: str
    url: str
    environment: str
    sha: Sha


class Outcome(_Part):
    """How the run ended."""

    state: Literal["done", "failed", "rolled-back", "aborted", "halted", "superseded"]
    severity: str
    reason_code: str
    reason: str
    deployment: Deployment | None
    release_url: str


class Exemption(_Part):
    """What was not as the rules have it, and was let through or stands."""

    kind: str
    what: str


class LedgerHead(_Part):
    """The end of the product's chain when the record was composed: the chain holds this entry for ever."""

    chain: Name
    seq: Count
    head: Digest


class Record(_Part):
    """A release record."""

    schema_: Literal["pilothouse.record/1"] = Field(alias="schema")
    kind: Literal["intent", "outcome"]
    release: str
    run: str
    product: Name
    title: str
    workflow: Workflow
    tool_version: str
    composed_at: str = Field(description="time of the ledger's last entry when the record was composed")
    started: Started
    from_: End = Field(alias="from")
    to: End
    version: str
    counts: Counts
    pulls: list[Pull]
    tickets: list[Ticket]
    unlinked: list[Commit]
    areas: list[Area]
    checks: list[Check]
    evidence: list[Evidence]
    gates: list[Gate]
    verdicts: list[Verdict]
    artefacts: list[Artefact]
    migrations: list[Migration]
    backups: list[Backup]
    approvals: list[Approval]
    plan: Plan | None
    acts: list[Act]
    own_commits: list[Sha]
    outcome: Outcome | None = Field(description="null in an intent record")
    exceptions: list[Exemption]
    ledger: LedgerHead


def checked(record: Mapping[str, Json]) -> dict[str, Json]:
    """A record that is whole, of this schema, and agrees with itself.

    Raises:
        ToolFailed: ``record-malformed``, naming the first field that does not fit.
    """
    found = dict(record)
    try:
        shape = Record.model_validate(found)
        canonical(found)
        expected = release_id(shape.product, shape.run)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ToolFailed("record-malformed", f"the record does not fit its schema: {place}: {first['msg']}") from None
    except (NotCanonical, RecursionError) as error:
        raise ToolFailed("record-malformed", f"the record has no canonical form: {error}") from None
    if shape.release != expected:
        raise ToolFailed("record-malformed", f"the record of {shape.run} calls itself {shape.release[:80]!a}")
    if shape.ledger.chain != shape.product:
        raise ToolFailed("record-malformed", f"the record of {shape.product} names the chain {shape.ledger.chain}")
    if (shape.outcome is None) != (shape.kind == "intent"):
        raise ToolFailed("record-malformed", f"an {shape.kind} record does not go with its outcome field")
    return found


def as_bytes(record: Mapping[str, Json]) -> bytes:
    """The bytes of a record's file: sorted keys, two spaces, one line feed at the end; the same for the same record."""
    return (json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def parsed(data: bytes) -> dict[str, Json]:
    """The record that a file holds. Raises ToolFailed("record-malformed")."""
    try:
        found = json.loads(data, parse_float=_refuse, parse_constant=_refuse, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ToolFailed("record-malformed", f"the file holds no JSON of a record: {error}") from None
    if not isinstance(found, dict):
        raise ToolFailed("record-malformed", "the file holds no JSON object")
    return checked(found)


def _refuse(literal: str) -> object:
    raise ValueError(f"{literal[:40]} is no number of a record")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def place_of(record: Mapping[str, Json]) -> str:
    """The folder of a checked record on the audit branch."""
    return folder_of(str(record["release"]))


def schema() -> dict[str, Any]:
    """The JSON Schema of a record, generated from the same shapes that read it."""
    generated = Record.model_json_schema()
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA}
    return {**generated, **about}
