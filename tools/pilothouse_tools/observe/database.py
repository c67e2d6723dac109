"""What a database lacks, and what restoring it would lose."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import Argument, Observation
from pilothouse_tools import commands, database
from pilothouse_tools.door import Arguments, observes

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context
    from pilothouse_tools.database import Migration


def _pending(context: Context, arguments: Arguments) -> Observation:
    environment = context.environment(arguments.text("environment"))
    sha, older = arguments.text("sha"), arguments.text("from")
    if environment.database is None:
        return Observation(_facts("", (), []), sha, f"{environment.name}: no database")
    found = database.pending(context, environment, sha)
    unexpected = _unexpected(context, found, older, arguments.text("live"), sha) if found else []
    facts = _facts(environment.database.identity, found, unexpected)
    return Observation(facts, sha, f"{environment.name}: {len(found)} pending")


def _facts(identity: str, found: tuple[Migration, ...], unexpected: list[Json]) -> dict[str, Json]:
    expand: list[Json] = [item.name for item in found if item.phase == "expand"]
    contract: list[Json] = [item.name for item in found if item.phase == "contract"]
    undo = max((item.undo for item in found), key=database.UNDO.index, default="none")
    order = [
        f"{', '.join(map(str, names))} {when} the code"
        for names, when in ((expand, "before"), (contract, "after"))
        if names
    ]
    return {
        "database": identity,
        "pending": [item.as_json() for item in found],
        "expand": expand,
        "contract": contract,
        "unexpected": unexpected,
        "undo": undo,
        "any": bool(found),
        "any_expand": bool(expand),
        "any_contract": bool(contract),
        "order": "; ".join(order) or "no migrations",
    }


def _unexpected(context: Context, found: tuple[Migration, ...], older: str, live: str, newer: str) -> list[Json]:
    """Pending migrations that this release does not bring, or whose bytes are not those of a file it brings (PRO-6).

    It brings what the range adds; and what it adds to the tree that is live, for a release that was tagged and then
    rolled back with its database left its migrations behind the tag, but not in production.
    """
    repo = context.repo
    repo.require(newer)
    repo.require(older)
    by_stem: dict[str, set[str]] = {}
    for base in {older, *([live] if live and _here(context, live) else [])}:
        for path in _added(context, base, newer):
            name = path.rpartition("/")[2]
            for stem in {name, name.rpartition(".")[0] or name}:
                by_stem.setdefault(stem, set()).add(path)
    unexpected: list[Json] = []
    for migration in found:
        files = (repo.file(newer, path) for path in sorted(by_stem.get(migration.name, ()))[:20])
        if not any(
            content is not None and hashlib.sha256(content).hexdigest() == migration.sha256 for content in files
        ):
            unexpected.append(migration.name)
    return unexpected


def _here(context: Context, sha: str) -> bool:
    """Whether a commit that an environment names can be had; of one that nobody knows nothing is expected."""
    try:
        context.repo.require(sha)
    except Unreachable:
        raise
    except ToolFailed:
        return False
    return True


def _added(context: Context, older: str, newer: str) -> list[str]:
    """The paths that a commit's tree has and another's has not; neither need be the other's ancestor (a carrier)."""
    listed = context.repo.read("diff-tree", "-r", "-z", "--no-renames", "--diff-filter=A", "--name-only", older, newer)
    return [raw.decode("utf-8", "replace") for raw in listed.split(b"\0")[:-1]]


def _compare(context: Context, arguments: Arguments) -> Observation:
    environment = context.environment(arguments.text("environment"))
    restore = database.configured(environment).restore
    sha, backup = arguments.text("sha"), arguments.text("backup")
    if restore.probe is None:
        raise ToolFailed("probe-missing", f"the restore command of {environment.name} has no probe", "Configure one.")
    said = commands.answer(context, environment, sha, restore.probe, {"key": backup}, restore.timeout)
    writes = said.get("writes_since_backup")
    if (
        not isinstance(writes, int)
        or isinstance(writes, bool)
        or writes < 0
        or said.get("state") not in ("absent", "applied")
    ):
        raise ToolFailed("bad-answer", f"the restore probe of {environment.name} does not say what was written since: "
                         f"{context.redact(str(said.get('detail', '')))[:200]}")  # fmt: skip
    return Observation({"writes_since": writes, "lossless": writes == 0}, sha, f"{writes} writes since the backup")


TOOLS = (
    observes(
        "migrations.pending",
        "The migrations that an environment's database lacks, and whether the released range adds exactly them.",
        {
            "environment": Argument("environment"), "sha": Argument("sha"),
            "from": Argument("sha", about="the release before"),
            "live": Argument("sha", required=False, about="what the environment answers that it runs"),
        },
        {
            "database": "text", "pending": "object", "expand": "names", "contract": "names", "unexpected": "names",
            "undo": "text", "any": "flag", "any_expand": "flag", "any_contract": "flag", "order": "text",
        },
        _pending,
    ),
    observes(
        "backup.compare",
        "What was written to a database since a backup, and would be lost by restoring it.",
        {"environment": Argument("environment"), "sha": Argument("sha"), "backup": Argument("key")},
        {"writes_since": "integer", "lossless": "flag"},
        _compare,
    ),
)  # fmt: skip
