from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.command import send_shutdown_command, send_stop_job_command
from rq.job import Callback, Job, JobStatus, Retry
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from headrace.graph.json_types import JsonValue
from headrace.queues.inspect import QueueDepth, queue_depths, rq_workers
from support.lanes import LANED, QUEUE, HeldLane, a_queue, enqueue, fetch, serving, until

pytestmark = pytest.mark.anyio


def ended(connection: Redis, *jobs: Job) -> bool:
    return all(
        fetch(connection, job.id).get_status() not in (JobStatus.QUEUED, JobStatus.STARTED) for job in jobs
    )


async def test_never_more_jobs_than_slots(connection: Redis) -> None:
    jobs = [enqueue(connection) for _ in range(200)]
    lane = HeldLane()
    async with serving(connection, lane, slots=16) as worker:
        await until(lambda: len(lane.pending) == 16)
        assert worker.running == 16
        assert queue_depths(connection, [QUEUE])[0].started == 16
        lane.open = True
        lane.release()
        await until(lambda: queue_depths(connection, [QUEUE])[0].finished == 200)
    assert lane.most == 16
    assert worker.running == 0
    assert {fetch(connection, job.id).return_value() for job in jobs} == {"done"}
    assert len(lane.batches) < 200


async def test_ended_jobs_give_way_to_others_while_their_end_is_recorded(connection: Redis) -> None:
    for _ in range(8):
        enqueue(connection)
    lane = HeldLane()
    async with serving(connection, lane, slots=4) as worker:
        await until(lambda: len(lane.pending) == 4)
        lane.settling = 4
        worker.slots_freed()
        await until(lambda: len(lane.pending) == 8)
        lane.release()


async def test_an_idle_worker_gets_a_job_at_once(connection: Redis) -> None:
    lane = HeldLane()
    lane.open = True
    async with serving(connection, lane):
        await until(lambda: [one.state for one in rq_workers(connection)] == ["idle"])
        job = enqueue(connection)
        await until(lambda: ended(connection, job), seconds=1.5)


async def test_an_idle_worker_hears_of_a_job_in_any_of_its_queues(connection: Redis) -> None:
    """Long before it would have looked by itself, which it does every 2 s."""
    lane = HeldLane()
    lane.open = True
    queues = ("first", "second", "third")
    async with serving(connection, lane, queues=queues):
        for turn in range(6):
            await until(lambda: [one.state for one in rq_workers(connection)] == ["idle"])
            queue = Queue(queues[turn % 3], connection=connection, serializer=JSONSerializer)
            job = queue.enqueue(LANED)
            await until(lambda job=job: fetch(connection, job.id).get_status() == "finished", seconds=1.0)


async def test_no_job_is_taken_while_an_earlier_queue_holds_one(connection: Redis) -> None:
    queues = ("first", "second", "third")
    jobs = {
        name: [
            Queue(name, connection=connection, serializer=JSONSerializer).enqueue(LANED).id for _ in range(5)
        ]
        for name in reversed(queues)
    }
    lane = HeldLane()
    lane.open = True
    async with serving(connection, lane, slots=3, queues=queues):
        await until(lambda: sum(map(len, lane.batches)) == 15)
    begun = [job_id for batch in lane.batches for job_id in batch]
    assert begun == [job_id for name in queues for job_id in jobs[name]]


async def test_two_workers_share_a_queue(connection: Redis) -> None:
    first, second = HeldLane(), HeldLane()
    async with serving(connection, first, slots=3), serving(connection, second, slots=3, name="two"):
        jobs = [enqueue(connection) for _ in range(6)]
        await until(lambda: len(first.pending) == len(second.pending) == 3)
        assert first.futures.keys() | second.futures.keys() == {job.id for job in jobs}
        first.release()
        second.release()


async def test_the_worker_tells_what_it_does(connection: Redis) -> None:
    lane = HeldLane()
    async with serving(connection, lane):
        job = enqueue(connection)
        await until(lambda: lane.pending)
        (seen,) = rq_workers(connection)
        assert (seen.state, seen.current_job, seen.queues) == ("busy", job.id, (QUEUE,))
        lane.release()
        await until(lambda: rq_workers(connection)[0].state == "idle")
        (seen,) = rq_workers(connection)
        assert (seen.current_job, seen.succeeded, seen.failed) == (None, 1, 0)
    assert rq_workers(connection) == [] or connection.hexists("rq:worker:one", "death")
    assert connection.smembers("rq:workers") == set()


async def test_stop_command_stops_one_job_of_several(connection: Redis) -> None:
    jobs = [enqueue(connection) for _ in range(3)]
    victim = jobs[1]
    lane = HeldLane()
    async with serving(connection, lane):
        await until(lambda: len(lane.pending) == 3)
        send_stop_job_command(connection, victim.id, serializer=JSONSerializer)
        await until(lambda: ended(connection, victim))
        assert len(lane.pending) == 2
        lane.release()
        await until(lambda: ended(connection, *jobs))
    assert lane.stopped == [victim.id]
    assert [fetch(connection, job.id).get_status() for job in jobs] == ["finished", "stopped", "finished"]
    assert victim.id in a_queue(connection).failed_job_registry


async def test_unknown_commands_are_passed_over(connection: Redis) -> None:
    lane = HeldLane()
    async with serving(connection, lane):
        enqueue(connection)
        await until(lambda: lane.pending)
        for text in ("no json", "[]", '{"command": "kill-horse"}', '{"command": "stop-job", "job_id": "x"}'):
            connection.publish("rq:pubsub:one", text)
        send_shutdown_command(connection, "one")
        await until(lambda: connection.hexists("rq:worker:one", "shutdown_requested_date"))
        lane.release()
    assert lane.stopped == []


async def test_shutdown_waits_for_running_jobs(connection: Redis) -> None:
    lane = HeldLane()
    first = enqueue(connection)
    async with serving(connection, lane) as worker:
        await until(lambda: lane.pending)
        worker.request_stop()
        second = enqueue(connection)
        await until(lambda: connection.hexists("rq:worker:one", "shutdown_requested_date"))
        lane.release()
    assert fetch(connection, first.id).get_status() == "finished"
    assert fetch(connection, second.id).get_status() == "queued"


async def test_what_outlives_the_grace_is_recorded_as_failed(connection: Redis) -> None:
    lane = HeldLane()
    job, retried = enqueue(connection), enqueue(connection, retry=Retry(max=1))
    async with serving(connection, lane, grace=0.05):
        await until(lambda: len(lane.pending) == 2)
    assert all(future.cancelled() for future in lane.futures.values())
    assert "ShutDown" in (fetch(connection, job.id).latest_result().exc_string or "")
    assert a_queue(connection).job_ids == [retried.id]
    assert queue_depths(connection, [QUEUE])[0].started == 0


async def test_a_failing_lane_fails_its_jobs_only(connection: Redis) -> None:
    class Broken(HeldLane):
        def begin(self, _: Sequence[Job]) -> Sequence[asyncio.Future[JsonValue]]:
            raise RuntimeError("lane")

    laned = enqueue(connection)
    foreign = enqueue(connection, "support.jobs.echo", 1)
    async with serving(connection, Broken()):
        await until(lambda: ended(connection, laned, foreign))
    assert "RuntimeError: lane" in (fetch(connection, laned.id).latest_result().exc_string or "")
    assert fetch(connection, foreign.id).return_value() == [1]


async def test_a_job_in_a_lane_times_out(connection: Redis) -> None:
    job = enqueue(connection, LANED, job_timeout=1)
    lane = HeldLane()
    async with serving(connection, lane):
        await until(lambda: ended(connection, job))
    assert lane.stopped == [job.id]
    assert "maximum timeout value (1 seconds)" in (fetch(connection, job.id).latest_result().exc_string or "")
    assert fetch(connection, job.id).get_status() == "failed"


async def test_foreign_jobs_of_every_kind(connection: Redis, tmp_path: Path) -> None:
    go = str(tmp_path / "go")
    kinds = {
        "echo": enqueue(connection, "support.jobs.echo", "a", 1),
        "nothing": enqueue(connection, "support.jobs.nothing"),
        "coroutine": enqueue(connection, "support.jobs.echo_later", "b"),
        "thread": enqueue(connection, "support.jobs.wait", go),
        "fail": enqueue(connection, "support.jobs.fail", "broken"),
        "exit": enqueue(connection, "support.jobs.leave"),
        "stop iteration": enqueue(connection, "support.jobs.end_of_iteration"),
        "no such function": enqueue(connection, "support.jobs.missing"),
        "object": enqueue(connection, "support.jobs.unserializable"),
    }
    async with serving(connection):
        await until(lambda: ended(connection, *(job for name, job in kinds.items() if name != "thread")))
        Path(go).touch()
        await until(lambda: ended(connection, kinds["thread"]))
    jobs = {name: fetch(connection, job.id) for name, job in kinds.items()}
    finished = {name: job.return_value() for name, job in jobs.items() if job.get_status() == "finished"}
    assert finished == {
        "echo": ["a", 1],
        "nothing": None,
        "coroutine": ["b"],
        "thread": "seen",
        "object": "Unserializable return value",
    }
    errors = {
        name: job.latest_result().exc_string or "" for name, job in jobs.items() if name not in finished
    }
    last_lines = {name: text.strip().splitlines()[-1] for name, text in errors.items()}
    assert last_lines == {
        "fail": "ValueError: broken",
        "exit": "SystemExit: 3",
        "stop iteration": "StopIteration",
        "no such function": "ValueError: Invalid attribute name: missing",
    }


async def test_each_job_finds_itself_as_the_current_one(connection: Redis, tmp_path: Path) -> None:
    go = str(tmp_path / "go")
    waiting = [enqueue(connection, "support.jobs.current_id_later", go) for _ in range(3)]
    threaded = [enqueue(connection, "support.jobs.current_id") for _ in range(3)]
    async with serving(connection):
        await until(lambda: ended(connection, *threaded))
        Path(go).touch()
        await until(lambda: ended(connection, *waiting))
    assert [fetch(connection, job.id).return_value() for job in waiting] == [[job.id] * 3 for job in waiting]
    assert [fetch(connection, job.id).return_value() for job in threaded] == [job.id for job in threaded]


@pytest.mark.parametrize("function", ["wait", "wait_async"])
async def test_foreign_jobs_time_out(connection: Redis, tmp_path: Path, function: str) -> None:
    go = tmp_path / "go"
    job = enqueue(connection, f"support.jobs.{function}", str(go), job_timeout=1)
    async with serving(connection):
        await until(lambda: ended(connection, job))
    go.touch()
    assert "maximum timeout value (1 seconds)" in (fetch(connection, job.id).latest_result().exc_string or "")


@pytest.mark.parametrize("function", ["wait", "wait_async"])
async def test_foreign_jobs_can_be_stopped(connection: Redis, tmp_path: Path, function: str) -> None:
    go = tmp_path / "go"
    job, other = (
        enqueue(
            connection, f"support.jobs.{function}", str(go), on_stopped=Callback("support.jobs.note_stop")
        )
        for _ in range(2)
    )
    async with serving(connection) as worker:
        await until(lambda: worker.running == 2)
        send_stop_job_command(connection, job.id, serializer=JSONSerializer)
        await until(lambda: ended(connection, job))
        go.touch()
        await until(lambda: ended(connection, other))
    assert fetch(connection, job.id).get_status() == "stopped"
    assert fetch(connection, other.id).get_status() == "finished"
    assert connection.lrange("notes", 0, -1) == [f"stopped {job.id}".encode()]


async def test_a_stopped_job_is_stopped_whatever_it_answers(connection: Redis, tmp_path: Path) -> None:
    job = enqueue(connection, "support.jobs.resist", str(tmp_path / "never"), retry=Retry(max=1))
    async with serving(connection) as worker:
        await until(lambda: worker.running and fetch(connection, job.id).worker_name)
        send_stop_job_command(connection, job.id, serializer=JSONSerializer)
        await until(lambda: ended(connection, job))
    assert fetch(connection, job.id).get_status() == "stopped"


async def test_callbacks_retries_and_dependents(connection: Redis) -> None:
    success = enqueue(
        connection, "support.jobs.echo", 1, on_success=Callback("support.jobs.note_success"), job_id="good"
    )
    dependent = enqueue(connection, "support.jobs.echo", 2, depends_on=success)
    failure = enqueue(
        connection,
        "support.jobs.fail",
        "x",
        on_failure=Callback("support.jobs.note_failure"),
        retry=Retry(max=2),
        job_id="bad",
    )
    spoiled = enqueue(connection, "support.jobs.echo", on_success=Callback("support.jobs.bad_callback"))
    repeated = enqueue(connection, "support.jobs.again")
    laned = enqueue(connection)
    after_lane = enqueue(connection, "support.jobs.echo", 3, depends_on=laned)
    lane = HeldLane()
    lane.open = True
    everything = (success, dependent, failure, spoiled, repeated, laned, after_lane)
    async with serving(connection, lane):
        await until(lambda: all(fetch(connection, job.id).ended_at for job in everything))
        await until(lambda: queue_depths(connection, [QUEUE])[0].failed == 3)
    assert fetch(connection, dependent.id).return_value() == [2]
    assert fetch(connection, after_lane.id).return_value() == [3]
    assert fetch(connection, failure.id).retries_left == 0
    assert fetch(connection, repeated.id).number_of_retries == 1
    assert "RuntimeError: callback" in (fetch(connection, spoiled.id).latest_result().exc_string or "")
    notes = sorted(connection.lrange("notes", 0, -1))
    assert notes == [b"failure bad ValueError"] * 3 + [b"success good [1]"]


async def test_unreadable_jobs_fail_and_deleted_ones_are_dropped(connection: Redis) -> None:
    queue = a_queue(connection)
    deleted, garbled, spoiled, good = (enqueue(connection, "support.jobs.echo") for _ in range(4))
    connection.delete(deleted.key)
    connection.hset(garbled.key, "data", b"\x80 no json")
    connection.hset(spoiled.key, "created_at", "yesterday")
    async with serving(connection):
        await until(lambda: ended(connection, good))
        await until(lambda: len(queue.failed_job_registry.get_job_ids()) == 2)
    assert set(queue.failed_job_registry.get_job_ids()) == {garbled.id, spoiled.id}
    assert not connection.exists(deleted.key)
    assert queue.job_ids == []


async def test_jobs_deleted_while_they_run_do_not_come_back(connection: Redis) -> None:
    lane = HeldLane()
    deleted, evicted, failing = (enqueue(connection) for _ in range(3))
    async with serving(connection, lane):
        await until(lambda: len(lane.pending) == 3)
        fetch(connection, deleted.id).delete()
        fetch(connection, failing.id).delete()
        connection.delete(evicted.key)
        lane.futures[failing.id].set_exception(ValueError())
        lane.release()
    assert list(connection.scan_iter("rq:job:*")) == []
    assert list(connection.scan_iter("rq:exec*")) == []
    assert queue_depths(connection, [QUEUE])[0] == QueueDepth(QUEUE, 0, 0, 0, 0, 0)


async def test_suspended_workers_run_nothing_new(connection: Redis) -> None:
    lane = HeldLane()
    async with serving(connection, lane):
        first = enqueue(connection)
        await until(lambda: lane.pending)
        suspend(connection)
        second = enqueue(connection)
        await until(lambda: rq_workers(connection)[0].state == "suspended")
        lane.release()
        await until(lambda: ended(connection, first))
        assert fetch(connection, second.id).get_status() == "queued"
        resume(connection)
        await until(lambda: lane.pending == [second.id])
        assert rq_workers(connection)[0].state == "busy"
        lane.release()


async def test_a_second_worker_of_the_same_name_is_refused(connection: Redis) -> None:
    async with serving(connection):
        await until(lambda: rq_workers(connection))
        with pytest.raises(ExceptionGroup) as caught:
            async with serving(connection):
                await until(lambda: False)
        assert caught.group_contains(ValueError, match="active worker named 'one'")
        assert [one.name for one in rq_workers(connection)] == ["one"]
        assert not connection.hexists("rq:worker:one", "death")
