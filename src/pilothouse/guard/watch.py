"""The arithmetic of a watch: error rate and latency against the baseline, by simple thresholds, in integers.

Counters are cumulative, so a difference of two looks is what happened between them; a counter that falls was reset by a
restart, and its new value is what happened since. Rates are parts per million, latencies microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from pilothouse.canonical import Json

ENOUGH = 20  # requests since the watch opened, below which nothing is concluded
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a span of time held: requests, errors, and requests by latency bucket (upper bound in µs, -1: none)."""

    requests: int
    errors: int
    buckets: tuple[tuple[int, int], ...]

    @property
    def error_ppm(self) -> int:
        """Errors per million requests (0 without requests)."""
        return self.errors * MILLION // self.requests if self.requests else 0

    def quantile_us(self, name: str) -> int:
        """The upper bound (µs) of the bucket that holds the quantile ``p50``, ``p95``, ``p99``; -1: beyond all."""
        total = sum(count for _, count in self.buckets)
        needed = -(-total * int(name[1:]) // 100)
        seen = 0
        for bound, count in self.buckets:
            seen += count
            if total and seen >= needed:
                return bound
        return -1


def _counts(facts: Mapping[str, Json]) -> tuple[int, int, dict[int, int]]:
    requests, errors, buckets = facts.get("requests"), facts.get("errors"), facts.get("buckets")
    table: dict[int, int] = {}
    if isinstance(buckets, list):
        for item in buckets:
            if isinstance(item, list) and len(item) == 2 and isinstance(item[0], int) and isinstance(item[1], int):
                table[item[0]] = item[1]
    return (
        requests if isinstance(requests, int) else 0,
        errors if isinstance(errors, int) else 0,
        table,
    )


def reading(first: Mapping[str, Json] | None, last: Mapping[str, Json]) -> Reading:
    """What happened between two looks at cumulative counters (from their beginning where ``first`` is None)."""
    requests_1, errors_1, table_1 = _counts(last)
    requests_0, errors_0, table_0 = _counts(first) if first is not None else (0, 0, {})
    if requests_1 < requests_0:  # restarted meanwhile
        requests_0, errors_0, table_0 = 0, 0, {}
    # Prometheus buckets are cumulative over bounds: take differences to get the requests of each bucket.
    bounds = sorted(b for b in table_1 if b >= 0) + ([-1] if -1 in table_1 else [])
    counts: list[tuple[int, int]] = []
    below = 0
    for bound in bounds:
        cumulative = table_1[bound] - table_0.get(bound, 0)
        counts.append((bound, max(0, cumulative - below)))
        below = max(below, cumulative)
    return Reading(requests_1 - requests_0, max(0, errors_1 - errors_0), tuple(counts))


def total(spans: list[Reading]) -> Reading:
    """Spans one after another as one: a restart between two looks resets only that span."""
    buckets: dict[int, int] = {}
    for span in spans:
        for bound, count in span.buckets:
            buckets[bound] = buckets.get(bound, 0) + count
    ordered = sorted(buckets.items(), key=lambda item: (item[0] < 0, item[0]))
    return Reading(sum(s.requests for s in spans), sum(s.errors for s in spans), tuple(ordered))


def compare(
    baseline: Mapping[str, Json], samples: list[dict[str, Json]], rule: Mapping[str, Json], *, ended: bool
) -> tuple[str, str]:
    """Judge everything since the watch opened against the baseline.

    Args:
        baseline: counters of the old version, since its start.
        samples: counters during the watch, oldest first; the first one is the watch's own zero.
        rule: ``error_rate`` and ``latency`` as planned: ``{"rise", "unit", "quantile"}``.
        ended: whether the window is over; then too little traffic is *no-data*, which fails (RB-4).

    Returns:
        ``(outcome, message)``; outcome is healthy, worse, thin or no-data.
    """
    before = reading(None, baseline)
    now = total([reading(before, after) for before, after in pairwise(samples)])
    if now.requests < ENOUGH:
        return ("no-data" if ended else "thin"), f"{now.requests} requests so far, at least {ENOUGH} are needed"
    rate = f"error rate {_percent(now.error_ppm)} vs {_percent(before.error_ppm)}"
    if now.error_ppm > _limit(before.error_ppm, _threshold(rule, "error_rate"), point=MILLION // 100):
        return "worse", rate
    latency = _threshold(rule, "latency")
    quantile = str(latency.get("quantile") or "p95")
    was, is_now = before.quantile_us(quantile), now.quantile_us(quantile)
    told = f"{rate} · {quantile} {_ms(is_now)} vs {_ms(was)}"
    if was < 0 or not before.requests:
        return ("no-data" if ended else "thin"), "there is no baseline to compare with"
    if is_now < 0 or is_now > _limit(was, latency, point=1000):
        return "worse", told
    return "healthy", told


def _threshold(rule: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    value = rule.get(name)
    return value if isinstance(value, dict) else {"rise": 0, "unit": "points"}


def _limit(before: int, threshold: Mapping[str, Json], *, point: int) -> int:
    rise = threshold.get("rise")
    allowed = rise if isinstance(rise, int) else 0
    return before + (before * allowed // 100 if threshold.get("unit") == "relative" else allowed * point)


def _percent(ppm: int) -> str:
    return f"{ppm // 10_000}.{ppm % 10_000 // 100:02d} %"


def _ms(us: int) -> str:
    return "beyond all buckets" if us < 0 else f"{us // 1000} ms" if us >= 1000 else f"{us} µs"
