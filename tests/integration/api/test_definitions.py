"""Definitions over HTTP: warnings, checking without saving, YAML."""

from __future__ import annotations

import httpx
import pytest

from headrace.engine.program import Engine
from headrace.graph.json_types import JsonObject
from support.api import finish, started
from support.build import chain, edge, if_else, node, workflow

pytestmark = pytest.mark.anyio

DEAD = workflow(
    [if_else("if", "x", 1), node("join", join="all_success")],
    [edge("if", "join", "out-true"), edge("if", "join", "out-false")],
)
WARNING = {
    "path": "nodes[1].join",
    "message": "node 'join' can never run",
    "hint": "its in-edges are never taken together; join 'all' runs it when one is taken and none failed",
}
YAML = """
name: Ask
nodes:
  - {id: ask, type: apiCall}
  - {id: tell, type: notification, config: {template: No answer}}
edges:
  - {source: ask, target: tell, on: failure}
"""


async def test_saving_warns(client: httpx.AsyncClient) -> None:
    saved = await client.post("/workflows", json=DEAD)
    assert saved.status_code == 201
    assert saved.json()["warnings"] == [WARNING]
    path = f"/workflows/{saved.json()['id']}"
    again = await client.put(path, json=saved.json())
    assert (again.status_code, again.json()["warnings"], again.json()["version"]) == (200, [WARNING], 2)
    assert "warnings" not in (await client.get(path)).json()
    mended = await client.put(path, json=chain(2))
    assert mended.json()["warnings"] == []


@pytest.mark.parametrize("under", ["workflow", "definition"])
async def test_warnings_name_the_place_where_the_client_wrote(client: httpx.AsyncClient, under: str) -> None:
    body: JsonObject = {"name": "dead", under: {"nodes": DEAD["nodes"], "edges": DEAD["edges"]}}
    for path in ("/workflows", "/workflows/validate"):
        warnings = (await client.post(path, json=body)).json()["warnings"]
        assert warnings == [WARNING | {"path": f"{under}.nodes[1].join"}]


async def test_checking_saves_nothing(client: httpx.AsyncClient) -> None:
    good = await client.post("/workflows/validate", json=chain(2))
    assert (good.status_code, good.json()) == (200, {"valid": True, "problems": [], "warnings": []})
    odd = await client.post("/workflows/validate", json=DEAD)
    assert odd.json() == {"valid": True, "problems": [], "warnings": [WARNING]}
    bad = await client.post("/workflows/validate", json={"nodes": [node("a", "nonsense")]})
    assert (bad.status_code, bad.json()["valid"], bad.json()["warnings"]) == (200, False, [])
    assert [one["path"] for one in bad.json()["problems"]] == ["name", "nodes[0].type"]
    misshapen = await client.post("/workflows/validate", json={"name": "x", "workflow": {"nodes": [{}]}})
    assert {one["path"] for one in misshapen.json()["problems"]} == {
        "workflow.nodes[0].id",
        "workflow.nodes[0].type",
    }
    assert (await client.get("/workflows")).json() == []


@pytest.mark.parametrize("kind", ["application/yaml", "text/yaml; charset=utf-8", "application/X-YAML"])
async def test_yaml(client: httpx.AsyncClient, kind: str) -> None:
    headers = {"Content-Type": kind}
    saved = await client.post("/workflows", content=YAML, headers=headers)
    assert saved.status_code == 201, saved.text
    assert saved.json()["edges"][0]["on"] == "failure"
    changed = await client.put(
        f"/workflows/{saved.json()['id']}", content=YAML.replace("Ask", "Asked", 1), headers=headers
    )
    assert (changed.json()["name"], changed.json()["version"]) == ("Asked", 2)
    checked = await client.post("/workflows/validate", content=YAML, headers=headers)
    assert checked.json()["valid"] is True


async def test_bad_yaml_is_422_and_says_where(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/yaml"}
    twice = await client.post("/workflows", content="name: a\nname: b", headers=headers)
    assert twice.status_code == 422
    assert twice.json() == {
        "message": "This is not YAML that can be read",
        "error": "Unprocessable Entity",
        "statusCode": 422,
        "details": [{"path": "", "message": "line 2, column 1: the key 'name' is there twice"}],
    }
    text = await client.post("/workflows", content="just a text", headers=headers)
    assert text.status_code == 422
    wrong = await client.post("/workflows", content=YAML.replace("failure", "no"), headers=headers)
    assert wrong.json()["details"][0]["path"] == "edges[0].on"


async def test_yaml_elsewhere_stays_what_it_is(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/yaml"}
    saved = await client.post("/workflows", json=chain(1))
    run = f"/workflows/{saved.json()['id']}/execute-async"
    assert (await client.post(run, content="input: 1", headers=headers)).status_code == 422


async def test_a_large_yaml_body_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/yaml"}
    large = b"name: " + b"x" * (32 * 1024 * 1024)
    assert (await client.post("/workflows", content=large, headers=headers)).status_code == 413


async def test_the_schema_says_that_yaml_is_read(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    for path, method in (("/workflows", "post"), ("/workflows/{workflow_id}", "put")):
        assert set(paths[path][method]["requestBody"]["content"]) == {"application/json", "application/yaml"}


OLD: JsonObject = {
    "name": "Old",
    "graph_config": {
        "nodes": [
            {"node_id": "t", "node_type": "trigger", "config": {"trigger_type": "manual"}},
            {
                "node_id": "double",
                "node_type": "map",
                "config": {"input_array": "${amounts}", "map_expression": "x => x * 2"},
            },
            {"node_id": "many", "node_type": "condition", "config": {"condition": "${limit} < 5"}},
            {"node_id": "yes", "node_type": "notification", "config": {"message": "few", "channel": "email"}},
            {"node_id": "no", "node_type": "notification", "config": {"message": "many"}},
        ],
        "edges": [
            {"from": "t", "to": "double"},
            {"from": "double", "to": "many"},
            {"from": "many", "to": "yes", "branch": "true"},
            {"from": "many", "to": "no", "branch": "false"},
        ],
        "entry_node_id": "t",
    },
}
IMPORT = "/workflows/import?format=graph_config"


async def test_an_imported_workflow_runs(client: httpx.AsyncClient, engine: Engine) -> None:
    imported = await client.post(IMPORT, json=OLD)
    assert imported.status_code == 201, imported.text
    body = imported.json()
    assert (body["name"], body["version"], body["warnings"]) == ("Old", 1, [])
    assert [one["path"] for one in body["notes"]] == ["graph_config.nodes[3].config.channel"]
    run_id = await started(client, body["id"], {"amounts": [1, 2, 3], "limit": 9})
    await finish(engine, run_id)
    run = (await client.get(f"/runs/{run_id}")).json()
    assert run["status"] == "succeeded"
    statuses = {one["nodeId"]: one["status"] for one in run["tasks"]}
    assert statuses == {
        "t": "completed",
        "double": "completed",
        "many": "completed",
        "yes": "skipped",
        "no": "completed",
    }
    assert next(one["output"] for one in run["tasks"] if one["nodeId"] == "double") == [2, 4, 6]


async def test_what_cannot_be_imported_says_all_and_where(client: httpx.AsyncClient) -> None:
    nodes: list[JsonObject] = [
        {"node_id": "t", "node_type": "trigger", "config": {}},
        {"node_id": "c", "node_type": "code", "config": {"code": "print(1)"}},
    ]
    edges: list[JsonObject] = [{"from": "t", "to": "c", "branch": "up"}]
    refused = await client.post(IMPORT, json={"name": "x", "graph_config": {"nodes": nodes, "edges": edges}})
    assert refused.status_code == 422
    paths = [one["path"] for one in refused.json()["details"]]
    assert paths == ["graph_config.nodes[1].node_type", "graph_config.edges[0].branch"]
    nodes[1]["node_type"], nodes[1]["config"] = "trigger", {"trigger_type": "luck"}
    del edges[0]["branch"]
    refused = await client.post(IMPORT, json={"name": "x", "graph_config": {"nodes": nodes, "edges": edges}})
    assert [one["path"] for one in refused.json()["details"]] == ["graph_config.nodes[1].config.triggerType"]
    nameless = await client.post(IMPORT, json={"nodes": nodes[:1]})
    assert [one["path"] for one in nameless.json()["details"]] == ["name"]
    unknown = await client.post("/workflows/import?format=bpmn", json=OLD)
    assert unknown.status_code == 422
    assert (await client.get("/workflows")).json() == []


async def test_warnings_on_what_was_imported_name_the_original(client: httpx.AsyncClient) -> None:
    nodes: list[JsonObject] = [
        {"node_id": "c", "node_type": "if", "config": {"condition": "a == 1"}},
        {"node_id": "yes", "node_type": "set_variable", "config": {"variable_name": "v"}},
        {"node_id": "no", "node_type": "set_variable", "config": {"variable_name": "v"}},
        {
            "node_id": "both",
            "node_type": "notification",
            "config": {"parallel_wait_mode": "n_of_m", "parallel_wait_n": 2},
        },
    ]
    edges: list[JsonObject] = [
        {"from": "c", "to": "yes", "branch": "true"},
        {"from": "c", "to": "no", "branch": "false"},
        {"from": "yes", "to": "both"},
        {"from": "no", "to": "both"},
    ]
    graph: JsonObject = {"nodes": list(nodes), "edges": list(edges)}
    imported = await client.post(IMPORT, json={"name": "x", "graph_config": graph})
    assert [one["path"] for one in imported.json()["warnings"]] == ["graph_config.nodes[3].join"]
