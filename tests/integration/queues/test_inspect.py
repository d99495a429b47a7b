from __future__ import annotations

from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from headrace.queues.inspect import live_job_ids, queue_depths, rq_workers


def a_queue(connection: Redis) -> Queue:
    return Queue("jobs", connection=connection, serializer=JSONSerializer)


def test_depths_count_what_stands_where(connection: Redis) -> None:
    queue = a_queue(connection)
    for values in ([1], [2], [], []):
        queue.enqueue("builtins.max", values)
    SimpleWorker([queue], connection=connection, serializer=JSONSerializer).work(burst=True, max_jobs=3)
    later = queue.enqueue("builtins.max", [1], depends_on=queue.job_ids[0])
    assert later.get_status() == JobStatus.DEFERRED
    (depth,) = queue_depths(connection, ["jobs"])
    assert (depth.queued, depth.started, depth.finished, depth.failed, depth.deferred) == (1, 0, 2, 1, 1)


def test_an_unknown_queue_is_empty(connection: Redis) -> None:
    (depth,) = queue_depths(connection, ["nowhere"])
    assert (depth.queued, depth.started, depth.finished, depth.failed, depth.deferred) == (0, 0, 0, 0, 0)
    assert live_job_ids(connection, "nowhere") == set()


def test_live_jobs_wait_are_popped_or_run(connection: Redis) -> None:
    queue = a_queue(connection)
    waiting, popped, started, ended = (queue.enqueue("builtins.max", [1]) for _ in range(4))
    worker = SimpleWorker([queue], connection=connection, serializer=JSONSerializer)
    queue.remove(started)
    worker.prepare_execution(started)
    queue.remove(ended)
    connection.lrem(queue.key, 1, popped.id)
    connection.rpush(queue.intermediate_queue_key, popped.id)
    assert live_job_ids(connection, "jobs") == {waiting.id, popped.id, started.id}


def test_workers_are_listed_while_they_live(connection: Redis) -> None:
    queue = a_queue(connection)
    worker = SimpleWorker([queue], name="one", connection=connection, serializer=JSONSerializer)
    assert rq_workers(connection) == []
    worker.register_birth()
    worker.set_state("idle")
    worker.increment_failed_job_count()
    (seen,) = rq_workers(connection)
    assert (seen.name, seen.queues, seen.state, seen.current_job) == ("one", ("jobs",), "idle", None)
    assert (seen.pid, seen.succeeded, seen.failed) == (worker.pid, 0, 1)
    connection.delete(worker.key)
    assert rq_workers(connection) == []
