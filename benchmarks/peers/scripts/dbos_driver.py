"""Enqueues a DBOS workflow for each run."""
# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import os

from dbos import DBOSClient
from redis import Redis

from benchmarks.peers.scripts.protocol import Span, serve
from benchmarks.peers.scripts.recorder import SPANS, recorded


class DbosDriver:
    """Spans come from the workers' recorders."""

    def __init__(self, redis_url: str, database_url: str) -> None:
        self._redis = Redis.from_url(redis_url)
        # The first worker to be ready has made the tables.
        self._redis.blmove("bench:ready", "bench:ready", 30)
        self._client = DBOSClient(system_database_url=database_url)
        self._count = 0

    def submit(self, widths: list[int], runs: int) -> None:
        self._redis.delete(SPANS)
        self._count = runs * sum(widths)
        for run in range(runs):
            self._client.enqueue({"queue_name": "bench", "workflow_name": "graph"}, run, widths)

    def spans(self) -> list[Span] | None:
        return recorded(self._redis, self._count)


if __name__ == "__main__":
    serve(DbosDriver(os.environ["BENCH_REDIS"], os.environ["BENCH_DATABASE"]))
