"""What RQ calls by name, one job at a time: for stock `rq worker` processes.

Our own worker takes the same jobs in batches (see `task_lane`, `dependency_lane`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from time import perf_counter

from headrace import config
from headrace.engine import release as releasing
from headrace.engine.execute import Finished, claim, perform
from headrace.engine.settle import settle
from headrace.errors import StoreUnavailable
from headrace.graph.ids import TaskId
from headrace.graph.statistics import End
from headrace.store.claims import Delivery
from headrace_worker.counting import Counting
from headrace_worker.leases import Leases
from headrace_worker.runtime import Runtime, open_runtime, patiently


def run_task(task_id: str, attempt: int, delivery: int) -> str:
    """Executes a queued task: `ok`, or `duplicate` when it is no longer to be had."""
    return asyncio.run(_run_task(Delivery(TaskId.parse(task_id), attempt, delivery)))


def release(task_ids: list[str]) -> int:
    """Releases the successors of ended tasks; returns how many became ready."""
    return asyncio.run(_release([TaskId.parse(name) for name in task_ids]))


async def _run_task(delivery: Delivery) -> str:
    async with open_runtime(config.load(), pool_size=2) as runtime:
        executions = await patiently(partial(claim, runtime.engine, [delivery], runtime.worker_id))
        if not executions:
            return "duplicate"
        (execution,) = executions
        code = asyncio.ensure_future(perform(execution, runtime.http, runtime.lanes))
        loop = asyncio.get_running_loop()

        def stop(_lost: set[TaskId]) -> None:
            loop.call_soon_threadsafe(code.cancel)

        leases = Leases(runtime.urls.database, runtime.settings.lease_seconds, stop, runtime.lanes.heartbeats)
        leases.hold(execution.task, execution.claim.token)
        leases.start()
        began = perf_counter()
        try:
            finished = await code
            seconds = perf_counter() - began
            settled = await patiently(partial(settle, runtime.engine, [finished]))
        finally:
            leases.close()
        await runtime.push(settled.dispatches)
        if not settled.late:
            end = settled.ends.get(execution.task, End.SUCCESS)
            await _count(runtime, finished, seconds, end)
        return "late" if settled.late else "ok"


async def _count(runtime: Runtime, finished: Finished, seconds: float, end: End) -> None:
    """This process ends with its job, so it tells at once; without PostgreSQL only the figures are lost."""
    counting = Counting()
    counting.add(finished.execution, seconds, finished.outcome, end)
    with suppress(StoreUnavailable):
        await counting.tell(runtime.engine.db)


async def _release(tasks: list[TaskId]) -> int:
    async with open_runtime(config.load(), pool_size=2) as runtime:
        dispatches = await patiently(partial(releasing.release, runtime.engine, tasks))
        await runtime.push(dispatches)
        return len(dispatches)
