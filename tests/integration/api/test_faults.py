"""Servers that are away, addresses that do not exist, and faults of our own."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from headrace.engine import reading
from headrace.errors import InvalidSettings
from support.api import saved, serving, settings_for, started
from support.build import chain
from support.redis_process import redis_process

pytestmark = pytest.mark.anyio

NOWHERE = "postgresql://nobody@127.0.0.1:9/none"
NO_REDIS = "redis://127.0.0.1:9/0"
SOME_ID = "0190a1b2-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/workflows"),
        ("POST", "/workflows"),
        ("GET", f"/workflows/{SOME_ID}"),
        ("POST", f"/workflows/{SOME_ID}/execute-async"),
        ("GET", f"/runs/{SOME_ID}"),
        ("GET", f"/runs/{SOME_ID}/events"),
        ("POST", f"/runs/{SOME_ID}/cancel"),
        ("GET", "/workers"),
        ("GET", "/api-templates"),
    ],
)
async def test_postgres_away_is_503(redis_url: str, method: str, path: str) -> None:
    async with serving(settings_for(NOWHERE, redis_url)) as client:
        body = chain(1) if path == "/workflows" and method == "POST" else {}
        response = await client.request(method, path, json=body if method == "POST" else None)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    body = response.json()
    assert body["message"].startswith("PostgreSQL does not answer")
    assert (body["error"], body["statusCode"]) == ("Service Unavailable", 503)


async def test_postgres_away_leaves_the_process_alive_but_not_ready(redis_url: str) -> None:
    async with serving(settings_for(NOWHERE, redis_url)) as client:
        assert (await client.get("/health")).status_code == 200
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert [check["name"] for check in ready.json()["checks"]] == ["postgres"]
        assert 'headrace_up{server="postgres"} 0.0' in (await client.get("/metrics")).text


async def test_redis_away_does_not_refuse_a_run(database_url: str) -> None:
    async with serving(settings_for(database_url, NO_REDIS)) as client:
        workflow_id = await saved(client, chain(1))
        run_id = await started(client, workflow_id)
        assert (await client.get(f"/runs/{run_id}")).json()["status"] == "running"
        assert (await client.post(f"/runs/{run_id}/cancel")).status_code == 201
        queues = await client.get("/queues")
        assert (queues.status_code, queues.json()["error"]) == (503, "Service Unavailable")
        assert "Retry-After" in queues.headers
        assert 'headrace_up{server="redis"} 0.0' in (await client.get("/metrics")).text
        assert (await client.get("/rq/0/data/queues.json")).status_code == 503


async def test_redis_that_comes_back_is_used_again(database_url: str, tmp_path: Path) -> None:
    with redis_process(tmp_path) as redis:
        async with serving(settings_for(database_url, redis.url)) as client:
            workflow_id = await saved(client, chain(1))
            redis.kill()
            await started(client, workflow_id)
            redis.start()
            await started(client, workflow_id)
            queues = (await client.get("/queues")).json()["items"]
    assert {queue["name"]: queue["queued"] for queue in queues} == {
        "workflow-tasks-critical": 0,
        "workflow-tasks-high": 0,
        "workflow-tasks": 1,
        "workflow-tasks-low": 0,
        "workflow-dependencies": 0,
    }


@pytest.mark.parametrize("path", ["/nowhere", "/workflows/runs/x/y/z", "/workflows/api/mock/nothing"])
async def test_an_unknown_path_is_404(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.json() == {"message": "Not Found", "error": "Not Found", "statusCode": 404}


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/workflows"), ("PUT", "/health"), ("POST", "/runs"), ("PATCH", "/queues")],
)
async def test_a_wrong_method_is_405(client: httpx.AsyncClient, method: str, path: str) -> None:
    response = await client.request(method, path)
    assert response.status_code == 405
    assert response.json()["error"] == "Method Not Allowed"
    assert response.headers["Allow"]


async def test_a_fault_of_ours_says_nothing_of_itself(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(reading, "workflow_lines", broken)
    response = await client.get("/workflows")
    assert response.status_code == 500
    assert response.json() == {
        "message": "Internal server error",
        "error": "Internal Server Error",
        "statusCode": 500,
    }


async def test_a_client_s_nul_in_a_query_is_its_own_fault(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api-templates?provider=%00")).status_code == 422


@pytest.mark.parametrize(("postgres", "redis"), [("", NO_REDIS), (NOWHERE, "")])
async def test_it_does_not_serve_without_its_servers(postgres: str, redis: str) -> None:
    with pytest.raises(InvalidSettings, match="must be set"):
        async with serving(settings_for(postgres, redis)):
            pass
