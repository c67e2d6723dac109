"""After a rollback that restored the database: what the next release has to migrate is told by what production has."""

from __future__ import annotations

import sqlite3
import subprocess
import time

import pytest

from pilothouse.app import Request, os_user
from pilothouse.harbour import fault
from shipping import follow, rows, ship

WHO = os_user("test")
ADDED = "0007_item_labels"


class Somebody:
    """A developer with a clone of their own."""

    def __init__(self, world, folder):
        self.world, self.folder = world, folder
        subprocess.run(["git", "clone", "-q", str(world.origin), str(folder)], check=True)

    def git(self, *argv):
        name = ["-c", "user.name=ann", "-c", "user.email=ann@acme.test"]
        done = subprocess.run(["git", *name, *argv], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def push(self, message, files=()):
        """A commit on main with a changelog entry, and CI's word on it."""
        self.git("pull", "-q", "--ff-only", "origin", "main")
        log = self.folder / "CHANGELOG.md"
        log.write_text(
            log.read_text().replace("## [Unreleased]\n", "## [Unreleased]\n\n### Fixed\n\n- Mended (#260)\n", 1)
        )
        for path, text in dict(files).items():
            (self.folder / path).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        self.git("push", "-q", "origin", "HEAD:main")
        head = self.git("rev-parse", "HEAD")
        query = f"SELECT name FROM checks WHERE sha = '{head}' AND status = 'completed'"
        for _ in range(400):
            if len(rows(self.world.folder / "forge.db", query)) >= 2:
                return head
            time.sleep(0.05)
        raise AssertionError("CI did not finish")


def applied(world, environment="production"):
    return {name for (name,) in rows(world.database(environment), "SELECT name FROM migrations")}


def close_issues(world):
    with sqlite3.connect(world.folder / "forge.db") as forge:
        forge.execute("UPDATE threads SET state = 'CLOSED' WHERE kind = 'issue' AND title LIKE '%1.4.0%'")


@pytest.fixture
def restored(harbour, conduct, tmp_path):
    """1.4.0 was released, tagged, and rolled back with its database."""
    world = harbour()
    app = conduct(world)
    assert ship(app).state.standing() == "done"
    assert ADDED in applied(world)
    inputs = {"severity": "high", "reason": "orders get lost", "restore_database": True}
    state = follow(app, app.start(Request("acme", workflow="rollback", inputs=inputs), WHO)).state
    assert state.standing() == "rolled-back", (state.refused, state.halted)
    assert ADDED not in applied(world)
    assert ADDED in applied(world, "staging")
    close_issues(world)
    app.unlock("acme", WHO, reason="the cause is found")
    return world, app, Somebody(world, tmp_path / "somebody")


def test_a_mended_release_brings_the_rolled_back_migrations_again(restored):
    world, app, somebody = restored
    somebody.push("fix: orders are kept (#260)", {"docs.txt": "mended\n"})
    state = ship(app).state
    assert state.standing() == "done", (state.refused, state.halted, state.branched)
    assert state.started.from_version == "1.4.0"  # the tag stays: evidence is never deleted
    pending = state.facts()["production-migrations"]
    assert (pending["expand"], pending["unexpected"]) == ([ADDED], [])
    assert ADDED in applied(world)


def test_a_migration_of_neither_the_range_nor_the_rolled_back_release_is_unexpected_still(restored):
    world, app, somebody = restored
    fault(world.folder, "unexpected-migration", on=True)
    somebody.push("fix: orders are kept (#260)", {"docs.txt": "mended\n"})
    state = ship(app).state
    assert state.refused.reason_code == "migrations-unexpected"
    assert state.facts()["production-migrations"]["unexpected"] == ["0006_name_index"]
