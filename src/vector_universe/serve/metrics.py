"""What a server counts of itself, in the words of Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from vector_universe.serve.guard.admission import Admission
    from vector_universe.serve.served.snapshot import Served

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "vector_universe"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCH = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counters of one application, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(f"{_PREFIX}_requests", "Requests answered", ["route", "status"],
                                registry=self._registry)
        self.seconds = Histogram(f"{_PREFIX}_request_seconds", "From a request's headers to the end of its answer",
                                 ["route"], buckets=_SECONDS, registry=self._registry)
        self.in_flight = Gauge(f"{_PREFIX}_requests_in_flight", "Requests being answered", registry=self._registry)
        self._batch = Histogram(f"{_PREFIX}_model_batch_requests", "Requests that one run of the model served",
                                ["kind"], buckets=_BATCH, registry=self._registry)
        self._wait = Histogram(f"{_PREFIX}_model_wait_seconds", "How long the first request of a run waited for it",
                               ["kind"], buckets=_SECONDS, registry=self._registry)
        ProcessCollector(registry=self._registry)

    def observe_run(self, kind: str, requests: int, waited: float) -> None:
        """Count a run of the model.

        Args:
            kind: "images" or "texts".
            requests: how many it served.
            waited: seconds that the first of them waited.
        """
        self._batch.labels(kind).observe(requests)
        self._wait.labels(kind).observe(waited)

    def observe_index(self, served: Served, admission: Admission) -> None:
        """Say from now on what is served, and how many requests wait for the model or were refused."""
        self._registry.register(_Index(served, admission))

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)


class _Index(Collector):
    """Facts that are looked up when somebody asks."""

    def __init__(self, served: Served, admission: Admission) -> None:
        self._served, self._admission = served, admission

    def collect(self) -> Iterable[Metric]:
        snapshot = self._served.current
        yield GaugeMetricFamily(f"{_PREFIX}_items", "Items of the index that is served", len(snapshot))
        yield InfoMetricFamily(f"{_PREFIX}_index", "The index that is served", {
            "version": snapshot.version, "model": snapshot.universe.generation.model_fingerprint[:12]})
        yield GaugeMetricFamily(f"{_PREFIX}_model_requests_in_flight", "Requests that have a place before the model",
                                self._admission.in_flight)
        yield CounterMetricFamily(f"{_PREFIX}_model_requests_refused", "Requests sent away with 503: no place was left",
                                  self._admission.refused)


class Counted:
    """ASGI middleware: counts and times every request, by the pattern of its address, never by the address."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500  # where nothing is answered

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            try:
                await self.app(scope, receive, send_noting)
            finally:
                route = getattr(scope.get("route"), "path", "page" if status < 400 else "none")
                self._metrics.requests.labels(route, status).inc()
                self._metrics.seconds.labels(route).observe(time.perf_counter() - started)
