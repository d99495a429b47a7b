"""A DBOS process: a run is a workflow from a queue, a node is a step of it, kept in PostgreSQL."""
# mypy: disable-error-code="import-not-found, import-untyped, misc, untyped-decorator"

from __future__ import annotations

import asyncio
import os
import signal
import time

from dbos import DBOS
from redis import Redis

from benchmarks.peers.scripts.protocol import layers
from benchmarks.peers.scripts.recorder import Recorder

QUEUE, WORKFLOW, READY = "bench", "graph", "bench:ready"

redis = Redis.from_url(os.environ["BENCH_REDIS"])
recorder = Recorder(redis)


@DBOS.step()
async def node(run: int, number: int) -> int:
    """Does nothing and says when."""
    recorder.add(run, number, time.monotonic())
    return number


@DBOS.workflow(name=WORKFLOW)
async def graph(run: int, widths: list[int]) -> list[int]:
    """Layer after layer, the nodes of one side by side."""
    done: list[int] = []
    for layer in layers(widths):
        done += await asyncio.gather(*(node(run, number) for number in layer))
    return done


def main() -> None:
    """Works until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    DBOS(
        config={
            "name": "bench",
            "system_database_url": os.environ["BENCH_DATABASE"],
            "application_version": "1",
            "executor_id": str(os.getpid()),
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )
    DBOS.launch()
    DBOS.register_queue(QUEUE, polling_interval_sec=0.01)
    redis.rpush(READY, os.getpid())
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
