"""Events over HTTP: they start runs and complete waits, once for each id."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from headrace.config import Settings
from headrace.engine.program import Engine
from headrace.graph.dispatch import RunTask
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from support.api import finish, saved, serving, settings_for, started
from support.build import chain, node, workflow
from support.drive import drain

pytestmark = pytest.mark.anyio


async def handler(client: httpx.AsyncClient, action: JsonObject, name: str = "h", **more: JsonValue) -> str:
    body = {"name": name, "pattern": "order.*", "action": action, **more}
    response = await client.post("/event-handlers", json=body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def starting(client: httpx.AsyncClient, **more: JsonValue) -> JsonObject:
    return {"type": "start_workflow", "workflowId": await saved(client, chain(1)), **more}


async def send(client: httpx.AsyncClient, name: str = "order.paid", **more: JsonValue) -> httpx.Response:
    return await client.post("/events", json={"name": name, **more})


async def test_an_event_starts_a_run_of_each_handler_that_it_concerns(client: httpx.AsyncClient) -> None:
    await handler(client, await starting(client, input={"who": "${data.who}", "id": "${id?}"}), "a")
    await handler(client, await starting(client), "b", condition={"==": [{"var": "data.who"}, "Ada"]})
    await handler(client, await starting(client), "c", condition={"==": [{"var": "data.who"}, "Bob"]})
    await handler(client, await starting(client), "d", pattern="invoice.*")
    await handler(client, await starting(client), "e", isActive=False)
    answer = await send(client, data={"who": "Ada"})
    assert (answer.status_code, answer.json()["isNew"]) == (201, True)
    results = answer.json()["results"]
    assert [(one["handler"], one["status"]) for one in results] == [("a", "started"), ("b", "started")]
    inputs = [(await client.get(f"/runs/{one['runId']}")).json()["input"] for one in results]
    assert inputs == [
        {"who": "Ada", "id": None},
        {"trigger_type": "event", "event": {"name": "order.paid", "id": None, "data": {"who": "Ada"}}},
    ]


async def test_an_event_with_an_id_counts_once(client: httpx.AsyncClient) -> None:
    await handler(client, await starting(client))
    answers = await asyncio.gather(*(send(client, id="e1") for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [200] * 7 + [201]
    assert len({one.json()["results"][0]["runId"] for one in answers}) == 1
    assert (await send(client, "order.sent", id="e1")).status_code == 201
    assert [(await send(client)).status_code for _ in range(2)] == [201, 201]
    assert len((await client.get("/runs")).json()["items"]) == 4


async def test_an_id_is_of_one_event_only(client: httpx.AsyncClient) -> None:
    await handler(client, await starting(client))
    first = await send(client, id="e1", data={"who": "Ada", "sum": 1})
    other = await send(client, id="e1", data={"who": "Bob", "sum": 1})
    assert (other.status_code, other.json()["details"][0]["path"]) == (422, "id")
    again = await send(client, id="e1", data={"sum": 1, "who": "Ada"})
    assert (again.status_code, again.json()["results"]) == (200, first.json()["results"])
    assert len((await client.get("/runs")).json()["items"]) == 1


async def test_what_one_handler_cannot_do_stops_no_other(client: httpx.AsyncClient) -> None:
    await handler(client, await starting(client, input={"who": "${data.who}"}), "a")
    await handler(client, await starting(client), "b")
    results = (await send(client)).json()["results"]
    assert [(one["handler"], one["status"], one["reason"]) for one in results] == [
        ("a", "failed", "'data.who' does not exist."),
        ("b", "started", None),
    ]


WAITING = workflow([node("wait", "waitSignal", config={"signal": "paid"})], [])


async def test_an_event_completes_a_wait(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await started(client, await saved(client, WAITING))
    await finish(engine, run_id)
    action: JsonObject = {
        "type": "signal",
        "runId": "${data.run}",
        "signal": "paid",
        "payload": "${data.sum}",
    }
    await handler(client, action)
    answers = [await send(client, id="e1", data={"run": run_id, "sum": 12}) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 200]
    assert all(one.json()["results"] == answers[0].json()["results"] for one in answers)
    assert answers[0].json()["results"] == [
        {"handler": "h", "status": "signalled", "runId": run_id, "reason": None}
    ]
    (task,) = (await client.get(f"/runs/{run_id}")).json()["tasks"]
    await drain(engine, [RunTask(TaskId(UUID(run_id), 0), 1, 2, "wait", 300)])
    run = (await client.get(f"/runs/{run_id}")).json()
    assert (task["status"], run["status"], run["outputs"]) == ("queued", "succeeded", {"wait": 12})


@pytest.mark.parametrize("run", ["nonsense", None, str(UUID(int=7))])
async def test_a_wait_that_is_none(client: httpx.AsyncClient, run: str | None) -> None:
    await handler(client, {"type": "signal", "runId": "${data.run}", "signal": "paid"})
    (result,) = (await send(client, data={"run": run})).json()["results"]
    assert result["status"] == "failed"


async def test_handlers_are_kept_changed_and_deleted(client: httpx.AsyncClient) -> None:
    action = await starting(client)
    handler_id = await handler(client, action, condition={"var": "data"})
    path = f"/event-handlers/{handler_id}"
    kept = (await client.get(path)).json()
    assert (kept["pattern"], kept["condition"], kept["action"]) == (
        "order.*",
        {"var": "data"},
        action | {"input": None},
    )
    changed = (await client.put(path, json={"pattern": "*", "condition": None})).json()
    assert (changed["pattern"], changed["condition"], changed["name"]) == ("*", None, "h")
    assert (await client.get("/event-handlers")).json()["items"] == [changed]
    assert (await client.delete(path)).status_code == 200
    for method in ("GET", "PUT", "DELETE"):
        assert (await client.request(method, path, json={})).status_code == 404
    assert (await send(client)).json()["results"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "h"}, 409),
        ({"condition": {"launch": []}}, 422),
        ({"pattern": ""}, 422),
        ({"action": {"type": "explode"}}, 422),
        ({"action": {"type": "signal", "runId": "${event.data.run}", "signal": "s"}}, 422),
        ({"action": {"type": "start_workflow", "workflowId": str(uuid4())}}, 404),
        ({"action": {"type": "signal", "runId": "x", "signal": "s", "more": 1}}, 422),
    ],
)
async def test_what_is_no_handler(client: httpx.AsyncClient, body: dict[str, JsonValue], status: int) -> None:
    action = await starting(client)
    await handler(client, action)
    given = {"name": "other", "pattern": "*", "action": action} | body
    assert (await client.post("/event-handlers", json=given)).status_code == status


async def test_an_operator_may_send_events_and_only_an_admin_may_say_what_they_do(settings: Settings) -> None:
    keys = "admin:root,operator:ops"
    given = settings_for(settings.postgres_url, settings.redis_url, HEADRACE_API_KEYS=keys)
    async with serving(given, **{"X-API-Key": "ops"}) as client:
        assert (await send(client)).status_code == 201
        assert (await client.post("/event-handlers", json={})).status_code == 403
