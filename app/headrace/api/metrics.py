"""What Prometheus asks: this process, its requests, the queues, the runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.api.deps import House
from headrace.engine.reading import Counts, counts
from headrace.errors import QueueUnavailable, StoreUnavailable
from headrace.queues.inspect import QueueDepth

_COUNTS_SECONDS = 15.0
"""How old counts of the database may be: they read all runs."""

_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Meters:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Histogram(
            "headrace_http_request_seconds",
            "Seconds from a request to the end of its answer.",
            ["method", "route", "status"],
            registry=registry,
            buckets=_BUCKETS,
        )
        self.started = Counter("headrace_runs_started", "Runs started by this process.", registry=registry)
        self.cancelled = Counter(
            "headrace_runs_cancelled", "Runs cancelled by this process.", registry=registry
        )
        self._up = Gauge("headrace_up", "Whether a server answers.", ["server"], registry=registry)
        self._runs = Gauge("headrace_runs", "Runs in the database.", ["status"], registry=registry)
        self._tasks = Gauge(
            "headrace_tasks", "Tasks that have begun and not ended.", ["status"], registry=registry
        )
        self._workers = Gauge("headrace_workers", "Worker processes.", ["state"], registry=registry)
        self._jobs = Gauge("headrace_queue_jobs", "Jobs in a queue.", ["queue", "state"], registry=registry)
        self._counted_at = float("-inf")

    async def text(self, house: House) -> bytes:
        """All metrics as Prometheus reads them. What does not answer is left as it was, and `up` says so."""
        await asyncio.gather(self._ask_postgres(house), self._ask_redis(house))
        return generate_latest(self.registry)

    async def _ask_postgres(self, house: House) -> None:
        if time.monotonic() - self._counted_at < _COUNTS_SECONDS:
            return
        try:
            self._set_counts(await counts(house.engine))
            self._counted_at = time.monotonic()
            self._up.labels("postgres").set(1)
        except StoreUnavailable:
            self._up.labels("postgres").set(0)

    async def _ask_redis(self, house: House) -> None:
        try:
            self._set_depths(await asyncio.to_thread(house.depths))
            self._up.labels("redis").set(1)
        except QueueUnavailable:
            self._up.labels("redis").set(0)

    def _set_counts(self, counted: Counts) -> None:
        for gauge, numbers in (
            (self._runs, counted.runs),
            (self._tasks, counted.tasks),
            (self._workers, counted.workers),
        ):
            _set_all(gauge, numbers)

    def _set_depths(self, depths: list[QueueDepth]) -> None:
        for one in depths:
            states = ("queued", "started", "finished", "failed", "deferred")
            for state in states:
                self._jobs.labels(one.name, state).set(getattr(one, state))


def _set_all(gauge: Gauge, numbers: Mapping[str, int]) -> None:
    gauge.clear()
    for name, number in numbers.items():
        gauge.labels(name).set(number)


class RequestTimes:
    """Measures every request by the pattern of its path, not by the path: ids would be endless."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            seconds = time.perf_counter() - began
            self._meters.requests.labels(method, _pattern(scope), str(status)).observe(seconds)


def _pattern(scope: Scope) -> str:
    """The path with the names of its parameters in place of their values."""
    if "endpoint" not in scope:
        return "unmatched"
    names = {str(value): f"{{{name}}}" for name, value in scope.get("path_params", {}).items()}
    if "{path}" in names.values():  # below a mounted application, whose paths are its own
        return str(scope["root_path"])
    return "/".join(names.get(part, part) for part in scope["path"].split("/"))


_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
