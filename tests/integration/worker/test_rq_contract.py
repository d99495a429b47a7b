"""RQ's keys after and during the same jobs, on a stock worker and on ours.

Who reads RQ's data (its dashboard, its registries, its own workers) sees no difference but those listed here.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from redis import Redis
from rq.job import Callback, Retry

from headrace.graph.dispatch import RunTask
from headrace.graph.ids import TaskId
from headrace.graph.settings import Priority
from headrace.queues.broker import Broker
from headrace.queues.inspect import queue_depths, rq_workers
from headrace.queues.names import TASK_QUEUES, task_queue
from support import rq_snapshot
from support.lanes import LANED, QUEUE, HeldLane, enqueue, fetch, serving, until
from support.redis_process import RedisProcess
from support.rq_snapshot import differences

pytestmark = pytest.mark.anyio

JOBS: dict[str, Callable[[Redis], object]] = {
    "value": lambda c: enqueue(c, "support.jobs.echo", 1, job_id="job", meta={"run": "r"}),
    "nothing": lambda c: enqueue(c, "support.jobs.nothing", job_id="job"),
    "exception": lambda c: enqueue(c, "support.jobs.fail", "text", job_id="job", failure_ttl=70),
    "coroutine": lambda c: enqueue(c, "support.jobs.echo_later", 2, job_id="job", result_ttl=60),
    "unserializable": lambda c: enqueue(c, "support.jobs.unserializable", job_id="job"),
    "result kept for ever": lambda c: enqueue(c, "support.jobs.echo", job_id="job", result_ttl=-1),
    "result not kept": lambda c: enqueue(c, "support.jobs.echo", job_id="job", result_ttl=0),
    "time to live": lambda c: enqueue(c, "support.jobs.echo", 1, job_id="job", ttl=400, result_ttl=-1),
    "callback": lambda c: enqueue(
        c, "support.jobs.echo", job_id="job", on_success=Callback("support.jobs.note_success")
    ),
    "retried": lambda c: enqueue(c, "support.jobs.fail", "text", job_id="job", retry=Retry(max=1)),
    "returned retry": lambda c: enqueue(c, "support.jobs.again", job_id="job"),
    "dependent": lambda c: enqueue(
        c, "support.jobs.echo", job_id="b", depends_on=enqueue(c, "support.jobs.echo", job_id="a")
    ),
}

# A stock worker renews nothing while a job runs, so its keys must outlive its timeout. We renew ours each
# 30 s and let them expire after 90 s: a dead worker's jobs are found after that, whatever their timeout.
ALLOWED_WHILE_RUNNING = {
    "rq:worker:one expires",
    "rq:execution:job:<execution> expires",
    "rq:executions:job expires",
    "rq:executions:job <execution>",
    f"rq:wip:{QUEUE} job:<execution>",
}


def on_a_stock_worker(server: RedisProcess, queues: Sequence[str] = (QUEUE,)) -> None:
    """In a process of its own: for a coroutine RQ starts a loop, which it cannot beside the test's."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r};"
        "import redis, rq; from rq.serializers import JSONSerializer;"
        f"rq.SimpleWorker({list(queues)!r}, name='one', connection=redis.Redis(port={server.port}),"
        "serializer=JSONSerializer).work(burst=True)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=30)


async def on_ours(connection: Redis, lane: HeldLane | None = None, queues: Sequence[str] = (QUEUE,)) -> None:
    def is_done() -> bool:
        depths = queue_depths(connection, queues)
        return all(depth.queued == depth.started == depth.deferred == 0 for depth in depths)

    async with serving(connection, lane, queues=queues):
        await until(is_done)


@pytest.mark.parametrize("kind", JOBS)
async def test_a_job_leaves_the_same_keys(server: RedisProcess, connection: Redis, kind: str) -> None:
    JOBS[kind](connection)
    on_a_stock_worker(server)
    expected = rq_snapshot.take(connection)
    connection.flushall()
    JOBS[kind](connection)
    await on_ours(connection)
    assert differences(expected, rq_snapshot.take(connection)) == {}


@pytest.mark.parametrize("kind", ["value", "time to live"])
async def test_a_job_of_a_lane_leaves_the_same_keys(
    server: RedisProcess, connection: Redis, kind: str
) -> None:
    JOBS[kind](connection)
    on_a_stock_worker(server)
    expected = rq_snapshot.take(connection)
    connection.flushall()
    JOBS[kind](connection)
    lane = HeldLane(functions={"support.jobs.echo"}, answer=[1])
    lane.open = True
    await on_ours(connection, lane)
    assert lane.batches == [["job"]]
    assert differences(expected, rq_snapshot.take(connection)) == {}


async def test_a_running_job_has_the_same_keys_but_those_listed(
    server: RedisProcess, connection: Redis
) -> None:
    enqueue(connection, "support.jobs.look_at_keys", job_id="job")
    on_a_stock_worker(server)
    stock = fetch(connection, "job").return_value()
    connection.flushall()
    enqueue(connection, "support.jobs.look_at_keys", job_id="job")
    await on_ours(connection)
    ours = fetch(connection, "job").return_value()
    assert differences(stock, ours).keys() == ALLOWED_WHILE_RUNNING


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.LOW])
@pytest.mark.parametrize("function", ["support.jobs.echo", "support.jobs.fail"])
async def test_a_task_of_another_priority_leaves_the_same_keys(
    server: RedisProcess,
    connection: Redis,
    monkeypatch: pytest.MonkeyPatch,
    priority: Priority,
    function: str,
) -> None:
    """In the registries of its own queue, by a worker that has all of them."""
    monkeypatch.setattr("headrace.queues.records.RUN_TASK", function)
    task = RunTask(TaskId(UUID(int=1), 0), 1, 1, "n", timeout=30.0, priority=priority)
    Broker(connection).push([task])
    on_a_stock_worker(server, TASK_QUEUES)
    expected = rq_snapshot.take(connection)
    registry = "finished" if function.endswith("echo") else "failed"
    assert f"rq:{registry}:{task_queue(priority)} {task.job_id}" in expected
    connection.flushall()
    Broker(connection).push([task])
    await on_ours(connection, queues=TASK_QUEUES)
    assert differences(expected, rq_snapshot.take(connection)) == {}


async def test_a_running_job_stands_in_the_registry_of_its_queue_and_the_worker_names_them_all(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.queues.records.RUN_TASK", LANED)
    high, normal = (
        RunTask(TaskId(UUID(int=1), position), 1, 1, "n", timeout=30.0, priority=priority)
        for position, priority in enumerate((Priority.HIGH, Priority.NORMAL))
    )
    lane = HeldLane()
    async with serving(connection, lane, queues=TASK_QUEUES):
        Broker(connection).push([normal, high])
        await until(lambda: len(lane.pending) == 2)
        (worker,) = rq_workers(connection)
        assert worker.queues == TASK_QUEUES
        for task in (high, normal):
            (entry,) = connection.zrange(f"rq:wip:{task_queue(task.priority)}", 0, -1)
            assert entry.decode().startswith(f"{task.job_id}:")
        lane.release()
