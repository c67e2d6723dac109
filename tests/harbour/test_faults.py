"""Each fault shows its effect to somebody who looks with git, gh, HTTP and sqlite3 alone."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from harbour.eyes import NEW, Eyes, Up, until
from pilothouse import harbour
from pilothouse.errors import UsageError


def checks(eyes: Eyes, sha: str) -> dict[str, tuple[str, str | None]]:
    path = f"repos/harbour/acme/commits/{sha}/check-runs?per_page=100"
    runs = eyes.gh_json("api", "--paginate", path)["check_runs"]
    return {run["name"]: (run["status"], run["conclusion"]) for run in runs}


def state(eyes: Eyes, sha: str) -> str:
    return str(eyes.gh_json("api", f"repos/harbour/acme/commits/{sha}/status")["state"])


def failing(eyes: Eyes) -> list[int]:
    return [eyes.get("production", "/items")[0] for _ in range(21)]


def test_an_unknown_fault_is_refused_with_the_nearest_name(up: Up) -> None:
    with pytest.raises(UsageError, match="ci-redd") as refused:
        up("ci-redd")
    assert (refused.value.reason_code, "ci-red" in refused.value.hint) == ("unknown-fault", True)


def test_ci_can_be_red_and_pending_and_green_again_at_run_time(up: Up) -> None:
    eyes = up("ci-red")
    main = eyes.remote("refs/heads/main")
    assert (checks(eyes, main)["unit"], state(eyes, main)) == (("completed", "failure"), "failure")
    harbour.fault(eyes.world.folder, "ci-red", False)
    harbour.fault(eyes.world.folder, "ci-pending", True)
    assert (checks(eyes, main)["unit"], state(eyes, main)) == (("in_progress", None), "pending")
    harbour.fault(eyes.world.folder, "ci-pending", False)
    green = {"unit": ("completed", "success"), "lint": ("completed", "success")}
    assert (checks(eyes, main), state(eyes, main)) == (green, "success")


def test_red_tests_are_red_although_the_checks_are_green(up: Up) -> None:
    eyes = up("tests-red")
    suites = {
        name: eyes.run("python3", "-m", "unittest", "discover", "-s", f"tests/{name}", "-t", ".")
        for name in ("unit", "e2e")
    }
    assert (suites["unit"].returncode, suites["e2e"].returncode) == (0, 1), suites["e2e"].stderr
    assert "FAILED (failures=1)" in suites["e2e"].stderr
    assert state(eyes, eyes.remote("refs/heads/main")) == "success"
    with pytest.raises(UsageError, match="cannot be turned on later"):
        harbour.fault(eyes.world.folder, "tests-red", True)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_deployment_can_fail_while_the_old_version_keeps_answering(up: Up, environment: str) -> None:
    eyes = up(f"{environment}-deploy-fails")
    before, sha = eyes.deployed(environment), eyes.release()
    done = eyes.deploy(environment, sha)
    assert (done.returncode, "FAILED" in done.stderr) == (0, True)
    assert eyes.deployed(environment) == before
    assert eyes.remote(f"refs/heads/deploy/{environment}") == sha
    listed = eyes.gh_json("api", f"repos/harbour/acme/deployments?environment={environment}")
    statuses = eyes.gh_json("api", f"repos/harbour/acme/deployments/{listed[0]['id']}/statuses")
    assert (listed[0]["sha"], statuses[0]["state"]) == (sha, "failure")


def test_production_can_be_unhealthy_with_the_new_version_only(up: Up) -> None:
    eyes = up("production-unhealthy")
    old, sha = eyes.remote("refs/heads/deploy/production"), eyes.release()
    assert eyes.get("production", "/health")[0] == 200
    eyes.manage("production", "migrate", NEW)
    eyes.deploy("production", sha)
    assert (eyes.get("production", "/health")[0], eyes.deployed("production")) == (503, f"1.4.0 {sha}")
    eyes.deploy("production", old)
    assert (eyes.get("production", "/health")[0], eyes.deployed("production")) == (200, f"1.3.0 {old}")


def test_errors_rise_a_second_after_the_deployment_and_are_counted(up: Up) -> None:
    eyes = up("production-errors")
    sha = eyes.release()
    eyes.manage("production", "migrate", NEW)
    assert set(failing(eyes)) == {200}
    eyes.deploy("production", sha)
    assert eyes.get("production", "/items")[0] == 200
    until(lambda: failing(eyes).count(500) >= 2)
    assert eyes.get("production", "/health")[0] == 200
    assert 'http_requests_total{code="500"}' in eyes.get("production", "/metrics")[1]
    assert "ERROR" in eyes.manage("production", "logs").stdout


def test_a_rollback_can_fail_too(up: Up) -> None:
    eyes = up("production-unhealthy", "rollback-fails")
    old, sha = eyes.remote("refs/heads/deploy/production"), eyes.release()
    eyes.deploy("production", sha)
    assert "FAILED" in eyes.deploy("production", old).stderr
    assert eyes.deployed("production") == f"1.4.0 {sha}"


def test_a_migration_fails_in_its_transaction_and_leaves_nothing(up: Up) -> None:
    eyes = up("migration-fails")
    done = eyes.manage("production", "migrate", NEW)
    assert (done.returncode, "index items_by_label already exists" in done.stderr) == (1, True), done.stderr
    assert eyes.probe("production", "migrate-status", NEW)["state"] == "absent"
    assert "labels" not in eyes.get("production", "/items")[1][0]
    assert eyes.manage("staging", "migrate", NEW).returncode == 0
    harbour.fault(eyes.world.folder, "migration-fails", False)
    assert eyes.manage("production", "migrate", NEW).returncode == 0
    assert eyes.probe("production", "migrate-status", NEW)["state"] == "applied"


def test_a_migration_outside_the_range_can_be_pending(up: Up) -> None:
    eyes = up("unexpected-migration")

    def pending(environment: str) -> list[str]:
        return [entry["name"] for entry in eyes.probe(environment, "pending")["pending"]]

    assert (pending("staging"), pending("production")) == ([NEW], ["0006_name_index", NEW])
    harbour.fault(eyes.world.folder, "unexpected-migration", False)
    assert pending("production") == [NEW]


def test_a_backup_of_no_bytes_is_no_backup(up: Up) -> None:
    eyes = up("backup-fails")
    assert eyes.manage("production", "backup", "k1").returncode == 0
    answer = eyes.probe("production", "backup-status", "k1")
    assert (answer["state"], answer["bytes"], answer["restorable"]) == ("absent", 0, False)
    assert eyes.manage("production", "restore", "k1").returncode == 1
    harbour.fault(eyes.world.folder, "backup-fails", False)
    eyes.manage("production", "backup", "k1")
    assert eyes.probe("production", "backup-status", "k1")["restorable"]


def test_a_full_disk_really_says_so(up: Up) -> None:
    eyes = up("disk-full")
    done = eyes.manage("production", "backup", "k1")
    assert (done.returncode, "No space left on device" in done.stderr) == (1, True), done.stderr
    assert eyes.probe("production", "backup-status", "k1")["state"] == "absent"
    assert eyes.manage("staging", "backup", "k1").returncode == 0


def test_somebody_pushes_to_main_during_the_backup_once(up: Up) -> None:
    eyes = up("main-diverged")
    before = eyes.remote("refs/heads/main")
    eyes.manage("staging", "backup", "k1")
    assert eyes.remote("refs/heads/main") == before
    eyes.manage("production", "backup", "k1")
    after = eyes.remote("refs/heads/main")
    eyes.manage("production", "backup", "k2")
    eyes.git("fetch", "-q")
    assert eyes.git("rev-list", f"{before}..origin/main").split() == [after]
    harbour.settle(eyes.world.folder)
    assert state(eyes, after) == "success"


@pytest.mark.parametrize("fault", ["main-moves-after-deploy", "main-conflicts-after-deploy"])
def test_somebody_pushes_to_main_after_the_deployment(up: Up, fault: str) -> None:
    eyes = up(fault)
    before, sha = eyes.remote("refs/heads/main"), eyes.release()
    eyes.deploy("staging", sha)
    assert eyes.remote("refs/heads/main") == before
    eyes.deploy("production", sha)
    assert eyes.remote("refs/heads/main") != before
    eyes.git("fetch", "-q")
    merged = eyes.run("git", "merge-tree", "--write-tree", "--name-only", "origin/main", sha)
    conflicts = fault == "main-conflicts-after-deploy"
    assert (merged.returncode, "CONFLICT (content): Merge conflict in CHANGELOG.md" in merged.stdout) == (
        conflicts,
        conflicts,
    )


def test_the_tag_can_be_taken(up: Up) -> None:
    eyes = up("tag-conflict")
    assert eyes.remote("refs/tags/v1.4.0") == eyes.remote("refs/heads/next")
    assert eyes.run("git", "push", "origin", "HEAD:refs/tags/v1.4.0").returncode == 1
    harbour.fault(eyes.world.folder, "tag-conflict", False)
    assert eyes.remote("refs/tags/v1.4.0") == ""


def test_the_forge_can_fail_and_be_slow(up: Up) -> None:
    eyes = up("forge-500")
    done = eyes.run("gh", "api", "user")
    assert (done.returncode, "HTTP 500" in done.stderr) == (1, True)
    harbour.fault(eyes.world.folder, "forge-500", False)
    harbour.fault(eyes.world.folder, "forge-slow", True)
    began = time.monotonic()
    eyes.gh("api", "user")
    assert time.monotonic() - began > 0.7


def test_the_reply_to_a_push_can_get_lost_although_it_landed(up: Up) -> None:
    eyes = up("reply-lost")
    sha = eyes.release()
    eyes.deploy("staging", sha)
    lost = eyes.deploy("production", sha)
    assert (lost.returncode != 0, "-> deploy/production" in lost.stdout) == (True, False), lost.stderr
    assert eyes.remote("refs/heads/deploy/production") == sha
    until(lambda: eyes.deployed("production") == f"1.4.0 {sha}")
    assert eyes.deploy("production", sha).returncode == 0


def test_a_push_can_land_after_its_client_was_cut_off(up: Up) -> None:
    eyes = up("effect-late")
    before, sha = eyes.remote("refs/heads/deploy/production"), eyes.release()
    # The object is new to the remote: the late landing must not depend on what an earlier push brought.
    eyes.git("commit", "-q", "--allow-empty", "-m", "chore: nothing")
    sha = eyes.git("rev-parse", "HEAD")
    cut = eyes.deploy("production", sha)
    assert (cut.returncode != 0, eyes.remote("refs/heads/deploy/production")) == (True, before), cut.stderr
    until(lambda: eyes.remote("refs/heads/deploy/production") == sha)
    until(lambda: eyes.deployed("production") == f"1.4.0 {sha}")
    assert eyes.run("git", "fsck", "--connectivity-only", cwd=eyes.world.origin).returncode == 0


def test_hardly_anybody_visits_where_traffic_is_thin(up: Up) -> None:
    eyes = up("thin-traffic")

    def served(environment: str) -> int:
        return int(re.search(r'code="200"} (\d+)', eyes.get(environment, "/metrics")[1])[1])  # type: ignore[index]

    before = served("production")
    until(lambda: served("staging") > 10)  # its customers come, five a second
    assert served("production") - before <= 1


# The sandbox's list of faults (interfaces), and those of them that wait for parts that are not built yet.
PROMISED = {
    "ci-red", "ci-pending", "staging-deploy-fails", "production-deploy-fails", "production-unhealthy", "production-errors",
    "migration-fails", "backup-fails", "main-diverged", "tag-conflict", "forge-500", "forge-slow", "build-fails",
    "unexpected-migration", "ticket-missing", "archive-missing", "linear-down", "container-unhealthy", "reply-lost",
    "effect-late", "disk-full",
}  # fmt: skip
LATER = {
    "container-unhealthy": "containers",
    "build-fails": "builds of images",
}


def test_every_promised_fault_can_be_turned_or_is_left_out_for_a_reason() -> None:
    assert PROMISED - harbour.FAULTS.keys() == LATER.keys()


def test_every_fault_of_the_list_is_described() -> None:
    described: dict[str, Any] = harbour.FAULTS
    assert all(text.endswith(".") for text in described.values())
