"""Releases of a real sandbox world whose agents ask a real server, and what the world looks like afterwards."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from llm.model_server import KEY, ModelServer
from pilothouse import harbour as sandbox
from pilothouse.app import Pilothouse, Request, os_user
from pilothouse.harbour import Variant
from pilothouse_tools.act import ACTORS
from shipping import acts, follow, refs, rows, state_of

BODIES = {tool.spec.name: {name for name, about in tool.spec.arguments.items() if about.text_body} for tool in ACTORS}
ROLLBACK = Request(
    "acme", workflow="rollback", inputs={"severity": "high", "reason": "errors", "restore_database": True}
)


class StandingClock:
    """Time that passes only while somebody sleeps: whoever looks more often sees no other time."""

    def __init__(self, start=datetime(2026, 11, 21, 9, 0, tzinfo=UTC)):
        self.start, self.slept = start, 0.0

    def now(self):
        return self.start + timedelta(seconds=self.slept)

    def sleep(self, seconds):
        import time

        time.sleep(max(0.0, seconds))
        self.slept += max(0.0, seconds)


def section(server, seconds=20):
    """A product's ``models:``, the same bytes for whatever the server plays."""
    return f"models:\n  base_url: {server.url}\n  budgets: {{step: {{seconds: {seconds}}}}}\n"


@contextmanager
def world_of(folder, ports, server, *faults, watch_seconds=2.0):
    world = sandbox.up(
        folder, faults=faults, watch_seconds=watch_seconds, ports=ports, variant=Variant(models=section(server))
    )
    try:
        yield world
    finally:
        sandbox.down(folder)


@contextmanager
def conducting(world, clock, *, key=KEY, **options):
    environ = {name: value for name, value in os.environ.items() if name != "ANTHROPIC_API_KEY"}
    app = Pilothouse(
        world.project,
        environ={**environ, **world.environment, **({"ANTHROPIC_API_KEY": key} if key else {})},
        clock=clock,
        **options,
    )
    try:
        yield app
    finally:
        app.close()


def play(server, what):
    """From here on the server plays this; what it heard before is forgotten."""
    server.play = what
    server.asked.clear()
    server.counted.clear()


def plain(effects):
    """Effects without the named text bodies."""
    return [
        (step, tool, {name: value for name, value in given.items() if name not in BODIES[tool]})
        for step, tool, given in effects
    ]


def described(world, app, run, *, bodies):
    """What is there after a run. ``bodies``: with the texts of releases and issues, too."""
    forge, text = world.folder / "forge.db", ", body" if bodies else ""
    done = acts(app, run)
    return {
        "refs": refs(world),
        "acts": done if bodies else plain(done),
        "releases": rows(forge, f"SELECT tag, name, author, target, draft{text} FROM releases ORDER BY id"),
        "threads": rows(forge, f"SELECT number, kind, title, author, state, labels, head, base, draft{text} FROM threads ORDER BY number"),
        "comments": rows(forge, "SELECT thread, author, body FROM comments ORDER BY id"),
        "deployments": [_deployments(world, name) for name in ("staging", "production")],
        "database": rows(world.database("production"), "SELECT name, sql FROM sqlite_master ORDER BY name"),
    }  # fmt: skip


def _deployments(world, environment):
    lines = (world.folder / environment / "deployments.jsonl").read_text().splitlines()
    return [(entry["sha"], entry["version"], entry["state"]) for entry in map(json.loads, lines)]


def released(world, clock, *, request=None, key=KEY, **options):
    """A run, followed to where it ends or waits: its id, its standing and what is there."""
    with conducting(world, clock, key=key, **options) as app:
        run = app.start(request or Request("acme"), os_user("test"))
        standing = follow(app, run, by_hand=True)
        found = {bodies: described(world, app, run, bodies=bodies) for bodies in (False, True)}
        return run, standing, found, [event for event in app.journal.read("acme") if event.run == run]


__all__ = ["ModelServer", "Request", "state_of"]
