"""An audited promotion in the sandbox world: what it does, what it leaves behind, how it is refused, how it goes back."""

from __future__ import annotations

import json
import subprocess

import pytest

from pilothouse import harbour as sandbox
from pilothouse.app import Request, os_user
from pilothouse.errors import NothingToDo, UsageError
from pilothouse.harbour import Variant
from pilothouse.ledger.chain import verify
from shipping import acts, follow, refs, rows, ship, state_of, working_tree

PROMOTION = Variant(layout="promotion")
ARCHIVES = "refs/heads/compliance-archives"
WHO = os_user("test")


@pytest.fixture
def promoting(harbour, conduct):
    """A world in which staging is promoted, with these faults; and its conductor."""

    def build(*faults):
        world = harbour(*faults, variant=PROMOTION)
        return world, conduct(world)

    return build


def shown(world, path):
    argv = ["git", "-C", str(world.origin), "show", f"{ARCHIVES}:{path}"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def records(world, release):
    """The records of a release, by kind."""
    folder = f"releases/{release[-13:-9]}/{release[-8:-6]}/{release}"
    argv = ["git", "-C", str(world.origin), "ls-tree", "--name-only", f"{ARCHIVES}:{folder}"]
    names = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    assert {name.partition(".")[2] for name in names} == {"json", "md"}
    return {name[:-5]: json.loads(shown(world, f"{folder}/{name}")) for name in names if name.endswith(".json")}


def comments(world):
    return rows(world.folder / "linear.db", "SELECT ticket FROM comments")


def release_of(run):
    return f"acme-{run.removeprefix('r-')}"


def test_staging_is_promoted_with_a_trail_and_goes_back_by_the_way_it_came(promoting, conduct):
    world, app = promoting()
    before, tree = refs(world), working_tree(world)
    staging = before["refs/heads/staging"]
    state, problems = app.rehearse(Request("acme", dry_run=True), WHO)
    assert problems == [] and refs(world) == before
    rehearsed = state.plan.digest

    state = ship(app).state
    assert (state.standing(), state.plan.digest) == ("done", rehearsed)
    assert refs(world)["refs/heads/main"] == staging and refs(world)["refs/heads/staging"] == staging
    after = working_tree(world)
    assert {name for name in after if after[name] != tree.get(name)} == {"state.yml"} and after.keys() == tree.keys()
    found = records(world, release_of(state.run))
    assert [found[kind]["outcome"] and found[kind]["outcome"]["state"] for kind in ("intent", "outcome")] == [
        None,
        "done",
    ]
    outcome = found["outcome"]
    assert (outcome["from"]["sha"], outcome["to"]["sha"]) == (before["refs/heads/main"].strip(), staging.strip())
    assert {pull["number"] for pull in outcome["pulls"]} == {231, 232, 233, 234, 235, 236, 237, 241}
    assert all(pull["reviewed_sha"] == pull["head_sha"] and pull["archive"] for pull in outcome["pulls"])
    assert outcome["approvals"] and outcome["ledger"]["seq"] > found["intent"]["ledger"]["seq"]
    told = comments(world)
    assert len(told) == len(set(told)) == len(outcome["tickets"]) == 8
    done = [step for step, _, _ in acts(app, state.run)]
    assert done == ["intent", "promote", "comment", "outcome"]
    assert verify(app.journal.entries("acme"), "acme", app.journal.head("acme").hash).ok

    with pytest.raises(NothingToDo, match="nothing to release") as nothing:
        app.start(Request("acme"), WHO)
    assert nothing.value.exit_code == 0

    asked = {"severity": "high", "reason": "customers see errors"}
    back = follow(app, app.start(Request("acme", workflow="rollback", inputs=asked), WHO), by_hand=True).state
    assert back.standing() == "rolled-back"
    main, promoted = refs(world)["refs/heads/main"].strip(), refs(world)["refs/heads/staging"].strip()
    argv = ["git", "-C", str(world.origin), "diff", "--quiet", main, before["refs/heads/main"].strip()]
    assert subprocess.run(argv, check=False).returncode == 0  # main is as it was
    contained = ["git", "-C", str(world.origin), "merge-base", "--is-ancestor", main, promoted]
    assert subprocess.run(contained, check=False).returncode == 0  # so the next promotion is a fast-forward again
    assert records(world, release_of(back.run))["outcome"]["outcome"]["state"] == "rolled-back"


@pytest.mark.parametrize(
    ("fault", "code"),
    [("ci-red", "ci-red"), ("main-diverged", "main-diverged"), ("linear-down", "tickets-unreachable")],
)
def test_what_is_not_fit_is_refused_and_nothing_moves(fault, code, promoting):
    world, app = promoting(fault)
    before = refs(world)
    state = ship(app).state
    assert (state.standing(), state.refused.reason_code) == ("refused", code)
    assert refs(world) == before and comments(world) == []


def test_what_is_missing_is_a_warning_that_stays_in_the_record_and_a_lost_reply_loses_nothing(promoting):
    world, app = promoting("archive-missing", "ticket-missing", "reply-lost")
    state = ship(app).state
    assert state.standing() == "done"
    card = state.checkpoints["go"].opened.card
    assert "no archive: #235" in card and "ticket not found: ACME-109" in card
    outcome = records(world, release_of(state.run))["outcome"]
    kept = {item["kind"]: item["what"] for item in outcome["exceptions"]}
    assert "ACME-109" in kept["ticket-missing"] and "#235" in kept["archive-missing"]
    assert len(comments(world)) == 7


def test_a_deployment_that_fails_leaves_an_outcome_on_record_and_tells_no_ticket(promoting):
    world, app = promoting("production-deploy-fails")
    state = ship(app).state
    assert (state.standing(), state.branched.reason_code) == ("failed", "deployment-failed")
    outcome = records(world, release_of(state.run))["outcome"]["outcome"]
    assert (outcome["state"], outcome["severity"] != "") == ("failed", True)
    assert comments(world) == []


def test_an_abort_after_the_intent_writes_the_outcome(promoting, conduct):
    world, app = promoting()

    class Killed(BaseException):
        pass

    def boundary(name, step):
        if (name, step) == ("before-intent", "promote"):
            raise Killed

    app.boundary = boundary
    with pytest.raises(Killed):
        ship(app)
    app.close()
    app = conduct(world)
    (run,) = [state.run for state in app.runs()]
    app.abort(run, WHO, "the fair is cancelled")
    state = state_of(app, run)
    assert (state.standing(), state.over) == ("aborted", True)
    assert records(world, release_of(run))["outcome"]["outcome"]["state"] == "aborted"
    assert refs(world)["refs/heads/main"] != refs(world)["refs/heads/staging"]


def test_a_product_that_is_promoted_is_not_deployed_by_a_release(promoting):
    _, app = promoting()
    with pytest.raises(UsageError) as refused:
        app.start(Request("acme", workflow="release"), WHO)
    assert refused.value.reason_code == "promotion-configured"


def test_a_release_writes_its_records_and_anchors_the_ledger_in_its_tag(harbour, conduct):
    world = harbour(variant=Variant(recorded=True))
    app = conduct(world)
    state = ship(app).state
    assert state.standing() == "done"
    found = records(world, release_of(state.run))
    assert found["outcome"]["version"] == "1.4.0" and found["outcome"]["outcome"]["state"] == "done"
    message = sandbox.history.git("cat-file", "tag", "v1.4.0", cwd=world.origin)
    _, seq, entry = next(line for line in message.splitlines() if line.startswith("Pilothouse-Ledger:")).split()
    stored = app.journal.entries("acme", start=int(seq))[0]
    assert (stored[0], stored[1]) == (int(seq), entry)
