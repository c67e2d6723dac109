"""The watch's arithmetic to the last digit: quantiles, buckets, limits, and how a person reads them."""

from __future__ import annotations

import pytest

from pilothouse.guard.watch import ENOUGH, Reading, compare, reading, total

POINTS = {"error_rate": {"rise": 1, "unit": "points"}, "latency": {"rise": 5, "unit": "points", "quantile": "p50"}}


def counters(requests, errors=0, buckets=()):
    return {"requests": requests, "errors": errors, "buckets": [list(item) for item in buckets]}


def of(*buckets):
    return Reading(sum(count for _, count in buckets), 0, buckets)


@pytest.mark.parametrize(
    ("name", "counts", "bound"),
    [
        ("p50", (50, 50, 0), 10), ("p50", (49, 51, 0), 20), ("p95", (94, 1, 5), 20), ("p95", (95, 5, 0), 10),
        ("p99", (98, 1, 1), 20), ("p99", (98, 0, 2), -1), ("p50", (0, 0, 1), -1), ("p50", (1, 0, 0), 10), ("p95", (0, 0, 0), -1),
        ("p50", (1, 2, 0), 20), ("p95", (10, 10, 1), 20),
    ],
)  # fmt: skip
def test_a_quantile_is_the_bound_of_the_bucket_that_holds_it(name, counts, bound):
    assert of(*zip((10, 20, -1), counts, strict=True)).quantile_us(name) == bound


def test_rates_are_millionths_and_none_without_requests():
    assert Reading(3, 1, ()).error_ppm == 333_333
    assert Reading(1, 1, ()).error_ppm == 1_000_000
    assert Reading(0, 0, ()).error_ppm == 0
    assert Reading(0, 5, ()).error_ppm == 0


def test_cumulative_buckets_become_the_requests_of_each():
    first = counters(10, 1, [(10, 4), (20, 6), (-1, 10)])
    last = counters(30, 4, [(10, 10), (20, 20), (-1, 30)])
    assert reading(first, last) == Reading(20, 3, ((10, 6), (20, 8), (-1, 6)))
    assert reading(None, first) == Reading(10, 1, ((10, 4), (20, 2), (-1, 4)))
    assert reading(first, first) == Reading(0, 0, ((10, 0), (20, 0), (-1, 0)))


def test_bounds_are_put_in_order_with_the_open_one_last():
    assert reading(None, counters(3, 0, [(-1, 3), (20, 2), (0, 1), (10, 1)])).buckets == (
        (0, 1),
        (10, 0),
        (20, 1),
        (-1, 1),
    )
    assert reading(None, counters(3, 0, [(20, 2)])).buckets == ((20, 2),)


def test_what_falls_back_counts_as_nothing_and_never_below():
    crooked = counters(30, 0, [(10, 10), (20, 5), (-1, 30)])
    assert reading(None, crooked).buckets == ((10, 10), (20, 0), (-1, 20))
    assert reading(counters(10, 5), counters(20, 3)).errors == 0
    assert reading(counters(10, 0, [(10, 9)]), counters(20, 0, [(10, 5), (20, 7)])).buckets == ((10, 0), (20, 7))


def test_only_a_count_that_fell_is_a_restart():
    assert reading(counters(10, 2, [(10, 10)]), counters(10, 2, [(10, 10)])) == Reading(0, 0, ((10, 0),))
    assert reading(counters(11, 2, [(10, 11)]), counters(10, 1, [(10, 10)])) == Reading(10, 1, ((10, 10),))


@pytest.mark.parametrize(
    "odd",
    [None, "many", [[10, 5, 1]], [[10]], ["ab"], [["10", 5]], [[10, "5"]], [(10, 5)], {"10": 5}],
)
def test_a_bucket_that_is_none_is_left_out(odd):
    assert reading(None, {"requests": 5, "errors": 1, "buckets": odd}) == Reading(5, 1, ())


def test_counts_that_are_none_are_nothing():
    assert reading(None, {"requests": "5", "errors": None}) == Reading(0, 0, ())


def test_spans_add_up():
    one, other = Reading(3, 1, ((10, 2), (-1, 1))), Reading(4, 0, ((20, 3), (10, 1)))
    assert total([one, other]) == Reading(7, 1, ((10, 3), (20, 3), (-1, 1)))
    assert total([]) == Reading(0, 0, ())


FAST = [(10_000, 100), (-1, 100)]


def told(errors=0, slow=0, requests=100, rule=POINTS, before=None, *, ended=True):
    """A watch of so many requests, so many of them beyond 10 ms."""
    zero = counters(0, 0, [(10_000, 0), (12_000, 0), (20_000, 0), (-1, 0)])
    buckets = [(10_000, requests - slow), (12_000, requests - slow), (20_000, requests), (-1, requests)]
    return compare(before or counters(100, 0, FAST), [zero, counters(requests, errors, buckets)], rule, ended=ended)


def test_thresholds_in_points_are_per_cent_and_milliseconds():
    assert told(errors=1) == ("healthy", "error rate 1.00 % vs 0.00 % · p50 10 ms vs 10 ms")
    assert told(errors=2) == ("worse", "error rate 2.00 % vs 0.00 %")
    assert told(slow=50)[0] == "healthy"
    assert told(slow=51) == ("worse", "error rate 0.00 % vs 0.00 % · p50 20 ms vs 10 ms")
    wider = {**POINTS, "latency": {"rise": 10, "unit": "points", "quantile": "p50"}}
    assert told(slow=51, rule=wider)[0] == "healthy"


def test_thresholds_that_are_relative_are_of_the_baseline():
    half = {**POINTS, "latency": {"rise": 99, "unit": "relative", "quantile": "p50"}}
    assert told(slow=51, rule=half)[0] == "worse"
    assert told(slow=51, rule={**half, "latency": {**half["latency"], "rise": 100}})[0] == "healthy"


def test_without_a_threshold_nothing_may_rise():
    assert told(rule={})[0] == "healthy"
    assert told(rule={}, errors=1)[0] == "worse"
    assert told(rule={}, slow=6)[0] == "worse"  # p95, where none is named
    assert told(rule={}, slow=5)[0] == "healthy"
    assert told(rule={"error_rate": {"rise": "2", "unit": "points"}}, errors=1)[0] == "worse"


@pytest.mark.parametrize(("ended", "outcome"), [(False, "thin"), (True, "no-data")])
def test_enough_is_a_number_of_requests_since_the_watch_opened(ended, outcome):
    assert told(requests=ENOUGH, ended=ended)[0] == "healthy"
    assert ENOUGH == 20
    assert told(requests=ENOUGH - 1, ended=ended) == (outcome, "19 requests so far, at least 20 are needed")


@pytest.mark.parametrize(("ended", "outcome"), [(False, "thin"), (True, "no-data")])
def test_a_baseline_beyond_all_buckets_or_without_requests_compares_with_nothing(ended, outcome):
    beyond = counters(100, 0, [(10_000, 0), (-1, 100)])
    for before in (beyond, counters(0, 0, FAST)):
        assert told(before=before, ended=ended) == (outcome, "there is no baseline to compare with")


def test_a_bound_of_nothing_is_a_bound():
    instant = counters(100, 0, [(0, 100), (-1, 100)])
    assert compare(instant, [counters(0, 0, [(0, 0)]), counters(50, 0, [(0, 50)])], POINTS, ended=True) == (
        "healthy", "error rate 0.00 % vs 0.00 % · p50 0 µs vs 0 µs",
    )  # fmt: skip


def test_latencies_are_told_in_the_unit_that_fits():
    before = counters(100, 3, [(999, 50), (1000, 90), (-1, 100)])
    zero = counters(0, 0, [(999, 0), (1000, 0), (-1, 0)])
    seen = compare(before, [zero, counters(10_000, 305, [(999, 5000), (1000, 5000), (-1, 10_000)])], POINTS, ended=True)
    assert seen == ("healthy", "error rate 3.05 % vs 3.00 % · p50 999 µs vs 999 µs")
    slower = {**POINTS, "latency": {**POINTS["latency"], "quantile": "p95"}}
    assert compare(
        counters(100, 0, [(1000, 99), (-1, 100)]), [zero, counters(100, 0, [(1000, 99), (-1, 100)])], slower, ended=True
    )[1].endswith("p95 1 ms vs 1 ms")
    beyond = compare(counters(100, 0, FAST), [zero, counters(100, 0, [(999, 1), (-1, 100)])], POINTS, ended=True)
    assert beyond == ("worse", "error rate 0.00 % vs 0.00 % · p50 beyond all buckets vs 10 ms")


def test_limits_are_exact_where_numbers_are_large():
    assert of((10, 1890), (20, 110)).quantile_us("p95") == 20
    assert of((10, 1900), (20, 100)).quantile_us("p95") == 10
    zero = counters(0, 0, [(10_000, 0), (15_000, 0), (15_003, 0)])
    before = counters(20_000, 0, [(10_000, 20_000)])
    fast = [(10_000, 20_000)]
    assert compare(before, [zero, counters(20_000, 200, fast)], POINTS, ended=True)[0] == "healthy"
    assert compare(before, [zero, counters(20_000, 201, fast)], POINTS, ended=True)[0] == "worse"
    for bound, outcome in ((15_000, "healthy"), (15_003, "worse")):
        seen = counters(20_000, 0, [(10_000, 0), (bound, 20_000)])
        assert compare(before, [zero, seen], POINTS, ended=True)[0] == outcome


def test_the_bounds_of_a_sum_are_in_order():
    spans = [Reading(3, 0, ((-1, 1), (10, 1), (0, 1))), Reading(1, 0, ((1, 1),))]
    assert total(spans).buckets == ((0, 1), (1, 1), (10, 1), (-1, 1))
