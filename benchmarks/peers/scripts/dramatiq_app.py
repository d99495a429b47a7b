"""dramatiq, which has no graphs: each node sends the next ones, and joins count down in Redis."""
# mypy: disable-error-code="import-not-found, import-untyped, misc, untyped-decorator"

from __future__ import annotations

import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

from benchmarks.peers.scripts.protocol import layers
from benchmarks.peers.scripts.recorder import Recorder

broker = RedisBroker(url=os.environ["BENCH_REDIS"])
dramatiq.set_broker(broker)
redis = Redis.from_url(os.environ["BENCH_REDIS"])
recorder = Recorder(redis)


@dramatiq.actor(queue_name="bench", max_retries=0)
def node(run: int, number: int, depth: int, widths: list[int], mark: str) -> None:
    """Does nothing; the last of a layer to end sends the next layer."""
    start = time.monotonic()
    recorder.add(run, number, start)
    if depth + 1 == len(widths):
        return
    if widths[depth] > 1 and redis.incr(f"bench:{mark}:{run}:{depth}") < widths[depth]:
        return
    for following in layers(widths)[depth + 1]:
        node.send(run, following, depth + 1, widths, mark)
