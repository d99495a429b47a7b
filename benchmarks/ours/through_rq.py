"""Whether every node and every dependency check passed through RQ: read from RQ's own records."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from redis import Redis
from rq.job import Job
from rq.registry import FinishedJobRegistry
from rq.serializers import JSONSerializer

from headrace.queues.names import DEPENDENCIES, RELEASE, TASKS

# RQ keeps a finished dependency job for 10 s: long runs are looked at on their way, short ones at their end.
_LOOK_SECONDS = 2.0
_AGAIN_SECONDS = 0.02
_SETTLED_SECONDS = 5.0

# Jobs enter a registry nearly in the order of their ends, by which it is sorted.
_OUT_OF_ORDER_SECONDS = 5.0
_BATCH = 500


class FinishedJobs:
    """What RQ's books show as finished since this was made: nodes that ran, nodes whose release ran.

    As task ids, each `<run>-<position>`, with or without the dashes of a UUID.
    """

    def __init__(self, redis: Redis) -> None:
        self.ran: set[str] = set()
        self.released: set[str] = set()
        self._redis = redis
        self._known: set[str] = set()
        self._newest = {queue: self._newest_in(queue) for queue in (TASKS, DEPENDENCIES)}
        self._counted, self._failed = self._counters()

    def look(self) -> None:
        """Reads what has come since the last look, which must be less than 10 s ago."""
        self.ran |= {job_id.rsplit("-", 2)[0] for job_id in self._new(TASKS)}
        ids = self._new(DEPENDENCIES)
        for start in range(0, len(ids), _BATCH):
            jobs = Job.fetch_many(ids[start : start + _BATCH], self._redis, serializer=JSONSerializer)
            named = [job.args[0] for job in jobs if job is not None and job.func_name == RELEASE]
            self.released.update(*named)

    def counts(self) -> tuple[int, int]:
        """Finished jobs of the task queue as RQ's workers count them, and failed ones of both queues."""
        counted, failed = self._counters()
        return counted - self._counted, failed - self._failed

    def _counters(self) -> tuple[int, int]:
        keys = sorted(self._redis.smembers(f"rq:workers:{TASKS}"))
        counted = sum(int(self._redis.hget(key, "successful_job_count") or 0) for key in keys)
        return counted, sum(self._redis.zcard(f"rq:failed:{queue}") for queue in (TASKS, DEPENDENCIES))

    def _newest_in(self, queue: str) -> float:
        last = self._redis.zrange(_registry(queue, self._redis), -1, -1, withscores=True)
        return float(last[0][1]) if last else 0.0

    def _new(self, queue: str) -> list[str]:
        since = self._newest[queue] - _OUT_OF_ORDER_SECONDS
        key = _registry(queue, self._redis)
        found = self._redis.zrangebyscore(key, since, "+inf")
        self._newest[queue] = max(self._newest[queue], self._newest_in(queue))
        ids = [name.decode() for name in found if isinstance(name, bytes)]
        new = [job_id for job_id in ids if job_id not in self._known]
        self._known.update(new)
        return new


def _registry(queue: str, redis: Redis) -> str:
    return str(FinishedJobRegistry(queue, connection=redis).key)


@asynccontextmanager
async def watched(redis: Redis) -> AsyncIterator[FinishedJobs]:
    """Finished jobs from now on, looked at every two seconds while the block runs."""
    jobs = FinishedJobs(redis)
    watching = asyncio.create_task(_watch(jobs))
    try:
        yield jobs
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(jobs: FinishedJobs) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.to_thread(jobs.look)


async def wrongs(jobs: FinishedJobs, size: int, runs: Sequence[UUID]) -> str:
    """What RQ's books lack of runs of a graph of `size` nodes, which have ended; '' when nothing.

    Workers may tell Redis a moment after they have told PostgreSQL, so that is waited for.
    """
    deadline = time.monotonic() + _SETTLED_SECONDS
    while (found := await asyncio.to_thread(_wrong, jobs, size, runs)) and time.monotonic() < deadline:
        await asyncio.sleep(_AGAIN_SECONDS)
    return found


def _wrong(jobs: FinishedJobs, size: int, runs: Sequence[UUID]) -> str:
    nodes = size * len(runs)
    counts = jobs.counts()
    if counts != (nodes, 0):
        return f"RQ counts {counts[0]} finished and {counts[1]} failed jobs for {nodes} nodes"
    jobs.look()
    for what, tasks in (("jobs", jobs.ran), ("dependency jobs", jobs.released)):
        named = Counter(run_of(task) for task in tasks)
        found = sum(min(named[str(run)], size) for run in runs)
        if found != nodes:
            return f"RQ's finished {what} name {found} of {nodes} nodes"
    return ""


def run_of(task: str) -> str:
    """The run in a task's id, with dashes."""
    return str(UUID(task.rpartition("-")[0]))
