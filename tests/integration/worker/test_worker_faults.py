"""Killed processes, a flushed, restarted or silent Redis: no job is lost, and the worker comes back."""

from __future__ import annotations

import signal
import subprocess

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as Broken
from rq import Queue
from rq.job import JobStatus, Retry
from rq.utils import now

from headrace.queues.connection import connect
from headrace.queues.inspect import live_job_ids, queue_depths, rq_workers
from headrace.queues.records import HEARTBEAT_TTL
from headrace_worker.rota import Rota
from headrace_worker.rq_claim import Keys, renew
from headrace_worker.rq_exchange import Exchange, Request
from headrace_worker.rq_finish import Ended
from headrace_worker.rq_worker import RegisteredWorker
from support import worker_process
from support.lanes import QUEUE, HeldLane, a_queue, enqueue, fetch, serving, until
from support.redis_process import RedisProcess

pytestmark = pytest.mark.anyio


def statuses(connection: Redis) -> dict[str, str]:
    keys = [key.decode() for key in connection.scan_iter("rq:job:*") if key.count(b":") == 2]
    return {key.rpartition(":")[2]: (connection.hget(key, "status") or b"").decode() for key in keys}


@pytest.mark.parametrize("jobs", [1, 30, 61, 100])
async def test_a_killed_process_loses_no_job(server: RedisProcess, connection: Redis, jobs: int) -> None:
    ids = {enqueue(connection).id for _ in range(200)}
    ended = subprocess.run(worker_process.command(server.url, jobs), timeout=30, check=False)
    assert ended.returncode == -signal.SIGKILL
    finished = {job_id for job_id, status in statuses(connection).items() if status == "finished"}
    assert finished.isdisjoint(live_job_ids(connection, QUEUE))
    assert finished | live_job_ids(connection, QUEUE) == ids
    assert len(finished) < 200
    assert connection.llen(f"rq:queue:{QUEUE}:intermediate") == 0


async def test_what_a_killed_worker_had_claimed_is_found_abandoned(connection: Redis) -> None:
    """Recovery itself is RQ's: the entries' time runs out, and any worker's maintenance fails them."""
    job = enqueue(connection)
    dead = Exchange(connection, Keys(Rota((QUEUE,)), "dead"))
    connection.hset("rq:worker:dead", "birth", "once")
    assert dead.run(Request([], [], 1, "idle", None, None)).jobs[0].job.id == job.id
    (entry,) = connection.zrange(f"rq:wip:{QUEUE}", 0, -1)
    connection.zadd(f"rq:wip:{QUEUE}", {entry: 1})
    connection.set(f"rq:clean_registries:{QUEUE}", 1, ex=800)  # by a worker killed while it cleaned
    async with serving(connection):
        await until(lambda: fetch(connection, job.id).get_status() == JobStatus.FAILED)
    assert not connection.exists(f"rq:clean_registries:{QUEUE}")


async def test_a_fresh_maintenance_lock_is_respected(connection: Redis) -> None:
    connection.set(f"rq:clean_registries:{QUEUE}", 1, ex=890)
    worker = RegisteredWorker([QUEUE], connection, None, lambda _: None)
    worker.maintain()
    assert connection.exists(f"rq:clean_registries:{QUEUE}")


async def test_after_flushall_the_worker_registers_again_and_runs_new_jobs(connection: Redis) -> None:
    lane = HeldLane()
    async with serving(connection, lane):
        lost = enqueue(connection)
        await until(lambda: lane.pending)
        connection.flushall()
        lane.release()
        await until(lambda: [one.name for one in rq_workers(connection)] == ["one"])
        assert not connection.exists(lost.key)
        lane.open = True
        new = enqueue(connection)
        await until(lambda: fetch(connection, new.id).get_status() == "finished")
        (seen,) = rq_workers(connection)
        assert (seen.queues, seen.succeeded) == ((QUEUE,), 1)
        assert 0 < connection.ttl("rq:worker:one") <= HEARTBEAT_TTL


async def test_ends_that_fall_into_a_restart_of_redis_are_recorded_later(
    server: RedisProcess, connection: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    lane = HeldLane()
    done, failed = enqueue(connection), enqueue(connection)
    async with serving(connection, lane):
        await until(lambda: len(lane.pending) == 2)
        server.kill()
        lane.futures[done.id].set_result("value")
        lane.futures[failed.id].set_exception(ValueError("broken"))
        await until(lambda: "not recorded yet" in caplog.text and "trying again in" in caplog.text)
        server.start()
        await until(lambda: fetch(connection, done.id).get_status() == "finished")
        await until(lambda: fetch(connection, failed.id).get_status() == "failed")
        lane.open = True
        new = enqueue(connection)
        await until(lambda: fetch(connection, new.id).get_status() == "finished")
    assert fetch(connection, done.id).return_value() == "value"
    assert "ValueError: broken" in (fetch(connection, failed.id).latest_result().exc_string or "")
    assert queue_depths(connection, [QUEUE])[0].started == 0


async def test_a_worker_starts_before_redis_does(server: RedisProcess, connection: Redis) -> None:
    server.kill()
    async with serving(connection):
        with pytest.raises(Broken):
            connection.ping()
        server.start()
        await until(lambda: rq_workers(connection))


async def test_a_worker_stops_without_redis(server: RedisProcess, connection: Redis) -> None:
    async with serving(connection, grace=0.1) as worker:
        await until(lambda: rq_workers(connection))
        server.kill()
        worker.request_stop()


async def test_heartbeats_keep_worker_and_jobs_alive(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace_worker.concurrent_worker.ConcurrentWorker.heartbeat_seconds", 0.05)
    lane = HeldLane()
    async with serving(connection, lane):
        job = enqueue(connection)
        await until(lambda: lane.pending)
        (entry,) = connection.zrange(f"rq:wip:{QUEUE}", 0, -1)
        keys = ["rq:worker:one", f"rq:execution:{entry.decode()}", f"rq:executions:{job.id}"]
        for key in keys:
            connection.expire(key, 5)
        connection.zadd(f"rq:wip:{QUEUE}", {entry: 1})
        first = connection.hget(job.key, "last_heartbeat")
        await until(lambda: all(connection.ttl(key) > HEARTBEAT_TTL - 5 for key in keys))
        await until(lambda: connection.hget(job.key, "last_heartbeat") != first)
        assert connection.zscore(f"rq:wip:{QUEUE}", entry) > 1_000_000
        connection.delete("rq:worker:one")
        await until(lambda: connection.hexists("rq:worker:one", "birth"))
        lane.release()
    assert fetch(connection, job.id).get_status() == "finished"


async def test_a_worker_whose_slots_are_all_taken_shows_that_it_lives(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace_worker.concurrent_worker.ConcurrentWorker.sign_seconds", 0.05)
    lane = HeldLane()
    async with serving(connection, lane, slots=1):
        job = enqueue(connection)
        await until(lambda: lane.pending)
        connection.expire("rq:worker:one", HEARTBEAT_TTL // 2)
        await until(lambda: live_job_ids(connection, QUEUE) == {job.id})
        lane.release()


async def test_an_idle_worker_shows_that_it_lives_by_its_claims(connection: Redis) -> None:
    async with serving(connection):
        await until(lambda: rq_workers(connection))
        for _ in range(2):
            connection.expire("rq:worker:one", HEARTBEAT_TTL // 2)
            await until(lambda: connection.ttl("rq:worker:one") > HEARTBEAT_TTL - 5, seconds=4.0)


async def test_a_claim_whose_answer_got_lost_is_found(connection: Redis) -> None:
    lane = HeldLane()
    jobs = [enqueue(connection) for _ in range(2)]
    async with serving(connection, lane, slots=2) as worker:
        await until(lambda: len(lane.pending) == 2)
        hidden = enqueue(connection)
        # What a broken connection leaves behind: claimed by this worker, which was never told.
        worker._exchange.run(Request([], [], 1, "busy", None, None))
        assert a_queue(connection).is_empty()
        assert hidden.id in live_job_ids(connection, QUEUE)
        worker._in_doubt = True
        lane.release()
        await until(lambda: lane.pending == [hidden.id])
        lane.release()
        await until(lambda: fetch(connection, hidden.id).get_status() == "finished")
    assert {fetch(connection, job.id).get_status() for job in jobs} == {"finished"}


async def test_an_end_that_is_sent_twice_counts_once(server: RedisProcess, connection: Redis) -> None:
    lane = HeldLane()
    lane.open = True
    with connect(server.url) as own:
        async with serving(own, lane) as worker:
            sent: list[Request] = []
            run = worker._exchange.run

            def twice(request: Request) -> object:
                sent.append(request)
                run(Request([], request.ended, 0, request.state, request.current_job, None))
                return run(request)

            worker._exchange.run = twice  # type: ignore[assignment,method-assign]
            job = enqueue(connection)
            await until(lambda: fetch(connection, job.id).get_status() == "finished")
            await until(lambda: any(request.ended for request in sent))
            (seen,) = rq_workers(connection)
    assert seen.succeeded == 1
    assert connection.xlen(f"rq:results:{job.id}") == 1


async def test_a_record_that_breaks_half_way_counts_a_retry_once(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = iter([True])
    push = Queue.push_job_id

    def push_late(self: Queue, *arguments: object, **options: object) -> None:
        if next(broken, False):
            raise Broken("on the way")
        push(self, *arguments, **options)

    lane = HeldLane()
    job = enqueue(connection, retry=Retry(max=5))
    async with serving(connection, lane):
        await until(lambda: lane.pending)
        first = lane.futures[job.id]
        monkeypatch.setattr(Queue, "push_job_id", push_late)
        first.set_exception(ValueError())
        await until(lambda: lane.futures[job.id] is not first)
        assert fetch(connection, job.id).retries_left == 4
        lane.release()
    assert fetch(connection, job.id).get_status() == "finished"


async def test_a_heartbeat_that_comes_too_late_revives_nothing(connection: Redis) -> None:
    job = enqueue(connection)
    keys = Keys(Rota((QUEUE,)), "one")
    exchange = Exchange(connection, keys)
    connection.hset(keys.worker, "birth", "once")
    (claimed,) = exchange.run(Request([], [], 1, "idle", None, None)).jobs
    exchange.run(Request([], [Ended(claimed, now(), "result")], 0, "idle", None, None))
    before = sorted(connection.scan_iter())
    assert renew(connection, keys, [claimed])
    assert sorted(connection.scan_iter()) == before
    assert queue_depths(connection, [QUEUE])[0].started == 0
    assert fetch(connection, job.id).return_value() == "result"
