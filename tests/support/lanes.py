"""Lanes for the worker's tests, and the worker running beside a test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from headrace.graph.json_types import JsonValue
from headrace_worker.concurrent_worker import ConcurrentWorker

QUEUE = "jobs"
LANED = "headrace_worker.jobs.laned"

T = TypeVar("T")


class HeldLane:
    """Holds its jobs until the test ends them: one by its future, all by `release`. Open, it holds none."""

    settling = 0

    def __init__(self, functions: Iterable[str] = (LANED,), answer: JsonValue = "done") -> None:
        self.functions = frozenset(functions)
        self.answer = answer
        self.futures: dict[str, asyncio.Future[JsonValue]] = {}
        self.batches: list[list[str]] = []
        self.stopped: list[str] = []
        self.most = 0
        self.open = False

    @property
    def pending(self) -> list[str]:
        return [job_id for job_id, future in self.futures.items() if not future.done()]

    def begin(self, jobs: Sequence[Job]) -> Sequence[asyncio.Future[JsonValue]]:
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in jobs]
        self.batches.append([job.id for job in jobs])
        self.futures.update(zip((job.id for job in jobs), futures, strict=True))
        self.most = max(self.most, len(self.pending))
        if self.open:
            loop.call_soon(self.release)
        return futures

    def stop(self, job: Job) -> None:
        self.stopped.append(job.id)
        self.futures[job.id].cancel()

    def release(self) -> None:
        for job_id in self.pending:
            self.futures[job_id].set_result(self.answer)


def a_queue(connection: Redis) -> Queue:
    return Queue(QUEUE, connection=connection, serializer=JSONSerializer)


def enqueue(connection: Redis, function: str = LANED, *args: JsonValue, **options: object) -> Job:
    return a_queue(connection).enqueue(function, *args, **options)


def fetch(connection: Redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=connection, serializer=JSONSerializer)


@asynccontextmanager
async def serving(
    connection: Redis,
    lane: HeldLane | None = None,
    slots: int = 16,
    grace: float = 5.0,
    name: str = "one",
    queues: Sequence[str] = (QUEUE,),
) -> AsyncIterator[ConcurrentWorker]:
    """A worker that serves while the block runs, and has left after it. Nothing that it raises is lost."""
    worker = ConcurrentWorker(
        queues,
        connection=connection,
        lane=lane or HeldLane(),
        slots=slots,
        threads=4,
        name=name,
        grace=grace,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.serve())
        try:
            yield worker
        finally:
            worker.request_stop()


async def until(reached: Callable[[], T], seconds: float = 20.0) -> T:
    """Waits until this is true, and gives its value; fails after a deadline."""
    deadline = time.monotonic() + seconds
    while not (value := await asyncio.to_thread(reached)):
        assert time.monotonic() < deadline, "the deadline has passed"
        await asyncio.sleep(0.005)
    return value
