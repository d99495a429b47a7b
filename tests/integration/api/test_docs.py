"""The API describes itself."""

from __future__ import annotations

import httpx
import pytest

pytestmark = pytest.mark.anyio

PROMISED = [
    "GET /health",
    "GET /workflows",
    "POST /workflows",
    "GET /workflows/{workflow_id}",
    "PUT /workflows/{workflow_id}",
    "DELETE /workflows/{workflow_id}",
    "POST /workflows/{workflow_id}/execute",
    "POST /workflows/{workflow_id}/execute-async",
    "POST /workflows/{workflow_id}/trigger",
    "GET /workflows/{workflow_id}/runs",
    "GET /workflows/runs/{run_id}/status",
    "GET /workflows/{workflow_id}/runs/{run_id}/status",
    "GET /workflows/{workflow_id}/runs/{run_id}",
    "GET /workflows/runs/{run_id}/logs",
    "GET /workflows/{workflow_id}/runs/{run_id}/logs",
    "POST /workflows/runs/{run_id}/cancel",
    "POST /workflows/{workflow_id}/runs/{run_id}/cancel",
    "GET /workflows/{workflow_id}/runs/{run_id}/events",
    "GET /workflows/api/test-weather",
    "GET /runs",
    "GET /api-templates",
    "GET /api-templates/grouped",
    "GET /node-types",
    "GET /workers",
    "PUT /workers/desired",
    "GET /queues",
    "GET /metrics",
    "GET /readyz",
]


async def test_every_promised_operation_is_described(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in paths.items()
        for method, operation in methods.items()
    }
    assert set(PROMISED) <= set(operations)
    for name, operation in operations.items():
        assert operation["tags"], name
        assert operation.get("description"), name
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)


async def test_a_workflow_has_examples_that_can_be_saved(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    body = document["paths"]["/workflows"]["post"]["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        assert (await client.post("/workflows", json=example["value"])).status_code == 201


async def test_people_find_the_way(client: httpx.AsyncClient) -> None:
    assert (await client.get("/docs")).status_code == 200
    links = (await client.get("/")).json()
    for name, path in links.items():
        if path.startswith("/"):
            assert (await client.get(path, follow_redirects=True)).status_code == 200, name
    health = (await client.get("/health")).json()
    assert (health["status"], health["service"]) == ("ok", "headrace")
    assert health["timestamp"].endswith("Z")


async def test_the_mock_endpoints_are_here(client: httpx.AsyncClient) -> None:
    weather = (await client.get("/workflows/api/test-weather", params={"city": "dubai"})).json()
    assert weather["city"].lower() == "dubai"
