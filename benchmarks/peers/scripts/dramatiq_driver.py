"""Sends the first layer of every run to dramatiq."""

from __future__ import annotations

import os
from uuid import uuid4

from redis import Redis

from benchmarks.peers.scripts.dramatiq_app import node
from benchmarks.peers.scripts.protocol import Span, serve
from benchmarks.peers.scripts.recorder import SPANS, recorded


class DramatiqDriver:
    """Spans come from the workers' recorders."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url)
        self._count = 0

    def submit(self, widths: list[int], runs: int) -> None:
        self._redis.delete(SPANS)
        self._count = runs * sum(widths)
        mark = uuid4().hex[:8]
        for run in range(runs):
            for number in range(widths[0]):
                node.send(run, number, 0, widths, mark)

    def spans(self) -> list[Span] | None:
        return recorded(self._redis, self._count)


if __name__ == "__main__":
    serve(DramatiqDriver(os.environ["BENCH_REDIS"]))
