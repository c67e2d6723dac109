"""The watch's arithmetic: integers, units, resets, thin traffic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.guard.watch import compare, reading

RULE = {
    "error_rate": {"rise": 2, "unit": "points"},
    "latency": {"rise": 100, "unit": "relative", "quantile": "p95"},
}


def counters(requests, errors=0, fast=None):
    fast = requests if fast is None else fast
    return {"requests": requests, "errors": errors, "buckets": [[10_000, fast], [100_000, requests], [-1, requests]]}


def test_as_good_as_before_is_healthy():
    assert compare(counters(1000), [counters(0), counters(500)], RULE, ended=True)[0] == "healthy"


@pytest.mark.parametrize(("errors", "outcome"), [(10, "healthy"), (11, "worse")])
def test_the_error_rate_may_rise_by_its_points_and_no_further(errors, outcome):
    assert compare(counters(1000), [counters(0), counters(500, errors)], RULE, ended=False)[0] == outcome


def test_a_relative_rise_is_per_cent_of_the_baseline():
    rule = {**RULE, "error_rate": {"rise": 50, "unit": "relative"}}
    before = counters(1000, 20)  # 2 %: 3 % is the limit
    assert compare(before, [counters(0), counters(1000, 30)], rule, ended=False)[0] == "healthy"
    assert compare(before, [counters(0), counters(1000, 31)], rule, ended=False)[0] == "worse"


def test_slower_answers_are_worse():
    slow = counters(500, fast=100)
    assert compare(counters(1000), [counters(0), slow], RULE, ended=False)[0] == "worse"


def test_latency_beyond_all_buckets_is_worse():
    beyond = {"requests": 100, "errors": 0, "buckets": [[10_000, 0], [-1, 100]]}
    assert compare(counters(1000), [counters(0), beyond], RULE, ended=False)[0] == "worse"


@pytest.mark.parametrize(("ended", "outcome"), [(False, "thin"), (True, "no-data")])
def test_too_little_traffic_concludes_nothing_and_fails_at_the_end(ended, outcome):
    assert compare(counters(1000), [counters(0), counters(19)], RULE, ended=ended)[0] == outcome


@pytest.mark.parametrize(("ended", "outcome"), [(False, "thin"), (True, "no-data")])
def test_no_baseline_concludes_nothing_and_fails_at_the_end(ended, outcome):
    assert compare({}, [counters(0), counters(100)], RULE, ended=ended)[0] == outcome


def test_a_restart_resets_the_counters_and_what_came_since_counts():
    seen = reading(counters(900, 100), counters(50, 5))
    assert (seen.requests, seen.errors) == (50, 5)


@given(st.lists(st.integers(0, 10_000), min_size=3, max_size=3), st.integers(0, 100))
def test_a_reading_never_counts_more_than_there_was(deltas, errors):
    first = counters(100, 3)
    total = 100 + sum(deltas)
    seen = reading(first, counters(total, 3 + min(errors, sum(deltas)), fast=100 + deltas[0]))
    assert seen.requests == sum(deltas)
    assert sum(count for _, count in seen.buckets) == seen.requests
    assert 0 <= seen.error_ppm <= 1_000_000


def test_a_restart_that_later_growth_hides_is_seen_between_two_looks():
    looks = [counters(1000), counters(50, 5), counters(1100, 110)]
    assert compare(counters(1000), looks, RULE, ended=True)[0] == "worse"
