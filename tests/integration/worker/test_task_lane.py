"""The task lane on real servers, where RQ's worker is not needed to see it err."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from rq.utils import now

from headrace.config import Settings
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.graph.dispatch import RunTask
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.queues.names import TASKS
from headrace.queues.records import record_of
from headrace_worker.rq_claim import ClaimedJob
from headrace_worker.runtime import Runtime, open_runtime
from headrace_worker.task_lane import DUPLICATE, TaskLane
from support.build import chain

pytestmark = pytest.mark.anyio


class NothingBeside:
    """No slots for successors, and nobody to show them to."""

    def promise_slots(self, most: int) -> int:
        return min(most, 0)

    def slots_freed(self) -> None:
        pass

    def began(self, dispatch: RunTask, future: asyncio.Future[JsonValue]) -> None:
        assert future.done(), f"{dispatch} ran not ahead and was taken without a slot"

    def released(self, tasks: Sequence[TaskId]) -> None:
        pass


@pytest.fixture
async def runtime(database_url: str, redis_url: str) -> AsyncIterator[Runtime]:
    settings = Settings(DATABASE_URL=database_url, REDIS_URL=redis_url)  # type: ignore[call-arg]
    async with open_runtime(settings) as one:
        yield one


@pytest.fixture
async def lane(runtime: Runtime) -> AsyncIterator[TaskLane]:
    one = TaskLane(runtime)
    one.open(NothingBeside())
    yield one
    await one.hand_back()


async def a_job(runtime: Runtime) -> tuple[TaskId, ClaimedJob]:
    workflow_id = await create_workflow(runtime.engine, chain(2))
    (dispatch,) = (await start_run(runtime.engine, StartRequest(workflow_id, {}))).dispatches
    assert isinstance(dispatch, RunTask)
    fields = {str(name).encode(): str(value).encode() for name, value in record_of(dispatch).fields().items()}
    return dispatch.task, ClaimedJob(dispatch.job_id, "e", now(), fields, runtime.redis, TASKS)


async def test_a_renewal_that_meets_a_settlement_stops_nothing(runtime: Runtime, lane: TaskLane) -> None:
    """The task's end is in the database and not yet known here: to the renewal it looks lost."""
    task, job = await a_job(runtime)
    (future,) = lane.begin([job])
    async with asyncio.timeout(10):
        while not lane.settling:
            await asyncio.sleep(0)
        lane.stop_tasks({task})
        assert await future == "ok"


async def test_one_delivery_twice_in_a_batch_runs_once(runtime: Runtime, lane: TaskLane) -> None:
    _, job = await a_job(runtime)
    futures = lane.begin([job, job])
    async with asyncio.timeout(10):
        assert sorted(await asyncio.gather(*futures)) == sorted(["ok", DUPLICATE])


async def test_a_job_that_is_no_delivery_fails_alone(runtime: Runtime, lane: TaskLane) -> None:
    _, job = await a_job(runtime)
    data = b'["headrace_worker.jobs.run_task", null, ["nonsense"], {}]'
    bad = ClaimedJob("bad", "f", job.started_at, {**job.fields, b"data": data}, runtime.redis, TASKS)
    bad_future, good_future = lane.begin([bad, job])
    with pytest.raises(ValueError, match="no delivery"):
        await bad_future
    async with asyncio.timeout(10):
        assert await good_future == "ok"
