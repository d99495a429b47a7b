"""RQ's keys after and during the same jobs, on a stock worker and on ours.

Who reads RQ's data (its dashboard, its registries, its own workers) sees no difference but those listed here.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from redis import Redis
from rq.job import Callback, Retry

from headrace.queues.inspect import queue_depths
from support import rq_snapshot
from support.lanes import QUEUE, HeldLane, enqueue, fetch, serving, until
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


def on_a_stock_worker(server: RedisProcess) -> None:
    """In a process of its own: for a coroutine RQ starts a loop, which it cannot beside the test's."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r};"
        "import redis, rq; from rq.serializers import JSONSerializer;"
        f"rq.SimpleWorker([{QUEUE!r}], name='one', connection=redis.Redis(port={server.port}),"
        "serializer=JSONSerializer).work(burst=True)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=30)


async def on_ours(connection: Redis, lane: HeldLane | None = None) -> None:
    def is_done() -> bool:
        (depth,) = queue_depths(connection, [QUEUE])
        return depth.queued == depth.started == depth.deferred == 0

    async with serving(connection, lane):
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
