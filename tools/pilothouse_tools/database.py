"""An environment's database, seen through its configured commands: identity, pending migrations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse.canonical import Json, digest
from pilothouse.errors import ToolFailed
from pilothouse_tools import commands, grammar

if TYPE_CHECKING:
    from pilothouse.settings import Database, Environment
    from pilothouse_tools.context import Context

_SQL = 20_000
PHASES = ("expand", "contract")
UNDO = ("code", "restore", "forward-only")  # from harmless to final
_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration that the database lacks."""

    name: str
    sha256: str
    phase: str
    undo: str
    destructive: bool
    sql: str

    def as_json(self) -> dict[str, Json]:
        """For the facts; very long SQL is cut, and says so."""
        sql = (
            self.sql if len(self.sql) <= _SQL else f"{self.sql[:_SQL]}\n-- [{len(self.sql) - _SQL} characters left out]"
        )
        return {"name": self.name, "sha256": self.sha256, "phase": self.phase, "undo": self.undo,
                "destructive": self.destructive, "sql": sql}  # fmt: skip


def configured(environment: Environment) -> Database:
    """The environment's database. Raises ToolFailed("database-not-configured")."""
    if environment.database is None:
        raise ToolFailed("database-not-configured", f"{environment.name} has no database in pilothouse.yml")
    return environment.database


def pending(context: Context, environment: Environment, sha: str) -> tuple[Migration, ...]:
    """What the database lacks of a commit's migrations, in the order in which they are to be applied.

    Raises:
        ToolFailed: ``wrong-database`` where it is not the configured one (I12), ``bad-answer``, ``command-failed``.
    """
    database = configured(environment)
    said = commands.answer(context, environment, sha, database.pending, {}, _TIMEOUT)
    if said.get("database") != database.identity:
        raise ToolFailed(
            "wrong-database",
            f"{environment.name} is to be {database.identity!r}, but the database says it is "
            f"{context.redact(str(said.get('database')))[:60]!r}",
            "Check which database the credentials lead to; nothing was changed.",
        )
    entries = said.get("pending")
    if not isinstance(entries, list) or not isinstance(said.get("applied"), list):
        raise ToolFailed("bad-answer", f"the pending command of {environment.name} names no lists pending and applied")
    found = tuple(_migration(entry, environment.name) for entry in entries)
    if len({migration.name for migration in found}) != len(found):
        raise ToolFailed("bad-answer", f"the pending command of {environment.name} names a migration twice")
    return found


def _migration(entry: Json, where: str) -> Migration:
    match entry:
        case {
            "name": str(name),
            "sha256": str(sha),
            "phase": str(phase),
            "undo": str(undo),
            "destructive": bool(hard),
            "sql": str(sql),
        }:
            known = phase in PHASES and undo in UNDO and grammar.SHA256.fullmatch(sha) is not None
            if known and grammar.ITEM.fullmatch(name):
                return Migration(name, sha, phase, undo, hard, sql)
        case _:
            pass
    told = entry.get("name") if isinstance(entry, dict) else entry
    raise ToolFailed(
        "bad-answer",
        f"the pending command of {where} answers {str(told)[:60]!r} without all of name, sha256, phase "
        f"({'|'.join(PHASES)}), undo ({'|'.join(UNDO)}), destructive and sql",
    )


def fingerprint(migrations: tuple[Migration, ...]) -> str:
    """What a pin of the pending list holds: names and bytes, in order (I20)."""
    return digest([{"name": item.name, "sha256": item.sha256} for item in migrations])
