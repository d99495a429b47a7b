"""The harness on real servers: a tiny chain counts, and what is wrong does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.http import connection, late_server
from benchmarks.ours import check, through_rq
from benchmarks.ours.client import client
from benchmarks.ours.fleet import Fleet, fleet
from benchmarks.ours.run import Course, measure
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
    before = through_rq.books(redis)
    _, course = await sound(workers, replace(TINY, warm_ups=0))
    assert await through_rq.wrongs(redis, before, 5, course.runs) == ""
    assert "5 finished and 0 failed jobs for 6" in await through_rq.wrongs(redis, before, 6, course.runs)
    redis.delete("rq:finished:workflow-dependencies")
    assert "dependency jobs for 0 of 5" in await through_rq.wrongs(redis, before, 5, course.runs)


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
