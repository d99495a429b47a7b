"""Nodes whose code is not async, in the task lane, in RQ's own worker and without any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from rq.utils import now

from headrace.config import Settings
from headrace.engine.control import cancel_run
from headrace.engine.execute import claim, perform
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.graph.dispatch import RunTask, Stop
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed
from headrace.queues.names import TASKS
from headrace.queues.records import record_of
from headrace_worker import jobs
from headrace_worker.rq_claim import ClaimedJob
from headrace_worker.runtime import Runtime, open_runtime
from headrace_worker.task_lane import TaskLane, delivery_of
from support import misbehaving as code
from support.build import node, workflow
from support.drive import NoHttp, tasks_of
from support.lane_nodes import UntilCancelled, with_lane_nodes
from support.lanes import until
from support.misbehaving import named
from support.processes import is_gone

pytestmark = pytest.mark.anyio


class NothingBeside:
    """No slots for successors, and nobody to show them to."""

    def promise_slots(self, most: int) -> int:
        return min(most, 0)

    def slots_freed(self) -> None:
        pass

    def began(self, dispatch: RunTask, future: asyncio.Future[JsonValue]) -> None:
        raise AssertionError(f"{dispatch} was taken without a slot: {future}")

    def released(self, tasks: Sequence[TaskId]) -> None:
        pass


@pytest.fixture
def until_cancelled() -> UntilCancelled:
    return UntilCancelled()


@pytest.fixture
async def runtime(
    database_url: str, redis_url: str, until_cancelled: UntilCancelled
) -> AsyncIterator[Runtime]:
    settings = Settings(DATABASE_URL=database_url, REDIS_URL=redis_url)  # type: ignore[call-arg]
    async with open_runtime(settings) as one:
        engine = Engine.over(one.engine.db, with_lane_nodes(until_cancelled), settings.lease_seconds)
        yield replace(one, engine=engine)


@pytest.fixture
async def lane(runtime: Runtime) -> AsyncIterator[TaskLane]:
    one = TaskLane(runtime)
    one.open(NothingBeside())
    yield one
    await one.hand_back()


def isolated(name: str, function: Callable[..., object], payload: JsonValue = None) -> JsonObject:
    return node(
        name,
        "isolated",
        config={"function": named(function), "payload": payload},
        retry={"maxAttempts": 1},
        timeouts={"attempt": 30},
    )


async def started(runtime: Runtime, *nodes: JsonObject) -> tuple[UUID, list[ClaimedJob]]:
    """A run of nodes without edges, and the jobs of all of them."""
    workflow_id = await create_workflow(runtime.engine, workflow(list(nodes), []))
    run = await start_run(runtime.engine, StartRequest(workflow_id, {}))
    return run.run_id, [a_job(runtime, one) for one in run.dispatches if isinstance(one, RunTask)]


def a_job(runtime: Runtime, dispatch: RunTask) -> ClaimedJob:
    fields = {str(name).encode(): str(value).encode() for name, value in record_of(dispatch).fields().items()}
    return ClaimedJob(dispatch.job_id, dispatch.job_id, now(), fields, runtime.redis, TASKS)


async def errors(runtime: Runtime, run_id: UUID) -> dict[str, JsonValue]:
    """The kinds of failure by node id; None for a node that completed."""
    tasks = await tasks_of(runtime.engine, run_id)
    return {name: task.error and task.error["type"] for name, task in tasks.items()}


async def test_a_crash_fails_its_own_node_only(runtime: Runtime, lane: TaskLane) -> None:
    run_id, claimed = await started(
        runtime,
        isolated("good", code.echo, {"a": 1}),
        isolated("crash", code.segfault),
        isolated("exit", code.exit_with, 0),
        isolated("raise", code.divide_by, 0),
        isolated("unstorable", code.unstorable),
        node("plain"),
    )
    assert sorted(await asyncio.gather(*lane.begin(claimed))) == ["failed"] * 4 + ["ok"] * 2
    assert await errors(runtime, run_id) == {
        "good": None,
        "crash": "ProcessDied",
        "exit": "ProcessDied",
        "raise": "ZeroDivisionError",
        "unstorable": "BadOutput",
        "plain": None,
    }


async def test_the_attempt_s_timeout_kills_the_process(
    runtime: Runtime, lane: TaskLane, tmp_path: Path
) -> None:
    slow = isolated("slow", code.hang_deaf, str(tmp_path / "pid")) | {"timeouts": {"attempt": 2}}
    run_id, claimed = await started(runtime, slow)
    (future,) = lane.begin(claimed)
    assert await future == "failed"
    assert await errors(runtime, run_id) == {"slow": "Timeout"}
    await until(lambda: is_gone(int((tmp_path / "pid").read_text())))


async def test_a_cancelled_task_s_process_is_killed(runtime: Runtime, lane: TaskLane, tmp_path: Path) -> None:
    _, (job,) = await started(runtime, isolated("slow", code.hang, str(tmp_path / "pid")))
    (future,) = lane.begin([job])
    pid = int(await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    lane.stop(job)
    with pytest.raises(asyncio.CancelledError):
        await future
    await until(lambda: is_gone(pid))


async def test_code_in_a_thread_is_told_of_its_timeout(
    runtime: Runtime, lane: TaskLane, until_cancelled: UntilCancelled
) -> None:
    run_id, claimed = await started(
        runtime, node("slow", "until_cancelled", retry={"maxAttempts": 1}, timeouts={"attempt": 0.05})
    )
    (future,) = lane.begin(claimed)
    assert await future == "failed"
    assert await errors(runtime, run_id) == {"slow": "Timeout"}
    await until(lambda: until_cancelled.ended == ["slow"])


async def test_a_cancel_with_grace_asks_the_code_before_it_stops_it(
    runtime: Runtime, lane: TaskLane, until_cancelled: UntilCancelled
) -> None:
    """The code that looks ends by itself, long before its grace is over; its answer comes too late."""
    run_id, claimed = await started(runtime, node("asks", "until_cancelled"))
    (future,) = lane.begin(claimed)
    await until(lambda: until_cancelled.contexts)
    (stop,) = await cancel_run(runtime.engine, run_id, grace=3600)
    assert isinstance(stop, Stop)
    assert stop.grace == 3600
    lane.stop_tasks(stop.tasks, stop.grace)
    lane.stop_tasks(stop.tasks)  # as a renewal that finds the lease lost does
    async with asyncio.timeout(10):
        assert await future == "late"
    assert until_cancelled.ended == ["asks"]


async def test_code_that_does_not_listen_is_stopped_when_its_grace_is_over(
    runtime: Runtime, lane: TaskLane, tmp_path: Path
) -> None:
    _, claimed = await started(runtime, isolated("deaf", code.hang, str(tmp_path / "pid")))
    (future,) = lane.begin(claimed)
    pid = int(await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    lane.stop_tasks([delivery_of(claimed[0]).task], grace=0.05)
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await future
    await until(lambda: is_gone(pid))


async def test_the_end_of_the_worker_stops_both(
    runtime: Runtime, until_cancelled: UntilCancelled, tmp_path: Path
) -> None:
    lane = TaskLane(runtime)
    lane.open(NothingBeside())
    _, claimed = await started(
        runtime, isolated("process", code.hang, str(tmp_path / "pid")), node("thread", "until_cancelled")
    )
    lane.begin(claimed)
    pid = int(await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    await until(lambda: until_cancelled.contexts)
    await lane.hand_back()
    await until(lambda: until_cancelled.ended == ["thread"])
    await until(lambda: is_gone(pid))


async def test_without_lanes_such_code_fails_and_with_them_it_runs(runtime: Runtime) -> None:
    _, (job,) = await started(runtime, isolated("one", code.echo, "word"))
    (execution,) = await claim(runtime.engine, [delivery_of(job)], runtime.worker_id)
    failed = (await perform(execution, NoHttp())).outcome
    assert isinstance(failed, Failed)
    assert failed.kind == "RuntimeError"
    assert (await perform(execution, NoHttp(), runtime.lanes)).outcome == Done("word")


async def test_rq_s_own_worker_has_the_lanes_too(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str
) -> None:
    monkeypatch.setattr("headrace_worker.runtime.builtin", lambda: with_lane_nodes(UntilCancelled()))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    run_id, claimed = await started(
        runtime,
        isolated("good", code.echo, "word"),
        isolated("crash", code.segfault),
        node("slow", "until_cancelled", retry={"maxAttempts": 1}, timeouts={"attempt": 0.05}),
    )
    for job in claimed:
        one = delivery_of(job)
        assert await asyncio.to_thread(jobs.run_task, str(one.task), one.attempt, one.delivery) == "ok"
    assert await errors(runtime, run_id) == {"good": None, "crash": "ProcessDied", "slow": "Timeout"}
