"""Maps on real workers: never too many at once, in order, through crashes, and stopped by a cancel."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import pytest

from headrace.engine.control import cancel_run
from headrace.engine.verify import verify
from headrace.graph.json_types import JsonObject, JsonValue
from support.build import edge, node, workflow
from support.drive import tasks_of
from support.family import a_loop, a_map, call
from support.fleet import Fleet, eventually, fleet
from support.rows import sql
from support.slow_server import slow_server

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]


def pause(milliseconds: int) -> JsonObject:
    """A node that takes so long and gives its input on."""
    return node("pause", "delay", config={"delayMs": milliseconds})


async def output_of(workers: Fleet, run_id: UUID, name: str) -> JsonValue:
    return (await tasks_of(workers.engine, run_id))[name].output


async def _most_at_once(workers: Fleet) -> int:
    """How many runs of bodies ever ran together, as their rows tell it."""
    (row,) = await sql(
        workers.engine.db,
        """
        SELECT max(together)::int AS most FROM (
          SELECT sum(step) OVER (ORDER BY at, step) AS together FROM (
            SELECT started_at AS at, 1 AS step FROM workflow_runs WHERE body <> ''
            UNION ALL SELECT finished_at, -1 FROM workflow_runs WHERE body <> ''
          ) steps
        ) running
        """,
    )
    return int(row.most)


async def test_a_map_of_1000_items_with_50_at_once_on_3_workers(database_url: str, redis_url: str) -> None:
    document = workflow([a_map("map", pause(20), maxConcurrency=50), node("after")], [edge("map", "after")])
    async with fleet(database_url, redis_url) as workers:
        workers.start(3)
        (run_id,) = await workers.start_runs(await workers.save(document), 1, {"items": list(range(1000))})
        await workers.until_all_ended(90)
        assert await workers.statuses() == {"succeeded": 1001}
        expected = [{"item": number, "index": number} for number in range(1000)]
        assert await output_of(workers, run_id, "map") == expected
        assert 30 < await _most_at_once(workers) <= 50
        assert await verify(workers.engine.db) == []


async def test_a_worker_is_killed_in_the_middle_of_a_map(database_url: str, redis_url: str) -> None:
    with slow_server(delay=0.3) as server:
        body = node("ask", "apiCall", config={"url": server.url + "/{{item}}", "failOnError": True})
        document = workflow([a_map("map", body, maxConcurrency=20)], [])
        settings = {"HEADRACE_LEASE_SECONDS": "5", "HEADRACE_SWEEP_SECONDS": "1"}
        async with fleet(database_url, redis_url, **settings) as workers:
            workers.start(3)
            (run_id,) = await workers.start_runs(await workers.save(document), 1, {"items": list(range(150))})
            await eventually(partial(_ended, workers, 20), 30, "the map is in full swing")
            victim = workers.workers[0]
            held = f"worker_id = (SELECT id FROM workflow_workers WHERE pid = {victim.pid})"
            await eventually(partial(_some, workers, f"{held} AND node_type = 'apiCall'"), 20, "it works")
            workers.kill(victim)
            await workers.until_all_ended(90)
            assert await workers.statuses() == {"succeeded": 151}
            output = await output_of(workers, run_id, "map")
            assert isinstance(output, list)
            assert len(output) == 150
            assert await workers.count_tasks("lost > 0") > 0, "the victim held nothing: nothing was tested"
            assert await verify(workers.engine.db) == []


async def test_redis_is_emptied_in_the_middle_of_a_map(database_url: str, redis_url: str) -> None:
    document = workflow([a_map("map", pause(50), maxConcurrency=10)], [])
    async with fleet(database_url, redis_url, HEADRACE_SWEEP_SECONDS="1") as workers:
        workers.start(2)
        await workers.start_runs(await workers.save(document), 1, {"items": list(range(100))})
        await eventually(partial(_ended, workers, 20), 30, "the map is in full swing")
        workers.broker._connection.flushdb()
        await workers.until_all_ended(90)
        assert await workers.statuses() == {"succeeded": 101}
        assert await verify(workers.engine.db) == []


async def test_a_cancel_in_the_middle_leaves_nothing_running(database_url: str, redis_url: str) -> None:
    inner = workflow([a_map("map", pause(60_000), items=list(range(20)))], [], name="inner")
    document = workflow(
        [a_loop("loop", call("inner", "inner"), **{"for": 3}), node("after")], [edge("loop", "after")]
    )
    async with fleet(database_url, redis_url) as workers:
        workers.start(2)
        await workers.save(inner)
        (run_id,) = await workers.start_runs(await workers.save(document), 1)
        waiting = "status = 'waiting' AND node_type = 'delay'"
        await eventually(partial(_are, workers, waiting, 10), 30, "ten items wait")
        await workers.broker.push_async(await cancel_run(workers.engine, run_id))
        await eventually(partial(_are, workers, "finished_at IS NULL", 0), 30, "all tasks have ended")
        await eventually(partial(_only_cancelled, workers), 30, "all runs have ended")
        assert await verify(workers.engine.db) == []


async def _ended(workers: Fleet, count: int) -> bool:
    return (await workers.statuses()).get("succeeded", 0) >= count


async def _some(workers: Fleet, condition: str) -> bool:
    return await workers.count_tasks(condition) > 0


async def _are(workers: Fleet, condition: str, count: int) -> bool:
    return await workers.count_tasks(condition) == count


async def _only_cancelled(workers: Fleet) -> bool:
    return set(await workers.statuses()) == {"cancelled"}
