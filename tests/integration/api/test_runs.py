"""Starting, reading, listing and cancelling runs over HTTP."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import uuid4

import httpx
import pytest

from headrace.engine.program import Engine
from headrace.graph.json_types import JsonObject, JsonValue
from support.api import finish, finished_run, saved, started
from support.build import chain, edge, if_else, node, workflow

pytestmark = pytest.mark.anyio

BRANCHED = workflow(
    [if_else("if", "n", 5), node("hot"), node("cold"), node("end")],
    [edge("if", "hot", "out-true"), edge("if", "cold", "out-false"), edge("hot", "end"), edge("cold", "end")],
)
TASK_KEYS = {
    *("id", "nodeId", "nodeType", "status", "startedAt", "completedAt", "error", "errorDetails", "attempt"),
    *("input", "output", "reason", "causedBy", "position", "waitsFor", "wakeAt", "queuedAt"),
    "explanation",
}


def addresses(workflow_id: str, run_id: str) -> list[str]:
    """Where a run is read."""
    below = f"/workflows/{workflow_id}/runs/{run_id}"
    alone = f"/workflows/runs/{run_id}"
    return [below, f"{below}/status", alone, f"{alone}/status", f"/runs/{run_id}"]


async def test_a_run_that_ended_shows_all_of_itself(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, BRANCHED)
    run_id = await started(client, workflow_id, {"n": 9})
    await finish(engine, run_id)
    seen = (await client.get(f"/workflows/{workflow_id}/runs/{run_id}/status")).json()
    assert (seen["id"], seen["workflowId"], seen["version"]) == (run_id, workflow_id, 1)
    assert (seen["status"], seen["input"], seen["outputs"]) == ("succeeded", {"n": 9}, {"end": {"n": 9}})
    assert datetime.fromisoformat(seen["startedAt"]) <= datetime.fromisoformat(seen["finishedAt"])
    assert seen["result"] == {
        "completedTasks": 3,
        "failedTasks": 0,
        "skippedTasks": 1,
        "upstreamFailedTasks": 0,
        "cancelledTasks": 0,
        "totalTasks": 4,
    }
    assert [task["nodeId"] for task in seen["tasks"]] == ["if", "hot", "cold", "end"]
    assert all(set(task) == TASK_KEYS for task in seen["tasks"])
    ran, _, skipped, _ = seen["tasks"]
    assert (ran["status"], ran["attempt"], ran["input"], ran["error"]) == ("completed", 1, {"n": 9}, None)
    assert (skipped["status"], skipped["attempt"], skipped["input"]) == ("skipped", 0, None)
    assert skipped["reason"]
    assert {"id", "type", "message", "timestamp", "nodeId"} <= set(seen["logs"][0])
    assert seen["logs"][0]["message"] == "Async workflow run started"
    assert [line["type"] for line in seen["logs"] if line["nodeId"] == "hot"] == ["node-output"]


async def test_every_address_of_a_run_says_the_same(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id, run_id = await finished_run(client, engine, chain(2))
    answers = [(await client.get(address)).json() for address in addresses(workflow_id, run_id)]
    assert all(answer == answers[0] for answer in answers)
    logs = (await client.get(f"/workflows/runs/{run_id}/logs")).json()
    assert logs == {"logs": answers[0]["logs"]}
    assert (await client.get(f"/workflows/{workflow_id}/runs/{run_id}/logs")).json() == logs


async def test_a_run_that_goes_on_has_no_result_yet(client: httpx.AsyncClient) -> None:
    workflow_id = await saved(client, chain(2))
    run_id = await started(client, workflow_id, {"who": "Ada"})
    seen = (await client.get(f"/workflows/runs/{run_id}/status")).json()
    assert (seen["status"], seen["finishedAt"]) == ("running", None)
    assert (seen["result"], seen["outputs"]) == (None, None)
    assert [task["status"] for task in seen["tasks"]] == ["queued", "pending"]
    assert [task["input"] for task in seen["tasks"]] == [{"who": "Ada"}, None]


async def test_a_failed_task_says_why_as_text_and_as_data(client: httpx.AsyncClient, engine: Engine) -> None:
    broken = node("api", "apiCall", config={"url": "http://127.0.0.1:9/x"}, retry={"maxAttempts": 1})
    _, run_id = await finished_run(client, engine, workflow([broken, node("after")], [edge("api", "after")]))
    seen = (await client.get(f"/runs/{run_id}")).json()
    assert (seen["status"], seen["reason"]) == ("failed", "node 'api' failed")
    failed, after = seen["tasks"]
    assert isinstance(failed["error"], str)
    assert failed["errorDetails"]["message"] == failed["error"]
    assert (after["status"], after["causedBy"]) == ("upstream_failed", "api")
    assert seen["outputs"] == {}


async def test_declared_outputs_are_resolved(client: httpx.AsyncClient, engine: Engine) -> None:
    outputs: JsonObject = {
        "whole": "${nodes.end.output}",
        "text": "for ${input.n}",
        "skipped": "${nodes.cold.output.n}",
        "list": ["${nodes.hot.status}"],
    }
    workflow_id = await saved(client, BRANCHED | {"outputs": outputs})
    run_id = await started(client, workflow_id, {"n": 9})
    await finish(engine, run_id)
    seen = (await client.get(f"/runs/{run_id}")).json()["outputs"]
    assert seen == {"whole": {"n": 9}, "text": "for 9", "skipped": None, "list": ["completed"]}


@pytest.mark.parametrize("action", ["execute-async", "trigger", "execute"])
async def test_an_unknown_workflow_starts_nothing(client: httpx.AsyncClient, action: str) -> None:
    response = await client.post(f"/workflows/{uuid4()}/{action}", json={"input": {}})
    assert response.status_code == 404
    assert (await client.post(f"/workflows/nonsense/{action}", json={})).status_code == 422
    assert (await client.get("/runs")).json() == {"items": []}


@pytest.mark.parametrize("body", [None, {}, {"input": None}, {"input": [1, "two"]}, {"input": "text"}])
async def test_any_json_is_an_input(client: httpx.AsyncClient, body: JsonValue) -> None:
    workflow_id = await saved(client, chain(1))
    response = await client.post(f"/workflows/{workflow_id}/trigger", json=body)
    assert response.status_code == 201
    run = (await client.get(f"/runs/{response.json()['runId']}")).json()
    assert run["input"] == (body.get("input") if isinstance(body, dict) else None)


async def test_an_input_that_the_first_node_refuses_is_422(client: httpx.AsyncClient) -> None:
    field: JsonObject = {"id": "f", "key": "age", "inputKind": "number"}
    asks = node("ask", "inputText", config={"fields": [field]})
    workflow_id = await saved(client, workflow([asks], []))
    response = await client.post(f"/workflows/{workflow_id}/execute-async", json={"input": {"age": "old"}})
    assert response.status_code == 422
    assert response.json()["details"]
    assert (await client.get("/runs")).json() == {"items": []}


async def test_a_key_starts_one_run(client: httpx.AsyncClient) -> None:
    workflow_id = await saved(client, chain(1))
    url, key = f"/workflows/{workflow_id}/execute-async", {"Idempotency-Key": "order-7"}
    first = await client.post(url, json={"input": 1}, headers=key)
    again = await client.post(url, json={"input": 1}, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await client.post(url, json={"input": 2}, headers=key)
    assert (other.status_code, other.json()["statusCode"]) == (422, 422)
    assert len((await client.get("/runs")).json()["items"]) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_a_key_that_is_none_is_422(client: httpx.AsyncClient, key: str) -> None:
    workflow_id = await saved(client, chain(1))
    response = await client.post(f"/workflows/{workflow_id}/trigger", headers={"Idempotency-Key": key})
    assert response.status_code == 422


async def test_execute_answers_with_the_run_s_end(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, chain(2))
    calling = asyncio.create_task(
        client.post(f"/workflows/{workflow_id}/execute", json={"input": {"who": "Ada"}}, timeout=30)
    )
    run_id = await _first_run(client)
    await finish(engine, run_id)
    response = await calling
    assert response.status_code == 201
    body = response.json()
    assert set(body) == {"runId", "status", "logs", "result", "outputs"}
    assert (body["runId"], body["status"], body["outputs"]) == (run_id, "succeeded", {"n1": {"who": "Ada"}})
    assert body["result"]["completedTasks"] == 2
    assert all(set(line) == {"kind", "nodeId", "name", "content"} for line in body["logs"])
    assert [line["name"] for line in body["logs"] if line["nodeId"]] == ["n0", "n1"]


async def _first_run(client: httpx.AsyncClient) -> str:
    async with asyncio.timeout(10):
        while not (items := (await client.get("/runs")).json()["items"]):
            await asyncio.sleep(0.01)
    return str(items[0]["id"])


async def test_execute_answers_202_when_the_run_takes_longer(client: httpx.AsyncClient) -> None:
    workflow_id = await saved(client, chain(1))
    response = await client.post(f"/workflows/{workflow_id}/execute", params={"timeout": 0.05}, json={})
    assert response.status_code == 202
    assert set(response.json()) == {"runId"}
    assert (await client.get(f"/runs/{response.json()['runId']}")).json()["status"] == "running"


async def test_a_run_is_cancelled_once(client: httpx.AsyncClient) -> None:
    workflow_id = await saved(client, chain(2))
    run_id = await started(client, workflow_id)
    response = await client.post(f"/workflows/runs/{run_id}/cancel")
    assert (response.status_code, response.json()) == (201, {"cancelled": True})
    second = await client.post(f"/workflows/{workflow_id}/runs/{run_id}/cancel")
    assert second.status_code == 409
    assert second.json()["error"] == "Conflict"
    seen = (await client.get(f"/runs/{run_id}")).json()
    assert seen["status"] == "cancelled"
    assert (seen["result"]["cancelled"], seen["result"]["cancelledTasks"]) == (True, 2)
    assert [task["status"] for task in seen["tasks"]] == ["cancelled"] * 2
    assert all(task["completedAt"] for task in seen["tasks"])


async def test_a_run_that_ended_is_not_cancelled(client: httpx.AsyncClient, engine: Engine) -> None:
    _, run_id = await finished_run(client, engine, chain(1))
    assert (await client.post(f"/runs/{run_id}/cancel")).status_code == 409


@pytest.mark.parametrize("prefix", ["/workflows/runs", "/runs"])
@pytest.mark.parametrize("what", ["", "/status", "/logs", "/events", "/cancel"])
async def test_an_unknown_run_is_404(client: httpx.AsyncClient, prefix: str, what: str) -> None:
    method = "POST" if what == "/cancel" else "GET"
    response = await client.request(method, f"{prefix}/{uuid4()}{what}")
    assert response.json() == {"message": "Workflow run not found", "error": "Not Found", "statusCode": 404}
    assert (await client.request(method, f"{prefix}/nonsense{what}")).status_code in (404, 422)


@pytest.mark.parametrize("what", ["", "/status", "/logs", "/events", "/cancel"])
async def test_a_run_of_another_workflow_is_404(client: httpx.AsyncClient, what: str) -> None:
    mine, other = await saved(client, chain(1)), await saved(client, chain(1))
    run_id = await started(client, other)
    method = "POST" if what == "/cancel" else "GET"
    assert (await client.request(method, f"/workflows/{mine}/runs/{run_id}{what}")).status_code == 404
    assert (await client.request(method, f"/workflows/{uuid4()}/runs/{run_id}{what}")).status_code == 404
    assert (await client.get(f"/runs/{run_id}")).json()["status"] == "running"


async def test_a_workflow_s_runs_are_listed_newest_first(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id, first = await finished_run(client, engine, chain(1))
    second = await started(client, workflow_id)
    await started(client, await saved(client, chain(1)))
    items = (await client.get(f"/workflows/{workflow_id}/runs")).json()
    assert [item["id"] for item in items] == [second, first]
    assert set(items[0]) == {"id", "status", "startedAt"}
    assert set(items[1]) == {"id", "status", "startedAt", "finishedAt"}
    assert isinstance(items[1]["finishedAt"], int)
    paged = await client.get(f"/workflows/{workflow_id}/runs", params={"limit": 1, "offset": 1})
    assert paged.json() == items[1:]
    assert (await client.get(f"/workflows/{uuid4()}/runs")).status_code == 404


async def test_all_runs_are_listed_and_filtered(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id, done = await finished_run(client, engine, chain(1))
    going = await started(client, await saved(client, chain(1)))

    async def ids(**params: str | int) -> list[str]:
        items = (await client.get("/runs", params=params)).json()["items"]
        return [item["id"] for item in items]

    assert await ids() == [going, done]
    assert await ids(status="succeeded") == [done]
    assert await ids(workflowId=workflow_id) == [done]
    assert await ids(workflowId=workflow_id, status="running") == []
    assert await ids(limit=1) == [going]
    assert await ids(limit=1, offset=1) == [done]


@pytest.mark.parametrize(
    "query",
    ["status=odd", "limit=0", "limit=1001", "offset=-1", "limit=x", "workflowId=1", f"offset={10**30}"],
)
async def test_a_filter_that_is_none_is_422(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/runs?{query}")).status_code == 422


async def test_every_task_of_a_chain_shows_the_input_that_it_got(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    """Also one that was released by counting alone: then no edges are stored with it."""
    workflow_id = await saved(client, workflow([node("a", "noop"), node("b", "noop")], [edge("a", "b")]))
    run_id = await started(client, workflow_id, {"a": 1, "b": 2})
    await finish(engine, run_id)
    tasks = (await client.get(f"/runs/{run_id}")).json()["tasks"]
    assert [task["input"] for task in tasks] == [{"a": 1, "b": 2}] * 2
