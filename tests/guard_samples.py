"""A sample product's settings, for tests of the guard and the engine."""

from __future__ import annotations

from pilothouse.settings import Deploy, Environment, Health, Product, Readiness, Rollback, Versioning


def product(**changes):
    environment = Environment(
        "production", "http://x", Deploy("push", "deploy/production"), Health("/health", "/version")
    )
    fields = {
        "name": "acme", "title": "Acme", "path": ".", "remote": "origin", "base": "main", "forge": None,
        "versioning": Versioning(), "readiness": Readiness(checks=("unit", "lint"), allow_skipped=("lint",)), "suites": {},
        "not_verified": (), "environments": {"production": environment}, "drift_ignore": (), "watch": None,
        "rollback": Rollback(), "delete_branch": True, "notify": (),
    }  # fmt: skip
    return Product(**{**fields, **changes})
