"""pilothouse.yml becomes frozen values; what it may not say, tests/playbook/test_bad_input.py tells."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from pilothouse import config, settings
from pilothouse.config import scalars
from pilothouse.errors import InvalidFile, UsageError
from pilothouse.playbook import known
from pilothouse.project import find_project
from playbook.samples import CONFIG, spoil

MINIMAL = """\
version: 1
products:
  acme:
    environments:
      production:
        url: https://acme.example
        deploy: {model: push, branch: deploy/production}
        health: {path: /health, version: /version}
"""


def test_a_whole_configuration_becomes_frozen_values() -> None:
    read = config.parse(CONFIG)
    acme = read.products["acme"]
    assert (acme.title, acme.path, acme.remote, acme.base, acme.delete_branch) == ("Acme", ".", "origin", "main", True)
    assert acme.forge == settings.Forge("github", "harbour/acme", ("GH_TOKEN",), ("GH_CONFIG_DIR", "GH_HOST"))
    assert acme.versioning.files[1] == settings.VersionFile("app/version.py", '__version__ = "(.*)"')
    assert acme.suites["smoke"].timeout == 60
    assert acme.suites["smoke"].environment == "PILOTHOUSE_TARGET"
    assert acme.readiness.checks == ("unit", "lint")
    assert acme.watch == settings.WatchRule(
        6000, 1000, settings.Threshold(2, "points"), settings.Threshold(300, "relative", "p95")
    )
    assert acme.rollback == settings.Rollback(2, "auto")
    assert acme.notify == (settings.Notice("console"), settings.Notice("file", ".pilothouse/notices.jsonl"))
    assert read.policy == settings.Policy(259200, "approvals.yml", allow_short_watch=True, unconfigured_suites="refuse")
    assert read.source == CONFIG
    assert read.path == "pilothouse.yml"


def test_environments_keep_their_own_ways() -> None:
    environments = config.parse(CONFIG).products["acme"].environments
    staging, production = environments["staging"], environments["production"]
    assert staging.deploy == settings.Deploy("push", "deploy/staging", None, 20)
    assert staging.health == settings.Health("/health", "/version", 3, 0.2, 2, 20, allow_private=True)
    assert staging.database is not None
    assert staging.database.migrate.probe == ("python3", "app/manage.py", "status", "{names}")
    assert staging.database.migrate.timeout == 120
    assert staging.logs == settings.Logs(("python3", "app/manage.py", "logs"), ("ERROR", "Traceback"))
    assert production.deploy.model == "command"
    assert production.deploy.command is not None
    assert production.deploy.command.run == ("bin/deploy", "{environment}", "{commit}")
    assert production.database is not None
    assert production.database.backup.probe is None  # class H: a person is asked after a crash
    assert production.metrics_path == "/metrics"


def test_defaults_are_the_careful_ones() -> None:
    read = config.parse(MINIMAL)
    acme = read.products["acme"]
    assert (acme.title, acme.base, acme.forge, acme.watch, acme.delete_branch) == ("acme", "main", None, None, False)
    assert acme.rollback.restore == "auto"
    assert acme.environments["production"].health.allow_private is False
    assert read.policy == settings.Policy()
    assert read.workflow == "release"


def test_what_a_workflow_sees_is_exactly_what_workflows_may_name() -> None:
    for text in (CONFIG, MINIMAL):
        seen = config.parse(text).settings["acme"]
        flat: dict[str, object] = {}
        for key, value in seen.items():
            flat |= (
                {f"{key}.{inner}": item for inner, item in value.items()} if isinstance(value, dict) else {key: value}
            )
        assert flat.keys() == known.SETTINGS.keys()
        for name, value in flat.items():
            assert known.literal_fits(value, known.SETTINGS[name]), name


def test_what_a_workflow_sees_follows_the_configuration() -> None:
    seen, bare = (config.parse(text).settings["acme"] for text in (CONFIG, MINIMAL))
    assert (seen["has_database"], seen["has_performance"], seen["delete_branch"], seen["has_watch"]) == (
        True,
        False,
        True,
        True,
    )
    assert seen["release_labels"] == ["next-release"]
    assert seen["blocker_labels"] == ["critical", "high"]
    assert seen["watch"] == {"window_ms": 6000, "every_ms": 1000}
    assert (seen["rollback_restore_asks"], bare["rollback_restore_asks"]) == (False, False)
    assert (bare["has_database"], bare["has_staging"], bare["has_forge"]) == (False, False, False)


def test_a_stored_text_means_the_same_again() -> None:
    first = config.parse(CONFIG)
    assert config.parse(first.source, first.path) == first


def test_two_products_of_one_repository_stay_apart() -> None:
    second = spoil(MINIMAL[MINIMAL.index("  acme:") :], "acme:", "web:")
    with pytest.raises(InvalidFile, match="its tags would be those of 'acme'"):
        config.parse(MINIMAL + second)
    prefixed = spoil(second, "    environments:", "    versioning: {tag_prefix: web-v}\n    environments:")
    with pytest.raises(InvalidFile, match=r"products.web.environments.production.url: is that of acme.production"):
        config.parse(MINIMAL + prefixed)
    apart = spoil(spoil(prefixed, "acme.example", "web.example"), "deploy/production", "deploy/web")
    assert set(config.parse(MINIMAL + apart).products) == {"acme", "web"}


def test_every_fault_is_found_in_one_go() -> None:
    text = spoil(spoil(CONFIG, "acme-production", "acme-staging"), "[ACME_PRODUCTION_DB]", "[ACME_STAGING_DB]")
    found = config.check(text)
    assert [problem.message.split(": ")[0].rsplit(".", 1)[-1] for problem in found] == ["0", "identity"]
    assert all(problem.hint for problem in found)


@given(st.integers(1, 9_999), st.sampled_from(["ms", "s", "m"]))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert scalars.milliseconds(f"{number}{unit}") == number * {"ms": 1, "s": 1000, "m": 60_000}[unit]


@given(st.one_of(st.text(max_size=12), st.integers(), st.booleans()))
def test_what_is_no_duration_is_refused_or_exact(value: object) -> None:
    try:
        read = scalars.milliseconds(value)
    except PydanticCustomError:
        return
    assert isinstance(value, str)
    assert read > 0


@given(st.text(alphabet="ab./~\\-\0:", max_size=12))
def test_a_path_never_leaves_the_project(path: str) -> None:
    try:
        scalars.inside(path)
    except PydanticCustomError:
        return
    root = Path("/project")
    assert root / path == (root / path).absolute()
    assert ".." not in (root / path).parts


def test_the_project_is_the_nearest_folder_upwards(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pilothouse.yml").write_text(MINIMAL)
    assert find_project(inner) == tmp_path.resolve()
    (tmp_path / "a" / "pilothouse.yml").write_text(MINIMAL)
    assert find_project(inner) == (tmp_path / "a").resolve()


def test_no_project_is_a_usage_error_with_a_way_on(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_project(tmp_path)
    assert caught.value.reason_code == "no-project"
    assert "getting-started" in caught.value.hint


def test_finding_the_project_stays_light() -> None:
    code = (
        "import sys; import pilothouse.project, pilothouse.intent, pilothouse.playbook.review;"
        "print([name for name in ('pydantic', 'ruamel', 'jinja2') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_configuration_is_called_as_the_person_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pilothouse.yml").write_text(spoil(MINIMAL, "version: 1", "versoin: 1"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidFile, match=r"^pilothouse.yml:1: unknown key 'versoin'") as caught:
        config.load(tmp_path)
    assert caught.value.hint == "did you mean 'version'?"


FREEZE = """\
policy:
  freezes:
    - {name: weekend, reason: quiet, start: "%s", rule: "%s", duration: 1h, time_zone: UTC}
"""
FRIDAY, DAILY = "2026-01-02T16:00", "FREQ=DAILY"


@pytest.mark.parametrize(
    ("start", "rule", "told"),
    [
        (FRIDAY, "FREQ=DAILY;INTERVAL=0", "INTERVAL is a number from 1 to 1000"),
        (FRIDAY, "FREQ=DAILY;INTERVAL=-1", "INTERVAL is a number from 1 to 1000"),
        (FRIDAY, "FREQ=DAILY;INTERVAL=1001", "INTERVAL is a number from 1 to 1000"),
        (FRIDAY, "FREQ=DAILY;COUNT=0", "COUNT is a number from 1 to 10000"),
        (FRIDAY, "FREQ=DAILY;COUNT=10001", "COUNT is a number from 1 to 10000"),
        (FRIDAY, "FREQ=DAILY;UNTIL=99991231", "UNTIL is a local time in the years 2000 to 2100"),
        (FRIDAY, "FREQ=DAILY;UNTIL=20270101T000000Z", "UNTIL is a local time"),
        (FRIDAY, "FREQ=DAILY;COUNT=2;UNTIL=20270101", "says something twice"),
        (FRIDAY, "FREQ=DAILY;UNTIL=20261399", "is not a recurrence rule"),
        (FRIDAY, "FREQ=DAILY;UNTIL=20260101", "never comes"),
        (FRIDAY, "FREQ=DAILY;INTERVAL=7;BYDAY=MO", "never comes"),  # every seventh day from a Friday
        (FRIDAY, "FREQ=DAILY;BYSETPOS=5", "never comes"),
        ("9999-12-31T23:59", DAILY, "is not in the years 2000 to 2100"),
        ("1999-12-31", DAILY, "is not in the years 2000 to 2100"),
    ],
)
def test_a_freeze_without_end_or_beginning_is_refused_at_its_line(start: str, rule: str, told: str) -> None:
    with pytest.raises(InvalidFile, match=told) as caught:
        config.parse(MINIMAL + FREEZE % (start, rule))
    assert "pilothouse.yml:11" in str(caught.value)
    assert caught.value.hint.startswith("for example")


@pytest.mark.parametrize(
    "rule", [DAILY, "FREQ=DAILY;INTERVAL=7;BYDAY=FR", "FREQ=DAILY;INTERVAL=1000", "FREQ=WEEKLY;COUNT=10000",
             "FREQ=DAILY;UNTIL=20270101T160000", "FREQ=DAILY;UNTIL=21001231", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"],
)  # fmt: skip
def test_a_freeze_that_comes_is_taken(rule: str) -> None:
    (freeze,) = config.parse(MINIMAL + FREEZE % (FRIDAY, rule)).policy.freezes
    assert freeze.rule == rule
