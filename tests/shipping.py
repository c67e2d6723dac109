"""Ship the sample product in a real sandbox world, and describe what the world looks like afterwards."""

from __future__ import annotations

import sqlite3
import subprocess

from pilothouse.app import Request, os_user
from pilothouse.guard.fold import fold

MOMENTS = {"at", "time", "created", "updated", "published", "started", "completed"}


def ship(app, *, by_hand=False, **request):
    """Start a release and follow it, approving by the world's scripted approval."""
    run = app.start(Request("acme", **request), os_user("test"))
    return follow(app, run, by_hand=by_hand)


def follow(app, run, *, by_hand=False):
    """Go on; ``by_hand``: where the scripted approval is not enough, because data is destroyed or rules change, a person types."""

    def approve(state, checkpoint):
        if app.approve_scripted(state, checkpoint):
            return True
        if by_hand:
            app.approve(run, os_user("terminal"), lambda _card, word: word)
        return by_hand

    return app.follow(run, approve=approve)


def state_of(app, run):
    return fold(event for event in app.journal.read("acme") if event.run == run)


def refs(world):
    """Every ref of the remote and where it points (annotated tags peeled)."""
    out = subprocess.run(
        ["git", "-C", str(world.origin), "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return dict(line.split(" ", 1) for line in out.splitlines())


def rows(file, query):
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        return connection.execute(query).fetchall()


def tables(file):
    """Everything in a database but the moments at which things happened."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        found = {}
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name").fetchall():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            kept = [column for column in columns if not column.endswith("_at") and column not in MOMENTS]
            found[name] = sorted(map(repr, connection.execute(f"SELECT {', '.join(kept)} FROM {name}").fetchall()))
        return found


def acts(app, run):
    """What the ledger says was done: step and arguments, in order."""
    intended, done = {}, []
    for event in app.journal.read("acme"):
        if event.run != run:
            continue
        if event.kind == "Intended":
            intended[event.fact.step] = event.fact
        if event.kind == "Done":
            done.append((event.fact.step, intended[event.fact.step].tool, intended[event.fact.step].arguments))
    return done


def working_tree(world):
    """Bytes of every file of the clone but the conductor's own folder."""
    files = {}
    for path in sorted(world.project.rglob("*")):
        inside = path.relative_to(world.project)
        if path.is_file() and inside.parts[0] != ".pilothouse":
            files[inside.as_posix()] = path.read_bytes()
    return files
