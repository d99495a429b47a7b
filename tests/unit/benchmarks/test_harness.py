"""The harness on real servers: a tiny chain counts, and what is wrong does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from benchmarks import floor_postgres, floor_redis
from benchmarks.floor_postgres import find_pgbench, postgres_floors
from benchmarks.floor_redis import read_csv, redis_floors
from benchmarks.http import connection, late_server
from benchmarks.ours import check, through_rq
from benchmarks.ours.client import client
from benchmarks.ours.fleet import Fleet, fleet
from benchmarks.ours.run import Course, measure
from benchmarks.ours.through_rq import FinishedJobs, watched
from benchmarks.peers.catalogue import PEERS, RQ_GRAPH, RQ_SIMPLE
from benchmarks.peers.session import Setting, session
from benchmarks.processes import peak_mb, resident_mb
from benchmarks.sample import Sample
from benchmarks.shapes import Shape

pytestmark = pytest.mark.anyio

TINY = Shape("S1", "a chain of 5", (1,) * 5, warm_ups=1)
DIAMONDS = Shape("S4", "4 diamonds", (1, 2, 1, 1), runs=4, drained=True)


@pytest.fixture
async def workers(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with client(database_url, redis_url) as ours, fleet(ours, tmp_path) as one:
        await one.start(1)
        yield one


async def sound(workers: Fleet, shape: Shape) -> tuple[Sample, Course]:
    sample, course = await measure(workers, shape)
    assert sample.wrong == ""
    return sample, course


async def test_a_tiny_chain_of_ours_is_measured(workers: Fleet) -> None:
    sample, course = await sound(workers, TINY)
    assert len(sample.hops) == 4
    assert 0 < min(sample.hops) <= max(sample.hops) < sample.seconds * 1_000
    assert 0 < course.busy_seconds <= sample.seconds
    pid = workers.processes.pids[0]
    assert 10 < resident_mb(pid) <= peak_mb(pid) + 1


async def test_a_drain_counts_from_the_release_and_checks_every_run(workers: Fleet) -> None:
    sample, course = await sound(workers, DIAMONDS)
    assert (sample.nodes, len(course.runs)) == (20, 4)
    assert sample.hops == ()


async def test_what_the_tables_show_wrong_is_found(workers: Fleet) -> None:
    _, course = await sound(workers, DIAMONDS)
    look = workers.client.look

    task, of_run = "UPDATE workflow_tasks SET", f"WHERE run_id = '{course.runs[0]}'"

    async def said_after(statement: str) -> str:
        transaction = look.transaction()
        await transaction.start()
        try:
            await look.execute(statement)
            return await check.wrongs(look, DIAMONDS.graph, course.runs)
        finally:
            await transaction.rollback()

    changes = {
        f"{task} output = '{{}}' {of_run} AND node_id = 'n3'": "the input of",
        f"{task} edges_taken = 1 {of_run} AND node_id = 'n3'": "and counted 1",
        f"{task} attempt = 2 {of_run} AND node_id = 'n1'": "at attempt 2",
        f"UPDATE workflow_runs SET status = 'failed' WHERE id = '{course.runs[0]}'": "1 of 4 runs did not",
        f"DELETE FROM workflow_tasks {of_run} AND node_id = 'n4'": "4 tasks instead of 5",
        f"DELETE FROM workflow_events {of_run} AND node_id = 'n2'": "4 completions",
    }
    for statement, found in changes.items():
        assert found in await said_after(statement)


async def test_what_rqs_books_lack_is_found(workers: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(through_rq, "_SETTLED_SECONDS", 0.2)
    redis = workers.client.redis
    jobs, late = FinishedJobs(redis), FinishedJobs(redis)
    _, course = await sound(workers, replace(TINY, warm_ups=0))
    assert await through_rq.wrongs(jobs, 5, course.runs) == ""
    assert "5 finished and 0 failed jobs for 6" in await through_rq.wrongs(jobs, 6, course.runs)
    redis.delete("rq:finished:workflow-dependencies")
    assert await through_rq.wrongs(jobs, 5, course.runs) == "", "what was seen once is known"
    assert "dependency jobs name 0 of 5" in await through_rq.wrongs(late, 5, course.runs)
    redis.delete("rq:finished:workflow-tasks")
    unseen = FinishedJobs(redis)
    monkeypatch.setattr(unseen, "counts", lambda: (5, 0))
    assert "finished jobs name 0 of 5" in await through_rq.wrongs(unseen, 5, course.runs)


async def test_nodes_of_other_runs_do_not_stand_in_for_missing_ones(
    workers: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(through_rq, "_SETTLED_SECONDS", 0.2)
    jobs = FinishedJobs(workers.client.redis)
    _, course = await sound(workers, replace(TINY, warm_ups=0))
    assert "name 0 of 5" in await through_rq.wrongs(jobs, 5, [uuid4()])
    assert await through_rq.wrongs(jobs, 5, course.runs) == ""


async def test_dependency_jobs_that_rq_forgets_during_a_run_are_known(
    workers: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(through_rq, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(through_rq, "_SETTLED_SECONDS", 0.2)
    redis = workers.client.redis
    async with watched(redis) as jobs:
        _, course = await sound(workers, replace(TINY, warm_ups=0))
        async with asyncio.timeout(10):
            while len(jobs.released) < 5:
                await asyncio.sleep(0.01)
        redis.delete("rq:finished:workflow-dependencies")
        assert await through_rq.wrongs(jobs, 5, course.runs) == ""


@pytest.mark.parametrize("has_pgbench", [True, False])
async def test_postgresqls_floor_is_measured_with_and_without_its_program(
    database_url: str, has_pgbench: bool
) -> None:
    pgbench = find_pgbench() if has_pgbench else None
    assert (pgbench is not None) == has_pgbench
    found = await postgres_floors(database_url, pgbench, seconds=0.2)
    assert [(one.what, one.clients) for one in found] == [
        ("one-row commit", 1),
        ("one-row commit", 3),
        ("select", 1),
        ("select", 3),
    ]
    assert {one.by for one in found} == {"pgbench" if has_pgbench else floor_postgres.WITHOUT}
    assert all(one.mean_ms == pytest.approx(one.clients * 1_000 / one.rate) for one in found)


def test_rediss_floor_is_measured_without_its_program(redis_url: str) -> None:
    found = redis_floors(redis_url, None, divisor=100)
    assert [one.what for one in found] == [
        "PING",
        "PING, 50 a round trip",
        "LPUSH",
        "LPUSH, 50 a round trip",
        "EVALSHA of a push and a pop",
        "EVALSHA of a push and a pop, 50 a round trip",
    ]
    assert {one.by for one in found} == {floor_redis.WITHOUT}
    assert all(one.mean_ms > 0 and one.rate > 0 for one in found)


def test_the_bare_socket_does_not_count_errors(redis_url: str) -> None:
    with pytest.raises(OSError, match="ERR unknown command"):
        floor_redis._raw(redis_url, ("NONSENSE",), (1, 1))


def test_redis_benchmarks_table_is_read() -> None:
    said = (
        "some warning\n"
        '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms"\n'
        '"EVALSHA abc 1 key value","28901.73","0.031","0.008","0.015"\n'
    )
    assert read_csv(said) == (0.031, 28_901.73)


def test_a_peer_is_measured_and_checked(redis_url: str, tmp_path: Path) -> None:
    peers = {peer.name: replace(peer, divide=1) for peer in PEERS}
    setting = Setting(redis_url, 1, tmp_path)
    with session(peers[RQ_GRAPH], setting) as running:
        diamonds = running.measure(DIAMONDS)
        chain = running.measure(TINY)
    assert (diamonds.wrong, diamonds.nodes, len(chain.hops)) == ("", 20, 4)
    with session(peers[RQ_SIMPLE], setting) as running:
        jobs = running.measure(Shape("S0", "10 jobs", (1,), runs=10, drained=True))
    assert (jobs.wrong, jobs.nodes) == ("", 10)


async def test_the_late_server_answers_the_small_client() -> None:
    async with late_server(delay=0.01) as late, connection(late.port) as one:
        assert await one.ask("GET", "/7") == (200, {"7": True})
        assert await one.ask("POST", "/7", {"some": "body"}) == (200, {"7": True})
    assert late.calls == {"7": 2}
