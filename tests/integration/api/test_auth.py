"""Keys, roles and origins."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import httpx
import pytest

from headrace.api.auth import Role, needed_role, read_keys, require_safe
from headrace.api.main import create_app
from headrace.errors import InvalidSettings
from support.api import saved, serving, settings_for
from support.build import chain

pytestmark = pytest.mark.anyio

KEYS = "viewer:look:here, operator:drive,admin:rule"


@pytest.fixture
async def guarded(database_url: str, redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings_for(database_url, redis_url, HEADRACE_API_KEYS=KEYS)
    async with serving(settings) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz"])
async def test_health_needs_no_key(guarded: httpx.AsyncClient, path: str) -> None:
    assert (await guarded.get(path)).status_code in (200, 503)


@pytest.mark.parametrize(
    "path", ["/", "/workflows", "/metrics", "/docs", "/openapi.json", "/rq/", "/nowhere", "/health/"]
)
@pytest.mark.parametrize("headers", [{}, bearer("wrong"), {"X-API-Key": "ruler"}, {"X-API-Key": "\u00e9"}])
async def test_all_else_needs_a_valid_key(
    guarded: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    response = await guarded.get(path, headers={name: text.encode() for name, text in headers.items()})
    assert response.status_code == 401
    assert response.json()["error"] == "Unauthorized"
    assert "WWW-Authenticate" in response.headers


@pytest.mark.parametrize("headers", [bearer("look:here"), {"X-API-Key": "look:here"}])
async def test_a_key_comes_in_either_header(guarded: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await guarded.get("/workflows", headers=headers)).status_code == 200


async def test_roles_may_do_what_they_are_for(guarded: httpx.AsyncClient) -> None:
    look, drive, rule = bearer("look:here"), bearer("drive"), bearer("rule")
    for headers in (look, drive):
        refused = await guarded.post("/workflows", json=chain(1), headers=headers)
        assert (refused.status_code, refused.json()["error"]) == (403, "Forbidden")
    guarded.headers.update(rule)
    url = f"/workflows/{await saved(guarded, chain(1))}"
    assert (await guarded.post(f"{url}/execute-async", headers=look)).status_code == 403
    began = await guarded.post(f"{url}/execute-async", headers=drive)
    assert began.status_code == 201
    cancel = f"/runs/{began.json()['runId']}/cancel"
    assert (await guarded.post(cancel, headers=look)).status_code == 403
    assert (await guarded.post(cancel, headers=drive)).status_code == 201
    assert (await guarded.put("/workers/desired", json={"count": 1}, headers=drive)).status_code == 403
    assert (await guarded.delete(url, headers=rule)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/workflows", Role.VIEWER),
        ("GET", "/rq/", Role.VIEWER),
        ("POST", "/workflows/1/execute", Role.OPERATOR),
        ("POST", "/workflows/1/trigger/", Role.OPERATOR),
        ("POST", "/workflows/1/runs/2/cancel", Role.OPERATOR),
        ("POST", "/workflows/runs/2/cancel", Role.OPERATOR),
        ("POST", "/runs/2/cancel", Role.OPERATOR),
        ("POST", "/runs/2/pause", Role.OPERATOR),
        ("POST", "/workflows/1/runs/2/rerun", Role.OPERATOR),
        ("PUT", "/runs/2/debug", Role.OPERATOR),
        ("POST", "/runs/bulk", Role.OPERATOR),
        ("POST", "/runs/delete", Role.ADMIN),
        ("DELETE", "/runs/2", Role.ADMIN),
        ("DELETE", "/workflows/1/runs/2", Role.ADMIN),
        ("POST", "/workflows", Role.ADMIN),
        ("PUT", "/workers/desired", Role.ADMIN),
        ("GET", "/projects", Role.VIEWER),
        ("GET", "/projects/shop/secrets", Role.ADMIN),
        ("PUT", "/projects/shop/secrets/TOKEN", Role.ADMIN),
        ("POST", "/workers/start", Role.ADMIN),
        ("GET", "/workers/status/shop", Role.VIEWER),
        ("GET", "/activities/delay/stats", Role.VIEWER),
        ("POST", "/rq/job/1/requeue", Role.ADMIN),
        ("GET", "/rq/requeue/workflow-tasks", Role.ADMIN),
        ("DELETE", "/workflows/1/execute-async/x", Role.ADMIN),
    ],
)
def test_what_needs_which_role(method: str, path: str, role: Role) -> None:
    assert needed_role(method, path) is role


async def test_a_browser_gives_the_key_as_a_password_to_the_dashboard_alone(
    guarded: httpx.AsyncClient,
) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(b"me:look:here").decode()}
    assert (await guarded.get("/rq/", headers=basic)).status_code == 200
    assert (await guarded.get("/workflows", headers=basic)).status_code == 401
    for broken in ("Basic %%%", "Basic " + base64.b64encode(b"\xff").decode(), "Basic"):
        response = await guarded.get("/rq/", headers={"Authorization": broken})
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize("text", ["king:x", "admin", "admin:", "viewer:a,:b", "x"])
def test_bad_keys_are_refused_at_start(text: str) -> None:
    with pytest.raises(InvalidSettings, match="HEADRACE_API_KEYS"):
        read_keys(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com"])
def test_it_does_not_listen_to_all_without_keys(host: str) -> None:
    with pytest.raises(InvalidSettings, match="HEADRACE_OPEN"):
        create_app(settings_for("", "", HOST=host))
    require_safe(settings_for("", "", HOST=host, HEADRACE_OPEN=True))
    require_safe(settings_for("", "", HOST=host, HEADRACE_API_KEYS=KEYS))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_it_listens_to_this_machine_without_keys(host: str) -> None:
    require_safe(settings_for("", "", HOST=host))


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://localhost:3000", "localhost:3000", 201),
        ("http://localhost:5173", "127.0.0.1:3000", 201),
        ("https://flows.example.com", "flows.example.com", 201),
        ("https://evil.example.com", "localhost:3000", 403),
        ("https://evil.example.com", "flows.example.com", 403),
        ("http://localhost:3000", "flows.example.com", 403),
        ("null", "localhost:3000", 403),
        ("http://[", "localhost:3000", 403),
    ],
)
async def test_pages_of_other_origins_change_nothing(
    client: httpx.AsyncClient, origin: str, host: str, status: int
) -> None:
    headers = {"Origin": origin, "Host": host}
    response = await client.post("/workflows", json=chain(1), headers=headers)
    assert response.status_code == status
    assert (await client.get("/workflows", headers=headers)).status_code == 200


async def test_origins_that_are_allowed_are_told_so(database_url: str, redis_url: str) -> None:
    settings = settings_for(
        database_url, redis_url, CORS_ORIGIN="https://a.example, https://b.example/", HEADRACE_API_KEYS=KEYS
    )
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with serving(settings) as client:
        for origin, status in (("https://b.example", 200), ("https://c.example", 400)):
            asked = await client.options("/workflows", headers=preflight | {"Origin": origin})
            assert asked.status_code == status
        sent = await client.post(
            "/workflows", json=chain(1), headers=bearer("rule") | {"Origin": "https://a.example"}
        )
    assert sent.status_code == 201
    assert sent.headers["Access-Control-Allow-Origin"] == "https://a.example"


async def test_every_origin_is_allowed_by_a_star(database_url: str, redis_url: str) -> None:
    async with serving(settings_for(database_url, redis_url, CORS_ORIGIN="*")) as client:
        sent = await client.post("/workflows", json=chain(1), headers={"Origin": "https://any.example"})
    assert sent.headers["Access-Control-Allow-Origin"] == "*"
