"""Whole releases in the sandbox world: real git, gh, HTTP services and databases (REL, RB, INT-3, INT-4)."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import urllib.request

import pytest

from pilothouse.app import Request, os_user
from pilothouse.errors import InvalidFile, RequestRefused
from pilothouse.harbour import fault
from pilothouse.ledger.chain import verify
from shipping import follow, refs, rows, ship, state_of, tables, working_tree

WHO = os_user("test")


def answer(world, environment="production"):
    with urllib.request.urlopen(f"{world.urls[environment]}/version", timeout=5) as reply:
        return json.load(reply)


def columns(world, environment="production"):
    return {row[1] for row in rows(world.database(environment), "PRAGMA table_info(items)")}


def git(world, *argv):
    done = subprocess.run(["git", "-C", str(world.origin), *argv], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_release_ships_to_production_and_its_ledger_verifies(harbour, conduct):
    world = harbour()
    app = conduct(world)
    before, tree = refs(world), working_tree(world)
    state = ship(app).state
    assert state.standing() == "done"
    assert answer(world)["version"] == "1.4.0"
    assert answer(world, "staging")["version"] == "1.4.0"
    after = refs(world)
    tag, main = after["refs/tags/v1.4.0"].split()[1], after["refs/heads/main"].strip()
    assert answer(world)["sha"] == tag  # the tag names the deployed commit
    assert git(world, "merge-base", "--is-ancestor", tag, main) == ""
    assert git(world, "merge-base", "--is-ancestor", before["refs/heads/main"].strip(), main) == ""
    assert "refs/heads/release/acme/v1.4.0" not in after
    assert [row[0] for row in rows(world.folder / "forge.db", "SELECT tag FROM releases WHERE tag = 'v1.4.0'")] == [
        "v1.4.0"
    ]
    assert '"version": "1.4.0"' in git(world, "show", f"{tag}:package.json")
    assert "## [1.4.0] - 2026-11-21" in git(world, "show", f"{main}:CHANGELOG.md")
    assert working_tree(world).keys() - tree.keys() <= {"state.yml"}
    assert {name: data for name, data in working_tree(world).items() if name in tree and name != "state.yml"} == {
        name: data for name, data in tree.items() if name != "state.yml"
    }
    assert verify(app.journal.entries("acme"), "acme", app.journal.head("acme").hash).ok


def test_a_dry_run_changes_nothing_and_has_the_digest_of_the_real_run(harbour, conduct):
    world = harbour()
    before = (refs(world), tables(world.folder / "forge.db"), working_tree(world), answer(world))
    databases = {name: tables(world.database(name)) for name in ("staging", "production")}
    app = conduct(world)
    rehearsed, problems = app.rehearse(Request("acme"), WHO)
    assert problems == []
    assert (refs(world), tables(world.folder / "forge.db"), working_tree(world), answer(world)) == before
    assert databases == {name: tables(world.database(name)) for name in ("staging", "production")}
    assert app.runs() == []
    app.close()
    real = ship(conduct(world, clock=type(app.clock)()))
    assert real.state.plan.digest == rehearsed.plan.digest


def test_a_second_release_of_a_busy_product_is_refused_with_who_holds_it(harbour, conduct):
    world = harbour(scripted_approval=False)
    app = conduct(world)
    run = app.start(Request("acme"), WHO)
    assert app.follow(run).wait.checkpoint == "go"
    with pytest.raises(RequestRefused) as refusal:
        app.start(Request("acme"), WHO)
    assert refusal.value.reason_code == "product-busy"
    assert run in refusal.value.message
    assert WHO.identity in refusal.value.message
    looked, _problems = app.rehearse(Request("acme", dry_run=True), WHO)  # looking disturbs nobody
    assert looked.plan is not None


# What each fault must lead to: the run's end, the reason in the ledger, and what production answers then.
ENDS = {
    "ci-red": ("refused", "ci-red", "1.3.0"),
    "ci-pending": ("refused", "ci-pending", "1.3.0"),
    "tests-red": ("refused", "tests-red", "1.3.0"),
    "forge-500": ("refused", "forge-unreachable", "1.3.0"),
    "staging-deploy-fails": ("refused", None, "1.3.0"),
    "unexpected-migration": ("refused", "migrations-unexpected", "1.3.0"),
    "backup-fails": ("refused", None, "1.3.0"),
    "disk-full": ("refused", None, "1.3.0"),
    "tag-conflict": ("halted", "conflict", "1.3.0"),
    "migration-fails": ("rolled-back", None, "1.3.0"),
    "production-deploy-fails": ("rolled-back", None, "1.3.0"),
    "production-unhealthy": ("rolled-back", "unhealthy", "1.3.0"),
    "production-errors": ("rolled-back", None, "1.3.0"),  # by the watch, or by the smoke tests on a slow machine
    "thin-traffic": ("rolled-back", None, "1.3.0"),
    "main-diverged": ("waiting", "plan-changed", "1.3.0"),
    "main-moves-after-deploy": ("done", None, "1.4.0"),
    "main-conflicts-after-deploy": ("halted", "merge-conflict", "1.4.0"),
    "reply-lost": ("done", None, "1.4.0"),
    "effect-late": ("done", None, "1.4.0"),
    "forge-slow": ("done", None, "1.4.0"),
}


def reasons(state):
    found = {act.failed.reason_code for act in state.acts.values() if act.failed}
    for item in (state.refused, state.halted, state.branched):
        if item is not None:
            found.add(item.reason_code)
    return found


@pytest.mark.parametrize("name", ENDS)
def test_a_fault_ends_where_it_should_and_the_world_agrees(name, harbour, conduct):
    world = harbour(name, watch_seconds=4.0 if name == "production-errors" else 1.0)
    app = conduct(world)
    state = ship(app).state
    ended, reason, version = ENDS[name]
    assert state.standing() == ended, (state.refused, state.halted, state.branched)
    if reason:
        assert reason in reasons(state)
    assert answer(world)["version"] == version
    if version == "1.3.0" and name != "tag-conflict":
        assert "refs/tags/v1.4.0" not in refs(world)
    if ended == "rolled-back":
        issues = rows(
            world.folder / "forge.db", "SELECT title FROM threads WHERE kind = 'issue' AND title LIKE '%1.4.0%'"
        )
        assert len(issues) == 1
    assert verify(app.journal.entries("acme"), "acme", app.journal.head("acme").hash).ok


def test_a_rollback_after_a_migration_restores_the_database(harbour, conduct):
    world = harbour("production-errors", watch_seconds=4.0)
    before = columns(world)
    state = ship(conduct(world)).state
    assert state.standing() == "rolled-back"
    assert "rollback-restore" in state.acts
    assert columns(world) == before
    assert columns(world, "staging") != before  # staging keeps what it got


def hotfix(world):
    """Somebody puts another commit on production, past every release."""
    tree, live = (git(world, "rev-parse", f"refs/heads/deploy/production{of}") for of in ("^{tree}", ""))
    who = ("-c", "user.name=ann", "-c", "user.email=ann@acme.test")
    commit = git(world, *who, "commit-tree", tree, "-p", live, "-m", "hotfix")
    git(world, "push", "-q", str(world.origin), f"{commit}:refs/heads/deploy/production")
    wait_until(lambda: answer(world)["sha"] == commit)


def wait_until(holds):
    import time

    for _ in range(400):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


@pytest.mark.parametrize("moment", ["staging", "approved"])
def test_a_hotfix_that_lands_meanwhile_stops_a_release_whose_way_back_it_changed(moment, harbour, conduct):
    harbour_world = harbour()
    app = conduct(harbour_world)
    run = app.start(Request("acme"), WHO)
    world = app.world(state_of(app, run))
    name, step = {"staging": ("after-outcome", "staging-deploy"), "approved": ("after-intent", "production-deploy")}[
        moment
    ]
    world.boundary = lambda at, of: hotfix(harbour_world) if (at, of) == (name, step) else None
    while (standing := app.advance(run, world)).wait:
        if standing.wait.checkpoint:
            assert app.approve_scripted(standing.state, standing.wait.checkpoint)
    assert standing.state.refused.reason_code == "production-changed"
    assert answer(harbour_world)["version"] == "1.3.0"
    assert "refs/tags/v1.4.0" not in refs(harbour_world)


def test_one_look_that_fails_hides_no_other_blocker(harbour, conduct):
    state = ship(conduct(harbour("forge-500", "unexpected-migration"))).state
    told = state.refused.message
    assert state.refused.reason_code == "forge-unreachable"
    assert "blockers: " in told
    assert "pending but not part of this release" in told


def test_a_rollback_that_fails_halts_and_escalates(harbour, conduct):
    world = harbour("production-unhealthy", "rollback-fails")
    state = ship(conduct(world)).state
    assert state.standing() == "halted"
    assert state.halted.reason_code == "rollback-failed"


def test_a_mended_environment_is_gone_on_with(harbour, conduct):
    world = harbour("staging-deploy-fails")
    app = conduct(world)
    run = ship(app).state.run
    fault(world.folder, "staging-deploy-fails", on=False)
    app.resume(run, WHO)
    state = follow(app, run).state
    assert state.standing() == "done"
    assert state.acts["staging-deploy"].attempts == 2
    assert answer(world)["version"] == "1.4.0"


def test_a_mended_commit_starts_a_run_that_supersedes_the_resting_one(harbour, conduct, tmp_path):
    world = harbour("staging-deploy-fails")
    app = conduct(world)
    first = ship(app).state.run
    fault(world.folder, "staging-deploy-fails", on=False)
    push_to_main(world, tmp_path)
    wait_for_ci(world)
    state = ship(app).state
    assert state.standing() == "done"
    assert state.started.supersedes == first
    assert state_of(app, first).superseded_by == state.run


def push_to_main(world, tmp_path):
    clone = tmp_path / "somebody"
    run = lambda *argv: subprocess.run(["git", *argv], cwd=clone, check=True, capture_output=True)  # noqa: E731
    subprocess.run(["git", "clone", "-q", str(world.origin), str(clone)], check=True)
    (clone / "docs.txt").write_text("mended\n")
    run("add", "docs.txt")
    run("-c", "user.name=ann", "-c", "user.email=ann@acme.test", "commit", "-qm", "fix: mend it (#260)")
    run("push", "-q", "origin", "HEAD:main")
    shutil.rmtree(clone)


def wait_for_ci(world):
    import time

    head = git(world, "rev-parse", "main")
    for _ in range(200):
        done = rows(world.folder / "forge.db", f"SELECT name FROM checks WHERE sha = '{head}' AND status = 'completed'")
        if len(done) >= 2:
            return
        time.sleep(0.05)
    raise AssertionError("CI did not finish")


def test_a_released_version_is_rolled_back_on_its_own_and_never_twice(harbour, conduct):
    world = harbour()
    app = conduct(world)
    assert ship(app).state.standing() == "done"
    inputs = {"severity": "high", "reason": "customers see errors"}
    run = app.start(Request("acme", workflow="rollback", inputs=inputs), WHO)
    state = follow(app, run).state
    assert state.standing() == "rolled-back"
    assert answer(world)["version"] == "1.3.0"
    assert "refs/tags/v1.4.0" in refs(world)  # evidence is never deleted
    with pytest.raises(RequestRefused) as refusal:
        app.start(Request("acme", workflow="rollback", inputs=inputs), WHO)
    assert refusal.value.reason_code == "rollback-of-rollback"


def test_there_is_nothing_to_roll_back_before_anything_was_shipped(harbour, conduct):
    with pytest.raises(RequestRefused) as refusal:
        conduct(harbour()).start(Request("acme", workflow="rollback"), WHO)
    assert refusal.value.reason_code == "nothing-to-roll-back"


def test_a_main_that_conflicts_is_merged_by_hand_and_the_run_goes_on(harbour, conduct, tmp_path):
    world = harbour("main-conflicts-after-deploy")
    app = conduct(world)
    state = ship(app).state
    assert state.standing() == "halted"
    pulls = rows(
        world.folder / "forge.db", "SELECT number FROM threads WHERE kind = 'pull' AND head = 'release/acme/v1.4.0'"
    )
    assert len(pulls) == 1
    merge_by_hand(world, tmp_path)
    app.resume(state.run, WHO)
    assert follow(app, state.run).state.standing() == "done"
    assert "refs/tags/v1.4.0" in refs(world)


def merge_by_hand(world, tmp_path):
    clone = tmp_path / "hands"
    subprocess.run(["git", "clone", "-q", str(world.origin), str(clone)], check=True)
    run = lambda *argv: subprocess.run(  # noqa: E731
        ["git", "-c", "user.name=ann", "-c", "user.email=ann@acme.test", *argv],
        cwd=clone,
        check=True,
        capture_output=True,
    )
    run("merge", "-q", "-X", "ours", "--no-edit", "origin/release/acme/v1.4.0")
    run("push", "-q", "origin", "HEAD:main")


def test_after_a_rejection_the_next_release_of_that_version_builds_on_what_was_left(harbour, conduct):
    world = harbour(scripted_approval=False)
    app = conduct(world)
    first = app.start(Request("acme"), WHO)
    assert app.follow(first).wait.checkpoint == "go"
    app.reject(first, WHO, "not today")
    left = refs(world)["refs/heads/release/acme/v1.4.0"].strip()
    second = app.start(Request("acme"), WHO)
    assert app.follow(second).wait.checkpoint == "go"
    head = refs(world)["refs/heads/release/acme/v1.4.0"].strip()
    assert git(world, "merge-base", "--is-ancestor", left, head) == ""  # forward only, never forced


def test_after_a_rollback_the_mended_version_ships(harbour, conduct, tmp_path):
    world = harbour("production-unhealthy")
    app = conduct(world)
    assert ship(app).state.standing() == "rolled-back"
    fault(world.folder, "production-unhealthy", on=False)
    app.unlock("acme", WHO, reason="the cause is found")  # a rollback locks its product until somebody has looked
    push_to_main(world, tmp_path)
    wait_for_ci(world)
    blocked = ship(app).state
    assert blocked.refused.reason_code == "blockers-open"  # the issue that the rollback opened
    close_issues(world)
    app.resume(blocked.run, WHO)
    state = follow(app, blocked.run).state
    assert state.standing() == "done", (state.refused, state.halted, state.branched)
    assert answer(world)["version"] == "1.4.0"


def close_issues(world):
    with sqlite3.connect(world.folder / "forge.db") as forge:
        forge.execute("UPDATE threads SET state = 'CLOSED' WHERE kind = 'issue' AND title LIKE '%1.4.0%'")


def test_an_edited_state_file_stops_the_next_run_with_the_difference(harbour, conduct):
    world = harbour(scripted_approval=False)
    app = conduct(world)
    run = app.start(Request("acme"), WHO)
    app.follow(run)
    file = world.project / "state.yml"
    file.write_text(file.read_text().replace('"1.3.0"', '"7.7.7"', 1))
    with pytest.raises(InvalidFile) as refusal:
        app.resume(run, WHO)
    assert refusal.value.reason_code == "state-edited"
    assert "7.7.7" in refusal.value.message
    assert "1.3.0" in refusal.value.message
