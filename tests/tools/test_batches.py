"""Many lookups by few requests: whole answers or errors that name what is missing; limits are heeded."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import limits
from pilothouse_tools.batches import Lookup, _whole, look_up
from tools.forgeworld import ForgeWorld, SwiftClock


@pytest.fixture(scope="module")
def world(still, tmp_path_factory):
    made = ForgeWorld(tmp_path_factory.mktemp("batches"), still.product)
    made.commit("live", "chore: start", path="README.md")
    made.pull(12, head_sha=made.at["live"], merge_sha=made.at["live"])
    made.publish(main="live")
    yield made
    made.close()


@pytest.fixture
def asked(world):
    """How many aliases each request of this test asked for."""
    (world.folder / "troubles.json").unlink(missing_ok=True)
    before = len(world.asked())
    return lambda: [entry["body"]["query"].count("object(") for entry in world.asked()[before:]]


def commits(world, number):
    return [Lookup(f'object(oid: "{world.at["live"]}") {{ oid }}', f"commit {place}") for place in range(number)]


def test_a_hundred_lookups_are_one_request_and_the_answers_keep_their_order(world, asked):
    lookups = commits(world, 230)
    lookups[205] = Lookup("pullRequest(number: 12) { number }", "pull request #12")
    lookups[206] = Lookup("pullRequest(number: 999) { number }", "pull request #999")
    found = look_up(world.context(), lookups)
    assert sorted(asked()) == [28, 100, 100]
    assert (found[0], found[205], found[206]) == ({"oid": world.at["live"]}, {"number": 12}, None)


def test_nothing_is_asked_for_nothing(world, asked):
    assert (look_up(world.context(), []), asked()) == ([], [])


def test_at_most_four_requests_are_under_way_at_once(world, asked, tmp_path, monkeypatch):
    real = world.environ["PATH"].split(":")[0] + "/gh"
    script = f'#!/bin/sh\necho 1 >> {tmp_path}/log\n{real} "$@"\ncode=$?\necho -1 >> {tmp_path}/log\nexit $code\n'
    (tmp_path / "gh").write_text(script)
    (tmp_path / "gh").chmod(0o755)
    monkeypatch.setitem(world.environ, "PATH", f"{tmp_path}:{world.environ['PATH']}")
    look_up(world.context(), commits(world, 701))
    steps = [int(line) for line in (tmp_path / "log").read_text().split()]
    heights = [sum(steps[: place + 1]) for place in range(len(steps))]
    assert (len(steps), 2 <= max(heights) <= 4) == (16, True)


def test_what_one_answer_leaves_out_is_asked_again_alone(world, asked):
    world.trouble({"kind": "hole", "alias": "a7"})
    assert look_up(world.context(), commits(world, 40))[7] == {"oid": world.at["live"]}
    assert asked() == [40, 1]


@pytest.mark.parametrize("said", ["", "Something went wrong while executing your query."])
def test_what_the_forge_never_tells_is_named(world, asked, said):
    world.trouble({"kind": "hole", "alias": "a7", "said": said, "times": 9})
    with pytest.raises(ToolFailed) as failed:
        look_up(world.context(), commits(world, 40))
    assert failed.value.reason_code == "contents-incomplete"
    assert "missing: commit 7" in failed.value.message
    assert said.rstrip(".") in failed.value.message
    assert asked() == [40, 1, 1]


def test_a_commit_that_the_forge_does_not_have_is_no_commit_without_a_pull_request(world, asked):
    lookups = [*commits(world, 2), Lookup(f'object(oid: "{"0" * 40}") {{ oid }}', "commit 000000000000")]
    with pytest.raises(ToolFailed) as failed:
        look_up(world.context(), lookups)
    assert (failed.value.reason_code, "commit 000000000000" in failed.value.message) == ("contents-incomplete", True)


def test_a_hole_deep_in_an_answer_is_seen():
    assert _whole({"a": {"nodes": [{"b": {"nodes": []}}]}, "none": None})
    assert not _whole({"a": {"nodes": [{"b": {"nodes": [{"x": 1}, None]}}]}})
    assert not _whole({"a": {"nodes": None}})


def test_a_list_with_a_hole_is_asked_for_again(world, asked):
    world.trouble({"kind": "gap", "alias": "a1"})
    field = f'object(oid: "{world.at["live"]}") {{ ... on Commit {{ associatedPullRequests(first: 5) {{ nodes {{ number }} }} }} }}'
    found = look_up(world.context(), [Lookup(field, f"commit {place}") for place in range(3)])
    assert found == [{"associatedPullRequests": {"nodes": [{"number": 12}]}}] * 3
    assert asked() == [3, 1]


def test_a_gateway_that_breaks_off_is_asked_again(world, asked):
    world.trouble({"kind": "gateway"})
    clock = SwiftClock()
    assert len(look_up(world.context(clock), commits(world, 3))) == 3
    assert (asked(), clock.slept) == ([3, 3], [0.5])


def test_a_request_that_is_too_much_is_cut_into_smaller_ones(world, asked):
    world.trouble({"kind": "timeout", "times": 3})
    assert len(look_up(world.context(), commits(world, 100))) == 100
    assert sorted(asked()) == [25, 25, 25, 25, 100, 100, 100]


def test_a_forge_that_is_down_is_no_short_list(world, asked):
    world.trouble({"kind": "gateway", "times": 999})
    with pytest.raises(Unreachable) as failed:
        look_up(world.context(), commits(world, 8))
    assert failed.value.reason_code == "forge-unreachable"
    assert len(asked()) <= 3 + 4 * 3


def test_a_slow_answer_is_waited_for(world, asked):
    world.trouble({"kind": "slow", "seconds": 0.3})
    assert len(look_up(world.context(), commits(world, 2))) == 2


@pytest.mark.parametrize(
    ("trouble", "least", "most"),
    [
        ({"kind": "secondary", "seconds": 7}, 7, 7),
        ({"kind": "secondary"}, 60, 60),
        ({"kind": "primary", "seconds": 100}, 98, 101),
        ({"kind": "points", "seconds": 100}, 98, 101),
    ],
)
def test_a_limit_is_waited_for_as_long_as_the_forge_says(world, asked, trouble, least, most):
    world.trouble(trouble)
    clock = SwiftClock()
    assert len(look_up(world.context(clock), commits(world, 3))) == 3
    assert asked() == [3, 3]
    assert least - 0.5 <= sum(clock.slept) <= most


@pytest.mark.parametrize("kind", ["primary", "points", "secondary"])
def test_a_limit_beyond_our_patience_is_told_with_the_time_to_come_back(world, asked, kind):
    world.trouble({"kind": kind, "seconds": 3600, "times": 99})
    clock = SwiftClock()
    with pytest.raises(Unreachable) as failed:
        look_up(world.context(clock), commits(world, 3))
    assert (failed.value.reason_code, asked(), clock.slept) == ("forge-rate-limited", [3], [])
    told = failed.value.message.partition("again at ")[2]
    back = datetime.strptime(told, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    assert 3590 <= (back - datetime.now(UTC)).total_seconds() <= 3605


def test_limits_without_a_time_are_waited_for_longer_each_time_and_not_for_ever(world, asked):
    world.trouble({"kind": "secondary", "times": 99})
    clock = SwiftClock()
    with pytest.raises(Unreachable) as failed:
        look_up(world.context(clock), commits(world, 3))
    assert failed.value.reason_code == "forge-rate-limited"
    assert [round(seconds) for seconds in clock.slept] == [60, 120]


def test_a_refused_credential_is_told_at_once(world, asked):
    world.trouble({"kind": "denied", "times": 9})
    with pytest.raises(ToolFailed) as failed:
        look_up(world.context(), commits(world, 3))
    assert (failed.value.reason_code, asked()) == ("forge-denied", [3])


def test_another_repository_is_not_found(world, asked):
    forge = replace(world.product.forge, repository="harbour/other")
    with pytest.raises(ToolFailed) as failed:
        look_up(world.context(product=replace(world.product, forge=forge)), commits(world, 1))
    assert failed.value.reason_code == "forge-not-found"


NOW = 1_795_000_000.0
DATE = {"date": "Wed, 18 Nov 2026 10:13:20 GMT"}  # a minute and more from NOW


@pytest.mark.parametrize(
    ("status", "headers", "said", "kinds", "wanted"),
    [
        (200, {}, "", (), None),
        (200, {"x-ratelimit-remaining": "0"}, "", (), None),  # the last answer that one got
        (200, {}, "a title: rate limit", (), None),
        (200, {"retry-after": "30"}, "You have exceeded a secondary rate limit", (), (30.0, True)),
        (200, {}, "", ("RATE_LIMITED",), (60.0, False)),
        (403, {}, "Resource not accessible by integration", (), None),
        (403, {}, "API rate limit exceeded", (), (60.0, False)),
        (429, {}, "", (), (60.0, False)),
        (403, {"retry-after": "0"}, "", (), (1.0, True)),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795000090"}, "", (), (90.0, True)),
        (429, {"retry-after": "Wed, 18 Nov 2026 10:14:20 GMT", **DATE}, "", (), (60.0, True)),
        (502, {"retry-after": "30"}, "", (), None),
    ],
)
def test_which_answers_are_limits(status, headers, said, kinds, wanted):
    assert limits.pause(status, headers, said, kinds, NOW) == wanted


def test_every_thread_waits_for_the_same_limit_and_it_costs_once():
    clock = SwiftClock()
    pace = limits.Pace(clock, patience=100)
    for _ in range(4):
        pace.limited(60, told=True)
    pace.wait()
    assert [round(seconds) for seconds in clock.slept] == [60]


def test_requests_hold_no_more_than_they_say(world, asked):
    look_up(world.context(), commits(world, 1))
    assert json.dumps(world.asked()[-1]["body"]["variables"]) == '{"owner": "harbour", "name": "acme"}'
