"""What goes wrong in real life, on real processes: no run is lost or stuck, each result is recorded once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from anyio import to_thread

from headrace.graph.json_types import JsonObject
from headrace.local.redis import EmbeddedRedis
from headrace.queues.names import TASKS
from support.build import chain, edge, node, workflow
from support.fleet import Fleet, eventually, fleet
from support.servers import passable_folder
from support.slow_server import SlowServer, slow_server

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]

DEADLINE = 45.0
CALLS = 4


@pytest.fixture
def server() -> Iterator[SlowServer]:
    with slow_server(delay=0.05) as one:
        yield one


@pytest.fixture
def own_redis() -> Iterator[EmbeddedRedis]:
    """A durable Redis that the test may restart."""
    with passable_folder() as folder, EmbeddedRedis(folder / "redis") as redis:
        yield redis


def fan(server: SlowServer, width: int = CALLS) -> JsonObject:
    """start -> `width` slow calls -> join -> last: width + 3 nodes."""
    calls = [
        node(f"call{number}", "apiCall", config={"url": f"{server.url}/{number}", "failOnError": True})
        for number in range(width)
    ]
    names = [str(call["id"]) for call in calls]
    return workflow(
        [node("start"), *calls, node("join"), node("last")],
        [
            *(edge("start", name) for name in names),
            *(edge(name, "join") for name in names),
            edge("join", "last"),
        ],
    )


async def test_a_killed_worker_in_the_middle_of_50_runs(
    database_url: str, redis_url: str, server: SlowServer
) -> None:
    """No supervisor sees it die: its leases run out, 30 s after the last renewal, and others take over."""
    server.delay = 1.0
    async with fleet(database_url, redis_url) as workers:
        workers.start(3)
        runs = await workers.start_runs(await workers.save(fan(server)), 50)
        victim = workers.workers[0]
        await eventually(partial(_holds_tasks, workers, victim.pid), 20, "the victim works")
        workers.kill(victim)
        await workers.until_all_ended(DEADLINE)
        await workers.check_all_well(len(runs), len(runs) * (CALLS + 3))
        assert await workers.count_tasks("lost > 0") > 0, "the victim held nothing: nothing was tested"


async def test_a_worker_killed_between_taking_a_job_and_its_task(database_url: str, redis_url: str) -> None:
    """The job stands in RQ's books as started, and nobody holds the task: no lease runs out."""
    doomed = (sys.executable, str(Path(__file__).parents[1] / "support" / "worker_killed_with_jobs.py"))
    async with fleet(database_url, redis_url) as workers:
        workers.start(1, doomed)
        await workers.start_runs(await workers.save(chain(2)), 1)
        victim = workers.workers.pop()
        assert await to_thread.run_sync(victim.wait, 20) == -signal.SIGKILL
        assert workers.broker._connection.zcard(f"rq:wip:{TASKS}") == 1
        assert await workers.count_tasks("status = 'queued' AND delivery = 1") == 1
        workers.start(1)
        # 10 s until the delivery is asked for, 5 s until the next sweep, and the start of a process.
        await workers.until_all_ended(20)
        await workers.check_all_well(1, 2)


async def test_redis_is_emptied_in_the_middle(database_url: str, redis_url: str, server: SlowServer) -> None:
    async with fleet(database_url, redis_url, WORKER_CONCURRENCY="4") as workers:
        workers.start(3)
        runs = await workers.start_runs(await workers.save(fan(server)), 50)
        await eventually(lambda: _some_ended(workers, 40), 20, "the work is in full swing")
        assert await workers.count_tasks("status = 'queued'") > 20
        workers.broker._connection.flushdb()
        await workers.until_all_ended(DEADLINE)
        await workers.check_all_well(len(runs), len(runs) * (CALLS + 3))
        assert await workers.count_tasks("delivery > attempt") > 0, "nothing got lost: nothing was tested"


async def test_redis_is_killed_and_restarted(
    database_url: str, own_redis: EmbeddedRedis, server: SlowServer
) -> None:
    async with fleet(database_url, own_redis.url(), WORKER_CONCURRENCY="4") as workers:
        workers.start(2)
        workflow_id = await workers.save(fan(server))
        before = await workers.start_runs(workflow_id, 25)
        await eventually(lambda: _some_ended(workers, 20), 30, "the work is in full swing")
        os.kill(own_redis.pid, signal.SIGKILL)
        await eventually(partial(_is_dead, own_redis), 10, "Redis is dead")
        during = await workers.start_runs(workflow_id, 5)
        own_redis.revive()
        await workers.until_all_ended(DEADLINE)
        runs = len(before) + len(during)
        await workers.check_all_well(runs, runs * (CALLS + 3))


async def test_every_job_is_delivered_twice(database_url: str, redis_url: str, server: SlowServer) -> None:
    twice = (sys.executable, str(Path(__file__).parents[1] / "support" / "worker_that_delivers_twice.py"))
    async with fleet(database_url, redis_url) as workers:
        workers.start(3, twice)
        runs = await workers.start_runs(await workers.save(fan(server)), 30)
        await workers.until_all_ended(DEADLINE)
        await workers.check_all_well(len(runs), len(runs) * (CALLS + 3))
        assert server.total == len(runs) * CALLS, "a node's code ran more than once although nobody died"


async def test_100_runs_of_fan_out_8_into_a_join_on_3_workers(
    database_url: str, redis_url: str, server: SlowServer
) -> None:
    async with fleet(database_url, redis_url) as workers:
        workers.start(3)
        runs = await workers.start_runs(await workers.save(fan(server, width=8)), 100)
        await workers.until_all_ended(60)
        await workers.check_all_well(len(runs), len(runs) * 11)
        assert server.calls == {f"/{number}": len(runs) for number in range(8)}


async def test_a_worker_that_is_told_to_stop_hands_back_what_it_cannot_finish(
    database_url: str, redis_url: str
) -> None:
    with slow_server(delay=4.0) as slow:
        async with fleet(database_url, redis_url, HEADRACE_GRACE_SECONDS="0.5") as workers:
            workers.start(1)
            await workers.start_runs(await workers.save(fan(slow)), 1)
            await eventually(lambda: _asked(slow, CALLS), 20, "the slow calls run")
            first = workers.workers[0]
            first.terminate()
            assert first.wait(10) == 0
            workers.workers.remove(first)
            workers.start(1)
            # Well before the leases of 30 s run out: the tasks were given back, not lost.
            await workers.until_all_ended(20)
            await workers.check_all_well(1, CALLS + 3)


async def test_stock_rq_workers_finish_a_run(database_url: str, redis_url: str, server: SlowServer) -> None:
    rq = (
        str(Path(sys.executable).parent / "rq"),
        "worker",
        "-S",
        "rq.serializers.JSONSerializer",
        "-u",
        redis_url,
    )
    async with fleet(database_url, redis_url) as workers:
        workers.start(1, (*rq, "workflow-tasks"))
        workers.start(1, (*rq, "workflow-dependencies"))
        runs = await workers.start_runs(await workers.save(fan(server)), 2)
        await workers.until_all_ended(DEADLINE)
        await workers.check_all_well(len(runs), len(runs) * (CALLS + 3))


async def _some_ended(workers: Fleet, count: int) -> bool:
    return await workers.count_tasks("finished_at IS NOT NULL") >= count


async def _holds_tasks(workers: Fleet, pid: int) -> bool:
    held = f"worker_id = (SELECT id FROM workflow_workers WHERE pid = {pid}) AND node_type = 'apiCall'"
    return await workers.count_tasks(held) > 3


async def _asked(server: SlowServer, count: int) -> bool:
    return server.total >= count


async def _is_dead(redis: EmbeddedRedis) -> bool:
    return not redis.is_alive()
