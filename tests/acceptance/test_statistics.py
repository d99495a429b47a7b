"""Statistics of real workers: they say what the tasks' rows say."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest

from headrace.engine.statistics import figures
from headrace.graph.json_types import JsonObject
from headrace.graph.statistics import Tally
from headrace.store.statistics import Wanted
from support.build import edge, node, workflow
from support.fleet import Fleet, eventually, fleet
from support.rows import sql

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]

DEADLINE = 45.0
RUNS = 25
STOCK = (sys.executable, "-m", "rq.cli", "worker", "-S", "rq.serializers.JSONSerializer")

_ONE_TASK_A_ROW = """
SELECT node_type AS name, sum(attempt)::int AS attempts,
       count(*) FILTER (WHERE status = 'completed')::int AS completed,
       count(*) FILTER (WHERE status = 'failed')::int AS failed,
       sum(extract(epoch FROM started_at - queued_at))::float8 AS waited,
       sum(extract(epoch FROM finished_at - started_at))::float8 AS took
FROM workflow_tasks GROUP BY node_type
"""


class _Flaky(BaseHTTPRequestHandler):
    """Each path answers 503 once, then 200."""

    calls: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.calls[self.path] += 1
        self.send_response(503 if self.calls[self.path] == 1 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def flaky_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Flaky) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def eight_tasks(url: str) -> JsonObject:
    """Four that succeed, one that fails once, one that fails for good, one that waits, one that joins."""
    again: JsonObject = {"maxAttempts": 3, "initial": "0.01s", "jitter": False}

    def call(name: str, url: str, **options: object) -> JsonObject:
        return node(name, "apiCall", config={"url": url, "failOnError": True}, retry=again) | options

    middle = [
        node("a"),
        node("b"),
        call("flaky", f"{url}/{{{{input.number}}}}"),
        call("broken", "http://127.0.0.1:1/", allowFailure=True),
        node("pause", "delay", config={"delayMs": 10}),
        node("c", "inputText"),
    ]
    names = [str(one["id"]) for one in middle]
    return workflow(
        [node("start"), *middle, node("last") | {"join": "all_done"}],
        [*(edge("start", name) for name in names), *(edge(name, "last") for name in names)],
    )


async def tallies(crowd: Fleet) -> dict[str, Tally]:
    return {one.key.name: one.tally for one in await figures(crowd.engine, Wanted("default"))}


async def test_the_figures_are_those_of_the_rows(database_url: str, redis_url: str) -> None:
    with flaky_server() as url:
        async with fleet(database_url, redis_url) as crowd:
            workflow_id = await crowd.save(eight_tasks(url))
            for number in range(RUNS):
                await crowd.start_runs(workflow_id, 1, {"number": number})
            crowd.start(2)
            await crowd.until_all_ended(DEADLINE)
            crowd.stop()
            found = await tallies(crowd)
            rows = {row.name: row for row in await sql(crowd.engine.db, _ONE_TASK_A_ROW)}
            await crowd.check_all_well(RUNS, 7 * RUNS)
    assert sum(row.completed + row.failed for row in rows.values()) == 8 * RUNS
    assert found.keys() == rows.keys()
    for name, tally in found.items():
        row = rows[name]
        assert (tally.count, tally.success) == (row.attempts, row.completed), name
        assert (tally.failure, tally.failure - tally.retries) == (row.attempts - row.completed, row.failed)
    assert found["apiCall"].retries == RUNS * 3  # flaky once, broken twice
    notes, row = found["notification"], rows["notification"]
    assert notes.wait.count == row.attempts
    assert notes.wait.microseconds / 1e6 == pytest.approx(row.waited, abs=1e-5 * row.attempts)
    assert 0 < notes.busy / 1e6 <= row.took
    assert found["delay"].wait.count == 2 * RUNS  # it starts, waits and goes on


async def test_figures_come_while_a_worker_runs_and_stay_when_it_is_killed(
    database_url: str, redis_url: str
) -> None:
    async with fleet(database_url, redis_url) as crowd:
        crowd.start(1)
        await crowd.start_runs(await crowd.save(workflow([node("one")], [])), 7)

        async def are_there() -> bool:
            found = await tallies(crowd)
            return "notification" in found and found["notification"].success == 7

        await eventually(are_there, 30, "the worker tells its figures")
        crowd.kill(crowd.workers[0])
        assert await are_there()


async def test_a_stock_worker_counts_too(database_url: str, redis_url: str) -> None:
    async with fleet(database_url, redis_url) as crowd:
        crowd.start(1, (*STOCK, "--url", redis_url, "--burst", "workflow-tasks"))
        await crowd.start_runs(await crowd.save(workflow([node("one")], [])), 2)

        async def are_there() -> bool:
            found = await tallies(crowd)
            return "notification" in found and found["notification"].success == 2

        await eventually(are_there, 30, "the stock worker tells its figures")


async def test_an_activity_counts_by_its_name_whichever_node_runs_it(
    database_url: str, redis_url: str
) -> None:
    given: JsonObject = {"data": "abc", "transformation": "uppercase"}
    nodes = [
        node("by-name", "transformData", config=given),
        node("by-node", "activity", config={"activity": "transformData", "input": given}),
    ]
    async with fleet(database_url, redis_url) as crowd:
        await crowd.start_runs(await crowd.save(workflow(nodes, [])), 3)
        crowd.start(1)
        await crowd.until_all_ended(DEADLINE)
        crowd.stop()
        found = await tallies(crowd)
        await crowd.check_all_well(3, 6)
    assert {name: tally.success for name, tally in found.items()} == {"transformData": 6}
