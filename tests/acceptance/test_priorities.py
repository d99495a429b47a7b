"""Priorities under load, on real processes: what matters more starts first, however long the queue is."""

from __future__ import annotations

from functools import partial

import pytest
from redis import Redis
from rq.suspension import resume, suspend

from headrace.engine.start import StartRequest, start_run
from headrace.graph.json_types import JsonObject
from headrace.graph.settings import Priority
from headrace.queues.connection import connect
from headrace.queues.inspect import queue_depths, rq_workers
from headrace.queues.names import TASK_QUEUES, task_queue
from support.build import chain, node, workflow
from support.fleet import Fleet, eventually, fleet
from support.slow_server import slow_server

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]

WORKERS = 2
SLOTS = 4


def calls(url: str, count: int) -> JsonObject:
    """As many nodes that are ready at once."""
    return workflow(
        [node(f"call{number}", "apiCall", config={"url": f"{url}/{number}"}) for number in range(count)], []
    )


async def test_what_matters_more_starts_first(database_url: str, redis_url: str) -> None:
    wanted = {Priority.LOW: 300, Priority.CRITICAL: 20, Priority.NORMAL: 50}
    with slow_server(delay=0.05) as server, connect(redis_url) as redis:
        async with fleet(database_url, redis_url, WORKER_CONCURRENCY=str(SLOTS)) as workers:
            workers.start(WORKERS)
            suspend(redis)
            states = ["suspended"] * WORKERS
            await eventually(partial(_are, workers, states), 20, "all workers are suspended")
            for priority, count in wanted.items():
                workflow_id = await workers.save(calls(server.url, count))
                started = await start_run(workers.engine, StartRequest(workflow_id, priority=priority))
                await workers.broker.push_async(started.dispatches)
            assert {depth.name: depth.queued for depth in queue_depths(redis, TASK_QUEUES)} == {
                task_queue(priority): wanted.get(priority, 0) for priority in Priority
            }
            resume(redis)
            await workers.until_all_ended(60)
            await workers.check_all_well(len(wanted), sum(wanted.values()))
            order = await _priorities_in_order_of_start(workers)
    # What a worker has taken from Redis it may begin in any order: as many as it has slots.
    for priority in (Priority.CRITICAL, Priority.NORMAL):
        last = len(order) - order[::-1].index(priority)
        lower = [other for other in order[:last] if other < priority]
        assert len(lower) <= WORKERS * SLOTS, f"{len(lower)} tasks of less weight began before {priority!r}"


async def test_tasks_that_pass_the_queue_are_shown_in_that_of_their_priority(
    database_url: str, redis_url: str
) -> None:
    """The successors of a lone chain are handed over inside its worker."""
    with connect(redis_url) as redis:
        async with fleet(database_url, redis_url) as workers:
            workers.start(1)
            workflow_id = await workers.save({**chain(20), "priority": "HIGH"})
            await workers.start_runs(workflow_id, 1)
            await workers.until_all_ended(30)
            await eventually(partial(_finished, redis, {task_queue(Priority.HIGH): 20}), 5, "RQ knows them")


async def _finished(redis: Redis, wanted: dict[str, int]) -> bool:
    return {one.name: one.finished for one in queue_depths(redis, TASK_QUEUES) if one.finished} == wanted


async def _are(workers: Fleet, states: list[str]) -> bool:
    found = rq_workers(workers.broker._connection)
    return [one.state for one in found if one.name.endswith("-tasks")] == states


async def _priorities_in_order_of_start(workers: Fleet) -> list[int]:
    async with workers.engine.db.transaction() as tx:
        rows = await tx.fetch("SELECT priority FROM workflow_tasks ORDER BY started_at")
    return [row.priority for row in rows]
