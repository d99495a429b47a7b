"""Projects on real processes: who serves whom, and that nobody starves anybody."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from redis import Redis
from rq.suspension import resume, suspend

from headrace.engine.save import create_workflow
from headrace.engine.sealing import Seal
from headrace.engine.secrets import SecretAt, put_secret
from headrace.graph.json_types import JsonObject
from headrace.graph.project import DEFAULT_PROJECT
from headrace.graph.queue_names import task_queue
from headrace.queues.connection import connect
from headrace.queues.inspect import all_queue_depths, rq_workers
from support.build import chain, edge, node, workflow
from support.fleet import Fleet, eventually, fleet
from support.slow_server import SlowServer, slow_server

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]

NOISE = 3000
FEW = 20
SLOTS = 16


def crowd(count: int) -> JsonObject:
    """Nodes that are all ready at once."""
    return workflow(
        [node(f"n{number}", "notification", config={"template": "x"}) for number in range(count)], []
    )


def calls(url: str, count: int) -> JsonObject:
    """The same, and each takes a while."""
    return workflow(
        [node(f"call{number}", "apiCall", config={"url": f"{url}/{number}"}) for number in range(count)], []
    )


def employ(workers: Fleet, projects: str, count: int = 1) -> None:
    workers.env["HEADRACE_PROJECTS"] = projects
    workers.start(count)


async def begin(workers: Fleet, project: str, document: JsonObject, count: int = 1) -> list[UUID]:
    workflow_id = await create_workflow(workers.engine, document, project=project)
    return await workers.start_runs(workflow_id, count)


async def ended(workers: Fleet, runs: Sequence[UUID]) -> bool:
    """Whether all of them succeeded."""
    async with workers.engine.db.transaction() as tx:
        row = await tx.row(
            "SELECT count(*) AS runs FROM workflow_runs WHERE id = ANY($1) AND status = 'succeeded'",
            list(runs),
        )
    return row is not None and row.runs == len(runs)


async def until_ended(workers: Fleet, runs: Sequence[UUID], seconds: float = 30) -> None:
    await eventually(partial(ended, workers, runs), seconds, "the runs succeed")


async def are_at_work(workers: Fleet, count: int) -> bool:
    return len(await running(workers)) == count


async def running(workers: Fleet) -> list[tuple[str, ...]]:
    """The projects of each worker that runs."""
    async with workers.engine.db.transaction() as tx:
        rows = await tx.fetch(
            "SELECT projects FROM workflow_workers WHERE state = 'running' ORDER BY started_at"
        )
    return [tuple(row.projects) for row in rows]


def queued(redis: Redis) -> dict[str, int]:
    return {one.name: one.queued for one in all_queue_depths(redis) if one.queued}


async def test_a_worker_takes_nothing_of_projects_that_it_does_not_serve(
    database_url: str, redis_url: str
) -> None:
    with connect(redis_url) as redis:
        async with fleet(database_url, redis_url) as workers:
            employ(workers, "bank")
            shop = await begin(workers, "shop", chain(3), count=5)
            bank = await begin(workers, "bank", chain(3), count=5)
            plain = await begin(workers, DEFAULT_PROJECT, chain(3))
            await until_ended(workers, bank)
            assert queued(redis) == {"workflow-tasks--shop": 5, "workflow-tasks": 1}
            assert await workers.count_tasks("status = 'completed'") == 15
            employ(workers, "shop,default")
            await until_ended(workers, [*shop, *plain])
            assert await running(workers) == [("bank",), ("shop", "default")]
            finished = {one.name: one.finished for one in all_queue_depths(redis) if one.finished}
            assert finished["workflow-tasks--shop"] == finished["workflow-tasks--bank"] == 15


async def test_a_worker_of_all_projects_learns_of_new_ones_while_it_runs(
    database_url: str, redis_url: str
) -> None:
    with connect(redis_url) as redis:
        async with fleet(database_url, redis_url) as workers:
            employ(workers, "*")
            await until_ended(workers, await begin(workers, DEFAULT_PROJECT, chain(2)))
            await until_ended(workers, await begin(workers, "new", {**chain(2), "priority": "HIGH"}))
            await until_ended(workers, await begin(workers, "newer", chain(2)))
            assert await running(workers) == [("default", "*")]
            (lane,) = [one for one in rq_workers(redis) if one.name.endswith("-tasks")]
            assert {"workflow-tasks-high--new", "workflow-tasks--newer", "workflow-tasks"} <= set(lane.queues)
            assert redis.smembers("rq:workers:workflow-tasks--newer") == {f"rq:worker:{lane.name}".encode()}
            # Redis forgets everything, the worker included: nothing is lost, and it comes back for all.
            redis.flushall()
            again = await begin(workers, "newest", chain(3), count=10)
            await until_ended(workers, again)
            await until_ended(workers, await begin(workers, "new", chain(2)))


@pytest.mark.parametrize("projects", ["noisy,quiet", "*"], ids=["named", "all"])
async def test_a_noisy_project_does_not_starve_another(
    database_url: str, redis_url: str, projects: str
) -> None:
    with connect(redis_url) as redis:
        async with fleet(database_url, redis_url, WORKER_CONCURRENCY=str(SLOTS)) as workers:
            suspend(redis)
            noisy = await begin(workers, "noisy", crowd(NOISE))
            quiet = await begin(workers, "quiet", chain(1), count=FEW)
            assert queued(redis) == {"workflow-tasks--noisy": NOISE, "workflow-tasks--quiet": FEW}
            employ(workers, projects)
            await eventually(partial(are_at_work, workers, 1), 20, "the worker runs")
            resume(redis)
            await until_ended(workers, [*noisy, *quiet], 60)
            order = await projects_in_order_of_start(workers)
    before = order[: len(order) - order[::-1].index("quiet")].count("noisy")
    assert before < NOISE / 10, f"{before} tasks of the noisy project began before the last of the quiet one"


async def test_a_project_that_comes_late_does_not_wait_for_what_is_queued(
    database_url: str, redis_url: str
) -> None:
    """All slots are taken by slow nodes of another: the next that are free are shared."""
    with slow_server(delay=0.1) as server:
        async with fleet(database_url, redis_url, WORKER_CONCURRENCY="8") as workers:
            noisy = await begin(workers, "noisy", calls(server.url, 400))
            employ(workers, "*")
            await eventually(partial(_asked, server, 50), 20, "the noisy project is at work")
            await begin(workers, "quiet", calls(server.url, FEW))
            async with workers.engine.db.transaction() as tx:
                row = await tx.row("SELECT clock_timestamp() AS now")
            assert row is not None
            await until_ended(workers, noisy, 60)
            order = await projects_in_order_of_start(workers, row.now)
    last = len(order) - order[::-1].index("quiet")
    # Each time a slot is free they take turns. What was taken from Redis already goes first.
    assert order[:last].count("noisy") <= FEW + 3 * 8


async def projects_in_order_of_start(workers: Fleet, since: object = None) -> list[str]:
    async with workers.engine.db.transaction() as tx:
        rows = await tx.fetch(
            "SELECT project FROM workflow_tasks WHERE $1::timestamptz IS NULL OR started_at > $1"
            " ORDER BY started_at",
            since,
        )
    return [row.project for row in rows]


async def test_another_worker_of_the_project_takes_over_from_one_that_is_killed(
    database_url: str, redis_url: str
) -> None:
    with slow_server(delay=1.0) as server:
        async with fleet(database_url, redis_url, HEADRACE_LEASE_SECONDS="2") as workers:
            employ(workers, "shop", count=2)
            await eventually(partial(are_at_work, workers, 2), 20, "both run")
            runs = await begin(workers, "shop", calls(server.url, 60))
            await eventually(partial(_asked, server, 40), 20, "both hold tasks")
            os.kill(workers.workers[0].pid, signal.SIGKILL)
            workers.workers.pop(0).wait(10)
            await until_ended(workers, runs, 60)
            await workers.check_all_well(1, 60)


async def test_any_worker_brings_back_the_jobs_that_a_projects_queue_lost(
    database_url: str, redis_url: str
) -> None:
    settings = {"HEADRACE_SWEEP_SECONDS": "0.2", "HEADRACE_LOST_DELIVERY_SECONDS": "0.5"}
    with connect(redis_url) as redis:
        async with fleet(database_url, redis_url, **settings) as workers:
            runs = await begin(workers, "shop", chain(1), count=5)
            redis.flushall()
            employ(workers, "bank")

            async def are_back() -> bool:
                return queued(redis) == {"workflow-tasks--shop": 5}

            await eventually(are_back, 20, "the jobs are in their queue again")
            deliveries = await workers.count_tasks("delivery = 2")
            for _ in range(5):  # more than the half second after which a delivery is looked for
                last = await _sweeps(workers)
                await eventually(partial(_swept_since, workers, last), 20, "a sweep looked at them")
            assert (deliveries, await workers.count_tasks("delivery = 2")) == (5, 5)
            assert await are_back()
            employ(workers, "shop")
            await until_ended(workers, runs)


async def _sweeps(workers: Fleet) -> object:
    async with workers.engine.db.transaction() as tx:
        row = await tx.row("SELECT last_at FROM sweeps WHERE name = 'sweep'")
    assert row is not None
    return row.last_at


async def _swept_since(workers: Fleet, moment: object) -> bool:
    return await _sweeps(workers) != moment


async def test_stock_rq_workers_run_a_projects_jobs(database_url: str, redis_url: str) -> None:
    rq = (
        str(Path(sys.executable).parent / "rq"),
        "worker",
        "-S",
        "rq.serializers.JSONSerializer",
        "-u",
        redis_url,
    )
    async with fleet(database_url, redis_url) as workers:
        workers.start(1, (*rq, task_queue(5, "x")))
        workers.start(1, (*rq, "workflow-dependencies"))
        runs = await begin(workers, "x", chain(3), count=2)
        await until_ended(workers, runs, 60)
        await workers.check_all_well(2, 6)


async def _asked(server: SlowServer, count: int) -> bool:
    return server.total >= count


async def test_a_secret_is_opened_by_the_worker_and_told_to_nobody(
    database_url: str, redis_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    token, key = "t0ps3cret-value", "k" * 32
    settings = {"HEADRACE_SECRET_KEY": key, "HEADRACE_LOG_LEVEL": "DEBUG"}
    with slow_server(delay=0) as server, connect(redis_url) as redis:
        async with fleet(database_url, redis_url, **settings) as workers:
            await put_secret(workers.engine, Seal(key), SecretAt("shop", "TOKEN"), token)
            employ(workers, "*")
            call = node("call", "apiCall", config={"url": f"{server.url}/pay?key=${{secrets.TOKEN}}"})
            say = node("say", config={"template": "key {{secrets.TOKEN}}"})
            runs = await begin(workers, "shop", workflow([call, say], [edge("call", "say")]), count=3)
            await until_ended(workers, runs)
            stored = [bytes(redis.dump(name) or b"") for name in redis.scan_iter()]
            lines = await _log_lines(workers)
    assert server.calls == {f"/pay?key={token}": 3}
    assert lines.count("key ***") == 3
    said = capfd.readouterr()
    for text in (said.out, said.err, *lines, *map(repr, stored)):
        assert token not in text


async def _log_lines(workers: Fleet) -> list[str]:
    async with workers.engine.db.transaction() as tx:
        rows = await tx.fetch("SELECT message FROM workflow_events WHERE message IS NOT NULL")
    return [row.message for row in rows]
