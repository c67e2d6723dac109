"""Policy in whole releases: locks, freezes and overrides by the base branch, and the lock after a rollback."""

from __future__ import annotations

import subprocess
from datetime import timedelta

import pytest

from pilothouse import harbour as sandbox
from pilothouse.app import Request, os_user
from pilothouse.errors import RequestRefused, UsageError
from pilothouse.events import WAY_BACK
from pilothouse.ledger.chain import verify
from pilothouse.locking import ALL
from pilothouse.model import Person
from pilothouse.playbook.find import find_workflow
from pilothouse.render.course import next_action, state_name
from shipping import follow, ship, state_of

WHO = os_user("test")
STRANGER = Person("mallory", "test", "account")
FREEZE = """\
policy:
  freezes:
    - {name: sale, reason: the sale goes on, start: 2026-11-20T08:00, duration: 7d, time_zone: UTC}
"""


def refused(call, *args, **more):
    with pytest.raises(RequestRefused) as refusal:
        call(*args, **more)
    return refusal.value


def push_policy(world, old, new, message="chore: policy"):
    """Somebody changes pilothouse.yml on the base branch."""
    clone = world.folder / f"policy-{message[-6:].strip().replace(' ', '-')}"
    git = ["git", "-c", "user.name=ann", "-c", "user.email=ann@acme.test"]
    subprocess.run(["git", "clone", "-q", str(world.origin), str(clone)], check=True)
    file = clone / "pilothouse.yml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    subprocess.run([*git, "commit", "-qam", message], cwd=clone, check=True)
    subprocess.run(["git", "push", "-q", "origin", "HEAD:main"], cwd=clone, check=True)
    sandbox.settle(world.folder)


def pull(world):
    """The clone here gets the base branch as it is: what a standing approval asks of it."""
    subprocess.run(["git", "pull", "-q", "--ff-only"], cwd=world.project, check=True)


def edit_here(world, old, new):
    """Somebody edits pilothouse.yml in the working tree, where it permits nothing."""
    file = world.project / "pilothouse.yml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_a_lock_refuses_the_start_says_who_and_why_and_a_stranger_cannot_take_it_off(harbour, conduct):
    world = harbour()
    app = conduct(world)
    app.lock("acme", WHO, name="look", reason="orders get lost", lasts=timedelta(days=3))
    told = refused(app.start, Request("acme"), WHO)
    assert told.reason_code == "locked"
    assert "orders get lost" in told.message and "ceo@acme.test" in told.message and "2026-11-24" in told.message
    assert refused(app.unlock, "acme", STRANGER, reason="let me").reason_code == "not-an-approver"
    # Whoever edits the working tree makes nobody an approver.
    edit_here(world, "accounts: [", "accounts: [mallory, ")
    assert refused(app.unlock, "acme", STRANGER, reason="let me").reason_code == "not-an-approver"
    edit_here(world, "accounts: [mallory, ", "accounts: [")
    app.unlock("acme", WHO, reason="mended")
    assert ship(app).state.standing() == "done"


def test_anybody_stops_the_line_and_takes_off_their_own_lock_only(harbour, conduct):
    app = conduct(harbour())
    app.lock("acme", STRANGER, name="stop", reason="it burns")
    app.lock("acme", WHO, name="mine", reason="inventory")
    assert refused(app.unlock, "acme", STRANGER, name="mine", reason="x").reason_code == "not-an-approver"
    app.unlock("acme", STRANGER, name="stop", reason="a false alarm")
    assert [lock.fact.name for lock in app.line("acme").locks.values()] == ["mine"]
    # An account that is called like an approver's id is not that approver.
    assert (
        refused(app.unlock, "acme", Person("ceo@acme.test", "test", "account"), reason="x").reason_code
        == "not-an-approver"
    )


def test_a_lock_of_every_product_holds_this_one_and_the_ledger_verifies(harbour, conduct):
    app = conduct(harbour())
    app.lock(ALL, WHO, reason="an incident")
    assert refused(app.start, Request("acme"), WHO).reason_code == "locked"
    app.unlock(ALL, WHO, reason="over")
    run = app.start(Request("acme"), WHO)
    assert state_of(app, run).standing() == "running"
    for chain in app.journal.chains():
        assert verify(app.journal.entries(chain), chain, app.journal.head(chain).hash).ok


def test_a_lock_that_ran_out_holds_nothing(harbour, conduct, clock):
    app = conduct(harbour())
    app.lock("acme", WHO, reason="lunch", lasts=timedelta(hours=1))
    assert refused(app.start, Request("acme"), WHO).reason_code == "locked"
    clock.slept += 3700
    assert app.start(Request("acme"), WHO)


def test_a_lock_during_a_run_stops_it_before_it_reaches_production_and_it_goes_on_afterwards(harbour, conduct):
    app = conduct(harbour(scripted_approval=False))
    run = app.start(Request("acme"), WHO)
    assert app.follow(run).wait.checkpoint == "go"
    app.lock("acme", WHO, name="look", reason="a bad feeling")
    state = approved(app, run)
    assert (state.refused.reason_code, state.refused.step) == ("locked", "backup")
    assert not state.production_attempted()
    app.unlock("acme", WHO, reason="it was nothing")
    app.resume(run, WHO)
    assert app.follow(run).state.standing() == "done"


def approved(app, run):
    app.approve(run, WHO, lambda _card, word: word)
    return app.follow(run).state


def test_an_override_is_a_permitted_persons_and_an_exception_on_the_record(harbour, conduct):
    app = conduct(harbour(scripted_approval=False))
    run = app.start(Request("acme"), WHO)
    app.follow(run)
    app.lock("acme", WHO, name="look", reason="a bad feeling")
    state = approved(app, run)
    assert state.refused.reason_code == "locked"
    told = refused(app.resume, run, STRANGER, override=["look"], reason="let me")
    assert told.reason_code == "not-an-approver"
    with pytest.raises(UsageError):
        app.resume(run, WHO, override=["look"], reason=" ")
    with pytest.raises(UsageError) as unknown:
        app.resume(run, WHO, override=["other"], reason="x")
    assert unknown.value.reason_code == "nothing-to-override"
    app.resume(run, WHO, override=["look"], reason="customers wait")
    state = app.follow(run).state
    assert state.standing() == "done", (state.refused, state.halted)
    assert any("lock/look overridden by ceo@acme.test: customers wait" in told for told in state.exceptions)


def test_a_freeze_on_the_base_branch_refuses_and_one_in_the_working_tree_does_nothing(harbour, conduct):
    world = harbour()
    app = conduct(world)
    edit_here(world, "policy:\n", FREEZE)
    assert state_of(app, app.start(Request("acme"), WHO)).standing() == "running"  # it was frozen by nobody who may


def test_a_freeze_refuses_until_it_opens_and_an_edit_of_the_working_tree_does_not_open_it(harbour, conduct, clock):
    world = harbour()
    app = conduct(world)
    push_policy(world, "policy:\n", FREEZE)
    told = refused(app.start, Request("acme"), WHO)  # the working tree here has no freeze
    assert told.reason_code == "frozen"
    assert "the sale goes on" in told.message and "Open again: 2026-11-27 08:00 UTC" in told.message
    _, problems = app.rehearse(Request("acme", dry_run=True), WHO)
    assert any("the sale goes on" in problem for problem in problems)
    clock.slept += 6 * 86400
    assert app.start(Request("acme"), WHO)


def test_ship_with_an_override_starts_in_a_freeze_and_finishes(harbour, conduct):
    world = harbour()
    app = conduct(world)
    push_policy(world, "policy:\n", FREEZE)
    pull(world)
    request = Request("acme", override=("sale",), reason="the shop is down")
    assert refused(app.start, request, STRANGER).reason_code == "not-an-approver"
    run = app.start(request, WHO)
    assert follow(app, run).wait.checkpoint == "go"  # the range changes policy: that no standing approval has seen
    state = approved(app, run)
    assert state.standing() == "done", (state.refused, state.halted, state.branched)
    assert state.exceptions[0] == "freeze/sale overridden by ceo@acme.test: the shop is down"


def test_with_four_eyes_an_override_at_the_start_rests_until_a_second_person_gives_it(harbour, conduct):
    world = harbour()
    app = conduct(world)
    bob = Person("bob", "test", "account")
    second = "  - {id: bob@acme.test, groups: [ceo], accounts: [bob]}\n"
    push_policy(world, "policy:\n", second + FREEZE)
    push_policy(world, "four_eyes: record", "four_eyes: require", "chore: second")
    pull(world)
    assert refused(app.start, Request("acme"), WHO).reason_code == "frozen"
    request = Request("acme", override=("sale",), reason="the shop is down")
    assert refused(app.start, request, STRANGER).reason_code == "not-an-approver"
    run = app.start(request, WHO)
    state = app.follow(run).state
    assert (state.refused.reason_code, state.overridden) == ("frozen", [])
    assert not any(act.reach in {"staging", "production"} and act.step in state.acts for act in state.plan.acts)
    assert refused(app.resume, run, WHO, override=["sale"], reason="x").reason_code == "four-eyes"
    app.resume(run, bob, override=["sale"], reason="the shop is down")
    state = app.follow(run).state
    assert [fact.who for fact, _ in state.overridden] == ["bob@acme.test"]
    assert state.refused is None, state.refused
    assert "staging-deploy" in state.acts


def test_a_freeze_that_begins_while_a_run_waits_holds_it(harbour, conduct):
    world = harbour(scripted_approval=False)
    app = conduct(world)
    run = app.start(Request("acme"), WHO)
    app.follow(run)
    app.approve(run, WHO, lambda _card, word: word)
    push_policy(world, "policy:\n", FREEZE)
    state = app.follow(run).state
    assert state.refused.reason_code == "frozen", (state.refused, state.halted)
    assert not state.production_attempted()


def test_after_a_rollback_the_product_is_locked_in_the_same_batch_and_rollbacks_pass(harbour, conduct):
    app = conduct(harbour("production-unhealthy"))
    state = ship(app).state
    assert state.standing() == "rolled-back"
    (lock,) = app.line("acme").locks.values()
    assert (lock.fact.name, lock.fact.cause, lock.fact.owner) == (f"rollback-{state.run}", state.run, "pilothouse")
    assert state.branched.message[:40] in lock.fact.reason
    events = app.journal.read("acme")
    (index,) = [number for number, event in enumerate(events) if event.kind == "Locked"]
    assert events[index + 1].kind == "Ended" and events[index + 1].at == events[index].at
    assert app.advance(state.run).state.standing() == "rolled-back"  # again: nothing more is locked
    assert len([event for event in app.journal.read("acme") if event.kind == "Locked"]) == 1
    assert refused(app.start, Request("acme"), WHO).reason_code == "locked"
    inputs = {"severity": "high", "reason": "still broken"}
    assert (
        refused(app.start, Request("acme", workflow="rollback", inputs=inputs), WHO).reason_code
        == "rollback-of-rollback"
    )
    view = (app.project / "state.yml").read_text()
    assert f"rollback-{state.run}" in view


def test_a_rollback_passes_a_freeze_and_a_lock(harbour, conduct):
    world = harbour()
    app = conduct(world)
    assert ship(app).state.standing() == "done"
    app.lock("acme", WHO, name="look", reason="prices are wrong")
    push_policy(world, "policy:\n", FREEZE)
    inputs = {"severity": "high", "reason": "prices are wrong"}
    run = app.start(Request("acme", workflow="rollback", inputs=inputs), WHO)
    assert app.follow(run).wait.checkpoint
    state = approved(app, run)
    assert state.standing() == "rolled-back", (state.refused, state.halted)
    assert {lock.fact.name for lock in app.line("acme").locks.values()} == {"look", f"rollback-{state.run}"}


def test_a_rollback_of_the_working_tree_passes_no_freeze_and_one_of_the_base_branch_does(harbour, conduct):
    world = harbour()
    app = conduct(world)
    assert ship(app).state.standing() == "done"
    push_policy(world, "policy:\n", FREEZE)
    request = Request("acme", workflow="rollback", inputs={"severity": "high", "reason": "x", WAY_BACK: True})
    own = world.project / "workflows" / "rollback.yml"
    own.parent.mkdir()
    own.write_text(f"{find_workflow('rollback').text()}# mine\n")
    assert refused(app.start, request, WHO).reason_code == "frozen"
    clone = world.folder / "policy-policy"
    (clone / "workflows").mkdir()
    (clone / "workflows" / "rollback.yml").write_text(own.read_text())
    git = ["git", "-c", "user.name=ann", "-c", "user.email=ann@acme.test"]
    subprocess.run([*git, "add", "workflows"], cwd=clone, check=True)
    subprocess.run([*git, "commit", "-qm", "chore: our rollback"], cwd=clone, check=True)
    subprocess.run(["git", "push", "-q", "origin", "HEAD:main"], cwd=clone, check=True)
    assert state_of(app, app.start(request, WHO)).started.way_back


def test_policy_may_do_without_the_lock_after_a_rollback_on_the_base_branch_only(harbour, conduct):
    world = harbour("production-unhealthy")
    app = conduct(world)
    push_policy(world, "policy:\n", "policy:\n  lock_after_rollback: false\n")
    pull(world)
    assert approved(app, ship(app).state.run).standing() == "rolled-back"
    assert app.line("acme").locks == {}


EACH = """\
schema: pilothouse.workflow/1
name: stage
title: Stage
asks: each-act
phases:
  - id: stage
    agent: devops-engineer
    steps:
      - {id: version, observe: version.decide, with: {sha: {run: to_sha}, current: {run: from_version}, requested: "", contents: {ref: contents}}}
      - {id: branch, act: git.release_branch, with: {branch: {ref: version.branch}, base: {run: to_sha}, version: {ref: version.version}, changelog: "", date: {run: started_on}, supersedes: {run: superseded_branch}}}
      - {id: staging, act: deploy.apply, with: {environment: staging, commit: {ref: branch.sha}, version: {ref: version.version}}}
"""


def test_where_each_act_asks_nothing_moves_without_a_permitted_persons_go(harbour, conduct):
    """PRO-11."""
    world = harbour()
    app = conduct(world)
    contents = "      - {id: contents, observe: git.contents, with: {from: {run: from_sha}, to: {run: to_sha}}}\n"
    (world.project / "workflows").mkdir(exist_ok=True)
    (world.project / "workflows" / "stage.yml").write_text(EACH.replace("    steps:\n", "    steps:\n" + contents))
    run = app.start(Request("acme", workflow="stage"), WHO)
    for step in ("branch", "staging"):
        standing = app.follow(run)
        assert standing.wait.reason_code == "step-go", (standing.state.refused, standing.state.halted)
        assert next_action(standing.state) == f"pilothouse resume {run} --go {step}"
        assert state_name(standing.state) == "waiting"
        assert step not in standing.state.acts
        assert refused(app.resume, run, STRANGER, go=step).reason_code == "not-an-approver"
        with pytest.raises(UsageError):
            app.resume(run, WHO, go="other")
        app.resume(run, WHO, go=step)
    assert app.follow(run).state.standing() == "done"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("    remote: origin\n", "    remote: origin\n    phase: retired\n", "phase"),
        (
            "    remote: origin\n",
            "    remote: origin\n    manual_checks: [{id: tills, ask: Do the tills open?}]\n",
            "manual_checks",
        ),
        ("checkpoint_expires: 3d", "checkpoint_expires: 30d", "policy.checkpoint_expires"),
    ],
    ids=["phase", "manual checks", "limits"],
)
def test_what_lets_a_release_through_is_what_the_base_branch_says(harbour, conduct, old, new, named):
    world = harbour()
    edit_here(world, old, new)
    told = refused(conduct(world).start, Request("acme"), WHO)
    assert told.reason_code == "policy-not-pushed"
    assert told.message.startswith(f"{named} in the working tree's pilothouse.yml")
    assert refused(conduct(world).rehearse, Request("acme"), WHO).reason_code == "policy-not-pushed"
