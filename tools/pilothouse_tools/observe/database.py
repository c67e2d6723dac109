"""What a database lacks, and what restoring it would lose."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
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
    facts = _facts(environment.database.identity, found, _unexpected(context, found, older, sha) if found else [])
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


def _unexpected(context: Context, found: tuple[Migration, ...], older: str, newer: str) -> list[Json]:
    """Pending migrations that the range does not add, or whose bytes are not those of a file that it adds (PRO-6)."""
    repo = context.repo
    repo.require(older)
    repo.require(newer)
    listed = repo.read("diff-tree", "-r", "-z", "--no-renames", "--diff-filter=A", "--name-only", older, newer)
    by_stem: dict[str, list[str]] = {}
    for raw in listed.split(b"\0")[:-1]:
        path = raw.decode("utf-8", "replace")
        name = path.rpartition("/")[2]
        for stem in {name, name.rpartition(".")[0] or name}:
            by_stem.setdefault(stem, []).append(path)
    unexpected: list[Json] = []
    for migration in found:
        files = (repo.file(newer, path) for path in by_stem.get(migration.name, [])[:20])
        if not any(
            content is not None and hashlib.sha256(content).hexdigest() == migration.sha256 for content in files
        ):
            unexpected.append(migration.name)
    return unexpected


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
                         f"{str(said.get('detail', ''))[:200]}")  # fmt: skip
    return Observation({"writes_since": writes, "lossless": writes == 0}, sha, f"{writes} writes since the backup")


TOOLS = (
    observes(
        "migrations.pending",
        "The migrations that an environment's database lacks, and whether the released range adds exactly them.",
        {"environment": Argument("environment"), "sha": Argument("sha"), "from": Argument("sha", about="released now")},
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
