from __future__ import annotations

import time
from uuid import UUID

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from headrace.queues.inspect import live_job_ids, queue_depths, rq_workers
from headrace.queues.records import HEARTBEAT_TTL


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
    worker.register_birth()
    queue.remove(started)
    worker.prepare_execution(started)
    queue.remove(ended)
    connection.lrem(queue.key, 1, popped.id)
    connection.rpush(queue.intermediate_queue_key, popped.id)
    assert live_job_ids(connection, "jobs") == {waiting.id, popped.id, started.id}


def test_a_started_job_is_live_while_its_worker_gives_signs_of_life(connection: Redis) -> None:
    """The entries are forged, and all of them stand in the registry for a minute more."""
    since = {"speaks": 1, "is slow": 6, "was killed": 10, "was killed long ago": 80}
    ids = {name: forge(connection, name) for name in [*since, "left", "has no record"]}
    for name, seconds in since.items():
        connection.hset(f"rq:worker:{name}", "birth", "once")
        connection.expire(f"rq:worker:{name}", HEARTBEAT_TTL - seconds)
    connection.delete(f"rq:execution:{ids['has no record']}:1")
    assert live_job_ids(connection, "jobs") == {ids["speaks"], ids["is slow"]}
    assert live_job_ids(connection, "others", "jobs") == {ids["speaks"], ids["is slow"]}


OURS = f"{UUID(int=7).hex}-tasks"


def employ(connection: Redis, name: str, silent: int, **fields: str) -> None:
    """A worker's record as it is left by one that was silent for so many seconds."""
    key = f"rq:worker:{name}"
    for field, value in {"birth": "once", "queues": "jobs", **fields}.items():
        connection.hset(key, field, value)
    connection.expire(key, HEARTBEAT_TTL - silent)
    connection.sadd("rq:workers", key)


@pytest.mark.parametrize(
    ("name", "silent", "state", "status", "shown"),
    [
        (OURS, 1, "busy", "started", ("busy", "j")),
        (OURS, 1, "busy", "finished", ("busy", None)),
        (OURS, 1, "idle", "started", ("idle", None)),
        (OURS, 20, "busy", "started", ("lost", None)),
        ("stock", 20, "busy", "started", ("busy", "j")),
    ],
)
def test_a_worker_shows_the_job_that_it_runs_now(
    connection: Redis, name: str, silent: int, state: str, status: str, shown: tuple[str, str | None]
) -> None:
    connection.hset("rq:job:j", "status", status)
    employ(connection, name, silent, state=state, current_job="j")
    (seen,) = rq_workers(connection)
    assert (seen.state, seen.current_job) == shown


def test_what_dead_workers_had_started_is_not_running(connection: Redis) -> None:
    for name, silent in ((OURS, 1), (f"{UUID(int=8).hex}-tasks", 20), ("stock", 20)):
        employ(connection, name, silent)
        forge(connection, name)
    forge(connection, "gone")
    (depth,) = queue_depths(connection, ["jobs"])
    assert depth.started == 2


def forge(connection: Redis, worker: str) -> str:
    """What a worker leaves that took a job."""
    job_id = worker.replace(" ", "-")
    connection.hset(f"rq:execution:{job_id}:1", "worker_name", worker)
    connection.zadd("rq:wip:jobs", {f"{job_id}:1": time.time() + 60})
    return job_id


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
