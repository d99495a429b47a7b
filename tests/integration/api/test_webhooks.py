"""Webhooks over HTTP: who may deliver, what comes of it, and that it comes once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import httpx
import pytest

from headrace.config import Settings
from headrace.graph.json_types import JsonValue
from headrace.store.db import Database
from support.api import saved, serving, settings_for
from support.build import chain, node, workflow
from support.rows import sql

pytestmark = pytest.mark.anyio

KEY, SECRET = "k" * 32, "it is a secret"
BODY = b'{"action": "opened",  "issue": {"number": 7, "title": "\xc3\xa4"}}'


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return settings_for(database_url, redis_url, HEADRACE_SECRET_KEY=KEY)


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def subscribed(client: httpx.AsyncClient, **more: object) -> dict[str, JsonValue]:
    workflow_id = await saved(client, chain(1))
    body = {"path": "orders", "workflowId": workflow_id, **more}
    response = await client.post("/webhooks/subscriptions", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, JsonValue] = response.json()
    return made


async def deliver(
    client: httpx.AsyncClient, body: bytes = BODY, path: str = "orders", **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(f"/webhooks/{path}", content=body, headers=named)


async def runs(client: httpx.AsyncClient) -> list[dict[str, JsonValue]]:
    items: list[dict[str, JsonValue]] = (await client.get("/runs")).json()["items"]
    return items


async def input_of(client: httpx.AsyncClient, response: httpx.Response) -> JsonValue:
    run: dict[str, JsonValue] = (await client.get(f"/runs/{response.json()['runId']}")).json()
    return run["input"]


async def test_a_delivery_starts_a_run_with_all_that_came(client: httpx.AsyncClient) -> None:
    await subscribed(client, secret=SECRET)
    answer = await deliver(
        client, x_hub_signature_256=f"sha256={signature(BODY)}", x_what="ever", authorization="no"
    )
    assert answer.status_code == 201
    assert answer.json() == {
        "status": "triggered",
        "runId": answer.json()["runId"],
        "webhook_path": "orders",
    }
    run_input = await input_of(client, answer)
    assert isinstance(run_input, dict)
    assert (run_input["trigger_type"], run_input["payload"]) == ("webhook", json.loads(BODY))
    assert isinstance(run_input["headers"], dict)
    assert run_input["headers"]["x-what"] == "ever"
    assert not {"authorization", "x-hub-signature-256"} & run_input["headers"].keys()


async def test_a_secret_is_never_told_and_stands_nowhere_in_plain(
    client: httpx.AsyncClient, db: Database
) -> None:
    made = await subscribed(client, secret=SECRET)
    path = f"/webhooks/subscriptions/{made['id']}"
    answers = [
        made,
        (await client.get(path)).json(),
        *(await client.get("/webhooks/subscriptions")).json()["items"],
    ]
    assert all(one["hasSecret"] is True and "secret" not in one for one in answers)
    (row,) = await sql(db, "SELECT w::text AS text, secret FROM webhooks w")
    assert SECRET not in row.text
    assert SECRET.encode() not in row.secret


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_signature": ""},
        {"x_signature": signature(BODY, "another")},
        {"x_signature": signature(BODY.replace(b"  ", b" "))},
        {"x_signature": signature(BODY)[:-1]},
        {"x_signature_256": signature(BODY)},
    ],
)
async def test_who_cannot_sign_the_raw_body_starts_nothing(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    await subscribed(client, secret=SECRET)
    answer = await deliver(client, **headers)
    assert (answer.status_code, answer.json()["message"]) == (401, "The signature is missing or wrong.")
    assert await runs(client) == []


async def test_the_same_delivery_again_answers_its_run(client: httpx.AsyncClient) -> None:
    await subscribed(client)
    first = await deliver(client, x_delivery_id="a")
    again = await deliver(client, b'{"another": "body"}', x_delivery_id="a")
    assert (again.status_code, again.json()) == (200, first.json() | {"status": "duplicate"})
    assert (await deliver(client, idempotency_key="b")).status_code == 201
    assert (await deliver(client)).status_code == 201
    assert len(await runs(client)) == 3


async def test_one_of_two_webhooks_does_not_know_the_deliveries_of_the_other(
    client: httpx.AsyncClient,
) -> None:
    await subscribed(client)
    await subscribed(client, path="other/orders")
    assert (await deliver(client, x_delivery_id="a")).status_code == 201
    assert (await deliver(client, path="other/orders", x_delivery_id="a")).status_code == 201


async def test_an_id_is_free_again_after_a_day(client: httpx.AsyncClient, db: Database) -> None:
    await subscribed(client)
    await deliver(client, x_delivery_id="a")
    await sql(db, "UPDATE webhook_deliveries SET received_at = received_at - interval '25 hours'")
    assert (await deliver(client, x_delivery_id="a")).status_code == 201


@pytest.fixture
async def doors(settings: Settings) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Four API processes, as far as PostgreSQL can tell."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serving(settings)) for _ in range(4)]


async def test_a_delivery_that_comes_many_times_at_once_starts_one_run(
    doors: list[httpx.AsyncClient],
) -> None:
    await subscribed(doors[0])
    for number in range(5):
        answers = await asyncio.gather(*(deliver(door, x_delivery_id=f"d{number}") for door in doors * 4))
        assert sorted(one.status_code for one in answers) == [200] * 15 + [201]
        assert len({one.json()["runId"] for one in answers}) == 1
    assert len(await runs(doors[0])) == 5


def timed(body: bytes, moment: float, secret: str = SECRET) -> dict[str, str]:
    told = f"{moment:.0f}"
    return {"x_timestamp": told, "x_signature": signature(told.encode() + b"." + body, secret)}


async def test_a_signed_time_keeps_old_deliveries_from_being_played_back(client: httpx.AsyncClient) -> None:
    await subscribed(client, secret=SECRET, tolerance=300)
    fresh = timed(BODY, time.time())
    assert (await deliver(client, **fresh)).status_code == 201
    # The signature covers the time; another id does not make it another delivery.
    assert (await deliver(client, **fresh, x_delivery_id="new")).json()["status"] == "duplicate"
    assert (await deliver(client, **timed(BODY, time.time() - 400))).status_code == 401
    assert (await deliver(client, **(fresh | {"x_timestamp": f"{time.time() - 9:.0f}"}))).status_code == 401
    assert (await deliver(client, x_signature=signature(BODY))).status_code == 401
    assert len(await runs(client)) == 1


async def test_filters_and_mapping(client: httpx.AsyncClient) -> None:
    mapping = {
        "title": "New: ${payload.issue.title}",
        "number": "${payload.issue.number}",
        "who": "${payload.x?}",
    }
    await subscribed(client, filters={"action": "opened", "issue.number": 7}, mapping=mapping)
    answer = await deliver(client)
    assert await input_of(client, answer) == {"title": "New: ä", "number": 7, "who": None}
    ignored = await deliver(client, b'{"action": "closed"}')
    assert (ignored.status_code, ignored.json()) == (
        200,
        {"status": "ignored", "runId": None, "webhook_path": "orders"},
    )
    missing = await deliver(client, b'{"action": "opened", "issue": {"number": 7}}')
    assert missing.status_code == 422
    assert len(await runs(client)) == 1


BODIES = {
    "empty": (b"", 422),
    "a form": (b"action=opened", 422),
    "no number": (b'{"a": NaN}', 422),
    "a NUL": (b'{"a": "\\u0000"}', 422),
    "too deep": (b"[" * 10_000, 422),
    "no text": (b"\xff", 422),
    "too long": (b'"' + b"x" * 1024 * 1024 + b'"', 413),
    "a list": (b"[1]", 201),
    "null": (b"null", 201),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
async def test_bodies(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    await subscribed(client)
    assert (await deliver(client, body)).status_code == status


async def test_a_refused_input_leaves_the_id_free(client: httpx.AsyncClient) -> None:
    fields: JsonValue = [{"key": "number", "inputKind": "number"}]
    form = workflow([node("ask", "inputText", config={"fields": fields})], [])
    workflow_id = await saved(client, form)
    await subscribed(client, workflowId=workflow_id, mapping={"number": "${payload.number}"})
    refused = await deliver(client, b'{"number": "seven"}', x_delivery_id="a")
    assert (refused.status_code, refused.json()["details"][0]["path"]) == (422, "input.number")
    assert (await deliver(client, b'{"number": 7}', x_delivery_id="a")).status_code == 201


async def test_subscriptions_are_kept_changed_and_deleted(client: httpx.AsyncClient) -> None:
    made = await subscribed(client, secret=SECRET, filters={"a": 1})
    path = f"/webhooks/subscriptions/{made['id']}"
    assert made["url"] == "/webhooks/orders"
    changed = (await client.put(path, json={"isActive": False})).json()
    assert (changed["isActive"], changed["hasSecret"], changed["filters"]) == (False, True, {"a": 1})
    assert (await deliver(client, x_signature=signature(BODY))).status_code == 404
    opened = (await client.put(path, json={"isActive": True, "secret": None, "filters": {}})).json()
    assert (opened["hasSecret"], opened["filters"]) == (False, {})
    assert (await deliver(client)).status_code == 201
    of_another = await client.get("/webhooks/subscriptions", params={"workflowId": str(uuid4())})
    assert of_another.json() == {"items": []}
    assert (await client.delete(path)).status_code == 200
    for method in ("GET", "PUT", "DELETE"):
        assert (await client.request(method, path, json={})).status_code == 404
    assert (await deliver(client)).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"path": "subscriptions"}, 422),
        ({"path": "subscriptions/x"}, 422),
        ({"path": "../secrets"}, 422),
        ({"path": "a//b"}, 422),
        ({"path": ""}, 422),
        ({"secret": "short"}, 422),
        ({"tolerance": 60}, 422),
        ({"mapping": {"id": "${body.id}"}}, 422),
        ({"mapping": ["${payload.id} of ${oder.name?}"]}, 422),
        ({"workflowId": str(uuid4())}, 404),
        ({}, 409),
    ],
)
async def test_what_is_no_subscription(
    client: httpx.AsyncClient, body: dict[str, object], status: int
) -> None:
    made = await subscribed(client)
    given = {"path": "orders", "workflowId": made["workflowId"]} | body
    assert (await client.post("/webhooks/subscriptions", json=given)).status_code == status


async def test_the_subscriptions_are_not_behind_a_webhook(client: httpx.AsyncClient) -> None:
    """Another system answered them as deliveries to a webhook called `subscriptions`."""
    assert (await client.get("/webhooks/subscriptions")).json() == {"items": []}
    assert (await client.post("/webhooks/subscriptions", json={})).status_code == 422


async def test_without_a_key_to_seal_with_there_are_no_secrets(database_url: str, redis_url: str) -> None:
    async with serving(settings_for(database_url, redis_url)) as client:
        workflow_id = await saved(client, workflow([node("a")], []))
        body = {"path": "orders", "workflowId": workflow_id, "secret": SECRET}
        refused = await client.post("/webhooks/subscriptions", json=body)
        assert refused.status_code == 422
        assert "HEADRACE_SECRET_KEY" in refused.json()["details"][0]["hint"]


async def test_a_secret_is_the_key_of_a_webhook_where_there_are_api_keys(settings: Settings) -> None:
    given = settings_for(
        settings.postgres_url, settings.redis_url, HEADRACE_SECRET_KEY=KEY, HEADRACE_API_KEYS="admin:root"
    )
    async with serving(given) as client:
        client.headers["X-API-Key"] = "root"
        await subscribed(client, secret=SECRET)
        await subscribed(client, path="open")
        del client.headers["X-API-Key"]
        assert (await deliver(client, x_signature=signature(BODY))).status_code == 201
        assert (await deliver(client)).status_code == 401
        assert (await deliver(client, path="open")).status_code == 401
        assert (await client.get("/webhooks/subscriptions")).status_code == 401
        assert (await client.post("/webhooks/subscriptions", json={})).status_code == 401
