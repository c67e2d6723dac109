"""From the shape of pilothouse.yml to the plain frozen values that tools and guard see."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse import settings
from pilothouse.canonical import Json
from pilothouse.config import models, shapes, trail
from pilothouse.config.policy import Needed
from pilothouse.model import Approver


def configuration(shape: shapes.Configuration, source: str, path: str) -> settings.Configuration:
    """The configuration as frozen values; ``source`` is the file's text, ``path`` the file as the person knows it."""
    products = {name: _product(name, product) for name, product in shape.products.items()}
    policy = settings.Policy(
        checkpoint_expires=shape.policy.checkpoint_expires // 1000,
        scripted_approvals=shape.policy.scripted_approvals,
        allow_short_watch=shape.policy.allow_short_watch,
        unconfigured_suites=shape.policy.unconfigured_suites,
        approval=_needed(shape.policy.approval),
        additional={
            name: _needed(getattr(shape.policy.additional, name)) for name in type(shape.policy.additional).model_fields
        },
        four_eyes=shape.policy.approval.four_eyes,
        signature=shape.policy.approval.signature,
        freezes=tuple(
            settings.Freeze(
                item.name,
                item.reason,
                item.start,
                item.rule or "",
                item.duration // 1000,
                item.time_zone,
                tuple(item.products),
            )
            for item in shape.policy.freezes
        ),
        override=_needed(shape.policy.override or shape.policy.approval),
        lock_after_rollback=shape.policy.lock_after_rollback,
        elicitation=shape.policy.elicitation,
    )
    approvers = tuple(
        Approver(item.id, tuple(item.groups), tuple(item.accounts), item.ssh_key or "", item.name, item.email)
        for item in shape.approvers
    )
    seen = {name: visible(product) for name, product in products.items()}
    thinking = models.frozen(shape.models) if shape.models else None
    return settings.Configuration(
        products, shape.workflow, policy, source, path, seen, approvers, _schedules(shape), _triggers(shape), thinking,
        shape.ledger,
    )  # fmt: skip


def _needed(shape: Needed) -> settings.Needed:
    return settings.Needed(shape.group, shape.number)


def visible(product: settings.Product) -> dict[str, Json]:
    """What ``{setting: dotted.path}`` of a workflow sees of a product (docs/configuration.md lists it)."""
    production = product.environments["production"]
    promoted = product.promotion or settings.Promotion()
    watch: dict[str, Json] = {"window_ms": 0, "every_ms": 0}
    if product.watch is not None:
        watch = {"window_ms": product.watch.window_ms, "every_ms": product.watch.every_ms}
    return {
        "blocker_labels": list(product.readiness.blocker_labels),
        "comments_tickets": product.tickets is not None and product.tickets.comment,
        "delete_branch": product.delete_branch,
        "deploys_itself": product.promotion is None,
        "has_database": production.database is not None,
        "has_drift": all(environment.settings is not None for environment in product.environments.values()),
        "has_forge": product.forge is not None,
        "has_manual_checks": bool(product.manual_checks),
        "has_logs": any(environment.logs is not None for environment in product.environments.values()),
        "has_promotion": product.promotion is not None,
        "has_record": product.audit is not None,
        "has_tickets": product.tickets is not None,
        "has_performance": "performance" in product.suites,
        "has_staging": "staging" in product.environments,
        "has_watch": product.watch is not None,
        "promotion": {
            "branch": promoted.branch,
            "deployment": promoted.deployment,
            "timeout": int(promoted.timeout),
        },
        "release_labels": [product.readiness.release_label],
        "rollback_minutes": product.rollback.minutes,
        "rollback_restore_asks": product.rollback.restore == "ask",
        "watch": watch,
    }


def _product(name: str, shape: shapes.Product) -> settings.Product:
    both = {"staging": shape.environments.staging, "production": shape.environments.production}
    return settings.Product(
        name=name,
        title=shape.title or name,
        phase=shape.phase,
        path=shape.path,
        remote=shape.remote,
        remote_token=shape.remote_token or "",
        base=shape.base,
        manual_checks=tuple(
            settings.ManualCheck(item.id, item.ask, item.max_age // 1000) for item in shape.manual_checks
        ),
        forge=_forge(shape.forge),
        versioning=settings.Versioning(
            scheme=shape.versioning.scheme,
            tag_prefix=shape.versioning.tag_prefix,
            changelog=shape.versioning.changelog,
            files=tuple(settings.VersionFile(file.path, file.pattern) for file in shape.versioning.files),
        ),
        readiness=settings.Readiness(
            checks=tuple(shape.readiness.checks),
            allow_skipped=tuple(shape.readiness.allow_skipped),
            blocker_labels=tuple(shape.readiness.blocker_labels),
            release_label=shape.readiness.release_label,
            allowed_secrets=tuple(shape.readiness.allowed_secrets),
        ),
        suites={
            suite_name: settings.Suite(tuple(suite.run), suite.timeout / 1000, suite.environment)
            for suite_name, suite in shape.suites.items()
        },
        not_verified=tuple(shape.not_verified),
        environments={key: _environment(key, value) for key, value in both.items() if value is not None},
        drift_ignore=tuple(shape.drift.ignore),
        watch=_watch(shape.watch),
        rollback=settings.Rollback(shape.rollback.minutes, shape.rollback.restore),
        delete_branch=shape.finalise.delete_branch,
        promotion=trail.promotion(shape.promotion),
        audit=trail.audit(shape.audit),
        tickets=trail.tickets(shape.tickets),
        notify=tuple(_notice(notice) for notice in shape.notify),
    )


def _notice(
    shape: shapes.ConsoleNotice | shapes.FileNotice | shapes.AppriseNotice | shapes.NtfyNotice | shapes.WebhookNotice,
) -> settings.Notice:
    return settings.Notice(
        shape.channel,
        getattr(shape, "path", ""),
        getattr(shape, "url_variable", ""),
        tuple(getattr(shape, "states", ())),
        getattr(shape, "allow_private", False),
    )


def _schedules(shape: shapes.Configuration) -> tuple[settings.Schedule, ...]:
    return tuple(
        settings.Schedule(
            item.product, item.workflow or shape.workflow, item.cron, item.time_zone, item.catch_up // 1000
        )
        for item in shape.schedules
    )


def _triggers(shape: shapes.Configuration) -> tuple[settings.Trigger, ...]:
    return tuple(
        settings.Trigger(
            item.product, item.workflow or shape.workflow, item.on, getattr(item, "of", item.product),
            getattr(item, "milestone", ""), getattr(item, "phase", ""), item.catch_up // 1000,
        )
        for item in shape.events
    )  # fmt: skip


def _forge(shape: shapes.Forge | None) -> settings.Forge | None:
    if shape is None:
        return None
    return settings.Forge(shape.kind, shape.repository, tuple(shape.credentials), tuple(shape.environment))


def _watch(shape: shapes.Watch | None) -> settings.WatchRule | None:
    if shape is None:
        return None
    return settings.WatchRule(
        window_ms=shape.window,
        every_ms=shape.every,
        error_rate=settings.Threshold(shape.error_rate.rise, shape.error_rate.unit),
        latency=settings.Threshold(shape.latency.rise, shape.latency.unit, shape.latency.quantile),
    )


def _environment(name: str, shape: shapes.Environment) -> settings.Environment:
    return settings.Environment(
        name=name,
        url=shape.url,
        deploy=_deploy(shape.deploy),
        health=settings.Health(
            path=shape.health.path,
            version=shape.health.version,
            times=shape.health.times,
            every=shape.health.every / 1000,
            timeout=shape.health.timeout / 1000,
            deadline=shape.health.deadline / 1000,
            allow_private=shape.health.allow_private,
        ),
        credentials=tuple(shape.credentials),
        database=_database(shape.database),
        logs=settings.Logs(tuple(shape.logs.run), tuple(shape.logs.reject)) if shape.logs else None,
        settings=_argv(shape.settings),
        metrics_path=shape.metrics.path if shape.metrics else None,
    )


def _deploy(shape: shapes.PushDeploy | shapes.CommandDeploy) -> settings.Deploy:
    if isinstance(shape, shapes.PushDeploy):
        return settings.Deploy("push", branch=shape.branch, timeout=shape.timeout / 1000)
    return settings.Deploy("command", command=_command(shape), timeout=shape.timeout / 1000)


def _database(shape: shapes.Database | None) -> settings.Database | None:
    if shape is None:
        return None
    return settings.Database(
        identity=shape.identity,
        pending=tuple(shape.pending),
        migrate=_command(shape.migrate),
        backup=_command(shape.backup),
        restore=_command(shape.restore),
    )


def _command(shape: shapes.Command | shapes.CommandDeploy) -> settings.Command:
    return settings.Command(tuple(shape.run), _argv(shape.probe), _argv(shape.verify), shape.timeout / 1000)


def _argv(argv: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if argv is None else tuple(argv)
