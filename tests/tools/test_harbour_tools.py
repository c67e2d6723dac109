"""The tools against the sandbox world: the real gh, a real database behind commands, real suites."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pilothouse import config, harbour
from pilothouse.canonical import digest
from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import Permit, Presence
from pilothouse.settings import Suite
from pilothouse_tools.context import Context
from pilothouse_tools.toolbox import Toolbox

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "prompts").glob("*.j2")}


class Acme:
    """A harbour, and the tools for its product."""

    def __init__(self, folder: Path, clock: object) -> None:
        self.world = harbour.up(folder)
        self.folder = folder
        harbour.settle(folder)
        self.clock = clock
        self.product = config.parse((self.world.project / "pilothouse.yml").read_text(), "pilothouse.yml").products[
            "acme"
        ]
        repo = self.context().repo
        self.to, self.live = repo.head("main"), repo.head("deploy/production")

    def context(self, product=None, **changes) -> Context:
        values = {
            "product": product or self.product, "project": self.world.project,
            "environ": {**self.world.environment, "LANG": "C.UTF-8"}, "clock": self.clock, "templates": TEMPLATES,
            "scratch": self.folder / "scratch", "run_id": "r-1", "started_at": "2026-11-21T09:00:00Z",
        }  # fmt: skip
        return Context(**{**values, **changes})

    def box(self, product=None, **changes) -> Toolbox:
        return Toolbox(self.context(product, **changes))

    def observe(self, name, **arguments):
        return self.box().observe(name, arguments).facts

    def act(self, name, key="k-1", **arguments):
        box = self.box()
        before = box.probe(name, arguments, key)
        box.apply(name, arguments, Permit("r-1", "s", name, digest(arguments), "p", None, "main", key))
        return before, box.verify(name, arguments, key)

    def database(self, environment: str) -> sqlite3.Connection:
        return sqlite3.connect(self.world.database(environment))


@pytest.fixture(scope="module")
def acme(tmp_path_factory, real_clock):
    made = Acme(tmp_path_factory.mktemp("harbour"), real_clock)
    yield made
    harbour.down(made.folder)


@pytest.fixture
def fault(acme):
    """Turns faults on for one test."""
    on = []

    def turn(name):
        harbour.fault(acme.folder, name, on=True)
        on.append(name)

    yield turn
    for name in on:
        harbour.fault(acme.folder, name, on=False)


# -- forge


def test_ci_judges_statuses_and_check_runs_of_exactly_one_commit(acme):
    facts = acme.observe("forge.ci", sha=acme.to)
    assert facts["complete"] is True
    assert {item["name"]: (item["source"], item["state"]) for item in facts["checks"]} == {
        "ci/harbour": ("status", "success"), "lint": ("check", "success"), "unit": ("check", "success"),
    }  # fmt: skip


@pytest.mark.parametrize(("name", "state"), [("ci-red", "failure"), ("ci-pending", "pending")])
def test_a_red_or_pending_check_is_seen(acme, fault, name, state):
    fault(name)
    states = {item["name"]: item["state"] for item in acme.observe("forge.ci", sha=acme.to)["checks"]}
    assert states["unit"] == state
    assert states["lint"] == "success"


def test_a_commit_that_the_forge_does_not_know_is_no_green_commit(acme):
    with pytest.raises(ToolFailed) as refused:
        acme.observe("forge.ci", sha="d" * 40)
    assert refused.value.reason_code == "forge-refused"


def test_a_forge_that_answers_500_is_unreachable(acme, fault):
    fault("forge-500")
    for name, arguments in (
        ("forge.ci", {"sha": acme.to}),
        ("forge.issues", {"labels": ["critical"]}),
        ("forge.pulls", {"numbers": [231]}),
    ):
        with pytest.raises(Unreachable) as failed:
            acme.observe(name, **arguments)
        assert failed.value.reason_code == "forge-unreachable"


def test_a_forge_that_is_not_there_is_unreachable_and_a_wrong_repository_is_not_found(acme, tmp_path):
    gone = acme.box(environ={**acme.world.environment, "GH_CONFIG_DIR": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:1"},
                    product=replace(acme.product, forge=replace(acme.product.forge, environment=("GH_CONFIG_DIR", "HTTPS_PROXY"))))  # fmt: skip
    with pytest.raises(Unreachable):
        gone.observe("forge.issues", {"labels": ["critical"]})
    wrong = acme.box(replace(acme.product, forge=replace(acme.product.forge, repository="harbour/nothing")))
    for name, arguments in (("forge.issues", {"labels": ["critical"]}), ("forge.pulls", {"numbers": [1]})):
        with pytest.raises(ToolFailed) as refused:
            wrong.observe(name, arguments)
        assert refused.value.reason_code == "forge-not-found"


def test_open_issues_and_pull_requests_are_found_by_any_label(acme):
    every = acme.observe("forge.issues", labels=["critical", "low", "bug", "enhancement", "ticket", "high", "medium"])[
        "issues"
    ]
    listed = {item["number"] for item in every}
    one_by_one = {item["number"] for label in ("critical", "low", "bug", "enhancement", "ticket", "high", "medium")
                  for item in acme.observe("forge.issues", labels=[label])["issues"]}  # fmt: skip
    assert listed == one_by_one
    assert acme.observe("forge.issues", labels=[]) == {"issues": []}
    assert acme.observe("forge.open_pulls", labels=["next-release"]) == {"pulls": []}


def test_pull_requests_of_a_release_come_in_one_batch_and_missing_ones_are_named(acme):
    contents = acme.observe("git.contents", **{"from": acme.live, "to": acme.to})
    facts = acme.observe("forge.pulls", numbers=[*contents["pulls"], 99999])
    assert [pull["number"] for pull in facts["pulls"]] == contents["pulls"]
    assert facts["missing"] == [99999]
    assert all(pull["state"] == "merged" and pull["merged_at"] and pull["author"] for pull in facts["pulls"])
    assert acme.observe("forge.pulls", numbers=[]) == {"pulls": [], "missing": []}


def test_a_release_of_the_forge_is_made_once_for_a_tag_that_exists(acme):
    arguments = {"tag": "v1.3.1", "title": "Acme 1.3.1", "notes": "x"}
    with pytest.raises(ToolFailed) as refused:
        acme.act("forge.release", **arguments)
    assert refused.value.reason_code == "tag-missing"
    acme.act("git.tag", tag="v1.3.1", commit=acme.live, message="x")
    seen, done = acme.act("forge.release", **arguments)
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    assert done.facts["url"].endswith("/releases/tag/v1.3.1")
    assert (
        acme.box().probe("forge.release", {**arguments, "notes": "edited by a person"}, "k-9").presence
        is Presence.APPLIED
    )
    assert acme.box().probe("forge.release", {**arguments, "title": "another"}, "k-9").presence is Presence.CONFLICT


def test_an_issue_is_opened_once_and_labels_that_do_not_exist_do_not_hinder(acme):
    arguments = {"title": "Acme 1.4.0 was rolled back", "body": "why", "labels": ["critical", "no-such-label"]}
    seen, done = acme.act("forge.issue", "k-issue", **arguments)
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    again = acme.box(scratch=acme.folder / "elsewhere").probe("forge.issue", arguments, "k-issue")
    assert (again.presence, again.facts) == (Presence.APPLIED, done.facts)
    assert acme.box().probe("forge.issue", arguments, "k-other").presence is Presence.ABSENT
    assert done.facts["number"] in {
        item["number"] for item in acme.observe("forge.issues", labels=["critical"])["issues"]
    }


def test_a_pull_request_is_opened_once(acme):
    repo = acme.context().repo
    commit = repo.commit(repo.tree(acme.live), [acme.to], "something to merge")
    repo.push("refs/heads/release/acme/v9", commit, "")
    arguments = {"head": "release/acme/v9", "base": "main", "title": "By hand", "body": "conflict"}
    seen, done = acme.act("forge.pull_request", **arguments)
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    again = acme.box().probe("forge.pull_request", arguments, "k-2")
    assert (again.presence, again.facts["number"]) == (Presence.APPLIED, done.facts["number"])


# -- database


def test_pending_migrations_are_exactly_those_that_the_range_adds(acme):
    facts = acme.observe("migrations.pending", environment="staging", sha=acme.to, **{"from": acme.live})
    assert (facts["database"], facts["expand"], facts["contract"], facts["unexpected"]) == (
        "acme-staging",
        ["0007_item_labels"],
        [],
        [],
    )
    assert (facts["undo"], facts["any"], facts["any_expand"], facts["any_contract"]) == ("code", True, True, False)
    later = acme.observe("migrations.pending", environment="staging", sha=acme.to, **{"from": acme.to})
    assert later["unexpected"] == ["0007_item_labels"]


def test_a_database_that_is_another_one_is_refused_before_anything_moves(acme):
    environments = dict(acme.product.environments)
    staging = environments["staging"]
    environments["staging"] = replace(staging, database=replace(staging.database, identity="acme-production"))
    box = acme.box(replace(acme.product, environments=environments))
    arguments = {"environment": "staging", "sha": acme.to, "names": ["0007_item_labels"]}
    permit = Permit("r-1", "s", "migrate.apply", digest(arguments), "p", None, "main", "k-1")
    for attempt in (lambda: box.observe("migrations.pending", {"environment": "staging", "sha": acme.to, "from": acme.live}),
                    lambda: box.apply("migrate.apply", arguments, permit),
                    lambda: box.pins("migrate.apply", arguments)):  # fmt: skip
        with pytest.raises(ToolFailed) as refused:
            attempt()
        assert refused.value.reason_code == "wrong-database"
    assert acme.observe("migrations.pending", environment="staging", sha=acme.to, **{"from": acme.live})["any"]


def test_a_backup_is_made_migrations_applied_and_all_taken_back(acme):
    where = {"environment": "production", "sha": acme.to}
    seen, backup = acme.act("backup.create", "k-backup", **where)
    assert (seen.presence, backup.presence) == (Presence.ABSENT, Presence.APPLIED)
    assert backup.facts["bytes"] > 0
    pins = acme.box().pins("migrate.apply", {**where, "names": ["0007_item_labels"]})
    assert pins["identity:production"] == "acme-production"
    seen, done = acme.act("migrate.apply", **where, names=["0007_item_labels"])
    assert (seen.presence, done.presence, done.facts) == (
        Presence.ABSENT,
        Presence.APPLIED,
        {"applied": ["0007_item_labels"]},
    )
    now = acme.box().pins("migrate.apply", {**where, "names": ["0007_item_labels"]})["pending:production"]
    assert done.moves == {"pending:production": now}
    assert now != pins["pending:production"]
    assert acme.act("migrate.apply", **where, names=["0007_item_labels"])[0].presence is Presence.APPLIED
    with closing(acme.database("production")) as connection, connection:
        connection.execute("INSERT INTO items (name, price) VALUES ('since', 1)")
    compared = acme.observe("backup.compare", **where, backup="k-backup")
    assert compared["lossless"] is False
    assert compared["writes_since"] > 0
    seen, done = acme.act("backup.restore", **where, backup="k-backup")
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    assert done.moves == {"pending:production": pins["pending:production"]}
    assert acme.observe("backup.compare", **where, backup="k-backup") == {"writes_since": 0, "lossless": True}


def test_a_backup_that_fails_is_no_backup(acme, fault):
    fault("backup-fails")
    where = {"environment": "production", "sha": acme.to}
    box = acme.box()
    with suppress(ToolFailed):  # it may even say that it worked
        box.apply(
            "backup.create", where, Permit("r-1", "s", "backup.create", digest(where), "p", None, "main", "k-fails")
        )
    assert box.verify("backup.create", where, "k-fails").presence is not Presence.APPLIED


@pytest.mark.parametrize(
    ("answer", "presence"),
    [
        ({"state": "applied", "restorable": True, "bytes": 9, "sha256": "a" * 64}, Presence.APPLIED),
        ({"state": "applied", "restorable": False, "bytes": 9, "sha256": "a" * 64}, Presence.CONFLICT),
        ({"state": "applied", "bytes": 9, "sha256": "a" * 64}, Presence.CONFLICT),
        ({"state": "applied", "restorable": True, "bytes": 0, "sha256": "a" * 64}, Presence.CONFLICT),
        ({"state": "applied", "restorable": True, "bytes": 9}, Presence.CONFLICT),
        ({"state": "done"}, Presence.UNKNOWN),
        ([], Presence.UNKNOWN),
    ],
)
def test_a_backup_counts_only_when_it_could_be_gone_back_to(acme, answer, presence):
    staging = acme.product.environments["staging"]
    backup = replace(staging.database.backup, probe=("echo", json.dumps(answer)))
    changed = replace(staging, database=replace(staging.database, backup=backup))
    box = acme.box(replace(acme.product, environments={"staging": changed}))
    assert box.probe("backup.create", {"environment": "staging", "sha": acme.to}, "k-1").presence is presence


def test_something_under_the_key_that_cannot_be_restored_is_a_conflict(acme):
    file = acme.world.database("staging").parent / "backups" / "k-broken.db"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"not a database" * 100)
    assert (
        acme.box().probe("backup.create", {"environment": "staging", "sha": acme.to}, "k-broken").presence
        is Presence.CONFLICT
    )


def test_a_migration_that_fails_is_not_applied(acme, fault):
    fault("migration-fails")
    where = {"environment": "production", "sha": acme.to, "names": ["0007_item_labels"]}
    box = acme.box()
    with pytest.raises(ToolFailed) as failed:
        box.apply("migrate.apply", where, Permit("r-1", "s", "migrate.apply", digest(where), "p", None, "main", "k-1"))
    assert failed.value.reason_code == "command-failed"
    assert box.verify("migrate.apply", where, "k-1").presence is Presence.ABSENT


def test_a_pending_migration_that_no_commit_of_the_range_adds_is_unexpected(acme, fault):
    fault("unexpected-migration")
    facts = acme.observe("migrations.pending", environment="production", sha=acme.to, **{"from": acme.live})
    assert facts["unexpected"] == ["0006_name_index"]


def test_what_production_lacks_of_a_release_that_it_does_not_run_any_more_is_expected(acme):
    tagged = {"environment": "staging", "sha": acme.to, "from": acme.to}  # the range is empty: all of it is tagged
    assert acme.observe("migrations.pending", **tagged)["unexpected"] == ["0007_item_labels"]
    repo = acme.context().repo
    carrier = repo.commit(
        repo.tree(acme.live), [acme.to], "Deploy acme 1.3.0 to production"
    )  # ADR 4: no ancestor of main
    repo.push("refs/heads/carried", carrier, "")
    for live in (acme.live, carrier):
        facts = acme.observe("migrations.pending", **tagged, live=live)
        assert (facts["expand"], facts["unexpected"]) == (["0007_item_labels"], [])
    for live in ("", "d" * 40, acme.to):  # nothing, a commit that nobody knows, and one that has the migration
        assert acme.observe("migrations.pending", **tagged, live=live)["unexpected"] == ["0007_item_labels"]


# -- suites, logs, settings


def test_suites_run_in_a_checkout_of_the_commit_and_leave_the_clone_alone(acme):
    (acme.world.project / "tests").rename(acme.world.project / "away")
    try:
        facts = acme.observe("tests.run", suite="e2e", sha=acme.to)
    finally:
        (acme.world.project / "away").rename(acme.world.project / "tests")
    assert (facts["configured"], facts["passed"], facts["failed"]) == (True, True, 0)
    assert facts["total"] > 0
    assert not list((acme.context().scratch / "checkouts").iterdir())


def test_a_smoke_test_reaches_the_environment_and_is_told_where_it_is(acme):
    facts = acme.observe("tests.run", suite="smoke", sha=acme.live, environment="production")
    assert facts["passed"] is True
    assert facts["url"] == acme.world.urls["production"]


def test_a_suite_that_is_not_configured_has_not_passed(acme):
    facts = acme.observe("tests.run", suite="performance", sha=acme.to)
    assert (facts["configured"], facts["passed"]) == (False, False)


MEASURE = """
import json, pathlib, sys, time
version = json.loads(pathlib.Path("package.json").read_text())["version"]
began = time.perf_counter()
sum(range(10_000))
taken, budget = time.perf_counter() - began, float(sys.argv[1])
print(f"Acme {version}: {taken * 1000:.1f} ms of {budget * 1000:.0f} ms")
sys.exit(taken > budget)
"""


@pytest.mark.parametrize(("budget", "passed"), [("60", True), ("0", False)])
def test_a_configured_performance_suite_passes_within_its_budget_and_fails_beyond_it(acme, budget, passed):
    suite = Suite(("python3", "-c", MEASURE, budget), timeout=30)
    box = acme.box(replace(acme.product, suites={**acme.product.suites, "performance": suite}))
    seen = box.observe("tests.run", {"suite": "performance", "sha": acme.live})
    assert (seen.facts["configured"], seen.facts["passed"], seen.facts["exit"]) == (True, passed, int(not passed))
    assert "Acme 1.3.0: " in seen.facts["log"]  # it measures the pinned commit
    assert f" of {float(budget) * 1000:.0f} ms" in seen.facts["log"]
    assert seen.summary == f"performance: {'passed' if passed else 'failed'}"


@pytest.mark.parametrize(
    ("script", "passed", "total", "failed"),
    [
        ("echo 'Ran 0 tests in 0.000s' >&2", False, 0, 0),
        ("printf 'Ran 3 tests in 0.1s\\n\\nFAILED (failures=1, errors=1)\\n' >&2; exit 1", False, 3, 2),
        ("echo '=== 2 failed, 5 passed, 1 skipped in 0.12s ==='; exit 1", False, 7, 2),
        ("echo '===== 5 passed in 0.12s ====='", True, 5, 0),
        ("echo '5 passed, 1 warning in 0.12s'", True, 5, 0),
        ("echo '====== no tests ran in 0.01s ======'", False, 0, 0),
        ("echo 'Tests:       1 failed, 5 passed, 6 total'; exit 0", False, 6, 1),
        ("printf '# tests 4\\n# pass 4\\n# fail 0\\n'", True, 4, 0),
        ("echo fine", True, 0, 0),
        ("exit 3", False, 0, 0),
        ("sleep 30", False, 0, 0),
    ],
)
def test_a_suite_passes_by_its_exit_and_its_own_summary_together(acme, script, passed, total, failed):
    product = replace(acme.product, suites={"s": Suite(("sh", "-c", script), timeout=1.0)})
    facts = acme.box(product).observe("tests.run", {"suite": "s", "sha": acme.to}).facts
    assert (facts["passed"], facts["total"], facts["failed"]) == (passed, total, failed)


def test_a_suite_sees_no_credential_and_its_log_is_harmless(acme):
    script = "env; printf '\\033[31mred\\033[0m \\007'; echo $HOME; exit 1"
    product = replace(acme.product, suites={"s": Suite(("sh", "-c", script), timeout=5, environment="TARGET")})
    log = (
        acme.box(product).observe("tests.run", {"suite": "s", "sha": acme.to, "environment": "production"}).facts["log"]
    )
    assert f"TARGET={acme.world.urls['production']}" in log
    assert "harbour-token" not in log
    assert "ACME_" not in log
    assert "\x1b" not in log
    assert "red <U+0007>" in log


def test_what_a_suite_leaves_in_its_home_is_found_by_nobody(acme):
    plant = "mkdir -p $HOME/.config/gh && echo 'http_unix_socket: /tmp/evil.sock' > $HOME/.config/gh/config.yml"
    product = replace(acme.product, suites={"s": Suite(("sh", "-c", plant), timeout=5)})
    assert acme.box(product).observe("tests.run", {"suite": "s", "sha": acme.to}).facts["exit"] == 0
    assert not list(acme.context().scratch.rglob("config.yml"))


def test_logs_are_scanned_for_rejected_texts(acme):
    facts = acme.observe("logs.scan", environment="production", sha=acme.to)
    assert (facts["configured"], facts["hits"]) == (True, [])
    with (acme.world.database("production").with_name("app.log")).open("a") as log:
        log.write("ERROR it broke \x1b[31m\n")
    hits = acme.observe("logs.scan", environment="production", sha=acme.to)["hits"]
    assert hits == ["ERROR it broke <U+001B>[31m"]


def test_drift_names_the_settings_that_differ_and_only_those(acme):
    assert acme.observe("settings.drift", sha=acme.to) == {"configured": True, "differences": []}
    with closing(acme.database("staging")) as connection, connection:
        connection.execute("INSERT INTO settings (name, value) VALUES ('debug', 'on')")
    assert acme.observe("settings.drift", sha=acme.to)["differences"] == [
        {"key": "debug", "staging": "on", "production": "(not set)"}
    ]


def test_a_staging_command_cannot_read_productions_credentials(acme):
    staging = acme.product.environments["staging"]
    show = ("python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))")
    product = replace(
        acme.product,
        environments={
            "staging": replace(staging, settings=show),
            "production": replace(staging, name="production", settings=("echo", "{}")),
        },
    )
    keys = {item["key"] for item in acme.box(product).observe("settings.drift", {"sha": acme.to}).facts["differences"]}
    assert "ACME_STAGING_DB" in keys
    assert not {"ACME_PRODUCTION_DB", "GH_TOKEN", "GH_CONFIG_DIR"} & keys


def test_credentials_that_are_not_set_are_named_never_shown(acme):
    environ = {
        name: value for name, value in acme.world.environment.items() if name not in {"GH_TOKEN", "ACME_PRODUCTION_DB"}
    }
    facts = acme.box(environ=environ).observe("credentials.present", {}).facts
    assert facts["missing"] == [
        {"environment": "forge", "name": "GH_TOKEN"},
        {"environment": "production", "name": "ACME_PRODUCTION_DB"},
    ]
    assert "harbour-token" not in json.dumps(acme.observe("credentials.present"))


def test_a_whole_release_is_prepared_with_notes_that_name_every_pull_request(acme):
    contents = acme.observe("git.contents", **{"from": acme.live, "to": acme.to})
    version = acme.observe("version.decide", sha=acme.to, current="1.3.0", requested="", contents=contents)
    assert version["version"] == "1.4.0"
    final = acme.observe("changelog.finalise", sha=acme.to, version="1.4.0", previous="1.3.0", date="2026-11-21")
    pulls = acme.observe("forge.pulls", numbers=contents["pulls"])
    notes = acme.observe(
        "notes.render",
        version="1.4.0",
        previous="1.3.0",
        date="2026-11-21",
        contents=contents,
        pulls=pulls,
        section=final["section"],
    )
    for entry in (*contents["features"], *contents["fixes"], *contents["dependencies"]):
        assert f"(#{entry['number']})" in notes["text"]
    assert notes["text"].startswith("# Acme 1.4.0\n\n2026-11-21 · since 1.3.0\n")
    assert "acme-icons 1.2 → 1.3" in notes["text"]


@pytest.mark.parametrize("name", ["reply-lost", "effect-late"])
def test_a_deployment_whose_answer_is_lost_or_late_is_there_once(acme, fault, name):
    repo = acme.context().repo
    live = repo.head("deploy/production")
    commit = repo.commit(repo.tree(acme.live), [live], name)
    fault(name)
    _, done = acme.act("deploy.apply", f"k-{name}", environment="production", commit=commit, version="1.3.0")
    assert done.presence is Presence.APPLIED
    assert repo.head("deploy/production") == commit == done.facts["sha"]
    assert acme.observe("health.check", environment="production", version="1.3.0", sha=commit)["healthy"]
