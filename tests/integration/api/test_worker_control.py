"""Starting and stopping a project's workers over HTTP; the processes are played by rows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from uuid import uuid4

import httpx
import pytest

from headrace.store import worker_targets, workers
from headrace.store.db import Database
from headrace.store.worker_targets import Target
from headrace.store.workers import GENERATION, Load, NewWorker
from support.fleet import eventually
from support.rows import sql

pytestmark = pytest.mark.anyio

SHOP = {"projectId": "shop"}


def a_worker(*projects: str) -> NewWorker:
    versions = {"headrace": "1"}
    return NewWorker(uuid4(), "here-1", "here", 1, ["workflow-tasks"], 64, projects or ("shop",), versions)


async def employ(db: Database, worker: NewWorker) -> None:
    await db.transact(partial(workers.register, worker=worker))


async def wish(db: Database) -> Target | None:
    return (await db.transact(worker_targets.targets)).get("shop")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a supervisor gives up soon: there is none."""
    monkeypatch.setattr("headrace.api.routes.worker_control.START_SECONDS", 0.3)
    monkeypatch.setattr("headrace.engine.crews._LOOK_SECONDS", 0.01)


async def test_start_answers_once_a_worker_runs(client: httpx.AsyncClient, db: Database) -> None:
    starting = [asyncio.create_task(client.post("/workers/start", json=SHOP)) for _ in range(2)]

    async def is_wanted() -> bool:
        return await wish(db) == Target(1, 0)

    await eventually(is_wanted, 10, "a worker is wanted")
    worker = a_worker()
    await db.transact(partial(workers.announce, worker=worker))
    assert not any(task.done() for task in starting)
    await employ(db, worker)
    for answer in await asyncio.gather(*starting):
        said = {"success": True, "message": "Worker started for project shop"}
        assert (answer.status_code, answer.json()) == (200, said)
    assert await wish(db) == Target(1, 0)
    status = (await client.get("/workers/status/shop")).json()
    assert status == {"projectId": "shop", "status": "running", "isRunning": True}


async def test_stop_answers_once_none_is_left(client: httpx.AsyncClient, db: Database) -> None:
    worker = a_worker()
    await employ(db, worker)
    stopping = asyncio.create_task(client.post("/workers/stop", json=SHOP))

    async def is_unwanted() -> bool:
        return await wish(db) == Target(0, 0)

    await eventually(is_unwanted, 10, "no worker is wanted")
    await db.transact(partial(workers.mark, worker_id=worker.id, state="stopping"))
    assert not stopping.done()
    assert (await client.get("/workers/status/shop")).json()["isRunning"] is False
    await db.transact(partial(workers.mark, worker_id=worker.id, state="stopped"))
    assert (await stopping).json() == {"success": True, "message": "Worker stopped for project shop"}


async def test_restart_answers_once_a_new_process_runs(client: httpx.AsyncClient, db: Database) -> None:
    await employ(db, a_worker())
    restarting = asyncio.create_task(client.post("/workers/restart", json=SHOP))

    async def is_new() -> bool:
        return await wish(db) == Target(1, 1)

    await eventually(is_new, 10, "new processes are wanted")
    assert not restarting.done()
    await employ(db, a_worker())
    assert (await restarting).json() == {"success": True, "message": "Worker restarted for project shop"}


async def test_a_worker_of_the_generation_before_is_no_new_one(
    client: httpx.AsyncClient, db: Database
) -> None:
    """It had been started, and was still on its way, when the restart was asked for."""
    asked = await db.transact(partial(worker_targets.want_one, project="shop", is_restart=True))
    counted = partial(workers.count_new, project="shop", asked=asked)
    for versions, count in (({GENERATION: 0}, 0), ({GENERATION: 1}, 1), ({}, 2)):
        worker = replace(a_worker(), versions=versions)
        await db.transact(partial(workers.announce, worker=worker))
        await employ(db, worker)
        assert await db.transact(counted) == count
    assert all(one["versions"] == {} for one in (await client.get("/workers")).json()["items"])


@pytest.mark.usefixtures("impatient")
async def test_when_nobody_follows_it_says_so_and_the_wish_stands(
    client: httpx.AsyncClient, db: Database
) -> None:
    answer = await client.post("/workers/start", json=SHOP)
    assert answer.status_code == 500
    assert answer.json() == {
        "success": False,
        "error": "no worker of project shop runs after 0.3 s; it is noted what is wanted, but nobody "
        "supervises its workers",
    }
    assert await wish(db) == Target(1, 0)


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"projectId": ""}', '{"projectId": 5}'])
async def test_a_project_must_be_named(client: httpx.AsyncClient, verb: str, body: str) -> None:
    answer = await client.post(f"/workers/{verb}", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"error": "projectId is required"})


@pytest.mark.parametrize("name", ["a,b", "a b", "-a", "a" * 101, "a\n", "a\u0000", "../a"])
async def test_a_name_that_no_project_can_have(client: httpx.AsyncClient, db: Database, name: str) -> None:
    answer = await client.post("/workers/start", json={"projectId": name})
    assert answer.status_code == 400
    assert answer.json().keys() == {"error"}
    assert await db.transact(worker_targets.targets) == {}


async def test_a_project_that_nobody_knows_is_stopped(client: httpx.AsyncClient) -> None:
    for name in ("nobody", "a,b"):
        assert (await client.get(f"/workers/status/{name}")).json() == {
            "projectId": name,
            "status": "stopped",
            "isRunning": False,
        }


async def test_a_worker_without_a_heartbeat_is_not_healthy(client: httpx.AsyncClient, db: Database) -> None:
    await employ(db, a_worker("shop", "bank"))
    body = (await client.get("/workers")).json()
    assert (body["workers"], body["count"]) == (["bank", "shop"], 2)
    await sql(db, "UPDATE workflow_workers SET last_heartbeat = now() - interval '61 seconds'")
    body = (await client.get("/workers")).json()
    assert (body["workers"], body["count"]) == ([], 0)
    assert [(item["state"], item["healthy"]) for item in body["items"]] == [("unhealthy", False)]
    assert (await client.get("/workers/status/shop")).json()["status"] == "stopped"


async def test_an_item_says_what_its_process_uses(client: httpx.AsyncClient, db: Database) -> None:
    worker = a_worker("shop", "bank")
    await employ(db, worker)
    (item,) = (await client.get("/workers")).json()["items"]
    assert (item["averageMs"], item["cpuPercent"], item["memoryMb"]) == (None, None, None)
    load = Load(2, 3, 1, busy=2.0, cpu_percent=12.5, memory_mb=81.5)
    await db.transact(partial(workers.heartbeat, worker_id=worker.id, load=load))
    (item,) = (await client.get("/workers")).json()["items"]
    assert (item["completed"], item["failed"]) == (3, 1)
    assert (item["averageMs"], item["cpuPercent"], item["memoryMb"]) == (500.0, 12.5, 81.5)
    assert (item["project"], item["projects"], item["healthy"]) == ("shop", ["shop", "bank"], True)
    assert item["versions"] == {"headrace": "1"}


async def test_an_announcement_that_comes_late_changes_nothing(
    client: httpx.AsyncClient, db: Database
) -> None:
    worker = a_worker()
    await employ(db, worker)
    await db.transact(partial(workers.announce, worker=worker))
    (item,) = (await client.get("/workers")).json()["items"]
    assert (item["state"], item["queues"]) == ("running", ["workflow-tasks"])


async def test_a_count_can_be_wanted_for_a_project(client: httpx.AsyncClient, db: Database) -> None:
    answer = await client.put("/workers/desired", json={"count": 3, "project": "shop"})
    assert answer.json() == {"count": 3, "project": "shop"}
    assert await wish(db) == Target(3, 0)
    assert (await client.get("/workers")).json()["desired"] is None
    assert (await client.get("/workers/desired")).json() == {"projects": {"shop": 3}}
    bad = await client.put("/workers/desired", json={"count": 3, "project": "a,b"})
    assert bad.status_code == 422
