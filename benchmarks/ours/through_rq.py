"""Whether every node and every dependency check passed through RQ: read from RQ's own records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from redis import Redis
from rq.job import Job
from rq.registry import FinishedJobRegistry
from rq.serializers import JSONSerializer

from headrace.queues.names import DEPENDENCIES, TASKS

_SETTLED_SECONDS = 5.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Books:
    """What RQ counts for its dashboard: jobs that the present workers have finished, and failed jobs."""

    succeeded: int
    failed: int


def books(redis: Redis) -> Books:
    """Finished are those of the task queue, failed those of both."""
    keys = sorted(redis.smembers(f"rq:workers:{TASKS}"))
    succeeded = sum(int(redis.hget(key, "successful_job_count") or 0) for key in keys)
    return Books(succeeded, sum(redis.zcard(f"rq:failed:{queue}") for queue in (TASKS, DEPENDENCIES)))


def checked_tasks(redis: Redis) -> set[str]:
    """The tasks that finished jobs of the dependency queue have named, as far as RQ still keeps those."""
    ids = FinishedJobRegistry(DEPENDENCIES, connection=redis).get_job_ids(cleanup=False)
    found: set[str] = set()
    for start in range(0, len(ids), 1_000):
        jobs = Job.fetch_many(ids[start : start + 1_000], redis, serializer=JSONSerializer)
        found |= {task for job in jobs if job is not None for task in job.args[0]}
    return found


async def wrongs(redis: Redis, before: Books, nodes: int, runs: Sequence[UUID] | None) -> str:
    """What is missing in RQ's books since `before`; '' when nothing is.

    Workers may tell Redis a moment after they have told PostgreSQL, so that is waited for. runs: those whose
    dependency checks are to be looked for; None when they lie back longer than RQ keeps their jobs.
    """
    deadline = time.monotonic() + _SETTLED_SECONDS
    while (now := books(redis)).succeeded - before.succeeded < nodes and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_SECONDS)
    counted, failed = now.succeeded - before.succeeded, now.failed - before.failed
    if (counted, failed) != (nodes, 0):
        return f"RQ counts {counted} finished and {failed} failed jobs for {nodes} nodes"
    return "" if runs is None else await _unchecked(redis, nodes, runs, deadline)


async def _unchecked(redis: Redis, nodes: int, runs: Iterable[UUID], deadline: float) -> str:
    wanted = {str(run) for run in runs}
    while True:
        checks = sum(1 for task in checked_tasks(redis) if run_of(task) in wanted)
        if checks >= nodes or time.monotonic() > deadline:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return "" if checks == nodes else f"RQ keeps dependency jobs for {checks} of {nodes} nodes"


def run_of(task: str) -> str:
    """The run in a task's id as jobs write it: `<run>-<position>`, with or without the dashes of a UUID."""
    return str(UUID(task.rpartition("-")[0]))
