"""Why runs and tasks do not go on, over HTTP."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest

from headrace.engine.program import Engine
from support.api import finish, finished_run, saved, serving, settings_for, started
from support.build import chain, edge, node, workflow

pytestmark = pytest.mark.anyio

APPROVED = workflow(
    [node("approve", "waitSignal", config={"name": "go"}), node("other"), node("pay")],
    [edge("approve", "pay")],
)


async def test_every_address_of_a_run_explains_it(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, APPROVED)
    run_id = await started(client, workflow_id)
    await finish(engine, run_id, roots=2)
    below = f"/workflows/{workflow_id}/runs/{run_id}/explain"
    answers = [
        (await client.get(address)).json()
        for address in (below, f"/workflows/runs/{run_id}/explain", f"/runs/{run_id}/explain")
    ]
    assert answers[0] == answers[1] == answers[2]
    seen = answers[0]
    assert (seen["runId"], seen["status"], seen["hasMore"]) == (run_id, "running", False)
    assert seen["text"] == "waits for node approve, which waits for signal go"
    assert [task["nodeId"] for task in seen["tasks"]] == ["approve", "pay"]
    (cause,) = seen["tasks"][1]["causes"]
    assert (cause["kind"], cause["nodeId"]) == ("node", "approve")
    (root,) = cause["causes"]
    assert (root["kind"], root["details"]) == ("signal", {"name": "go", "waitsFor": "signal"})
    assert (root["since"], root["until"], root["causes"]) == (None, None, [])


async def test_one_node_is_explained_alone(client: httpx.AsyncClient) -> None:
    run_id = await started(client, await saved(client, chain(3)))
    seen = (await client.get(f"/runs/{run_id}/explain", params={"node": "n1"})).json()
    assert [task["nodeId"] for task in seen["tasks"]] == ["n1"]


async def test_an_unknown_node_is_not_found(client: httpx.AsyncClient) -> None:
    run_id = await started(client, await saved(client, chain(1)))
    answer = await client.get(f"/runs/{run_id}/explain?node=zz")
    assert (answer.status_code, answer.json()["message"]) == (404, "The run has no node 'zz'")
    inner = await client.get(f"/runs/{run_id}/explain", params={"node": "each[3]/pay"})
    assert inner.json()["message"].startswith("The run has no node 'each[3]/pay': ask the child run")
    assert (await client.get(f"/runs/{uuid4()}/explain?node=n0")).json()[
        "message"
    ] == "Workflow run not found"


async def test_a_node_that_is_asked_for_is_told_also_when_it_has_ended(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    _, run_id = await finished_run(client, engine, chain(1))
    (task,) = (await client.get(f"/runs/{run_id}/explain?node=n0")).json()["tasks"]
    assert (task["status"], task["text"]) == ("completed", "completed")


async def test_what_rq_knows_is_looked_up(client: httpx.AsyncClient) -> None:
    run_id = await started(client, await saved(client, chain(1)))
    text = (await client.get(f"/runs/{run_id}/explain")).json()["tasks"][0]["text"]
    assert text.endswith(": no worker listens on workflow-tasks")


async def test_without_redis_postgres_explains(database_url: str) -> None:
    async with serving(settings_for(database_url, "redis://127.0.0.1:9/0")) as client:
        run_id = await started(client, await saved(client, chain(1)))
        text = (await client.get(f"/runs/{run_id}/explain")).json()["tasks"][0]["text"]
    assert text.endswith(": no worker process of Headrace listens on workflow-tasks")


async def test_there_must_be_such_a_run(client: httpx.AsyncClient, engine: Engine) -> None:
    assert (await client.get(f"/runs/{uuid4()}/explain")).status_code == 404
    other = await saved(client, chain(1))
    _, run_id = await finished_run(client, engine, chain(1))
    assert (await client.get(f"/workflows/{other}/runs/{run_id}/explain")).status_code == 404
    ended = (await client.get(f"/runs/{run_id}/explain")).json()
    assert (ended["status"], ended["text"], ended["causes"], ended["tasks"]) == ("succeeded", "", [], [])


async def test_a_run_s_status_explains_what_has_not_ended(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await started(client, await saved(client, APPROVED))
    await finish(engine, run_id, roots=2)
    tasks = {task["nodeId"]: task for task in (await client.get(f"/runs/{run_id}")).json()["tasks"]}
    assert {name: task["explanation"] for name, task in tasks.items()} == {
        "approve": "waits for signal go",
        "pay": "waits for node approve, which waits for signal go",
        "other": None,
    }
