"""What follows a push at the forge: its deployment; and before it: required checks, checks of each kind, open pulls."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools.door import Arguments
from pilothouse_tools.observe import deployments
from pilothouse_tools.observe import forge as observed
from tools.conftest import RealClock
from tools.forgeworld import AT, ForgeWorld, SwiftClock, until

LOOKS = {tool.spec.name: tool.look for tool in (*observed.TOOLS, *deployments.TOOLS)}


@pytest.fixture(scope="module")
def world(still, tmp_path_factory):
    made = ForgeWorld(tmp_path_factory.mktemp("deployments"), still.product)
    for name, parents in (("live", ()), ("next", ("live",)), ("more", ("next",))):
        made.commit(name, "chore: on", *parents, path=f"{name}.txt")
    made.publish(main="live", staging="more", other="live")
    yield made
    made.close()


@pytest.fixture
def look(world):
    (world.folder / "troubles.json").unlink(missing_ok=True)
    for table in ("deployments", "checks", "statuses", "required", "threads"):
        world.store.rows(f"DELETE FROM {table}")

    def asked(name, clock=None, **arguments):
        return LOOKS[name](world.context(clock), Arguments(arguments)).facts

    return asked


def deploy(world, state, environment="production", name="next", **more):
    values = {"environment": environment, "sha": world.at[name], "ref": "main", "description": "", "created": AT}
    return world.store.put("deployments", **values, state=state, **more)


def asked_for(world, timeout=5, name="next"):
    return {"sha": world.at[name], "environment": "production", "timeout": timeout}


@pytest.mark.parametrize(
    ("state", "wanted"),
    [("success", "success"), ("failure", "failure"), ("error", "failure"), ("inactive", "failure")],
)
def test_a_deployment_that_ended_is_told_at_once_with_its_addresses(world, look, state, wanted):
    deploy(world, "failure", environment="staging")
    deploy(world, "failure", name="more")
    number = deploy(world, state)
    clock = SwiftClock()
    facts = look("forge.deployment", clock, **asked_for(world))
    assert (facts["found"], facts["state"], facts["id"], clock.slept) == (True, wanted, str(number), [])
    assert facts["log_url"].endswith(f"/deployments/production/{number}")
    assert (facts["sha"], facts["environment"], facts["waited"]) == (world.at["next"], "production", 0)


def test_the_newest_deployment_of_the_commit_counts(world, look):
    deploy(world, "failure")
    deploy(world, "success")
    assert look("forge.deployment", **asked_for(world))["state"] == "success"


def test_it_is_waited_for_from_before_it_appears_to_its_end(world, look):
    found = []
    waiting = threading.Thread(
        target=lambda: found.append(look("forge.deployment", RealClock(), **asked_for(world, timeout=30)))
    )
    before = len(world.asked())
    waiting.start()
    until(lambda: len(world.asked()) > before)
    number = deploy(world, "")
    until(lambda: any("statuses" in str(entry["target"]) for entry in world.asked()[before:]))
    deploy(world, "success", id=number)
    waiting.join(20)
    assert (found[0]["state"], found[0]["id"]) == ("success", str(number))


@pytest.mark.parametrize(("state", "wanted"), [(None, "absent"), ("in_progress", "pending")])
def test_what_has_not_ended_in_time_is_told_as_it_is(world, look, state, wanted):
    if state is not None:
        deploy(world, state)
    clock = SwiftClock()
    facts = look("forge.deployment", clock, **asked_for(world, timeout=60))
    assert (facts["state"], facts["found"], facts["waited"] >= 60) == (wanted, state is not None, True)
    assert 50 <= sum(clock.slept) <= 60
    assert len(clock.slept) < 20  # not a question a second for twenty minutes


def test_a_forge_that_fails_in_between_is_asked_on_and_told_at_the_end(world, look):
    deploy(world, "success")
    world.trouble({"kind": "gateway", "times": 3, "path": "/repos"})
    assert look("forge.deployment", **asked_for(world, timeout=60))["state"] == "success"
    world.trouble({"kind": "gateway", "times": 999, "path": "/repos"})
    with pytest.raises(Unreachable) as failed:
        look("forge.deployment", **asked_for(world, timeout=1))
    assert failed.value.reason_code == "forge-unreachable"


def test_a_rate_limit_over_rest_has_its_own_name(world, look):
    world.trouble({"kind": "secondary", "seconds": 600, "path": "/repos", "times": 9})
    with pytest.raises(Unreachable) as failed:
        look("forge.pulls_into", branch="staging")
    assert failed.value.reason_code == "forge-rate-limited"


def test_a_timeout_is_bounded(world, look):
    with pytest.raises(ToolFailed) as refused:
        look("forge.deployment", **asked_for(world, timeout=-1))
    assert refused.value.reason_code == "bad-argument"


def require(world, source, *contexts, branch="main"):
    for context in contexts:
        world.store.put("required", branch=branch, source=source, context=context)


def test_required_checks_come_from_protection_and_rulesets(world, look):
    assert look("forge.required_checks", branch="main") == {"names": [], "source": "none"}
    require(world, "rules", "lint")
    assert look("forge.required_checks", branch="main") == {"names": ["lint"], "source": "rules"}
    require(world, "protection", "unit")
    require(world, "protection", "e2e", branch="staging")
    assert look("forge.required_checks", branch="main") == {"names": ["lint", "unit"], "source": "protection"}
    assert look("forge.required_checks", branch="no/such") == {"names": [], "source": "none"}


def test_who_may_not_read_protection_learns_of_none_and_a_forge_that_is_down_is_no_answer(world, look):
    require(world, "protection", "unit")
    world.trouble({"kind": "denied", "path": "/repos", "times": 2})
    assert look("forge.required_checks", branch="main")["source"] == "none"
    for part in ("branches", "rules"):
        world.trouble({"kind": "gateway", "path": f"/repos/harbour/acme/{part}", "times": 3})
        with pytest.raises(Unreachable):
            look("forge.required_checks", branch="main")


@pytest.mark.parametrize("kinds", ["checks", "statuses", "both", "neither"])
def test_ci_of_one_kind_or_both_is_judged_alike_and_the_newest_of_each_name_wins(world, look, kinds):
    sha = world.at["more"]
    if kinds in {"checks", "both"}:
        world.store.check(sha, "unit", "completed", "failure", "")
        world.store.check(sha, "unit", "completed", "success", "")
    if kinds in {"statuses", "both"}:
        for state in ("pending", "failure", "success"):
            world.store.status(sha, "ci/acme", state, "")
    facts = look("forge.ci", sha=sha)
    wanted = {"checks": {"unit"}, "statuses": {"ci/acme"}, "both": {"unit", "ci/acme"}, "neither": set()}
    assert {item["name"]: item["state"] for item in facts["checks"]} == dict.fromkeys(wanted[kinds], "success")
    assert facts["complete"] is True


def test_a_newer_failure_replaces_an_older_success(world, look):
    for state in ("success", "error"):
        world.store.status(world.at["more"], "ci/acme", state, "")
    assert [item["state"] for item in look("forge.ci", sha=world.at["more"])["checks"]] == ["failure"]


def test_open_pull_requests_into_a_branch_are_told_by_number(world, look):
    head = world.at["more"]
    common = {"merged": None, "merge_sha": "", "closed": None}
    world.pull(71, head_sha=head, state="OPEN", title="Second\nline", **common)
    world.pull(70, head_sha=head, state="OPEN", draft=1, author="kofi", **common)
    world.pull(72, head_sha=head, state="OPEN", base="main", **common)
    world.pull(73, head_sha=head, merge_sha=head)
    pulls = look("forge.pulls_into", branch="staging")["pulls"]
    assert [(item["number"], item["author"], item["draft"]) for item in pulls] == [
        (70, "kofi", True), (71, "noor", False)
    ]  # fmt: skip
    assert (pulls[1]["title"], pulls[1]["url"]) == ("Second line", "https://github.com/harbour/acme/pull/71")


def test_without_a_forge_it_is_said(world):
    product = replace(world.product, forge=None)
    with pytest.raises(ToolFailed) as failed:
        LOOKS["forge.pulls_into"](world.context(product=product), Arguments({"branch": "staging"}))
    assert failed.value.reason_code == "forge-not-configured"
