"""Workers, queues, metrics and readiness over HTTP."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from headrace.engine.execute import claim
from headrace.engine.program import Engine
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject
from headrace.sandbox.support import SandboxSupport
from headrace.store import worker_targets, workers
from headrace.store.claims import Delivery
from headrace.store.db import Database
from headrace.store.workers import Load, NewWorker
from support.api import finished_run, saved, serving, settings_for, started
from support.build import chain
from support.rows import sql

pytestmark = pytest.mark.anyio


async def employ(db: Database, name: str) -> NewWorker:
    worker = NewWorker(uuid4(), name, "here", 4711, ["workflow-tasks"], 64)
    async with db.transaction() as tx:
        await workers.register(tx, worker)
    return worker


async def test_each_worker_process_is_an_item(client: httpx.AsyncClient, db: Database) -> None:
    assert (await client.get("/workers")).json() == {"workers": [], "count": 0, "desired": None, "items": []}
    await employ(db, "one")
    two = await employ(db, "two")
    async with db.transaction() as tx:
        await workers.mark(tx, two.id, "failed")
    body = (await client.get("/workers")).json()
    assert (body["workers"], body["count"]) == (["default"], 1)
    assert [item["name"] for item in body["items"]] == ["one"]
    item = body["items"][0]
    assert (item["pid"], item["host"], item["state"], item["concurrency"]) == (4711, "here", "running", 64)
    assert item["queues"] == ["workflow-tasks"]
    assert item["lastHeartbeat"] >= item["startedAt"]
    both = (await client.get("/workers", params={"ended": True})).json()["items"]
    assert {item["name"]: item["state"] for item in both} == {"one": "running", "two": "failed"}


async def test_a_worker_shows_what_it_runs_now_and_an_unhealthy_one_nothing(
    client: httpx.AsyncClient, engine: Engine, db: Database
) -> None:
    worker = await employ(db, "one")
    async with db.transaction() as tx:
        await workers.heartbeat(tx, worker.id, Load(running=3, completed=0, failed=0))

    async def shown() -> tuple[str, bool, int]:
        (item,) = (await client.get("/workers")).json()["items"]
        return item["state"], item["healthy"], item["running"]

    assert await shown() == ("running", True, 0)
    run_id = await started(client, await saved(client, chain(1)))
    await claim(engine, [Delivery(TaskId(UUID(run_id), 0), 1, 1)], worker.id)
    assert await shown() == ("running", True, 1)
    await sql(db, "UPDATE workflow_workers SET last_heartbeat = now() - interval '2 minutes'")
    assert await shown() == ("unhealthy", False, 0)
    body = (await client.get("/workers")).json()
    assert (body["workers"], body["count"]) == ([], 0)
    async with db.transaction() as tx:
        await workers.heartbeat(tx, worker.id, Load(running=3, completed=0, failed=0))
    assert await shown() == ("running", True, 1)
    await sql(db, "UPDATE workflow_workers SET last_heartbeat = now() - interval '2 minutes'")
    async with db.transaction() as tx:
        await workers.reap(tx, workers.UNHEALTHY_SECONDS)
    (item,) = (await client.get("/workers", params={"ended": True})).json()["items"]
    assert (item["state"], item["healthy"]) == ("failed", False)


async def test_the_wish_for_workers_is_kept(client: httpx.AsyncClient, db: Database) -> None:
    for count in (0, 5, 1000):
        response = await client.put("/workers/desired", json={"count": count})
        assert (response.status_code, response.json()) == (200, {"count": count, "project": "default"})
        assert (await client.get("/workers")).json()["desired"] == count
    async with db.transaction() as tx:
        assert await worker_targets.target(tx) == 1000


@pytest.mark.parametrize("body", [{}, {"count": -1}, {"count": 1001}, {"count": "5"}, {"count": 1.5}, 5])
async def test_a_wish_that_cannot_be_is_422(client: httpx.AsyncClient, body: object) -> None:
    assert (await client.put("/workers/desired", json=body)).status_code == 422
    assert (await client.get("/workers")).json()["desired"] is None


async def test_queues_show_their_depth(client: httpx.AsyncClient) -> None:
    workflow_id = await saved(client, chain(1))
    for _ in range(3):
        await started(client, workflow_id)
    body = (await client.get("/queues")).json()
    assert body["workers"] == []
    assert {queue["name"]: queue["queued"] for queue in body["items"]} == {
        "workflow-tasks-critical": 0,
        "workflow-tasks-high": 0,
        "workflow-tasks": 3,
        "workflow-tasks-low": 0,
        "workflow-dependencies": 0,
    }
    assert set(body["items"][0]) == {"name", "queued", "started", "finished", "failed", "deferred"}


async def test_metrics_count_requests_by_the_pattern_of_their_path(
    client: httpx.AsyncClient, engine: Engine, db: Database
) -> None:
    await employ(db, "one")
    await sql(db, "UPDATE workflow_workers SET last_heartbeat = now() - interval '2 minutes'")
    await employ(db, "two")
    workflow_id, run_id = await finished_run(client, engine, chain(2))
    await started(client, workflow_id)
    await client.get(f"/workflows/{workflow_id}/runs/{run_id}/status")
    await client.get("/nowhere")
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    lines = response.text.splitlines()
    route = "/workflows/{workflow_id}/runs/{run_id}/status"
    for expected in (
        f'headrace_http_request_seconds_count{{method="GET",route="{route}",status="200"}} 1.0',
        'headrace_http_request_seconds_count{method="GET",route="unmatched",status="404"} 1.0',
        "headrace_runs_started_total 2.0",
        'headrace_runs{status="succeeded"} 1.0',
        'headrace_runs{status="running"} 1.0',
        'headrace_tasks{status="queued"} 1.0',
        'headrace_workers{state="running"} 1.0',
        'headrace_workers{state="unhealthy"} 1.0',
        'headrace_queue_jobs{queue="workflow-tasks",state="queued"} 2.0',
        'headrace_up{server="postgres"} 1.0',
        'headrace_up{server="redis"} 1.0',
    ):
        assert expected in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


async def test_it_is_ready_when_all_wanted_workers_run(client: httpx.AsyncClient, db: Database) -> None:
    await ready_when_loaded(client)
    await client.put("/workers/desired", json={"count": 2})
    await employ(db, "one")
    waiting = await client.get("/readyz")
    assert (waiting.status_code, waiting.json()["ready"]) == (503, False)
    assert waiting.json()["checks"][-1] == {"name": "workers", "ok": False, "detail": "1 of 2 run"}
    await employ(db, "two")
    assert (await client.get("/readyz")).json()["ready"] is True


async def ready_when_loaded(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(10):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.02)


async def test_an_empty_database_is_not_ready(admin_dsn: str, redis_url: str) -> None:
    async with serving(settings_for(admin_dsn, redis_url)) as client:
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"] == [{"name": "schema", "ok": False, "detail": "run `headrace migrate`"}]


async def test_each_worker_shows_whether_it_has_a_sandbox(client: httpx.AsyncClient, db: Database) -> None:
    await employ(db, "old")
    walls = SandboxSupport(landlock=0, seccomp=True, javascript="/here")
    told: JsonObject = {"python": "3.11", "sandbox": walls.as_json()}
    async with db.transaction() as tx:
        new = NewWorker(uuid4(), "new", "here", 4711, ["workflow-tasks"], 64, versions=told)
        await workers.register(tx, new)
    items = {one["name"]: one for one in (await client.get("/workers")).json()["items"]}
    assert (items["old"]["sandbox"], items["new"]["versions"]) == (None, {"python": "3.11"})
    assert items["new"]["sandbox"] == {
        "safe": False,
        "missing": ["Landlock (Linux 5.13)"],
        "landlock": 0,
        "seccomp": True,
        "javascript": True,
    }
