"""Counters and a histogram in the Prometheus text format."""

from __future__ import annotations

import threading
from collections import Counter

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """What the customers' requests came to; probes of the platform are not counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._codes: Counter[int] = Counter({200: 0})
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def count(self, code: int, seconds: float) -> None:
        """Adds one answered request."""
        with self._lock:
            self._codes[code] += 1
            self._seconds += seconds
            self._buckets[sum(seconds > bound for bound in BOUNDS)] += 1

    def text(self) -> str:
        """The page that Prometheus scrapes."""
        with self._lock:
            codes, buckets, seconds = sorted(self._codes.items()), list(self._buckets), self._seconds
        lines = ["# HELP http_requests_total Requests answered, by status code.", "# TYPE http_requests_total counter"]
        lines += [f'http_requests_total{{code="{code}"}} {number}' for code, number in codes]
        lines += ["# HELP http_request_duration_seconds Time to answer.", "# TYPE http_request_duration_seconds histogram"]
        total = 0
        for bound, number in zip([*map(str, BOUNDS), "+Inf"], buckets, strict=True):
            total += number
            lines.append(f'http_request_duration_seconds_bucket{{le="{bound}"}} {total}')
        lines += [f"http_request_duration_seconds_sum {seconds:.6f}", f"http_request_duration_seconds_count {total}"]
        return "\n".join(lines) + "\n"
