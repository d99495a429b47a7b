"""Jobs that no queue has seen: RQ's books show them as if they had gone through it."""

from __future__ import annotations

from uuid import UUID

from redis import Redis
from rq.utils import now

from headrace.graph.dispatch import RunTask
from headrace.graph.ids import TaskId
from headrace.queues.broker import Broker
from headrace.queues.inspect import queue_depths
from headrace.queues.names import TASKS
from headrace.queues.records import record_of
from headrace_worker.rota import Rota
from headrace_worker.rq_claim import ClaimedJob, Keys
from headrace_worker.rq_exchange import Answer, Exchange, Request
from headrace_worker.rq_finish import Ended
from support import rq_snapshot
from support.rq_snapshot import Snapshot, differences

TASK = RunTask(TaskId(UUID(int=1), 0), attempt=1, delivery=1, node_id="n", timeout=30.0)
QUEUES = "rq:queues"
"""Where RQ keeps the names of queues that were pushed to."""


def an_exchange(connection: Redis) -> Exchange:
    connection.sadd(QUEUES, f"rq:queue:{TASKS}")
    connection.hset("rq:worker:one", "birth", "2026-01-01")
    return Exchange(connection, Keys(Rota((TASKS,)), "one"))


def say(
    exchange: Exchange,
    adopted: list[ClaimedJob] | None = None,
    ended: list[ClaimedJob] | None = None,
    wanted: int = 0,
) -> Answer:
    ends = [Ended(one, now(), "ok") for one in ended or []]
    return exchange.run(Request(adopted or [], ends, wanted, "idle", None, None))


def books(connection: Redis) -> Snapshot:
    """All that RQ keeps, but for the signs of life that a claim gives for its worker."""
    found = rq_snapshot.take(connection)
    signs = (
        "rq:worker:one expires",
        "rq:worker:one last_heartbeat",
        "rq:worker:one current_job_working_time",
    )
    return {line: text for line, text in found.items() if line not in signs}


def through_the_queue(connection: Redis) -> Snapshot:
    exchange = an_exchange(connection)
    Broker(connection).push([TASK])
    say(exchange, ended=say(exchange, wanted=1).jobs)
    found = books(connection)
    connection.flushall()
    return found


def test_a_job_that_ended_at_once_leaves_the_same_keys(connection: Redis) -> None:
    expected = through_the_queue(connection)
    exchange = an_exchange(connection)
    job = exchange.adopt(record_of(TASK))
    say(exchange, adopted=[job], ended=[job])
    assert differences(expected, books(connection)) == {}


def test_a_job_that_was_seen_running_leaves_the_same_keys(connection: Redis) -> None:
    expected = through_the_queue(connection)
    exchange = an_exchange(connection)
    job = exchange.adopt(record_of(TASK))
    say(exchange, adopted=[job])
    assert queue_depths(connection, [TASKS])[0].started == 1
    say(exchange, ended=[job])
    assert differences(expected, books(connection)) == {}


def test_a_job_that_is_told_twice_counts_once(connection: Redis) -> None:
    exchange = an_exchange(connection)
    job = exchange.adopt(record_of(TASK))
    say(exchange, adopted=[job], ended=[job])
    once = books(connection)
    say(exchange, adopted=[job], ended=[job])
    assert differences(once, books(connection)) == {}
    assert connection.hget("rq:worker:one", "successful_job_count") == b"1"
    assert connection.xlen(f"rq:results:{job.id}") == 1


def test_of_several_only_those_that_ended_are_written_as_ended(connection: Redis) -> None:
    exchange = an_exchange(connection)
    Broker(connection).push([TASK])
    (claimed,) = say(exchange, wanted=1).jobs
    tasks = [RunTask(TaskId(UUID(int=1), position), 1, 1, "n", 30.0) for position in (1, 2)]
    running, ended = (exchange.adopt(record_of(task)) for task in tasks)
    say(exchange, adopted=[running, ended], ended=[claimed, ended])
    (depth,) = queue_depths(connection, [TASKS])
    assert (depth.started, depth.finished) == (1, 2)
    assert connection.hget("rq:worker:one", "successful_job_count") == b"2"
