"""The safety net: what got lost comes back, once, and what is alive is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from headrace.engine.execute import claim, perform
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.settle import settle
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.sweep import SweepSettings, Swept, expire_worker, redeliver, sweep, wake_due
from headrace.engine.verify import verify
from headrace.graph.dispatch import Release, RunTask
from headrace.graph.json_types import JsonObject
from headrace.store import workers
from headrace.store.claims import Delivery
from headrace.store.workers import Load, NewWorker
from support.build import chain, edge, node, workflow
from support.drive import WORKER, NoHttp, deliver, drain, status_of, tasks_of
from support.rows import age, end_waits, expire_leases, sql

pytestmark = pytest.mark.anyio

SETTINGS = SweepSettings(every=5.0, lost_delivery=10.0, forgotten_release=10.0)


async def started(engine: Engine, document: JsonObject) -> Started:
    return await start_run(engine, StartRequest(await create_workflow(engine, document), {"n": 1}))


def jobs_of(run: Started) -> list[RunTask]:
    return [one for one in run.dispatches if isinstance(one, RunTask)]


async def claimed(engine: Engine, jobs: Sequence[RunTask], worker: UUID = WORKER) -> list[Execution]:
    return await claim(engine, [Delivery(one.task, one.attempt, one.delivery) for one in jobs], worker)


async def steady_for(engine: Engine, seconds: float) -> None:
    """Sweeps have come without a gap for so long, and the next one is due."""
    await sql(
        engine.db,
        "INSERT INTO sweeps (name, last_at, since)"
        " VALUES ('sweep', now() - interval '6 seconds', now() - make_interval(secs => $1))"
        " ON CONFLICT (name) DO UPDATE SET last_at = excluded.last_at, since = excluded.since",
        seconds,
    )


async def swept(engine: Engine, steady: float = 3600.0) -> Swept:
    await steady_for(engine, steady)
    result = await sweep(engine, SETTINGS)
    assert result is not None
    return result


async def test_a_sweep_is_done_when_it_is_due_and_by_one_process(engine: Engine) -> None:
    assert await sweep(engine, SETTINGS) is not None
    assert await sweep(engine, SETTINGS) is None
    await steady_for(engine, 60)
    results = await asyncio.gather(*(sweep(engine, SETTINGS) for _ in range(8)))
    assert len([one for one in results if one is not None]) == 1


async def test_what_is_queued_for_long_is_delivered_again_only_if_its_job_is_gone(engine: Engine) -> None:
    run = await started(engine, workflow([node("lost"), node("alive"), node("fresh")], []))
    lost, alive, fresh = jobs_of(run)
    assert (await swept(engine)).overdue == []
    await age(engine.db, 11)
    await sql(engine.db, "UPDATE workflow_tasks SET queued_at = now() WHERE node_id = 'fresh'")
    overdue = (await swept(engine)).overdue
    assert {one.node_id for one in overdue} == {"lost", "alive"}
    (again,) = await redeliver(engine, overdue, live={alive.job_id})
    assert isinstance(again, RunTask)
    assert (again.node_id, again.attempt, again.delivery) == ("lost", 1, 2)
    assert (await swept(engine)).overdue == [one for one in overdue if one.node_id == "alive"]
    assert await redeliver(engine, overdue, live={alive.job_id}) == []
    assert await claimed(engine, [lost]) == []
    await drain(engine, [again, alive, fresh])
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_what_was_claimed_meanwhile_is_not_delivered_again(engine: Engine) -> None:
    run = await started(engine, chain(1))
    await age(engine.db, 11)
    overdue = (await swept(engine)).overdue
    (execution,) = await claimed(engine, jobs_of(run))
    assert await redeliver(engine, overdue, live=()) == []
    assert list((await settle(engine, [await perform(execution, NoHttp())])).late) == []


async def test_an_expired_lease_is_the_next_delivery_of_the_same_attempt(engine: Engine) -> None:
    run = await started(engine, chain(1))
    await claimed(engine, jobs_of(run))
    assert (await swept(engine)).dispatches == []
    await expire_leases(engine.db)
    (again,) = (await swept(engine)).dispatches
    assert isinstance(again, RunTask)
    assert (again.attempt, again.delivery) == (1, 2)
    assert (await tasks_of(engine, run.run_id))["n0"].lost == 1
    await drain(engine, [again])
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []


@pytest.mark.parametrize("max_lost", [0, 2])
async def test_a_task_that_lost_its_worker_too_often_fails(engine: Engine, max_lost: int) -> None:
    document = workflow([node("a", maxLost=max_lost), node("repair")], [edge("a", "repair", on="failure")])
    run = await started(engine, document)
    jobs = jobs_of(run)
    for number in range(max_lost + 1):
        await claimed(engine, jobs)
        await expire_leases(engine.db)
        dispatches = (await swept(engine)).dispatches
        jobs = [one for one in dispatches if isinstance(one, RunTask)]
        assert bool(jobs) == (number < max_lost)
    task = (await tasks_of(engine, run.run_id))["a"]
    assert (task.status, task.attempt, task.lost) == ("failed", 1, max_lost)
    assert task.error == {"type": "WorkerLost", "message": "its worker was lost too often"}
    await drain(engine, dispatches)
    assert await status_of(engine, run.run_id) == "succeeded"
    assert (await tasks_of(engine, run.run_id))["repair"].status == "completed"


@pytest.mark.parametrize(("steady", "expires"), [(0.0, False), (29.0, False), (31.0, True)])
async def test_no_lease_expires_before_sweeps_were_steady_for_one_lease(
    engine: Engine, steady: float, expires: bool
) -> None:
    run = await started(engine, chain(1))
    await claimed(engine, jobs_of(run))
    await expire_leases(engine.db)
    assert bool((await swept(engine, steady)).dispatches) == expires


async def test_a_gap_between_sweeps_gives_every_lease_its_time_anew(engine: Engine) -> None:
    run = await started(engine, chain(1))
    await claimed(engine, jobs_of(run))
    await expire_leases(engine.db)
    await steady_for(engine, 3600)
    await sql(engine.db, "UPDATE sweeps SET last_at = now() - interval '11 seconds'")
    result = await sweep(engine, SETTINGS)
    assert result is not None
    assert result.dispatches == []


async def test_a_release_that_was_forgotten_is_repeated(engine: Engine) -> None:
    document = workflow([node("a"), node("b"), node("tidy") | {"finally": True}], [edge("a", "b")])
    run = await started(engine, document)
    await deliver(engine, run.dispatches[0])
    assert (await swept(engine)).dispatches == []
    await age(engine.db, 11)
    (forgotten,) = (await swept(engine)).dispatches
    assert forgotten == Release((jobs_of(run)[0].task,))
    await drain(engine, [forgotten])
    assert await status_of(engine, run.run_id) == "succeeded"
    await age(engine.db, 11)
    assert (await swept(engine)).dispatches == []


async def test_due_waits_are_woken_once_whoever_looks(engine: Engine) -> None:
    document = workflow([node(f"n{number}", "script", config={"do": "wait"}) for number in range(20)], [])
    run = await started(engine, document)
    await drain(engine, run.dispatches)
    assert await wake_due(engine) == []
    await end_waits(engine.db)
    woken = [one for some in await asyncio.gather(*(wake_due(engine) for _ in range(8))) for one in some]
    woken += await wake_due(engine)
    tasks = [one.task for one in woken if isinstance(one, RunTask)]
    assert len(tasks) == len(set(tasks)) == 20
    await drain(engine, woken)
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_what_a_dead_worker_held_comes_back_at_once_and_nothing_else(engine: Engine) -> None:
    run = await started(engine, workflow([node("a"), node("b")], []))
    first, second = jobs_of(run)
    other = uuid4()
    await claimed(engine, [first])
    (execution,) = await claimed(engine, [second], other)
    (again,) = await expire_worker(engine, WORKER)
    assert isinstance(again, RunTask)
    assert (again.task, again.delivery) == (first.task, 2)
    assert await expire_worker(engine, WORKER) == []
    settled = await settle(engine, [await perform(execution, NoHttp())])
    assert list(settled.late) == []
    await drain(engine, [again, *settled.dispatches])
    assert await status_of(engine, run.run_id) == "succeeded"


async def _register(engine: Engine, worker_id: UUID) -> None:
    async with engine.db.transaction() as tx:
        await workers.register(tx, NewWorker(worker_id, "w", "here", 1, ("workflow-tasks",), 4))


async def _states(engine: Engine, include_ended: bool = False) -> dict[UUID, str]:
    async with engine.db.transaction() as tx:
        return {one.id: one.state for one in await workers.all_workers(tx, include_ended)}


@pytest.mark.parametrize(("steady", "is_reaped"), [(59.0, False), (61.0, True)])
async def test_a_worker_without_a_heartbeat_is_reaped_once_sweeps_are_steady(
    engine: Engine, steady: float, is_reaped: bool
) -> None:
    run = await started(engine, chain(1))
    silent, alive = uuid4(), uuid4()
    await _register(engine, silent)
    await _register(engine, alive)
    await claimed(engine, jobs_of(run), silent)
    await sql(
        engine.db,
        "UPDATE workflow_workers SET last_heartbeat = now() - interval '61 seconds' WHERE id = $1",
        silent,
    )
    dispatches = (await swept(engine, steady)).dispatches
    states = await _states(engine, include_ended=True)
    assert states == {silent: "failed" if is_reaped else "unhealthy", alive: "running"}
    assert [one.delivery for one in dispatches if isinstance(one, RunTask)] == ([2] if is_reaped else [])


async def test_a_reaped_worker_that_was_only_slow_is_running_again(engine: Engine) -> None:
    worker = uuid4()
    await _register(engine, worker)
    async with engine.db.transaction() as tx:
        await workers.mark(tx, worker, "failed")
    assert await _states(engine) == {}
    async with engine.db.transaction() as tx:
        await workers.heartbeat(tx, worker, Load(1, 2, 3))
    assert await _states(engine) == {worker: "running"}


async def test_a_lost_task_that_cannot_be_prepared_does_not_stop_the_sweep(engine: Engine) -> None:
    broken = await started(engine, workflow([node("a", maxLost=0)], []))
    sound = await started(engine, workflow([node("a", maxLost=0)], []))
    queued = await started(engine, chain(1))
    await claimed(engine, [*jobs_of(broken), *jobs_of(sound)])
    await expire_leases(engine.db)
    await age(engine.db, 11)
    await sql(
        engine.db,
        "UPDATE workflow_versions v SET definition = '7' FROM workflow_runs r"
        " WHERE r.id = $1 AND v.workflow_id = r.workflow_id",
        broken.run_id,
    )
    result = await swept(Engine.over(engine.db, engine.nodes))
    assert [one.task.run_id for one in result.overdue] == [queued.run_id]
    assert await status_of(engine, broken.run_id) == "failed"
    await drain(engine, result.dispatches)
    task = (await tasks_of(engine, sound.run_id))["a"]
    assert task.error is not None
    assert task.error["type"] == "WorkerLost"
