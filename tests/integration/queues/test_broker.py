"""What the broker writes is what RQ itself writes and reads."""

from __future__ import annotations

import zlib
from contextlib import suppress
from uuid import uuid4

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from headrace.errors import QueueUnavailable
from headrace.graph.dispatch import Release, RunTask, Stop, Withdraw
from headrace.graph.ids import TaskId
from headrace.graph.settings import Priority
from headrace.queues.broker import Broker
from headrace.queues.connection import connect
from headrace.queues.inspect import live_job_ids, queue_depths
from headrace.queues.names import DEPENDENCIES, RELEASE, RUN_TASK, TASK_QUEUES, TASKS, task_queue
from support.redis_process import RedisProcess


def a_task(position: int = 0, priority: int = Priority.NORMAL) -> RunTask:
    return RunTask(TaskId(uuid4(), position), 1, delivery=2, node_id="fetch", timeout=2.5, priority=priority)


def fields_by_type(connection: Redis, key: str) -> dict[bytes, bytes]:
    """Without what differs between any two jobs; what RQ compresses and we do not is read as RQ reads it."""
    fields = connection.hgetall(key)
    with suppress(zlib.error):
        fields[b"data"] = zlib.decompress(fields[b"data"])
    return {name: b"" if name in (b"created_at", b"enqueued_at") else value for name, value in fields.items()}


@pytest.mark.parametrize(("priority", "queue"), [(Priority.NORMAL, TASKS), (Priority.HIGH, f"{TASKS}-high")])
def test_a_task_is_the_job_that_rq_would_have_enqueued(
    connection: Redis, priority: Priority, queue: str
) -> None:
    task = a_task(priority=priority)
    run = str(task.task.run_id)
    Broker(connection).push([task])
    ours = fields_by_type(connection, f"rq:job:{task.job_id}")
    keys = {key: connection.type(key) for key in connection.scan_iter()}

    connection.flushall()
    Queue(queue, connection=connection, serializer=JSONSerializer).enqueue_call(
        RUN_TASK,
        args=[str(task.task), 1, 2],
        job_id=task.job_id,
        description=f"run {run} node fetch",
        meta={"run": run, "node": "fetch"},
        timeout=63,
        result_ttl=60,
        failure_ttl=86_400,
    )
    assert ours == fields_by_type(connection, f"rq:job:{task.job_id}")
    assert keys == {key: connection.type(key) for key in connection.scan_iter()}


def test_a_release_names_its_tasks(connection: Redis) -> None:
    tasks = tuple(TaskId(uuid4(), position) for position in range(3))
    Broker(connection).push([Release(tasks), Release(tasks[:1])])
    queue = Queue(DEPENDENCIES, connection=connection, serializer=JSONSerializer)
    both, single = queue.jobs
    assert (both.func_name, both.args) == (RELEASE, [[str(task) for task in tasks]])
    assert single.args == [[str(tasks[0])]]
    assert (both.result_ttl, both.failure_ttl) == (10, 86_400)
    assert both.id != single.id


def test_a_stock_worker_runs_what_the_broker_pushed(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.queues.records.RUN_TASK", "support.jobs.echo")
    tasks = [a_task(position) for position in range(3)]
    Broker(connection).push(tasks)
    SimpleWorker([TASKS], connection=connection, serializer=JSONSerializer).work(burst=True)
    for task in tasks:
        job = Job.fetch(task.job_id, connection=connection, serializer=JSONSerializer)
        assert job.return_value() == [str(task.task), 1, 2]


def test_ten_thousand_tasks_stand_in_their_order(connection: Redis) -> None:
    tasks = [a_task(position) for position in range(10_000)]
    Broker(connection).push(tasks)
    queue = Queue(TASKS, connection=connection, serializer=JSONSerializer)
    assert queue.job_ids == [task.job_id for task in tasks]
    assert Job.exists(tasks[-1].job_id, connection=connection)


@pytest.mark.parametrize("count", [1, 8, 9, 2_500])
def test_withdrawn_jobs_leave_list_and_keys(connection: Redis, count: int) -> None:
    broker = Broker(connection)
    tasks = [a_task(position) for position in range(count + 1_200)]
    withdrawn, kept = tasks[:count], tasks[count:]
    broker.push(tasks)
    broker.push([Withdraw(tuple(task.job_id for task in withdrawn))])
    assert live_job_ids(connection, TASKS) == {task.job_id for task in kept}
    assert Queue(TASKS, connection=connection).job_ids == [task.job_id for task in kept]
    assert not any(Job.exists(task.job_id, connection=connection) for task in withdrawn)


@pytest.mark.parametrize("count", [2, 40])
def test_withdrawn_jobs_are_found_in_whichever_queue_they_stand(connection: Redis, count: int) -> None:
    broker = Broker(connection)
    tasks = {priority: [a_task(position, priority) for position in range(count)] for priority in Priority}
    broker.push([task for some in tasks.values() for task in some])
    broker.push([Withdraw(tuple(some[-1].job_id for some in tasks.values()))])
    for priority, some in tasks.items():
        kept = [task.job_id for task in some[:-1]]
        assert Queue(task_queue(priority), connection=connection).job_ids == kept
        assert not Job.exists(some[-1].job_id, connection=connection)


def test_every_priority_has_its_queue_and_the_highest_comes_first() -> None:
    assert tuple(map(task_queue, sorted(Priority, reverse=True))) == TASK_QUEUES
    assert [task_queue(number) for number in (0, 4, 9, 19, 99)] == [
        f"{TASKS}-low",
        f"{TASKS}-low",
        TASKS,
        f"{TASKS}-high",
        f"{TASKS}-critical",
    ]


@pytest.mark.parametrize("count", [1, 20])
def test_a_job_that_a_worker_has_popped_is_not_withdrawn(connection: Redis, count: int) -> None:
    broker = Broker(connection)
    tasks = [a_task(position) for position in range(count)]
    broker.push(tasks)
    popped = connection.lpop(f"rq:queue:{TASKS}")
    broker.push([Withdraw(tuple(task.job_id for task in tasks))])
    assert popped == tasks[0].job_id.encode()
    assert [Job.exists(task.job_id, connection=connection) for task in tasks] == [True] + [False] * (
        count - 1
    )


def test_everything_at_once_and_nothing_at_all(connection: Redis) -> None:
    broker = Broker(connection)
    old, new = a_task(0), a_task(1)
    broker.push([old])
    broker.push([Withdraw((old.job_id,)), new, Stop((old.task,)), Release((new.task,)), Withdraw(())])
    broker.push([])
    assert {depth.name: depth.queued for depth in queue_depths(connection) if depth.queued} == {
        TASKS: 1,
        DEPENDENCIES: 1,
    }
    assert live_job_ids(connection, TASKS) == {new.job_id}


@pytest.mark.anyio
async def test_a_silent_redis_is_a_named_error(server: RedisProcess) -> None:
    server.kill()
    with connect(server.url) as connection:
        with pytest.raises(QueueUnavailable, match="Redis does not answer"):
            Broker(connection).push([a_task()])
        with pytest.raises(QueueUnavailable):
            await Broker(connection).push_async([Stop((a_task().task,))])
        with pytest.raises(QueueUnavailable):
            queue_depths(connection)


def test_a_redis_that_has_forgotten_the_scripts_is_told_again(connection: Redis) -> None:
    """As after a restart."""
    Broker(connection).push([a_task()])
    connection.script_flush()
    Broker(connection).push([a_task()])
    assert queue_depths(connection, [TASKS])[0].queued == 2
