"""Acts on an environment's database: migrate, back up, restore; each looked for by its configured probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.model import Argument, EffectClass, Permit, Presence, Probe
from pilothouse_tools import commands, database, grammar
from pilothouse_tools.door import Actor, Arguments, acts

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.settings import Command, Database, Product
    from pilothouse_tools.context import Context


def _effect(product: Product, name: str) -> EffectClass:
    """Q where every environment's command of that name has a probe, else H."""
    databases = [item.database for item in product.environments.values() if item.database]
    return commands.effect_of(*(_command(found, name) for found in databases))


def _command(found: Database, name: str) -> Command:
    return {"migrate": found.migrate, "backup": found.backup, "restore": found.restore}[name]


def _identity_pin(context: Context, arguments: Arguments) -> dict[str, str]:
    """The identity that the database answers; asking it compares it with the configured one (I12)."""
    if not {"environment", "sha"} <= arguments.names():
        return {}
    environment = context.environment(arguments.text("environment"))
    database.pending(context, environment, arguments.text("sha"))
    return {f"identity:{environment.name}": database.configured(environment).identity}


# -- migrate ----------------------------------------------------------------------------------------------------------


def _pins_migrate(context: Context, arguments: Arguments) -> dict[str, str]:
    if not {"environment", "sha"} <= arguments.names():
        return {}
    environment = context.environment(arguments.text("environment"))
    found = database.pending(context, environment, arguments.text("sha"))
    return {
        f"pending:{environment.name}": database.fingerprint(found),
        f"identity:{environment.name}": database.configured(environment).identity,
    }


def _look_at_migrations(context: Context, arguments: Arguments, key: str, *, verify: bool) -> Probe:
    environment, sha, names = (
        context.environment(arguments.text("environment")),
        arguments.text("sha"),
        arguments.items("names"),
    )
    left = database.pending(context, environment, sha)
    values = {"names": names, "key": key}
    presence, said = commands.probe(
        context, environment, sha, database.configured(environment).migrate, values, verify=verify
    )
    if presence is Presence.APPLIED and (still := [item.name for item in left if item.name in names]):
        presence, said = Presence.UNKNOWN, {"detail": f"the probe says applied, but {', '.join(still)} is pending"}
    facts: dict[str, Json] = {"applied": list(names)}
    return commands.as_probe(presence, said, facts, {f"pending:{environment.name}": database.fingerprint(left)})


def _probe_migrate(context: Context, arguments: Arguments, key: str) -> Probe:
    return _look_at_migrations(context, arguments, key, verify=False)


def _verify_migrate(context: Context, arguments: Arguments, key: str) -> Probe:
    return _look_at_migrations(context, arguments, key, verify=True)


def _apply_migrate(context: Context, arguments: Arguments, permit: Permit) -> None:
    environment, sha = context.environment(arguments.text("environment")), arguments.text("sha")
    database.pending(context, environment, sha)  # refuses a database that is not the configured one
    values = {"names": arguments.items("names"), "key": permit.key}
    commands.apply(context, environment, sha, database.configured(environment).migrate, values)


# -- back up ----------------------------------------------------------------------------------------------------------


def _look_at_backup(context: Context, arguments: Arguments, key: str, *, verify: bool) -> Probe:
    environment, sha = context.environment(arguments.text("environment")), arguments.text("sha")
    presence, said = commands.probe(
        context, environment, sha, database.configured(environment).backup, {"key": key}, verify=verify
    )
    size, sha256 = said.get("bytes"), said.get("sha256")
    if presence is Presence.APPLIED:
        whole = (
            isinstance(size, int)
            and not isinstance(size, bool)
            and size > 0
            and isinstance(sha256, str)
            and grammar.SHA256.fullmatch(sha256) is not None
        )
        if said.get("restorable") is not True or not whole:
            # Something lies under the key, but it is no backup that could be gone back to (I20).
            return Probe(
                Presence.CONFLICT, f"the backup {key} of {environment.name} is empty, not restorable, or has no sha256"
            )
    return commands.as_probe(presence, said, {"key": key, "bytes": size, "sha256": sha256})


def _probe_backup(context: Context, arguments: Arguments, key: str) -> Probe:
    return _look_at_backup(context, arguments, key, verify=False)


def _verify_backup(context: Context, arguments: Arguments, key: str) -> Probe:
    return _look_at_backup(context, arguments, key, verify=True)


def _apply_backup(context: Context, arguments: Arguments, permit: Permit) -> None:
    environment, sha = context.environment(arguments.text("environment")), arguments.text("sha")
    database.pending(context, environment, sha)
    commands.apply(context, environment, sha, database.configured(environment).backup, {"key": permit.key})


# -- restore ----------------------------------------------------------------------------------------------------------


def _look_at_restore(context: Context, arguments: Arguments, *, verify: bool) -> Probe:
    environment, sha, backup = (
        context.environment(arguments.text("environment")),
        arguments.text("sha"),
        arguments.text("backup"),
    )
    presence, said = commands.probe(
        context, environment, sha, database.configured(environment).restore, {"key": backup}, verify=verify
    )
    if presence is not Presence.APPLIED:
        return commands.as_probe(presence, said, {})
    left = database.pending(context, environment, sha)
    return commands.as_probe(presence, said, {}, {f"pending:{environment.name}": database.fingerprint(left)})


def _probe_restore(context: Context, arguments: Arguments, _key: str) -> Probe:
    return _look_at_restore(context, arguments, verify=False)


def _verify_restore(context: Context, arguments: Arguments, _key: str) -> Probe:
    return _look_at_restore(context, arguments, verify=True)


def _apply_restore(context: Context, arguments: Arguments, _permit: Permit) -> None:
    environment, sha = context.environment(arguments.text("environment")), arguments.text("sha")
    database.pending(context, environment, sha)
    restore = database.configured(environment).restore
    commands.apply(context, environment, sha, restore, {"key": arguments.text("backup")})


TOOLS = (
    Actor(
        acts(
            "migrate.apply",
            "Apply exactly the named migrations to an environment's database.",
            {"environment": Argument("environment"), "sha": Argument("sha"), "names": Argument("names")},
            {"applied": "names"},
            effect=EffectClass.QUIESCE, reach=None,
        ),
        _probe_migrate, _apply_migrate, _pins_migrate, _verify_migrate, lambda product: _effect(product, "migrate"),
    ),
    Actor(
        acts(
            "backup.create",
            "Back up an environment's database under the act's key.",
            {"environment": Argument("environment"), "sha": Argument("sha")},
            {"key": "key", "bytes": "integer", "sha256": "text"},
            effect=EffectClass.QUIESCE, reach=None,
        ),
        _probe_backup, _apply_backup, _identity_pin, _verify_backup, lambda product: _effect(product, "backup"),
    ),
    Actor(
        acts(
            "backup.restore",
            "Put a backup in the place of an environment's database; what was written since is lost.",
            {"environment": Argument("environment"), "sha": Argument("sha"), "backup": Argument("key")},
            {},
            effect=EffectClass.QUIESCE, reach=None, undoable=False,
        ),
        _probe_restore, _apply_restore, _identity_pin, _verify_restore, lambda product: _effect(product, "restore"),
    ),
)  # fmt: skip
