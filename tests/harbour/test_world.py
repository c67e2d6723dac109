"""The world as a whole: how it comes up, what is in it, how versions change, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harbour.eyes import NEW, Eyes, Up, until
from pilothouse import harbour, statefile, stateview
from pilothouse.app import Pilothouse, Request, os_user
from pilothouse.errors import RequestRefused, UsageError
from pilothouse.harbour import Variant, history
from pilothouse.harbour.projectfile import Project

URLS = {"staging": "http://127.0.0.1:4001", "production": "http://127.0.0.1:4002"}


def processes(folder: Path) -> list[str]:
    """The command lines that mention a folder."""
    listed = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if f"{folder}/" in line or line.endswith(str(folder))]


def refused(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as sock:
        return sock.connect_ex((host, int(port))) != 0


def test_importing_the_harbour_is_cheap() -> None:
    code = "import sys; import pilothouse.harbour; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sqlite3", "http.server", "pydantic", "git", "asyncio"} & set(loaded)


def test_a_world_is_up_in_a_moment_with_everything_answering(up: Up) -> None:
    began = time.monotonic()
    eyes = up()
    # About half a second on two idle cores; the bound leaves room for a busy machine.
    assert time.monotonic() - began < 5
    for name in ("staging", "production"):
        assert eyes.get(name, "/health") == (200, {"status": "ok", "database": f"acme-{name}"})
        assert eyes.get(name, "/version")[1] == {"version": "1.3.0", "sha": eyes.remote("refs/tags/v1.3.0^{}")}
    assert len(eyes.get("production", "/items")[1]) == 60
    assert eyes.gh_json("api", "user")["login"] == "ceo"


def test_the_history_tells_a_release(calm: Eyes) -> None:
    subjects = calm.git("log", "--first-parent", "--format=%s", "v1.3.0..origin/main").splitlines()
    assert subjects == [
        "fix: item names are escaped on the homepage (#237)",
        "Merge pull request #236 from harbour/saved-filters",
        "fix(api): a negative price is refused (#235)",
        "build(deps): bump acme-icons from 1.2 to 1.3 (#234)",
        "docs: how to run the tests (#233)",
        "fix: an empty name is refused (#232)",
        "feat(search): faster search (#231)",
    ]
    assert calm.git("cat-file", "-t", "v1.3.0") == calm.git("cat-file", "-t", "v1.2.0") == "tag"
    assert "BREAKING CHANGE: " in calm.git("log", "-1", "--format=%b", "origin/next")
    assert calm.git("diff", "--name-only", "--diff-filter=A", "v1.3.0", "origin/main") == f"migrations/{NEW}.sql"
    assert len(set(calm.git("log", "--format=%ae", "origin/main").splitlines())) == 5
    changelog = calm.git("show", "origin/main:CHANGELOG.md")
    assert "## [Unreleased]\n\n### Added\n\n- Saved filters" in changelog
    assert changelog.endswith("[1.2.0]: https://github.com/harbour/acme/releases/tag/v1.2.0")
    assert (calm.git("config", "user.email"), calm.git("status", "--porcelain")) == ("ceo@acme.test", "")


def test_worlds_at_the_same_addresses_have_the_same_shas(tmp_path: Path) -> None:
    files = Project(URLS, 4, scripted_approval=True).files()
    tips = [history.build(tmp_path / name, files)[-1].commits for name in ("one", "two")]
    other = history.build(tmp_path / "three", Project(URLS, 6, scripted_approval=True).files())[-1].commits
    assert (tips[0] == tips[1], tips[0] == other) == (True, False)
    done = subprocess.run(["git", "fsck", "--strict"], cwd=tmp_path / "one", capture_output=True, text=True, check=True)
    assert "error" not in done.stdout + done.stderr


def test_the_project_file_fits_the_world(up: Up) -> None:
    eyes = up(watch_seconds=2.5)
    text = eyes.git("show", "origin/main:pilothouse.yml")
    assert all(f"url: {url}\n" in text for url in eyes.world.urls.values())
    assert ("window: 2500ms\n" in text, "scripted_approvals: approvals.yml\n" in text) == (True, True)
    assert eyes.git("diff", "--name-only", "v1.3.0", "origin/main", "--", "pilothouse.yml", "approvals.yml") == ""


def test_without_a_scripted_approval_there_is_none(tmp_path: Path) -> None:
    world = harbour.up(tmp_path / "w", scripted_approval=False)
    try:
        assert not (world.project / "approvals.yml").exists()
        assert "scripted_approvals" not in (world.project / "pilothouse.yml").read_text()
    finally:
        harbour.down(world.folder)


def test_a_shell_gets_the_same_environment(calm: Eyes) -> None:
    script = f". {calm.world.folder}/env.sh && gh api user --jq .login && echo $ACME_PRODUCTION_DB"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ceo", str(calm.world.database("production"))]
    assert harbour.load(calm.world.folder) == calm.world


def test_a_release_goes_all_the_way(up: Up) -> None:
    eyes = up()
    sha = eyes.release()
    harbour.settle(eyes.world.folder)
    runs = eyes.gh_json("api", f"repos/harbour/acme/commits/{sha}/check-runs")["check_runs"]
    assert {(run["name"], run["conclusion"]) for run in runs} == {("unit", "success"), ("lint", "success")}
    assert [entry["name"] for entry in eyes.probe("production", "pending")["pending"]] == [NEW]
    for name in ("staging", "production"):
        assert eyes.manage(name, "migrate", NEW).returncode == 0
        assert f"deployed 1.4.0 ({sha[:7]}) to {name}" in eyes.deploy(name, sha).stderr
        assert (eyes.deployed(name), eyes.get(name, "/health")[0]) == (f"1.4.0 {sha}", 200)
    logs = eyes.manage("production", "logs").stdout
    assert ("INFO acme 1.4.0 serves production" in logs, "ERROR" in logs) == (True, False)
    smoke = ("python3", "-m", "unittest", "discover", "-s", "tests/smoke", "-t", ".")
    assert eyes.run(*smoke, PILOTHOUSE_TARGET=eyes.world.urls["production"]).returncode == 0
    active = eyes.gh_json("api", "repos/harbour/acme/deployments")
    assert [(entry["environment"], entry["sha"] == sha) for entry in active[:2]] == [
        ("production", True),
        ("staging", True),
    ]


def test_the_new_version_is_unhealthy_without_its_migration(up: Up) -> None:
    eyes = up()
    eyes.deploy("production", eyes.release())
    assert eyes.get("production", "/health")[0] == 503
    eyes.manage("production", "migrate", NEW)
    assert eyes.get("production", "/health")[0] == 200


def test_nobody_is_turned_away_while_versions_change(up: Up) -> None:
    eyes = up()
    sha, old = eyes.release(), eyes.remote("refs/heads/deploy/production")
    eyes.manage("production", "migrate", NEW)
    answers: list[int] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answers.append(eyes.get("production", "/items")[0])

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    for target in (sha, old, sha):
        assert eyes.deploy("production", target).returncode == 0
    ended.set()
    for thread in asking:
        thread.join()
    assert (len(answers) > 50, set(answers)) == (True, {200})


def test_a_project_may_bring_a_deploy_command_of_its_own(tmp_path: Path) -> None:
    eyes = Eyes(harbour.up(tmp_path / "w", variant=Variant(deploy="command")))
    try:
        sha, main = eyes.release(), eyes.remote("refs/heads/main")

        def deploy(verb: str, environment: str, *more: str, platform: str = "") -> subprocess.CompletedProcess[str]:
            variable = f"ACME_{environment.upper()}_PLATFORM"
            kept = {variable: platform or eyes.world.environment[variable]}
            argv = [sys.executable, "ops/deploy.py", verb, environment, *more]
            return subprocess.run(argv, cwd=eyes.world.project, env=kept, capture_output=True, text=True, check=False)

        def state(verb: str, *more: str) -> str:
            return str(json.loads(deploy(verb, "staging", *more).stdout)["state"])

        assert (state("look", sha, "1.4.0"), state("check", sha, "1.4.0")) == ("absent", "absent")
        assert f"deployed 1.4.0 ({sha[:7]}) to staging" in deploy("put", "staging", sha, "1.4.0").stdout
        assert (state("look", sha, "1.4.0"), state("check", sha, "1.4.0")) == ("applied", "applied")
        assert (state("check", sha, "9.9.9"), state("look", main, "1.4.0")) == ("conflict", "absent")
        assert eyes.deployed("staging") == f"1.4.0 {sha}"
        other = deploy("put", "production", sha, "1.4.0", platform=eyes.world.environment["ACME_STAGING_PLATFORM"])
        assert (other.returncode, "does not open production" in other.stderr) == (1, True)
        assert deploy("put", "production", "0" * 40, "1.4.0").returncode == 1
        assert eyes.deployed("production").startswith("1.3.0 ")
    finally:
        harbour.down(eyes.world.folder)


def test_a_release_may_have_a_migration_that_must_wait_for_the_code(tmp_path: Path) -> None:
    eyes = Eyes(harbour.up(tmp_path / "w", variant=Variant(contracting=True)))
    try:
        pending = eyes.probe("production", "pending")["pending"]
        assert [(entry["name"], entry["phase"], entry["undo"]) for entry in pending] == [
            (NEW, "expand", "code"), ("0008_drop_category", "contract", "restore"),
        ]  # fmt: skip
        suites = [
            eyes.run("python3", "-m", "unittest", "discover", "-s", f"tests/{name}", "-t", ".") for name in ("unit", "e2e")
        ]  # fmt: skip
        assert [suite.returncode for suite in suites] == [0, 0]
        eyes.manage("production", "migrate", NEW, "0008_drop_category")
        assert eyes.get("production", "/health")[0] == 503  # 1.3.0 reads what is gone
        eyes.deploy("production", eyes.release())
        assert eyes.get("production", "/health")[0] == 200
    finally:
        harbour.down(eyes.world.folder)


def test_customers_come_by_themselves(calm: Eyes) -> None:
    def count() -> float:
        lines = str(calm.get("production", "/metrics")[1]).splitlines()
        return float(next(line for line in lines if line.startswith('http_requests_total{code="200"}')).split()[1])

    before = count()
    until(lambda: count() > before + 20, 5)
    text = str(calm.get("production", "/metrics")[1])
    assert 'http_request_duration_seconds_bucket{le="+Inf"}' in text


def test_a_restore_brings_back_rows_and_schema_under_a_running_server(up: Up) -> None:
    eyes = up()
    assert eyes.manage("production", "backup", "k1").returncode == 0
    facts = eyes.probe("production", "backup-status", "k1")
    assert (facts["state"], facts["restorable"], facts["bytes"] > 10000) == ("applied", True, True)
    eyes.manage("production", "migrate", NEW)
    assert eyes.probe("production", "restore-status", "k1")["writes_since_backup"] == 0
    item = json.dumps({"name": "Kedge", "price": 900}).encode()
    with urllib.request.urlopen(eyes.world.urls["production"] + "/items", data=item, timeout=5) as answer:
        assert answer.status == 201
    status = eyes.probe("production", "restore-status", "k1")
    assert (status["state"], status["writes_since_backup"]) == ("absent", 1)
    assert eyes.manage("production", "restore", "k1").returncode == 0
    assert eyes.probe("production", "restore-status", "k1") == {
        "state": "applied",
        "detail": "equal to the backup",
        "writes_since_backup": 0,
    }
    assert (len(eyes.get("production", "/items")[1]), eyes.get("production", "/health")[0]) == (60, 200)


def test_what_a_restore_would_lose_is_what_customers_wrote_and_not_what_migrations_did(up: Up) -> None:
    eyes = up()
    eyes.manage("production", "backup", "k1")

    def lost_after(*statements: str) -> int:
        with closing(sqlite3.connect(eyes.world.database("production"))) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return int(eyes.probe("production", "restore-status", "k1")["writes_since_backup"])

    assert lost_after("ALTER TABLE items ADD COLUMN labels TEXT NOT NULL DEFAULT ''") == 0
    assert lost_after("ALTER TABLE items DROP COLUMN category", "DROP TABLE categories") == 0
    assert lost_after("CREATE TABLE filters (name TEXT)") == 0
    assert lost_after("INSERT INTO filters VALUES ('iron')") == 1
    assert lost_after("UPDATE items SET price = 1 WHERE id < 3", "DELETE FROM orders") == 4


def test_commands_need_exactly_one_database(calm: Eyes) -> None:
    done = calm.run(sys.executable, "app/manage.py", "pending")
    assert (done.returncode, "exactly one of" in done.stderr) == (1, True)


def test_settings_differ_only_in_what_must(calm: Eyes) -> None:
    staging, production = (calm.probe(name, "settings") for name in ("staging", "production"))
    assert {name for name in staging if staging[name] != production[name]} == {"database", "url", "port"}


def test_a_red_test_makes_a_red_check(up: Up) -> None:
    eyes = up()
    eyes.git("checkout", "-q", "-b", "broken", "origin/main")
    (eyes.world.project / "app" / "metrics.py").write_text("nothing\t= 1\n")
    eyes.git("commit", "-q", "-a", "-m", "fix: nothing")
    eyes.git("push", "-q", "origin", "broken")
    harbour.settle(eyes.world.folder)
    path = f"repos/harbour/acme/commits/{eyes.git('rev-parse', 'HEAD')}"
    runs = eyes.gh_json("api", f"{path}/check-runs")["check_runs"]
    assert {(run["name"], run["conclusion"]) for run in runs} == {("unit", "failure"), ("lint", "failure")}
    assert any("tab or trailing space" in run["output"]["summary"] for run in runs)
    assert eyes.gh_json("api", f"{path}/status")["state"] == "failure"


def test_a_pull_request_whose_head_is_pushed_to_main_counts_as_merged(up: Up) -> None:
    eyes = up()
    sha = eyes.release()
    new = ("--base", "main", "--head", "release/v1.4.0", "--title", "Release", "--body", "x")
    eyes.gh("pr", "create", "-R", "harbour/acme", *new)
    eyes.git("push", "-q", "origin", f"{sha}:refs/heads/main")
    view = eyes.gh_json("pr", "view", "241", "-R", "harbour/acme", "--json", "state,headRefOid")
    assert view == {"state": "MERGED", "headRefOid": sha}


def test_a_second_world_in_the_same_folder_is_refused(calm: Eyes) -> None:
    with pytest.raises(RequestRefused) as refused_:
        harbour.up(calm.world.folder)
    assert refused_.value.reason_code == "world-exists"


def test_a_folder_without_a_world_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused_:
        harbour.down(tmp_path)
    assert refused_.value.reason_code == "no-world"


def test_down_leaves_nothing_running_and_may_be_said_twice(up: Up) -> None:
    eyes = up()
    assert processes(eyes.world.folder)
    harbour.down(eyes.world.folder)
    assert (processes(eyes.world.folder), all(map(refused, eyes.world.urls.values()))) == ([], True)
    harbour.down(eyes.world.folder)
    assert (eyes.world.folder / "production" / "deployments.jsonl").exists()


def test_a_killed_supervisor_takes_everything_with_it(up: Up) -> None:
    eyes = up()
    os.kill(eyes.world.supervisor, signal.SIGKILL)
    harbour.down(eyes.world.folder)
    until(lambda: not processes(eyes.world.folder))
    assert all(map(refused, eyes.world.urls.values()))


def command(*arguments: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-P", "-m", "pilothouse.cli.main", "harbour", *arguments]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_world_ends_with_the_process_that_holds_it_up_however_that_ends(tmp_path: Path, how: signal.Signals) -> None:
    folder = tmp_path / "w"
    with command("up", str(folder)) as holder:
        until(lambda: (folder / "harbour.json").exists() and harbour.load(folder).supervisor)
        urls = harbour.load(folder).urls.values()
        assert not any(map(refused, urls))
        holder.send_signal(how)
    until(lambda: all(map(refused, urls)))
    until(lambda: not processes(folder))
    harbour.down(folder)


def test_a_detached_world_stays_until_it_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    with command("up", str(folder), "--detach") as starter:
        assert starter.wait(60) == 0
    time.sleep(2.5)  # longer than the supervisor takes to notice: nothing is to happen
    assert Eyes(harbour.load(folder)).get("production", "/health")[0] == 200
    with command("down", str(folder)) as ending:
        assert ending.wait(60) == 0
    assert processes(folder) == []


def test_harbour_json_tells_where_everything_is_and_who_serves_it_now(up: Up) -> None:
    eyes = up()
    folder = eyes.world.folder

    def told() -> dict[str, Any]:
        return dict(json.loads((folder / "harbour.json").read_text()))

    first = told()
    assert set(first) == {
        "folder", "project", "origin", "urls", "gh_socket", "control_socket", "environment", "watch_seconds",
        "supervisor", "serving", "layout", "ci",
    }  # fmt: skip
    for name, url in first["urls"].items():
        assert eyes.get(name, "/version")[0] == 200
        assert url.startswith("http://127.0.0.1:")
    for pid, program in ((first["supervisor"], "supervisor"), *((pid, "berth") for pid in first["serving"].values())):
        listed = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=True
        )
        assert (program in listed.stdout, str(folder) in listed.stdout) == (True, True)
    eyes.deploy("staging", eyes.release())
    assert told()["serving"]["production"] == first["serving"]["production"]
    assert told()["serving"]["staging"] not in {0, first["serving"]["staging"]}
    harbour.down(folder)
    assert (told()["supervisor"], told()["serving"]) == (0, {})


def test_the_project_has_a_state_file_as_it_is_before_anything_happened(up: Up) -> None:
    eyes = up()
    app = Pilothouse(eyes.world.project)
    text = (eyes.world.project / statefile.NAME).read_text()
    assert text == statefile.render(None, stateview.view_of(app))
    assert stateview.differences(app).differences == ()
    app.start(Request("acme"), os_user("test"))
    assert stateview.differences(app).differences == ()  # the first run is not refused for an edit
    stateview.render_state_file(app)
    assert (eyes.world.project / statefile.NAME).read_text() == statefile.render(None, stateview.view_of(app)) != text
    app.close()


def test_a_stopped_supervisor_is_ended_all_the_same(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    eyes = up()
    monkeypatch.setattr("pilothouse.harbour.ending.PATIENCE_SECONDS", 0.3)
    os.kill(eyes.world.supervisor, signal.SIGSTOP)
    harbour.down(eyes.world.folder)
    until(lambda: not processes(eyes.world.folder))


def test_a_world_whose_folder_is_removed_ends_by_itself(up: Up) -> None:
    eyes = up()
    shutil.rmtree(eyes.world.folder)
    until(lambda: all(map(refused, eyes.world.urls.values())))
    until(lambda: not processes(eyes.world.folder))


def test_a_world_whose_folder_is_made_anew_at_once_ends_too(up: Up) -> None:
    eyes = up()
    shutil.rmtree(eyes.world.folder)
    again = up()
    until(lambda: all(map(refused, eyes.world.urls.values())))
    assert again.get("production", "/health")[0] == 200


def test_a_long_folder_name_is_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 20) / "w"
    world = harbour.up(folder)
    try:
        eyes = Eyes(world)
        assert (folder / "gh.sock").resolve() == world.gh_socket.resolve() != folder / "gh.sock"
        assert eyes.gh_json("api", "user")["login"] == "ceo"
        assert "deployed 1.3.0" in eyes.deploy("staging", eyes.remote("refs/heads/main")).stderr
    finally:
        harbour.down(folder)
    assert not world.gh_socket.parent.exists()


def test_two_worlds_do_not_know_each_other(up: Up, calm: Eyes) -> None:
    eyes = up()
    eyes.deploy("production", eyes.release())
    with closing(sqlite3.connect(eyes.world.database("production"))) as connection, connection:
        connection.execute("DELETE FROM items")
    assert (len(calm.get("production", "/items")[1]), calm.get("production", "/version")[1]["version"]) == (60, "1.3.0")
