"""API templates over HTTP."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest

from headrace.graph.json_types import JsonObject

pytestmark = pytest.mark.anyio

TICKET: JsonObject = {
    "name": "Create ticket",
    "provider": "zendesk",
    "category": "crm",
    "method": "POST",
    "url": "https://api.example.com/tickets",
    "headers": [{"id": "1", "key": "X-Key", "value": "{{key}}", "enabled": True}],
    "bodyTemplate": '{"title": "{{title}}"}',
    "tags": ["support"],
}


@pytest.fixture
async def mine(client: httpx.AsyncClient) -> JsonObject:
    response = await client.post("/api-templates", json=TICKET)
    assert response.status_code == 201, response.text
    body: JsonObject = response.json()
    return body


async def test_a_template_of_one_s_own_is_kept(client: httpx.AsyncClient, mine: JsonObject) -> None:
    assert {key: mine[key] for key in TICKET} == TICKET
    assert (mine["isCustom"], mine["isActive"], mine["timeoutMs"]) == (True, True, 10_000)
    assert mine["expectedStatusCodes"] == [200, 201, 202, 204]
    assert (await client.get(f"/api-templates/{mine['id']}")).json() == mine


async def test_templates_are_filtered_and_grouped(client: httpx.AsyncClient, mine: JsonObject) -> None:
    async def names(**params: str) -> list[str]:
        return [one["name"] for one in (await client.get("/api-templates", params=params)).json()]

    assert await names(provider="zendesk") == ["Create ticket"]
    assert "Create ticket" in await names(category="crm")
    assert await names(provider="zendesk", category="email") == []
    grouped = (await client.get("/api-templates/grouped")).json()
    assert grouped["zendesk"] == {"crm": [mine]}


async def test_a_change_leaves_the_rest(client: httpx.AsyncClient, mine: JsonObject) -> None:
    response = await client.put(f"/api-templates/{mine['id']}", json={"category": "support", "timeoutMs": 5})
    assert response.status_code == 200
    changed = response.json()
    assert {**mine, "category": "support", "timeoutMs": 5, "updatedAt": changed["updatedAt"]} == changed
    assert changed["updatedAt"] > mine["updatedAt"]


async def test_a_deleted_template_is_gone(client: httpx.AsyncClient, mine: JsonObject) -> None:
    url = f"/api-templates/{mine['id']}"
    response = await client.delete(url)
    assert (response.status_code, response.json()) == (200, {"success": True})
    assert [one for one in (await client.get("/api-templates")).json() if one["id"] == mine["id"]] == []
    for method in ("GET", "PUT", "DELETE"):
        gone = await client.request(method, url, json={} if method == "PUT" else None)
        assert (gone.status_code, gone.json()["message"]) == (404, "API template not found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_an_unknown_template_is_404(client: httpx.AsyncClient, method: str) -> None:
    body = {} if method == "PUT" else None
    assert (await client.request(method, f"/api-templates/{uuid4()}", json=body)).status_code == 404
    assert (await client.request(method, "/api-templates/nonsense", json=body)).status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": None},
        {"method": "FETCH"},
        {"timeoutMs": 0},
        {"expectedStatusCodes": [99]},
        {"headers": "none"},
        {"odd": 1},
        {"url": "x" * 10_001},
        {"sampleResponse": {"a": "\x00"}},
    ],
    ids=str,
)
async def test_a_bad_template_is_422(client: httpx.AsyncClient, mine: JsonObject, change: JsonObject) -> None:
    assert (await client.post("/api-templates", json=TICKET | change)).status_code == 422
    assert (await client.put(f"/api-templates/{mine['id']}", json=change)).status_code == 422
