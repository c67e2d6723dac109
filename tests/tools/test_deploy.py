"""Deploying, looking, undoing: by a push that deploys, and by a command."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import EffectClass, Presence
from pilothouse.settings import Command, Deploy

LOSES_THE_REPLY = "kill -9 $PPID"


@pytest.fixture
def world(small):
    """Production runs 1.3.0 from its deploy branch; 1.4.0 is a commit on top."""
    small.push("main", "deploy/production")
    small.served.branch = "deploy/production"
    small.new = small.commit("chore(release): 1.4.0", {"package.json": '{"version": "1.4.0"}'})
    small.push("main", "release/acme/v1.4.0")
    return small


def arguments(commit, version):
    return {"environment": "production", "commit": commit, "version": version}


def test_a_descendant_is_pushed_as_it_is(world, do):
    before = world.untouched()
    seen, done = do(world.toolbox(), "deploy.apply", arguments(world.new, "1.4.0"))
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    assert world.head("deploy/production") == world.new == done.facts["sha"]
    assert done.facts == {"sha": world.new, "commit": world.new, "version": "1.4.0", "url": world.served.url}
    assert done.moves == {"ref:refs/heads/deploy/production": world.new}
    assert world.untouched() == before


def test_going_back_is_a_new_commit_that_carries_the_old_tree(world, do):
    box = world.toolbox()
    do(box, "deploy.apply", arguments(world.new, "1.4.0"))
    _, done = do(box, "deploy.apply", arguments(world.released, "1.3.0"), "k-back")
    head = world.head("deploy/production")
    assert done.facts["sha"] == head != world.released
    assert world.git("rev-parse", f"{head}^@", cwd=world.origin) == world.new  # forward only
    assert world.git("rev-parse", f"{head}^{{tree}}", cwd=world.origin) == world.git(
        "rev-parse", f"{world.released}^{{tree}}"
    )
    message = world.git("log", "-1", "--format=%B", head, cwd=world.origin)
    assert f"Pilothouse-Deploys: {world.released}" in message
    assert "Pilothouse-Key: k-back" in message
    # And looked at from anywhere, it is there.
    again = world.toolbox(scratch="elsewhere").probe("deploy.apply", arguments(world.released, "1.3.0"), "k-other")
    assert again.presence is Presence.APPLIED


def test_forward_again_after_going_back_carries_the_new_tree(world, do):
    box = world.toolbox()
    do(box, "deploy.apply", arguments(world.new, "1.4.0"), "k-1")
    do(box, "deploy.apply", arguments(world.released, "1.3.0"), "k-2")
    _, done = do(box, "deploy.apply", arguments(world.new, "1.4.0"), "k-3")
    assert done.presence is Presence.APPLIED
    assert done.facts["sha"] == world.head("deploy/production")


def test_a_push_whose_reply_is_lost_is_there_once(world, do):
    world.hook("post-receive", LOSES_THE_REPLY)
    _, done = do(world.toolbox(), "deploy.apply", arguments(world.new, "1.4.0"))
    assert done.presence is Presence.APPLIED
    assert world.head("deploy/production") == world.new


def test_a_deployment_that_does_not_come_up_is_a_failure_and_may_be_tried_again(world, do, allow):
    world.served.answer("/version")  # 1.3.0 is up
    world.served.stuck = True
    box, wanted = world.toolbox(), arguments(world.new, "1.4.0")
    with pytest.raises(ToolFailed, match=r"answers 1\.3\.0") as failed:
        box.apply("deploy.apply", wanted, allow("deploy.apply", wanted))
    assert failed.value.reason_code == "deploy-not-answering"
    assert box.probe("deploy.apply", wanted, "k-1").presence is Presence.ABSENT
    assert world.head("deploy/production") == world.new
    world.served.stuck = False
    # The same commit once more needs a new push, or nothing would be deployed.
    world.hook("post-receive", "touch deployed")
    box.apply("deploy.apply", wanted, allow("deploy.apply", wanted))
    assert (world.origin / "deployed").exists()
    assert box.verify("deploy.apply", wanted, "k-1").presence is Presence.APPLIED


def test_a_push_that_is_still_being_deployed_after_a_crash_gets_its_time(world):
    world.served.answer("/version")
    world.served.stuck = True
    world.git("push", "-q", "origin", f"{world.new}:refs/heads/deploy/production")  # the crashed conductor's push
    clock_ticks = []

    class Clock:
        def now(self):
            from datetime import UTC, datetime, timedelta

            return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=sum(clock_ticks))

        def sleep(self, seconds):
            clock_ticks.append(seconds)
            if len(clock_ticks) == 3:
                world.served.stuck = False  # up at last

    seen = world.toolbox(clock=Clock()).probe("deploy.apply", arguments(world.new, "1.4.0"), "k-1")
    assert seen.presence is Presence.APPLIED


def test_the_right_version_at_another_commit_is_not_ours(world, allow):
    world.served.branch, world.served.version, world.served.sha = "", "1.4.0", "e" * 40
    wanted = arguments(world.new, "1.4.0")
    with pytest.raises(ToolFailed):
        world.toolbox().apply("deploy.apply", wanted, allow("deploy.apply", wanted))


def test_a_forged_trailer_without_the_tree_is_not_taken_for_a_deployment(world):
    world.git("checkout", "-q", "-b", "forged", world.released)
    world.commit(f"x\n\nPilothouse-Deploys: {world.new}", {"evil": "1", "package.json": '{"version": "1.4.0"}'})
    world.push("forged", "deploy/production")
    assert world.toolbox().probe("deploy.apply", arguments(world.new, "1.4.0"), "k-1").presence is Presence.ABSENT


def test_an_environments_first_deployment_makes_its_branch(world, do):
    world.served.branch = "deploy/staging"
    _, done = do(world.toolbox(), "deploy.apply", {**arguments(world.new, "1.4.0"), "environment": "staging"})
    assert done.presence is Presence.APPLIED
    assert world.head("deploy/staging") == world.new


def test_pins_of_a_production_deployment_are_its_branch_and_the_base(world):
    box = world.toolbox()
    pins = box.pins("deploy.apply", {"environment": "production"})
    assert pins == {"ref:refs/heads/deploy/production": world.released, "ref:refs/heads/main": world.released}
    assert box.pins("deploy.apply", {"environment": "staging"}) == {"ref:refs/heads/deploy/staging": ""}
    assert box.pins("deploy.apply", {}) == {}


# -- by a command

SCRIPT = """
import json, os, pathlib, sys
verb, state, commit, version, key = sys.argv[1:6]
state = pathlib.Path(state)
if verb == "run":
    state.write_text(json.dumps({"commit": commit, "key": key, "cwd": sorted(p.name for p in pathlib.Path().iterdir()),
                                 "environ": dict(os.environ)}))
elif verb == "probe":
    done = state.exists() and json.loads(state.read_text())["commit"] == commit
    print(json.dumps({"state": "applied" if done else "absent", "detail": "looked"}))
else:
    print("not json")
"""


@pytest.fixture
def commanded(world):
    script, state = world.folder / "deploy.py", world.folder / "state.json"
    script.write_text(SCRIPT)
    rest = [str(state), "{commit}", "{version}", "{key}"]
    run, probe = (("python3", str(script), verb, *rest) for verb in ("run", "probe"))
    world.command = Command(tuple(run), tuple(probe), timeout=20)
    world.served.branch, world.state = "", state
    world.environ = {**world.environ, "SHIP_TOKEN": "ship-secret", "OTHER_TOKEN": "other-secret"}
    return world


def commanded_product(world, **changes):
    deploy = Deploy("command", command=replace(world.command, **changes), timeout=1.0)
    environment = world.environment("production", deploy=deploy, credentials=("SHIP_TOKEN",))
    staging = world.environment("staging", credentials=("OTHER_TOKEN",))
    return replace(world.product, environments={"staging": staging, "production": environment})


def test_a_command_deploys_in_a_checkout_with_its_credentials_only(commanded, do):
    commanded.served.version, commanded.served.sha = "1.4.0", commanded.new
    _, done = do(commanded.toolbox(commanded_product(commanded)), "deploy.apply", arguments(commanded.new, "1.4.0"))
    assert done.presence is Presence.APPLIED
    told = json.loads(commanded.state.read_text())
    assert told["key"] == "k-1"
    assert "CHANGELOG.md" in told["cwd"]
    assert told["environ"]["SHIP_TOKEN"] == "ship-secret"
    assert not {"OTHER_TOKEN", "SECRET_OF_THE_CONDUCTOR", "GH_TOKEN"} & told["environ"].keys()
    assert str(commanded.folder / "scratch") in told["environ"]["HOME"]
    assert not list((commanded.context().scratch / "checkouts").iterdir())


def test_a_command_that_claims_success_is_not_believed_until_the_environment_answers(commanded, do):
    commanded.served.version = "1.3.0"
    _, done = do(commanded.toolbox(commanded_product(commanded)), "deploy.apply", arguments(commanded.new, "1.4.0"))
    assert done.presence is Presence.UNKNOWN


@pytest.mark.parametrize(
    ("probe", "effect"),
    [(None, EffectClass.HUMAN), (("false",), EffectClass.QUIESCE), (("true",), EffectClass.QUIESCE)],
)
def test_a_probe_that_cannot_tell_means_unknown(commanded, probe, effect):
    box = commanded.toolbox(commanded_product(commanded, probe=probe))
    assert box.probe("deploy.apply", arguments(commanded.new, "1.4.0"), "k-1").presence is Presence.UNKNOWN
    assert box.specs()["deploy.apply"].effect is effect


def test_a_missing_credential_stops_the_command_before_it_starts(commanded, allow):
    commanded.environ = {name: value for name, value in commanded.environ.items() if name != "SHIP_TOKEN"}
    wanted = arguments(commanded.new, "1.4.0")
    box = commanded.toolbox(commanded_product(commanded))
    with pytest.raises(ToolFailed) as refused:
        box.apply("deploy.apply", wanted, allow("deploy.apply", wanted))
    assert refused.value.reason_code == "credential-missing"
    assert not commanded.state.exists()
    missing = box.observe("credentials.present", {}).facts["missing"]
    assert {"environment": "production", "name": "SHIP_TOKEN"} in missing


def test_a_failing_command_shows_the_end_of_its_output_without_secrets(commanded, allow):
    failing = ("sh", "-c", "echo token is $SHIP_TOKEN >&2; exit 3")
    wanted = arguments(commanded.new, "1.4.0")
    with pytest.raises(ToolFailed) as failed:
        commanded.toolbox(commanded_product(commanded, run=failing)).apply(
            "deploy.apply", wanted, allow("deploy.apply", wanted)
        )
    assert failed.value.reason_code == "command-failed"
    assert "exited with 3" in failed.value.message
    assert "ship-secret" not in failed.value.message + failed.value.detail
    assert "[redacted SHIP_TOKEN]" in failed.value.detail


# -- looking


def test_what_runs_is_read_from_the_environment_and_its_branch(world):
    facts = world.toolbox().observe("deploy.current", {"environment": "production"}).facts
    assert facts == {"version": "1.3.0", "sha": world.released, "reachable": True, "head": world.released,
                     "tree": world.git("rev-parse", f"{world.released}^{{tree}}")}  # fmt: skip


def test_an_environment_that_is_down_is_not_reachable(world):
    world.served.close()
    facts = world.toolbox().observe("deploy.current", {"environment": "production"}).facts
    assert (facts["reachable"], facts["version"]) == (False, "")


def health(world, version="1.3.0", **changes):
    return world.toolbox().observe("health.check", {"environment": "production", "version": version, **changes}).facts


def test_healthy_is_the_right_version_several_times_in_a_row(world):
    facts = health(world, sha=world.released)
    assert (facts["healthy"], facts["in_a_row"], facts["needed"], len(facts["looks"])) == (True, 3, 3, 3)


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (("/health", (503, b'{"status": "ok"}', {})), "health answers 503"),
        (("/health", (302, b"", {"Location": "/version"})), "health answers 302"),
        (("/health", (200, b'{"status": "failing"}', {})), "says 'failing'"),
        (
            ("/health", (200, b'{"status": "ok", "checks": {"database": {"status": "down"}}}', {})),
            "database says 'down'",
        ),
        (("/health", (200, b'{"status": "ok", "checks": {"cache": false}}', {})), "cache says false"),
        (("/health", (200, b"<html>welcome</html>", {})), "JSON"),
        (("/health", (200, b'{"status": "ok", "status": "ok"}', {})), "twice"),
        (("/health", (200, b"{}", {})), "says 'None'"),
        (("/version", (200, b'{"version": "1.2.0"}', {})), "answers version 1.2.0, not 1.3.0"),
        (("/version", (200, b'{"version": 13}', {})), "names no version"),
        (("/version", (200, b'{"version": "<script>"}', {})), "which is no version"),
        (("/version", (404, b"", {})), "/version answers 404"),
        (("/version", (200, b'{"version": "1.3.0", "sha": "' + b"e" * 40 + b'"}', {})), "answers commit eeeeeeeeeeee"),
    ],
)
def test_anything_else_is_not_healthy_and_says_why(world, page, problem):
    path, answer = page
    world.served.pages[path] = answer
    hasty = replace(world.product.environments["production"].health, deadline=0.2)
    product = replace(world.product, environments={"production": world.environment("production", health=hasty)})
    asked = {"environment": "production", "version": "1.3.0", "sha": world.released}
    facts = world.toolbox(product).observe("health.check", asked).facts
    assert facts["healthy"] is False
    assert problem in facts["looks"][-1]["problem"]


def test_one_bad_look_starts_the_count_anew(world):
    real, calls = world.served.answer, []

    def flaky(path):
        calls.append(path)
        return (500, b"", {}) if path == "/health" and calls.count("/health") == 3 else real(path)

    world.served.answer = flaky
    facts = health(world)
    assert (facts["healthy"], len(facts["looks"])) == (True, 6)


def test_metrics_are_counters_and_buckets_as_whole_numbers(world):
    page = (b'# TYPE http_requests_total counter\nhttp_requests_total{code="200",path="/a,b"} 90\nhttp_requests_total{code="503"} 1e1 1700000000\n'
            b'http_request_duration_seconds_bucket{le="0.005"} 60\nhttp_request_duration_seconds_bucket{le="+Inf"} 100\nother 0.5\n')  # fmt: skip
    world.served.pages["/metrics"] = (200, page, {})
    product = replace(
        world.product, environments={"production": world.environment("production", metrics_path="/metrics")}
    )
    facts = world.toolbox(product).observe("metrics.sample", {"environment": "production"}).facts
    assert (facts["requests"], facts["errors"], facts["buckets"]) == (100, 10, [[5000, 60], [-1, 100]])


@pytest.mark.parametrize(
    ("page", "code"),
    [(b"", "no-data"), (b"http_requests_total NaN\n", "bad-answer"), (b"http_requests_total -1\n", "bad-answer"),
     (b'http_requests_total 1\nhttp_request_duration_seconds_bucket{le="1"} 5\nhttp_request_duration_seconds_bucket{le="+Inf"} 4\n', "bad-answer")],
)  # fmt: skip
def test_metrics_that_are_none_fail(world, page, code):
    world.served.pages["/metrics"] = (200, page, {})
    product = replace(
        world.product, environments={"production": world.environment("production", metrics_path="/metrics")}
    )
    with pytest.raises(ToolFailed) as refused:
        world.toolbox(product).observe("metrics.sample", {"environment": "production"})
    assert refused.value.reason_code == code


@pytest.mark.parametrize(("code", "unsure"), [(75, True), (1, False)])
def test_a_command_that_cannot_tell_whether_it_landed_says_so_by_its_exit_code(commanded, allow, code, unsure):
    commanded.command = replace(commanded.command, run=("sh", "-c", f"exit {code}"))
    wanted = arguments(commanded.new, "1.4.0")
    box = commanded.toolbox(commanded_product(commanded))
    with pytest.raises(ToolFailed) as failed:
        box.apply("deploy.apply", wanted, allow("deploy.apply", wanted))
    assert isinstance(failed.value, Unreachable) is unsure
    assert failed.value.reason_code == ("command-unsure" if unsure else "command-failed")
