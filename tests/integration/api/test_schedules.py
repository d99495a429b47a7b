"""Schedules over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from headrace.config import Settings
from headrace.engine.program import Engine
from headrace.engine.schedules import fire_due
from support.api import finish, saved, serving, settings_for
from support.build import chain

pytestmark = pytest.mark.anyio


async def hourly(client: httpx.AsyncClient, **more: object) -> dict[str, object]:
    workflow_id = await saved(client, chain(1))
    body = {"workflowId": workflow_id, "cron": "0 * * * *", **more}
    response = await client.post("/schedules", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, object] = response.json()
    return made


async def test_a_schedule_is_kept_as_it_was_made(client: httpx.AsyncClient) -> None:
    made = await hourly(client, name="nightly", timeZone="Europe/Berlin", input={"a": [1]}, jitter=5.5)
    assert {
        key: made[key] for key in ("name", "timeZone", "input", "jitter", "overlap", "catchUp", "isPaused")
    } == {
        "name": "nightly",
        "timeZone": "Europe/Berlin",
        "input": {"a": [1]},
        "jitter": 5.5,
        "overlap": "skip",
        "catchUp": 86400,
        "isPaused": False,
    }
    slot, due = (datetime.fromisoformat(str(made[name])) for name in ("nextSlot", "dueAt"))
    assert timedelta(0) < due - slot <= timedelta(seconds=5.5)
    assert (await client.get(f"/schedules/{made['id']}")).json() == made
    other = await hourly(client)
    listed = (await client.get("/schedules")).json()["items"]
    assert [one["id"] for one in listed] == [other["id"], made["id"]]
    of_one = (await client.get("/schedules", params={"workflowId": made["workflowId"]})).json()["items"]
    assert of_one == [made]


async def test_a_change_keeps_what_is_not_given(client: httpx.AsyncClient) -> None:
    made = await hourly(client, name="before")
    changed = (
        await client.put(f"/schedules/{made['id']}", json={"cron": "30 * * * *", "overlap": "allow"})
    ).json()
    assert (changed["name"], changed["cron"], changed["overlap"]) == ("before", "30 * * * *", "allow")
    assert changed["nextSlot"].endswith(":30:00Z")


async def test_when_it_comes_next(client: httpx.AsyncClient) -> None:
    made = await hourly(client, timeZone="Asia/Kolkata")
    times = (await client.get(f"/schedules/{made['id']}/next")).json()["times"]
    assert len(times) == 10
    assert all(one.endswith(":00:00+05:30") for one in times)
    query = {"cron": "0 12 * * *", "timeZone": "America/New_York", "count": "2"}
    preview = (await client.get("/schedules/next", params=query)).json()["times"]
    assert [one[11:16] for one in preview] == ["12:00", "12:00"]


async def test_pause_resume_and_delete(client: httpx.AsyncClient) -> None:
    made = await hourly(client)
    path = f"/schedules/{made['id']}"
    for _ in range(2):
        assert (await client.post(f"{path}/pause")).json()["isPaused"] is True
    assert (await client.post(f"{path}/resume")).json()["isPaused"] is False
    assert (await client.delete(path)).json() == {"deleted": True}
    assert (await client.delete(path)).status_code == 404


async def test_trigger_backfill_and_what_came_of_them(client: httpx.AsyncClient, engine: Engine) -> None:
    made = await hourly(client, isPaused=True)
    path = f"/schedules/{made['id']}"
    triggered = await client.post(f"{path}/trigger")
    assert (triggered.status_code, triggered.json()["state"]) == (201, "started")
    run_id = triggered.json()["runId"]
    run = (await client.get(f"/runs/{run_id}")).json()
    assert run["input"]["trigger_type"] == "schedule"
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    wanted = {"from": (end - timedelta(hours=3)).isoformat(), "to": end.isoformat()}
    filled = await client.post(f"{path}/backfill", json=wanted)
    assert (filled.status_code, filled.json()) == (201, {"added": 3})
    assert (await client.post(f"{path}/backfill", json=wanted)).json() == {"added": 0}
    await finish(engine, run_id)
    assert len(await fire_due(engine)) == 1
    items = (await client.get(f"{path}/slots")).json()["items"]
    assert [(one["origin"], one["state"]) for one in items] == [
        ("trigger", "started"),
        ("backfill", "waiting"),
        ("backfill", "waiting"),
        ("backfill", "started"),
    ]
    assert (await client.get(f"{path}/slots", params={"limit": 1})).json()["items"] == items[:1]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"cron": "now and then"}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"timeZone": "Nowhere"}, "timeZone"),
        ({"timeZone": "../../etc/passwd"}, "timeZone"),
        ({"overlap": "maybe"}, "overlap"),
        ({"jitter": -1}, "jitter"),
        ({"catchUp": 1}, "catchUp"),
        ({"input": [1]}, "input"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_is_no_schedule(client: httpx.AsyncClient, body: dict[str, object], path: str) -> None:
    workflow_id = await saved(client, chain(1))
    response = await client.post("/schedules", json={"workflowId": workflow_id, "cron": "0 * * * *"} | body)
    assert response.status_code == 422
    assert [one["path"] for one in response.json()["details"]] == [path]


@pytest.mark.parametrize(
    ("first", "end", "message"),
    [
        ("2026-03-30T00:00:00Z", "2026-03-20T00:00:00Z", "must be after `from`"),
        ("2026-03-30T00:00:00Z", "2026-03-30T00:00:00Z", "must be after `from`"),
        ("2026-03-30T00:00:00Z", "2999-01-01T00:00:00Z", "must not be after now"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-10:00", "must lie in the years 1 to 9999, in UTC"),
    ],
)
async def test_a_range_that_cannot_be_filled_in(
    client: httpx.AsyncClient, first: str, end: str, message: str
) -> None:
    body = {"workflowId": await saved(client, chain(1)), "cron": "0 * * * *"}
    path = f"/schedules/{(await client.post('/schedules', json=body)).json()['id']}"
    answer = await client.post(f"{path}/backfill", json={"from": first, "to": end})
    assert answer.status_code == 422
    assert [(one["path"], one["message"]) for one in answer.json()["details"]] == [("to", message)]
    assert (await client.get(f"{path}/slots")).json()["items"] == []


async def test_unknown_ones(client: httpx.AsyncClient) -> None:
    body = {"workflowId": str(uuid4()), "cron": "0 * * * *"}
    assert (await client.post("/schedules", json=body)).status_code == 404
    path = f"/schedules/{uuid4()}"
    for method, rest in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/next"), ("GET", "/slots")):
        assert (await client.request(method, path + rest, json={})).status_code == 404, rest
    for rest in ("/pause", "/resume", "/trigger"):
        assert (await client.post(path + rest)).status_code == 404, rest
    assert (await client.get("/schedules/not-an-id")).status_code == 422


async def test_an_operator_may_act_on_schedules_and_only_an_admin_may_change_them(settings: Settings) -> None:
    keys = "admin:root,operator:ops"
    given = settings_for(settings.postgres_url, settings.redis_url, HEADRACE_API_KEYS=keys)
    async with serving(given, **{"X-API-Key": "root"}) as client:
        made = await hourly(client)
        ops = {"X-API-Key": "ops"}
        assert (await client.post(f"/schedules/{made['id']}/trigger", headers=ops)).status_code == 201
        assert (await client.delete(f"/schedules/{made['id']}", headers=ops)).status_code == 403
