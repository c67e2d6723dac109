"""Metrics count what was answered."""

from unittest import TestCase

from app.metrics import Metrics


class MetricsTest(TestCase):
    """The text that is scraped."""

    def test_requests_are_counted_by_status_code(self) -> None:
        metrics = Metrics()
        for code in (200, 200, 500):
            metrics.count(code, 0.002)
        self.assertIn('http_requests_total{code="200"} 2\nhttp_requests_total{code="500"} 1\n', metrics.text())

    def test_buckets_are_cumulative(self) -> None:
        metrics = Metrics()
        metrics.count(200, 0.0005)
        metrics.count(200, 0.03)
        self.assertIn('bucket{le="0.025"} 1\nhttp_request_duration_seconds_bucket{le="0.05"} 2\n', metrics.text())
