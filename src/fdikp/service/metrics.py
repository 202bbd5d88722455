"""What the service counts, in the text format of Prometheus."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fdikp.service.job import State

SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Bounds of the buckets of durations."""


class Metrics:
    """The metrics of one application, in a registry of its own.

    Args:
        jobs: returns the number of jobs by state; it is called for each scrape.
    """

    def __init__(self, jobs: Callable[[], Mapping[State, int]]) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("fdikp_http_requests", "Requests by their answer.", labels, registry=self.registry)
        self.seconds = Histogram(
            "fdikp_http_request_seconds",
            "Time to answer a request, with waiting for the network.",
            ("method", "route"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "fdikp_http_requests_in_progress", "Requests that are being answered.", registry=self.registry
        )
        self.registry.register(_Jobs(jobs))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; `route` is the template of the path, so that its values are few."""
        method = method if method in ("GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS") else "other"
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """All metrics."""
        return generate_latest(self.registry)


class _Jobs(Collector):
    """The jobs in the store by state."""

    def __init__(self, count: Callable[[], Mapping[State, int]]) -> None:
        self.count = count

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("fdikp_jobs", "Jobs in the store by state.", labels=("state",))
        for state, number in self.count().items():
            family.add_metric((state,), number)
        yield family

    def describe(self) -> Iterable[Metric]:
        """The store is not asked when the application starts."""
        return ()
