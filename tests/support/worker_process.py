"""A process that serves the tests' queue, and is killed a moment after its n-th job began."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import threading
from collections.abc import Sequence

from rq.job import Job

from headrace.graph.json_types import JsonValue
from headrace.queues.connection import connect
from headrace_worker.concurrent_worker import ConcurrentWorker
from support.lanes import QUEUE, HeldLane

_AT_MOST_AFTER = 0.003


def command(redis_url: str, jobs: int) -> list[str]:
    """How to start it, from any folder."""
    start = f"import sys; sys.path[:0] = {sys.path!r}; from support import worker_process"
    return [sys.executable, "-c", f"{start}; worker_process.main({redis_url!r}, {jobs})"]


class DoomedLane(HeldLane):
    def __init__(self, jobs: int) -> None:
        super().__init__()
        self.open = True
        self._left = jobs

    def begin(self, jobs: Sequence[Job]) -> Sequence[asyncio.Future[JsonValue]]:
        self._left -= len(jobs)
        if self._left <= 0:
            threading.Timer(random.uniform(0, _AT_MOST_AFTER), os.kill, (os.getpid(), signal.SIGKILL)).start()
        return super().begin(jobs)


def main(redis_url: str, jobs: int) -> None:
    async def serve() -> None:
        with connect(redis_url) as connection:
            lane = DoomedLane(jobs)
            await ConcurrentWorker([QUEUE], connection=connection, lane=lane, slots=8, threads=2).serve()

    asyncio.run(serve())
