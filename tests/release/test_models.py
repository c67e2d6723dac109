"""Whole releases of projects that are not the usual one: deployed by a command, or with a migration after the code."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import urllib.error
import urllib.request
from contextlib import closing

import pytest

from pilothouse.app import Request, os_user
from pilothouse.harbour import FAULTS, Variant, fault
from pilothouse.harbour.faults import PROMOTION_ONLY, Switches
from pilothouse.ledger.chain import verify
from release.test_release import ENDS
from shipping import acts, follow, refs, rows, ship

WHO = os_user("test")
COMMAND = Variant(deploy="command")
CONTRACTING = Variant(contracting=True)
EXPAND, CONTRACT = "0007_item_labels", "0008_drop_category"


def verified(app):
    return verify(app.journal.entries("acme"), "acme", app.journal.head("acme").hash).ok


def get(world, page, environment="production"):
    try:
        with urllib.request.urlopen(world.urls[environment] + page, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def puts(world, environment="production"):
    """What was put onto an environment since the world began: version and outcome."""
    lines = (world.folder / environment / "deployments.jsonl").read_text().splitlines()
    return [(entry["version"], entry["state"]) for entry in map(json.loads, lines)][1:]


def roll_back(app, **inputs):
    asked = {"severity": "high", "reason": "customers see errors", **inputs}
    return follow(app, app.start(Request("acme", workflow="rollback", inputs=asked), WHO), by_hand=True).state


def test_every_fault_of_the_sandbox_has_a_release_that_meets_it():
    # rollback-fails needs another fault, and has its own test; the others are those of a promotion (test_promotion.py).
    assert ENDS.keys() | {"rollback-fails"} | PROMOTION_ONLY == FAULTS.keys()


# --- a deploy script of the project's own -----------------------------------------------------------------------------


def test_a_release_and_its_rollback_go_by_the_projects_own_deploy_command(harbour, conduct):
    world = harbour(variant=COMMAND)
    app, before = conduct(world), refs(world)
    state = ship(app, by_hand=True).state
    assert state.standing() == "done", (state.refused, state.halted, state.branched)
    released = state.acts["branch"].done.facts["sha"]
    for name in ("staging", "production"):
        assert get(world, "/version", name) == (200, {"version": "1.4.0", "sha": released})
        assert get(world, "/health", name)[0] == 200
        assert puts(world, name) == [("1.4.0", "success")]
    assert refs(world)["refs/tags/v1.4.0"].split()[1] == released
    assert {act.effect for act in state.plan.acts if act.tool == "deploy.apply"} == {"Q"}

    state = roll_back(app)
    assert state.standing() == "rolled-back", (state.refused, state.halted, state.branched)
    assert get(world, "/version")[1] == {"version": "1.3.0", "sha": before["refs/tags/v1.3.0"].split()[1]}
    assert puts(world) == [("1.4.0", "success"), ("1.3.0", "success")]
    after = refs(world)
    for name in ("staging", "production"):  # nothing was pushed to deploy
        assert after[f"refs/heads/deploy/{name}"] == before[f"refs/heads/deploy/{name}"]
    assert verified(app)


def test_a_deploy_command_that_fails_on_staging_refuses_and_is_tried_again_on_resume(harbour, conduct):
    world = harbour("staging-deploy-fails", variant=COMMAND)
    app = conduct(world)
    state = ship(app, by_hand=True).state
    assert state.standing() == "refused"
    failed = state.acts["staging-deploy"].failed
    assert (failed.reason_code, "exited with 1" in failed.message) == ("command-failed", True)
    assert get(world, "/version", "staging")[1]["version"] == "1.3.0"
    fault(world.folder, "staging-deploy-fails", False)
    app.resume(state.run, WHO)
    assert follow(app, state.run, by_hand=True).state.standing() == "done"
    assert puts(world, "staging") == [("1.4.0", "failure"), ("1.4.0", "success")]
    assert verified(app)


def test_a_deploy_command_that_fails_on_production_takes_the_release_back(harbour, conduct):
    world = harbour("production-deploy-fails", variant=COMMAND)
    app, before = conduct(world), get(world, "/version")
    state = ship(app, by_hand=True).state
    assert state.standing() == "rolled-back", (state.refused, state.halted)
    assert state.acts["production-deploy"].failed.reason_code == "command-failed"
    assert state.acts["rollback-deploy"].done.found  # 1.3.0 never went away, so it is not deployed once more
    assert get(world, "/version") == before
    assert puts(world) == [("1.4.0", "failure")]
    assert verified(app)


@pytest.mark.parametrize("name", ["reply-lost", "effect-late"])
def test_a_deploy_command_that_got_no_answer_is_judged_by_what_runs_and_not_by_its_exit_code(name, harbour, conduct):
    world = harbour(name, variant=COMMAND)
    app = conduct(world)
    state = ship(app, by_hand=True).state
    assert state.standing() == "done", (state.refused, state.halted, state.branched)
    assert get(world, "/version")[1]["sha"] == state.acts["branch"].done.facts["sha"]
    assert name not in Switches(world.folder / "faults.json")  # it did happen
    assert (state.acts["production-deploy"].attempts, puts(world)) == (1, [("1.4.0", "success")])
    assert verified(app)


# --- a migration that must wait for the code --------------------------------------------------------------------------


SHIPPED = [
    ("staging-expand", [EXPAND]), ("staging-deploy", "1.4.0"), ("staging-contract", [CONTRACT]),
    ("backup", ""), ("production-expand", [EXPAND]), ("production-deploy", "1.4.0"), ("production-contract", [CONTRACT]),
]  # fmt: skip


def done(app, run):
    """The acts of a run on environments, in the order in which the ledger says that they were done, and with what."""
    for step, tool, arguments in acts(app, run):
        if tool.partition(".")[0] in {"migrate", "deploy", "backup"}:
            yield step, arguments.get("names") or arguments.get("version", "")


def migrated(world, environment="production"):
    """What the environment's own record says was applied since 1.3.0, in order."""
    return [name for (name,) in rows(world.database(environment), "SELECT name FROM migrations ORDER BY rowid")][6:]


def columns(world, environment="production"):
    return {row[1] for row in rows(world.database(environment), "PRAGMA table_info(items)")}


def sort_goods(world):
    """Customers' own data, in the column that the release drops; what of it there is then."""
    with closing(sqlite3.connect(world.database("production"))) as connection, connection:
        connection.execute("UPDATE items SET category = 'deck' WHERE id % 3 = 0")
        connection.execute("INSERT INTO categories VALUES ('deck')")
    return sorted_goods(world)


def sorted_goods(world):
    goods = rows(world.database("production"), "SELECT id, name, category FROM items ORDER BY id")
    return goods, rows(world.database("production"), "SELECT name FROM categories")


def test_a_migration_that_contracts_runs_after_the_code_and_is_taken_back_with_its_data(harbour, conduct):
    world = harbour(variant=CONTRACTING)
    before, app = sort_goods(world), conduct(world)
    state = ship(app, by_hand=True).state
    assert state.standing() == "done", (state.refused, state.halted, state.branched)
    assert list(done(app, state.run)) == SHIPPED
    for name in ("staging", "production"):
        assert migrated(world, name) == [EXPAND, CONTRACT]
        assert ("labels" in columns(world, name), "category" in columns(world, name)) == (True, False)
        assert (get(world, "/health", name)[0], get(world, "/version", name)[1]["version"]) == (200, "1.4.0")

    state = roll_back(app, restore_database=True)
    assert state.standing() == "rolled-back", (state.refused, state.halted, state.branched)
    assert list(done(app, state.run)) == [("redeploy", "1.3.0"), ("restore", "")]
    assert sorted_goods(world) == before
    assert (migrated(world), "labels" in columns(world)) == ([], False)
    assert (get(world, "/health")[0], get(world, "/version")[1]["version"]) == (200, "1.3.0")
    assert verified(app)


def test_the_code_before_it_cannot_live_with_a_migration_that_contracts(harbour):
    """Otherwise the order above would not matter in this world."""
    world = harbour(variant=CONTRACTING)
    sql = subprocess.run(
        ["git", "-C", str(world.origin), "show", f"main:migrations/{CONTRACT}.sql"], check=True, capture_output=True, text=True
    ).stdout  # fmt: skip
    assert sql.startswith("-- phase: contract\n-- undo: restore\n")
    with closing(sqlite3.connect(world.database("production"))) as connection:
        connection.executescript(sql)
    assert get(world, "/health")[0] == 503


def test_a_release_that_fails_after_its_contraction_takes_itself_back_with_the_data(harbour, conduct):
    world = harbour("production-unhealthy", variant=CONTRACTING)
    before, app = sort_goods(world), conduct(world)
    state = ship(app, by_hand=True).state
    assert state.standing() == "rolled-back", (state.refused, state.halted, state.branched)
    assert list(done(app, state.run)) == [*SHIPPED, ("rollback-deploy", "1.3.0"), ("rollback-restore", "")]
    assert sorted_goods(world) == before
    assert (get(world, "/health")[0], get(world, "/version")[1]["version"]) == (200, "1.3.0")
    assert migrated(world, "staging") == [EXPAND, CONTRACT]  # staging keeps what it got
    assert verified(app)


def test_a_rollback_takes_the_database_back_where_the_version_before_cannot_live_with_it(harbour, conduct):
    world = harbour(variant=CONTRACTING)
    app = conduct(world)
    assert ship(app, by_hand=True).state.standing() == "done"
    state = roll_back(app)  # nobody asked for the restore: it is needed, and the card said so
    assert state.standing() == "rolled-back"
    assert state.acts["restore"].done
    assert "the database goes back to the release's backup" in state.checkpoints["go"].shown.card
    assert (get(world, "/health")[0], get(world, "/version")[1]["version"]) == (200, "1.3.0")
    assert verified(app)
