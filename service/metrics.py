"""What the roles' metrics share: a registry per process, who it is, and how it is written out.

Names begin with `spendwatch_`. Labels never carry tag values, accounts, alert ids or raw paths: their number must not
grow with the data.
"""

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from service.clock import Clock, SystemClock

SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bucket bounds for anything that a person or a client waits for."""


def service_version() -> str:
    """The installed version, or "unknown" when run from a tree that was never installed."""
    try:
        return version("spendwatch")
    except PackageNotFoundError:
        return "unknown"


def new_registry(role: str, *, clock: Clock | None = None) -> CollectorRegistry:
    """A registry of this process: its role, version, start and what the operating system says of it."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    build = Gauge(
        "spendwatch_build_info",
        "Always 1; says which version and role this process is.",
        ["version", "python", "role"],
        registry=registry,
    )
    build.labels(version=service_version(), python=platform.python_version(), role=role).set(1)
    start = Gauge("spendwatch_start_time_seconds", "Unix time at which the process started.", registry=registry)
    start.set((clock or SystemClock()).now().timestamp())
    return registry


def expose(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The registry in the text format that *accept* (a header) asks for; returns body and content type."""
    encode: Callable[[CollectorRegistry], bytes]
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class HttpMetrics:
    """What the API counts of itself. `route` is the template of the path, `unmatched` when there is none."""

    _METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "spendwatch_http_requests_total", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "spendwatch_http_request_duration_seconds",
            "Time from the request to the end of the answer; streams are left out.",
            ["method", "route"],
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self._facts = Counter(
            "spendwatch_ingest_facts_total", "Facts received over HTTP.", ["result"], registry=registry
        )
        for result in ("accepted", "rejected"):
            self._facts.labels(result=result)
        self.streams = Gauge("spendwatch_live_streams", "Live streams that are open.", registry=registry)
        self.stream_events = Counter(
            "spendwatch_live_events_sent_total", "Events written to live streams.", registry=registry
        )
        self._streams_cut = Counter(
            "spendwatch_live_streams_cut_total", "Live streams that the server ended.", ["reason"], registry=registry
        )
        for reason in ("slow", "shutdown", "limit"):
            self._streams_cut.labels(reason=reason)

    def answered(self, *, method: str, route: str, status: int, seconds: float | None) -> None:
        """seconds is None for streams, whose length says nothing about speed."""
        known = method if method in self._METHODS else "OTHER"
        self._requests.labels(method=known, route=route, status=str(status)).inc()
        if seconds is not None:
            self._seconds.labels(method=known, route=route).observe(seconds)

    def ingested(self, *, accepted: int, rejected: int) -> None:
        self._facts.labels(result="accepted").inc(accepted)
        self._facts.labels(result="rejected").inc(rejected)

    def stream_cut(self, reason: str) -> None:
        self._streams_cut.labels(reason=reason).inc()
