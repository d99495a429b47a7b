"""Whether every node and every dependency check passed through RQ: read from RQ's own records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from uuid import UUID

from redis import Redis
from rq.job import Job
from rq.registry import FinishedJobRegistry
from rq.serializers import JSONSerializer

from headrace.queues.names import DEPENDENCIES, TASKS

_SETTLED_SECONDS = 5.0
_LOOK_SECONDS = 0.02


def succeeded(redis: Redis, queue: str) -> int:
    """How many jobs the present workers of a queue have finished, as RQ counts for its dashboard."""
    keys = sorted(redis.smembers(f"rq:workers:{queue}"))
    return sum(int(redis.hget(key, "successful_job_count") or 0) for key in keys)


def failed(redis: Redis) -> int:
    """How many failed jobs RQ keeps of both queues."""
    return sum(redis.zcard(f"rq:failed:{queue}") for queue in (TASKS, DEPENDENCIES))


def checked_tasks(redis: Redis) -> set[str]:
    """The tasks that finished jobs of the dependency queue have named, as far as RQ still keeps those."""
    ids = FinishedJobRegistry(DEPENDENCIES, connection=redis).get_job_ids(cleanup=False)
    found: set[str] = set()
    for start in range(0, len(ids), 1_000):
        jobs = Job.fetch_many(ids[start : start + 1_000], redis, serializer=JSONSerializer)
        found |= {task for job in jobs if job is not None for task in job.args[0]}
    return found


async def wrongs(redis: Redis, before: int, nodes: int, runs: Sequence[UUID] | None) -> str:
    """What is missing in RQ's books since `before` = succeeded(TASKS); '' when nothing is.

    Workers may tell Redis a moment after they have told PostgreSQL, so that is waited for. runs: those whose
    dependency checks are to be looked for; None when they lie back longer than RQ keeps their jobs.
    """
    deadline = time.monotonic() + _SETTLED_SECONDS
    while (counted := succeeded(redis, TASKS) - before) < nodes and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_SECONDS)
    if counted != nodes:
        return f"RQ counts {counted} jobs for {nodes} nodes"
    if failed(redis):
        return f"RQ keeps {failed(redis)} failed jobs"
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
