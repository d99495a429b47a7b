"""Activities that workers have declared, over HTTP: the palette, checks of configs, heartbeats."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from headrace import worker_task
from headrace.activities.declaration import Declaration
from headrace.activities.declare import Place, imported_from
from headrace.activities.registry import REGISTRY
from headrace.api.events import follow
from headrace.engine.execute import claim
from headrace.engine.lacking import declare
from headrace.engine.program import Engine
from headrace.engine.sweep import SweepSettings, sweep
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store import heartbeats, workers
from headrace.store.claims import Delivery
from headrace.store.db import Database
from headrace.store.events import Cursor
from headrace.store.heartbeats import HeldBeat
from headrace.store.workers import NewWorker
from support.api import finish, saved, started
from support.rows import sql

pytestmark = pytest.mark.anyio


def resize_of_another_process() -> Declaration:
    """What a worker says that has its code; this process has not."""
    with REGISTRY.restored(), imported_from(Place("package", "acme-images")):

        @worker_task("resize", timeout=7, retries=5, total_timeout="1h")
        def resize(width: int, url: str = "x") -> bool:
            """Makes a picture smaller."""
            return bool(width and url)

        (found,) = [one for one in REGISTRY if one.name == "resize"]
        return found.declaration


async def tell(engine: Engine, problems: list[JsonObject] | None = None) -> None:
    """A worker comes and says what it has."""
    worker = NewWorker(uuid4(), "one", "here", 4711, ["workflow-tasks"], 64)
    async with engine.db.transaction() as tx:
        await workers.register(tx, worker)
    declared = resize_of_another_process()
    await declare(engine, worker.id, "default", {"resize": declared.as_json()}, problems or [])


def workflow(type: str, **config: JsonValue) -> JsonObject:
    node: JsonObject = {"id": "n", "type": type, "config": config}
    return {"name": "w", "nodes": [node], "edges": []}


async def test_the_palette_shows_each_activity_with_its_form_and_origin(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    await tell(engine)
    items = {one["type"]: one for one in (await client.get("/node-types")).json()["items"]}
    resize = items["resize"]
    assert (resize["group"], resize["origin"]) == ("Activities", "package")
    assert resize["description"] == "Makes a picture smaller."
    assert resize["configSchema"]["properties"]["width"]["type"] == "integer"
    assert (items["sampleActivity"]["origin"], items["delay"]["origin"]) == ("built-in", "built-in")
    assert items["activity"]["group"] == "Activities"
    assert items["validate"]["group"] == "Input & Data"
    assert "validateData" not in items  # another name of `validate`


async def test_a_wrong_config_is_refused_with_its_path(client: httpx.AsyncClient, engine: Engine) -> None:
    await tell(engine)
    wrong = await client.post("/workflows", json=workflow("resize", width="wide"))
    assert wrong.status_code == 422
    (problem,) = wrong.json()["details"]
    assert (problem["path"], problem["message"]) == ("nodes[0].config.width", "must be of type integer")
    named = workflow("activity", activity="resize", input={"url": 1, "width": 2})
    (problem,) = (await client.post("/workflows", json=named)).json()["details"]
    assert problem["path"] == "nodes[0].config.input.url"
    inner: JsonObject = {"nodes": [{"id": "m", "type": "resize", "config": {"width": "w"}}], "edges": []}
    mapped = workflow("map", items=[1], body=inner)
    (problem,) = (await client.post("/workflows", json=mapped)).json()["details"]
    assert problem["path"] == "nodes[0].config.body.nodes[0].config.width"


async def test_an_activity_that_nobody_knows_is_a_warning(client: httpx.AsyncClient, engine: Engine) -> None:
    await tell(engine)
    answer = await client.post("/workflows", json=workflow("activity", activity="nobody"))
    assert answer.status_code == 201
    (warning,) = answer.json()["warnings"]
    assert (warning["path"], warning["message"]) == (
        "nodes[0].config.activity",
        "no activity 'nobody' is known to any worker yet",
    )
    known = await client.post("/workflows", json=workflow("activity", activity="resize"))
    assert known.json()["warnings"] == []
    as_type = await client.post("/workflows", json=workflow("nobody"))
    assert as_type.status_code == 422


async def test_what_workers_could_not_load_is_told(client: httpx.AsyncClient, engine: Engine) -> None:
    problem: JsonObject = {
        "module": "tasks/needs.py",
        "origin": "project",
        "message": "tasks/needs.py: the module 'pandas' is missing",
        "hint": "install it: pip install pandas",
    }
    await tell(engine, [problem])
    await tell(engine, [problem])
    answer = (await client.get("/activities")).json()
    assert answer["problems"] == [problem]
    (resize,) = [one for one in answer["items"] if one["name"] == "resize"]
    assert (resize["origin"], resize["workers"]) == ("package", 2)


async def test_a_process_without_the_code_keeps_the_declared_defaults(
    client: httpx.AsyncClient, engine: Engine, db: Database
) -> None:
    await tell(engine)
    run_id = await started(client, await saved(client, workflow("resize", width=3)))
    (execution,) = await claim(engine, [Delivery(TaskId(UUID(run_id), 0), 1, 1)], uuid4())
    assert (execution.node.attempt_timeout, execution.node.total_timeout) == (7, 3600)
    assert execution.node.retry.max_attempts == 6


async def test_a_running_task_shows_its_last_heartbeat_and_streams_it(
    client: httpx.AsyncClient, engine: Engine, db: Database
) -> None:
    workflow_id = await saved(client, workflow("noop"))
    run_id = await started(client, workflow_id)
    task = TaskId(UUID(run_id), 0)
    (execution,) = await claim(engine, [Delivery(task, 1, 1)], uuid4())

    async def beat(progress: float, token: int) -> None:
        async with db.transaction() as tx:
            await heartbeats.write(tx, [HeldBeat(task, token, progress, {"row": 7})])

    async def shown() -> JsonValue:
        body = (await client.get(f"/workflows/{workflow_id}/runs/{run_id}")).json()
        found: JsonValue = body["tasks"][0].get("heartbeat")
        return found

    assert await shown() is None
    await beat(0.25, execution.claim.token)
    await beat(0.99, execution.claim.token + 1)  # of somebody who no longer holds the task
    seen = await shown()
    assert isinstance(seen, dict)
    assert (seen["progress"], seen["details"]) == (0.25, {"row": 7})

    async def next_beat() -> str:
        async for message in follow(engine, UUID(run_id), Cursor()):
            if message.startswith("event: task.heartbeat"):
                return message
        return ""

    async with asyncio.timeout(20):
        told = await next_beat()
    assert '"progress":0.25' in told
    assert '"nodeId":"n"' in told
    assert "id: " not in told


async def test_a_type_that_nobody_knows_any_more_waits_and_says_for_whom(
    client: httpx.AsyncClient, engine: Engine, db: Database
) -> None:
    await tell(engine)
    workflow_id = await saved(client, workflow("resize", width=3))
    async with db.transaction() as tx:
        await tx.fetch("DELETE FROM activities_seen")
    run_id = await started(client, workflow_id)
    await finish(engine, run_id)
    body = (await client.get(f"/workflows/{workflow_id}/runs/{run_id}")).json()
    (task,) = body["tasks"]
    assert (body["status"], task["status"], task["attempt"]) == ("running", "waiting", 1)
    assert task["waitsFor"] == "activity resize"
    assert "no worker that runs knows the activity resize; none has ever declared it" in task["explanation"]
    await tell(engine)
    (task,) = (await client.get(f"/workflows/{workflow_id}/runs/{run_id}")).json()["tasks"]
    assert (task["status"], task["waitsFor"]) == ("queued", None)


async def unseen_for(db: Database, days: float) -> None:
    """The worker was heard of so long ago for the last time, and its row is gone."""
    await sql(db, "DELETE FROM workflow_workers")
    await sql(db, "UPDATE activities_seen SET seen_at = now() - make_interval(secs => $1)", days * 86_400)


SOURCE = {"language": "python", "source": "def resize(width):\n    return width\n"}


async def in_palette(client: httpx.AsyncClient) -> list[tuple[str, bool]]:
    """The origins of `resize` in the palette, and whether it is marked as not seen."""
    items = (await client.get("/node-types")).json()["items"]
    return [(one["origin"], one["notSeenSince"] is not None) for one in items if one["type"] == "resize"]


async def in_list(client: httpx.AsyncClient) -> list[tuple[str, bool]]:
    items = (await client.get("/activities")).json()["items"]
    return [(one["origin"], one["notSeenSince"] is not None) for one in items if one["name"] == "resize"]


async def test_a_name_that_nobody_declares_any_more_blocks_no_upload(
    client: httpx.AsyncClient, engine: Engine, db: Database
) -> None:
    await tell(engine)
    await unseen_for(db, 0.9)
    refused = await client.put("/activities/resize", json=SOURCE)
    assert refused.status_code == 409
    assert "that a worker brings, last seen at 20" in refused.json()["message"]
    assert await in_palette(client) == await in_list(client) == [("package", False)]

    await unseen_for(db, 1.1)
    assert await in_palette(client) == await in_list(client) == [("package", True)]
    assert (await client.post("/workflows", json=workflow("resize", width=1))).status_code == 201
    assert (await client.put("/activities/resize", json=SOURCE)).status_code == 200
    assert await in_palette(client) == await in_list(client) == [("stored", False)]
    assert (await client.post("/workflows", json=workflow("resize", width="wide"))).status_code == 201


async def test_a_worker_that_runs_for_long_is_seen_all_the_time(
    client: httpx.AsyncClient, engine: Engine, db: Database
) -> None:
    await tell(engine)
    await sql(db, "UPDATE activities_seen SET seen_at = now() - interval '90 days'")
    assert await in_palette(client) == await in_list(client) == [("package", False)]
    assert (await client.put("/activities/resize", json=SOURCE)).status_code == 409


async def test_what_nobody_has_for_a_month_is_forgotten(
    client: httpx.AsyncClient, engine: Engine, db: Database
) -> None:
    await tell(engine)
    await unseen_for(db, 29.9)
    await sweep(engine, SweepSettings())
    assert await in_palette(client) == [("package", True)]

    await unseen_for(db, 30.1)
    await sql(db, "UPDATE sweeps SET last_at = now() - interval '10 seconds'")
    await sweep(engine, SweepSettings())
    assert await in_palette(client) == [("package", True)]  # the chore comes once an hour

    await sql(db, "UPDATE sweeps SET last_at = now() - interval '61 minutes'")
    await sweep(engine, SweepSettings())
    assert await in_palette(client) == await in_list(client) == []


async def test_the_hourly_chore_notes_who_is_still_there(
    client: httpx.AsyncClient, engine: Engine, db: Database
) -> None:
    await tell(engine)
    await sql(db, "UPDATE activities_seen SET seen_at = now() - interval '90 days'")
    await sweep(engine, SweepSettings())
    await sql(db, "DELETE FROM workflow_workers")  # as a day after its end
    assert await in_palette(client) == [("package", False)]


async def test_the_palette_has_the_stored_activities_of_one_project(client: httpx.AsyncClient) -> None:
    source = {"language": "python", "source": "def mine(width):\n    return width\n"}
    assert (await client.put("/activities/mine?project=shop", json=source)).status_code == 200

    async def origins(project: str) -> list[str]:
        items = (await client.get(f"/node-types{project}")).json()["items"]
        return [one["origin"] for one in items if one["type"] == "mine"]

    assert await origins("?project=shop") == ["stored"]
    assert await origins("") == await origins("?project=default") == []
    assert (await client.get("/node-types?project=No!")).status_code == 422


@pytest.mark.parametrize("project", ["shop", "default"])
async def test_a_workflow_is_checked_with_the_activities_of_its_project(
    client: httpx.AsyncClient, project: str
) -> None:
    source = {"language": "python", "source": "def mine(width):\n    return width\n"}
    assert (await client.put("/activities/mine?project=shop", json=source)).status_code == 200
    is_theirs = project == "shop"
    said = (await client.post("/workflows/validate", json=workflow("mine") | {"project": project})).json()
    asked = (await client.post(f"/workflows/validate?project={project}", json=workflow("mine"))).json()
    assert said["valid"] is asked["valid"] is is_theirs
    plain = workflow("noop")
    made = await client.post(f"/workflows?project={project}", json=plain)
    assert made.status_code == 201, made.text
    changed = await client.put(f"/workflows/{made.json()['id']}", json=workflow("mine"))
    assert changed.status_code == (200 if is_theirs else 422), changed.text
    hopeful = workflow("activity", activity="mine")
    warned = (await client.post(f"/workflows?project={project}", json=hopeful)).json()["warnings"]
    assert bool(warned) is not is_theirs
    saved = (await client.put(f"/workflows/{made.json()['id']}", json=hopeful)).json()["warnings"]
    assert bool(saved) is not is_theirs
