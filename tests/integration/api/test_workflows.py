"""Saving, reading and deleting workflows over HTTP."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest

from headrace.engine.program import Engine
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.validate import Limits
from support.api import finish, saved, started
from support.build import chain, edge, node, workflow

pytestmark = pytest.mark.anyio

FLAT = chain(2) | {"name": "Two"}
WIRE: JsonObject = {
    "name": "Two",
    "workflow": {
        "nodes": [
            {
                "id": name,
                "base": {
                    "id": name,
                    "type": "notification",
                    "name": name,
                    "inputSchema": {},
                    "outputSchema": {},
                    "config": {"template": name},
                    "connections": [],
                },
                "position": {"x": 0, "y": 0},
            }
            for name in ("n0", "n1")
        ],
        "edges": [{"id": "n0->n1", "sourceId": "n0", "targetId": "n1"}],
    },
}


def bare(document: JsonObject) -> JsonObject:
    """The wire form without the envelope."""
    inner = document["workflow"]
    assert isinstance(inner, dict)
    return inner | {"name": document["name"], "id": "ignored", "createdAt": 1, "updatedAt": 2}


@pytest.mark.parametrize("document", [FLAT, WIRE, bare(WIRE)], ids=["flat", "wrapped", "wire"])
async def test_every_form_is_stored_in_the_wire_form(client: httpx.AsyncClient, document: JsonObject) -> None:
    response = await client.post("/workflows", json=document)
    assert response.status_code == 201
    body = response.json()
    assert body.pop("warnings") == []
    assert set(body) == {"id", "name", "project", "version", "nodes", "edges", "createdAt", "updatedAt"}
    assert (body["name"], body["version"]) == ("Two", 1)
    assert [one["base"]["id"] for one in body["nodes"]] == ["n0", "n1"]
    assert body["edges"] == [{"id": "n0->n1", "sourceId": "n0", "targetId": "n1"}]
    assert isinstance(body["updatedAt"], int)
    assert (await client.get(f"/workflows/{body['id']}")).json() == body


async def test_options_of_a_workflow_are_kept(client: httpx.AsyncClient) -> None:
    document = FLAT | {"onFailure": "fail_fast", "outputs": {"who": "${input.who?}"}}
    workflow_id = await saved(client, document)
    body = (await client.get(f"/workflows/{workflow_id}")).json()
    assert (body["onFailure"], body["outputs"]) == ("fail_fast", {"who": "${input.who?}"})


async def test_the_list_has_the_last_changed_first(client: httpx.AsyncClient) -> None:
    first = await saved(client, FLAT | {"name": "first"})
    await saved(client, FLAT | {"name": "second"})
    await client.put(f"/workflows/{first}", json=FLAT | {"name": "first again"})
    lines = (await client.get("/workflows")).json()
    assert [line["name"] for line in lines] == ["first again", "second"]
    assert all(set(line) == {"id", "name", "project", "version", "updatedAt"} for line in lines)
    paged = (await client.get("/workflows", params={"limit": 1, "offset": 1})).json()
    assert paged == lines[1:]


@pytest.mark.parametrize("document", [FLAT, WIRE, bare(WIRE)], ids=["flat", "wrapped", "wire"])
async def test_an_update_is_a_next_version(client: httpx.AsyncClient, document: JsonObject) -> None:
    workflow_id = await saved(client, chain(5))
    response = await client.put(f"/workflows/{workflow_id}", json=document)
    assert response.status_code == 200
    assert response.json()["version"] == 2
    assert len(response.json()["nodes"]) == 2


async def test_a_workflow_is_deleted_once(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, FLAT)
    run_id = await started(client, workflow_id)
    busy = await client.delete(f"/workflows/{workflow_id}")
    assert busy.status_code == 409
    await finish(engine, run_id)
    gone = await client.delete(f"/workflows/{workflow_id}")
    assert (gone.status_code, gone.json()) == (200, {"deleted": True})
    assert (await client.delete(f"/workflows/{workflow_id}")).status_code == 404
    assert (await client.get(f"/workflows/runs/{run_id}/status")).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_an_unknown_workflow_is_404(client: httpx.AsyncClient, method: str) -> None:
    body = FLAT if method == "PUT" else None
    response = await client.request(method, f"/workflows/{uuid4()}", json=body)
    assert response.status_code == 404
    assert response.json() == {"message": "Workflow not found", "error": "Not Found", "statusCode": 404}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_an_id_that_is_none_is_422(client: httpx.AsyncClient, method: str) -> None:
    body = FLAT if method == "PUT" else None
    response = await client.request(method, "/workflows/nonsense", json=body)
    assert response.status_code == 422
    assert response.json()["details"][0]["path"] == "path.workflow_id"


CYCLE = workflow([node("a"), node("b")], [edge("a", "b"), edge("b", "a")])
BAD: dict[str, tuple[JsonObject, list[str]]] = {
    "nothing at all": ({}, ["name", "nodes"]),
    "no nodes": (workflow([], []), ["nodes"]),
    "no name": ({**chain(1), "name": " "}, ["name"]),
    "cycle": (CYCLE, ["edges"]),
    "dangling": (workflow([node("a")], [edge("a", "b")]), ["edges[0].target"]),
    "duplicate": (workflow([node("a"), node("a")], []), ["nodes[0].id", "nodes[1].id"]),
    "unknown type": (workflow([node("a", "magic")], []), ["nodes[0].type"]),
    "too many nodes": (
        workflow([node(f"n{number}") for number in range(Limits().nodes + 1)], []),
        ["nodes"],
    ),
    "nodes no list": ({"name": "x", "nodes": "none"}, ["nodes"]),
    "all at once": (
        {"nodes": [node("a", "magic"), node("b"), node("b")], "edges": [edge("a", "z")]},
        ["edges[0].target", "name", "nodes[0].type", "nodes[1].id", "nodes[2].id"],
    ),
}


@pytest.mark.parametrize(("document", "paths"), BAD.values(), ids=BAD)
async def test_a_bad_definition_names_every_problem_and_stores_nothing(
    client: httpx.AsyncClient, document: JsonObject, paths: list[str]
) -> None:
    response = await client.post("/workflows", json=document)
    assert response.status_code == 422, response.text
    body = response.json()
    assert (body["error"], body["statusCode"]) == ("Unprocessable Entity", 422)
    assert sorted(problem["path"] for problem in body["details"]) == paths
    assert all(problem["message"] for problem in body["details"])
    assert (await client.get("/workflows")).json() == []


async def test_a_bad_update_leaves_the_workflow_as_it_is(client: httpx.AsyncClient) -> None:
    workflow_id = await saved(client, FLAT)
    assert (await client.put(f"/workflows/{workflow_id}", json=CYCLE)).status_code == 422
    assert (await client.get(f"/workflows/{workflow_id}")).json()["version"] == 1


async def test_problems_are_named_where_the_client_wrote_them(client: httpx.AsyncClient) -> None:
    inner: JsonValue = {"nodes": [node("a", "magic")], "edges": []}
    response = await client.post("/workflows", json={"name": "x" * 300, "workflow": inner})
    assert [problem["path"] for problem in response.json()["details"]] == ["name"]
    response = await client.post("/workflows", json={"name": "x", "workflow": inner})
    assert [problem["path"] for problem in response.json()["details"]] == ["workflow.nodes[0].type"]


async def test_node_types_come_with_the_schema_of_their_config(client: httpx.AsyncClient) -> None:
    items = (await client.get("/node-types")).json()["items"]
    by_type = {item["type"]: item for item in items}
    assert {"inputText", "decision", "ifElse", "apiCall", "notification", "delay"} <= set(by_type)
    assert by_type["ifElse"]["branches"] == ["out-true", "out-false"]
    assert by_type["ifElse"]["name"] == "If else"
    assert "template" in by_type["notification"]["configSchema"]["properties"]
    assert all(item["group"] and item["description"] for item in items)
