"""Maps, loops and sub-workflows over HTTP: what a run shows of them."""

from __future__ import annotations

import httpx
import pytest

from headrace.engine.program import Engine
from headrace.graph.json_types import JsonObject, JsonValue
from support.api import finish, finished_run, saved, started
from support.build import chain, node, workflow
from support.family import a_loop, a_map, call

pytestmark = pytest.mark.anyio

SAY: JsonObject = {"type": "notification", "config": {"template": "{{item}}"}}


async def test_a_run_lists_the_tasks_of_its_maps_and_loops(client: httpx.AsyncClient, engine: Engine) -> None:
    loop = a_loop("loop", a_map("inner", SAY, items=["x", "y"]), **{"for": 2})
    document = workflow([a_map("map", SAY, items=["a", "b", "c"]), loop], [])
    workflow_id = await saved(client, document)
    run_id = await started(client, workflow_id)
    await finish(engine, run_id, roots=2)
    seen = (await client.get(f"/runs/{run_id}")).json()
    tasks = {task["nodeId"]: task for task in seen["tasks"]}
    assert list(tasks) == [
        *("map", "loop", "map[0]/body", "map[1]/body", "map[2]/body", "loop[0]/inner", "loop[1]/inner"),
        *("loop[0]/inner[0]/body", "loop[0]/inner[1]/body", "loop[1]/inner[0]/body", "loop[1]/inner[1]/body"),
    ]
    assert tasks["map"]["children"] == {"succeeded": 3}
    assert tasks["map[1]/body"]["input"] == {"item": "b", "index": 1}
    assert "children" not in tasks["map[1]/body"]


async def test_many_tasks_are_counted_and_not_listed(
    client: httpx.AsyncClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.engine.inner.MOST", 2)
    _, run_id = await finished_run(client, engine, workflow([a_map("map", SAY, items=[1, 2, 3])], []))
    (task,) = (await client.get(f"/runs/{run_id}")).json()["tasks"]
    assert task["children"] == {"succeeded": 3}


async def test_children_have_pages_and_bodies_are_no_runs_of_their_own(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    await saved(client, chain(1) | {"name": "child"})
    document = workflow([a_map("map", SAY, items=[1, 2, 3])], [])
    workflow_id, run_id = await finished_run(client, engine, document)
    page = (await client.get(f"/runs/{run_id}/children", params={"limit": 2, "offset": 1})).json()["items"]
    assert [(one["childIndex"], one["parentRunId"]) for one in page] == [(1, run_id), (2, run_id)]
    assert (await client.get(f"/runs/{run_id}/children", params={"status": "failed"})).json() == {"items": []}
    listed = (await client.get("/runs")).json()["items"]
    assert [one["id"] for one in listed] == [run_id]
    assert len((await client.get(f"/workflows/{workflow_id}/runs")).json()) == 1


async def test_a_sub_workflow_is_a_run_with_a_parent(client: httpx.AsyncClient, engine: Engine) -> None:
    child_id = await saved(client, chain(1) | {"name": "child"})
    _, run_id = await finished_run(client, engine, workflow([call("call", "child")], []))
    child, parent = (await client.get("/runs")).json()["items"]
    assert (child["workflowId"], child["parentRunId"], parent["id"]) == (child_id, run_id, run_id)
    assert parent["parentRunId"] is None
    (task,) = (await client.get(f"/runs/{run_id}")).json()["tasks"]
    assert (task["nodeId"], task["children"]) == ("call", {"succeeded": 1})


async def test_logs_and_events_with_those_of_the_children(client: httpx.AsyncClient, engine: Engine) -> None:
    _, run_id = await finished_run(client, engine, workflow([a_map("map", SAY, items=["a", "b"])], []))
    own = (await client.get(f"/runs/{run_id}/logs")).json()["logs"]
    of_all = (await client.get(f"/runs/{run_id}/logs", params={"children": True})).json()["logs"]
    assert [line["message"] for line in own if line["kind"] == "notification"] == []
    said = [line["message"].rpartition(" ")[2] for line in of_all if line["kind"] == "notification"]
    assert sorted(said) == ["a", "b"]
    own_events = (await client.get(f"/runs/{run_id}/events")).text
    all_events = (await client.get(f"/runs/{run_id}/events", params={"children": True})).text
    assert own_events.count("event: run.succeeded") == 1
    assert all_events.count("event: run.succeeded") == 3
    assert all_events.rstrip().endswith('{"status":"succeeded"}')


async def test_problems_of_a_body_are_told_with_their_path(client: httpx.AsyncClient) -> None:
    body: JsonObject = {"nodes": [node("x", "nothing")], "edges": []}
    answer = await client.post(
        "/workflows", json=workflow([a_map("map", body), node("call", "subWorkflow")], [])
    )
    assert answer.status_code == 422
    paths = [problem["path"] for problem in answer.json()["details"]]
    assert paths == ["nodes[0].config.body.nodes[0].type", "nodes[1].config.workflow"]


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        ({}, "for", "nothing says when it is enough"),
        ({"for": 101}, "for", "101 is more than maxIterations, 100"),
        ({"for": "7", "maxIterations": 6}, "for", "7 is more than maxIterations, 6"),
        ({"for": "often"}, "for", "'often' is no number of times"),
        ({"for": 3, "until": {"var": "last"}}, "", "has more than one of `for`, `while` and `until`"),
    ],
)
async def test_a_loop_without_a_sensible_end_is_not_saved(
    client: httpx.AsyncClient, config: JsonObject, path: str, message: str
) -> None:
    answer = await client.post("/workflows", json=workflow([a_loop("loop", node("x"), **config)], []))
    assert answer.status_code == 422
    (problem,) = answer.json()["details"]
    assert problem["path"].rstrip(".") == f"nodes[0].config.{path}".rstrip(".")
    assert problem["message"] == message


@pytest.mark.parametrize("items", ["orders", [1, 2, 3]])
async def test_a_map_over_no_list_or_too_long_a_list_is_not_saved(
    client: httpx.AsyncClient, items: JsonValue
) -> None:
    document = workflow([a_map("map", node("x"), items=items, maxItems=2)], [])
    answer = await client.post("/workflows", json=document)
    assert answer.status_code == 422
    (problem,) = answer.json()["details"]
    assert problem["path"] == "nodes[0].config.items"
    expected = "3 items are more than maxItems, 2" if isinstance(items, list) else "'orders' is no list"
    assert problem["message"].startswith(expected)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([1, 2, 3], "3 items are more than maxItems, 2"),
        ({"a": 1}, "the items are no list but an object"),
        ("a,b", "the items are no list but a text"),
        (None, "the items are no list but null"),
    ],
)
async def test_items_that_show_only_as_the_run_goes_on_fail_the_map_with_a_reason(
    client: httpx.AsyncClient, engine: Engine, items: JsonValue, message: str
) -> None:
    document = workflow([a_map("map", node("x"), items="${items}", maxItems=2)], [])
    run_id = await started(client, await saved(client, document), {"items": items})
    await finish(engine, run_id)
    (task,) = (await client.get(f"/runs/{run_id}")).json()["tasks"]
    assert (task["status"], task["errorDetails"]["message"]) == ("failed", message)
