"""A world in which a branch staging is promoted to main: what is in it, what a push deploys, what goes wrong."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harbour.eyes import NEW, Eyes, until
from pilothouse import config, harbour
from pilothouse.errors import UsageError
from pilothouse.harbour import Variant, history, promotion
from pilothouse.harbour.projectfile import Project

URLS = {"staging": "http://127.0.0.1:4001", "production": "http://127.0.0.1:4002"}
RANGE = [231, 232, 233, 234, 235, 236, 237, 241]
KEYS = ["ACME-101", "ACME-102", "ACME-104", "ACME-105", "ACME-106", "ACME-107", "ACME-109", "ACME-113"]
Promoting = Callable[..., Eyes]


@pytest.fixture
def promoting(tmp_path: Path) -> Iterator[Promoting]:
    """Makes such a world in the test's folder, with faults where they are named."""
    folder = tmp_path / "w"

    def make(*faults: str, **variant: Any) -> Eyes:
        return Eyes(harbour.up(folder, faults=faults, variant=Variant(layout="promotion", **variant)))

    yield make
    if (folder / "harbour.json").exists():
        harbour.down(folder)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eyes]:
    """One such world for all tests that only look."""
    folder = tmp_path_factory.mktemp("promotion")
    yield Eyes(harbour.up(folder, variant=Variant(layout="promotion")))
    harbour.down(folder)


def promote(eyes: Eyes) -> subprocess.CompletedProcess[str]:
    return eyes.run("git", "push", "origin", "origin/staging:refs/heads/main")


def archives(eyes: Eyes) -> list[int]:
    """The pull requests of the range that have an archive."""
    names = git(eyes, "ls-tree", "-r", "--name-only", "compliance-archives").splitlines()
    return [number for number in RANGE if f"archives/pr-{number}.md" in names]


def git(eyes: Eyes, *arguments: str) -> str:
    return history.git(*arguments, cwd=eyes.world.origin)


def tickets(eyes: Eyes) -> set[str]:
    with closing(sqlite3.connect(eyes.world.folder / "linear.db")) as connection:
        return {key for (key,) in connection.execute("SELECT key FROM tickets")}


def deployment(eyes: Eyes, sha: str) -> tuple[str, str]:
    """What the forge tells of production's deployment of a commit: its branch and its state."""
    found = eyes.gh_json("api", f"repos/harbour/acme/deployments?sha={sha}&environment=production")
    if not found:
        return "", "absent"
    path = f"repos/harbour/acme/deployments/{found[0]['id']}/statuses"
    return str(found[0]["ref"]), str(eyes.gh_json("api", path)[0]["state"])


def test_staging_is_ahead_of_main_and_each_runs_where_it_is_deployed(calm: Eyes) -> None:
    main, staging = calm.remote("refs/heads/main"), calm.remote("refs/heads/staging")
    assert calm.remote("refs/tags/v1.3.0^{}") == main == git(calm, "merge-base", main, staging)
    assert calm.deployed("production") == f"1.3.0 {main}"
    assert calm.deployed("staging") == f"1.4.0 {staging}"
    assert calm.get("staging", "/health")[0] == 200  # its database was brought up to it
    assert calm.git("status", "--short", "--branch") == "## staging...origin/staging"
    assert calm.remote("refs/heads/deploy/production") == ""
    harbour.settle(calm.world.folder)
    state = calm.gh_json("api", f"repos/harbour/acme/commits/{staging}/status")
    checks = calm.gh_json("api", f"repos/harbour/acme/commits/{staging}/check-runs")["check_runs"]
    assert (state["state"], {check["conclusion"] for check in checks}) == ("success", {"success"})


def test_every_commit_of_the_range_has_a_pull_request_an_archive_and_a_ticket(calm: Eyes) -> None:
    pulls = calm.gh_json("pr", "list", "-R", "harbour/acme", "--base", "staging", "--state", "all", "-L", "50", "--json",
                         "number,state,mergeCommit,title,body,commits")  # fmt: skip
    merged = {pull["number"]: pull for pull in pulls if pull["state"] == "MERGED"}
    assert (sorted(merged), archives(calm)) == (RANGE, RANGE)
    assert [pull["number"] for pull in pulls if pull["state"] == "OPEN"] == [240]
    commits = set(git(calm, "rev-list", "main..staging").split())
    by_pull = {pull["mergeCommit"]["oid"] for pull in merged.values()}
    assert by_pull == set(git(calm, "rev-list", "--first-parent", "main..staging").split())
    assert commits - by_pull == {commit["oid"] for commit in merged[236]["commits"]}
    named = {number: promotion.KEY.findall(pull["title"] + pull["body"]) for number, pull in merged.items()}
    assert all(named.values())
    assert sorted({key for keys in named.values() for key in keys}) == KEYS
    assert tickets(calm) >= set(KEYS)
    text = git(calm, "show", "compliance-archives:archives/pr-236.md")
    assert text.startswith("# Pull request #236: feat: saved filters\n\n- Author: lin\n- Approved by: noor\n")
    assert git(calm, "rev-list", "--count", "--max-parents=0", "compliance-archives") == "1"
    assert calm.run("git", "merge-base", "origin/compliance-archives", "origin/main").returncode == 1


def test_the_project_says_what_is_promoted_and_who_knows_the_tickets(calm: Eyes) -> None:
    product = config.load(calm.world.project / "pilothouse.yml").products["acme"]
    assert product.promotion is not None
    assert product.audit is not None
    assert product.tickets is not None
    assert (product.promotion.branch, product.audit.branch, product.tickets.server) == (
        "staging", "compliance-archives", "linear",
    )  # fmt: skip
    assert [product.environments[name].deploy.branch for name in ("staging", "production")] == ["staging", "main"]
    for path in ("pilothouse.yml", "approvals.yml", ".mcp.json"):
        assert git(calm, "show", f"main:{path}") == (calm.world.project / path).read_text().strip()
    assert calm.git("show", "origin/main:approvals.yml").count("standing: true") == 3
    server = json.loads(calm.git("show", "origin/main:.mcp.json"))["mcpServers"]["linear"]
    files = [part.replace("${ACME_HARBOUR}", calm.environment["ACME_HARBOUR"]) for part in server["args"][-2:]]
    assert (server["command"], [Path(file).exists() for file in files]) == ("python3", [True, True])


def test_worlds_of_promotions_at_the_same_addresses_have_the_same_shas(tmp_path: Path) -> None:
    files = Project(URLS, 4, scripted_approval=True, layout="promotion").files()
    for name in ("one", "two"):
        history.build(tmp_path / name, files, layout="promotion")
    refs = [history.git("for-each-ref", cwd=tmp_path / name) for name in ("one", "two")]
    assert refs[0] == refs[1]
    assert "refs/heads/compliance-archives" in refs[0]


def test_a_push_to_main_deploys_production_and_the_forge_tells_of_it(promoting: Promoting) -> None:
    eyes = promoting()
    old, new = eyes.remote("refs/heads/main"), eyes.remote("refs/heads/staging")
    assert deployment(eyes, new) == ("", "absent")
    assert "production is being deployed from main" in promote(eyes).stderr
    until(lambda: deployment(eyes, new) == ("main", "success"))
    assert (eyes.deployed("production"), eyes.get("production", "/health")[0]) == (f"1.4.0 {new}", 200)
    assert eyes.probe("production", "migrate-status", NEW)["state"] == "applied"
    # The way back: what was good once more, on staging first, then on main.
    back = eyes.git("commit-tree", f"{old}^{{tree}}", "-p", new, "-m", "revert")
    for branch in ("staging", "main"):
        assert eyes.run("git", "push", "origin", f"{back}:refs/heads/{branch}").returncode == 0
    harbour.settle(eyes.world.folder)
    assert [eyes.deployed(name) for name in ("staging", "production")] == [f"1.3.0 {back}"] * 2
    assert eyes.get("production", "/health")[0] == 200


def test_a_deployment_can_fail_where_production_has_diverged_and_records_are_missing(promoting: Promoting) -> None:
    eyes = promoting("main-diverged", "archive-missing", "ticket-missing", "production-deploy-fails", ci="statuses")
    main, staging = eyes.remote("refs/heads/main"), eyes.remote("refs/heads/staging")
    assert eyes.git("rev-list", "--count", f"{staging}..{main}") == "1"
    assert eyes.deployed("production") == f"1.3.0 {main}"
    assert promote(eyes).returncode != 0
    assert (archives(eyes), tickets(eyes) & set(KEYS)) == (
        [number for number in RANGE if number != 235], set(KEYS) - {"ACME-109"},
    )  # fmt: skip
    for fault in ("archive-missing", "ticket-missing"):
        harbour.fault(eyes.world.folder, fault, False)
    assert (archives(eyes), tickets(eyes) >= set(KEYS)) == (RANGE, True)
    for fault in ("archive-missing", "ticket-missing"):
        harbour.fault(eyes.world.folder, fault, True)
    assert (235 in archives(eyes), "ACME-109" in tickets(eyes)) == (False, False)
    state = eyes.gh_json("api", f"repos/harbour/acme/commits/{staging}/status")["state"]
    assert (state, eyes.gh_json("api", f"repos/harbour/acme/commits/{staging}/check-runs")["check_runs"]) == (
        "success",
        [],
    )
    eyes.git("merge", "-q", "-m", "merge", "origin/main")
    eyes.git("push", "-q", "origin", "HEAD:staging", "HEAD:main")
    new = eyes.git("rev-parse", "HEAD")
    until(lambda: deployment(eyes, new) == ("main", "failure"))
    assert eyes.deployed("production") == f"1.3.0 {main}"


def test_a_promotion_can_lose_its_reply_and_somebody_may_push_after_it(promoting: Promoting) -> None:
    eyes = promoting("reply-lost", ci="checks")
    new = eyes.remote("refs/heads/staging")
    assert eyes.gh_json("api", f"repos/harbour/acme/commits/{new}/status")["statuses"] == []
    lost = promote(eyes)
    assert (lost.returncode != 0, "-> main" in lost.stderr + lost.stdout) == (True, False)
    assert eyes.remote("refs/heads/main") == new
    until(lambda: deployment(eyes, new) == ("main", "success"))
    harbour.fault(eyes.world.folder, "main-diverged", True)
    other = eyes.remote("refs/heads/main")
    assert other != new
    assert "main-diverged" not in harbour.faults.Switches(eyes.world.folder / "faults.json")
    until(lambda: deployment(eyes, other) == ("main", "success"))
    assert eyes.deployed("production") == f"1.4.0 {other}"


def test_a_promotion_can_land_after_its_client_was_cut_off(promoting: Promoting) -> None:
    eyes = promoting("effect-late", "production-unhealthy")
    old, new = eyes.remote("refs/heads/main"), eyes.remote("refs/heads/staging")
    assert promote(eyes).returncode != 0
    assert eyes.remote("refs/heads/main") == old
    until(lambda: eyes.remote("refs/heads/main") == new)
    until(lambda: deployment(eyes, new) == ("main", "success"))
    assert eyes.get("production", "/health")[0] == 503


@pytest.mark.parametrize("fault", ["archive-missing", "ticket-missing", "linear-down"])
def test_what_only_a_promotion_can_miss_is_refused_elsewhere(tmp_path: Path, calm: Eyes, fault: str) -> None:
    with pytest.raises(UsageError) as refused:
        harbour.up(tmp_path / "w", faults=[fault])
    assert (refused.value.reason_code, "promote-audited" in refused.value.hint) == ("fault-not-here", True)
    assert not (tmp_path / "w").exists()
    harbour.fault(calm.world.folder, fault, False)
