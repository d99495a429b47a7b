"""Statistics over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest

from headrace.graph.statistics import End, Key, Stretch, Tally
from headrace.store import statistics
from headrace.store.db import Database
from support.rows import sql

pytestmark = pytest.mark.anyio


@pytest.fixture
async def counted(db: Database) -> None:
    """Of `sendEmail` two attempts five hours ago and two now, of `delay` of another project one now."""
    old, new = Tally(), Tally()
    for seconds in (1.0, 3.0):
        old.add(Stretch(seconds, 0.5, End.SUCCESS))
        new.add(Stretch(seconds, 0.5, End.RETRY, died=True))
    await db.transact(partial(statistics.add, news={Key("default", "sendEmail"): old}))
    await sql(db, "UPDATE attempt_statistics SET hour = hour - interval '5 hours'")
    one = {Key("default", "sendEmail"): new, Key("shop", "delay"): new}
    await db.transact(partial(statistics.add, news=one))


async def test_figures_of_one_activity(client: httpx.AsyncClient, counted: None) -> None:
    body = (await client.get("/activities/sendEmail/stats")).json()
    assert body.pop("lastAt") is not None
    assert body == {
        "project": "default",
        "name": "sendEmail",
        "count": 4,
        "success": 2,
        "failure": 2,
        "retries": 2,
        "died": 2,
        "busyMs": 8000.0,
        "execution": {
            "averageMs": 2000.0,
            "p50Ms": pytest.approx(1000, rel=0.05),
            "p95Ms": pytest.approx(3000, rel=0.05),
            "p99Ms": pytest.approx(3000, rel=0.05),
        },
        "queueWait": {
            "averageMs": 500.0,
            "p50Ms": pytest.approx(500, rel=0.05),
            "p95Ms": pytest.approx(500, rel=0.05),
            "p99Ms": pytest.approx(500, rel=0.05),
        },
        "ownWorkers": ["dies"],
    }


async def test_a_window_and_a_project(client: httpx.AsyncClient, counted: None) -> None:
    since = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    one = (await client.get("/activities/sendEmail/stats", params={"since": since})).json()
    assert (one["count"], one["success"]) == (2, 0)
    there = await client.get("/activities/delay/stats", params={"project": "shop"})
    assert there.json()["count"] == 2
    everything = (await client.get("/stats")).json()
    assert [(item["project"], item["name"]) for item in everything["items"]] == [
        ("default", "sendEmail"),
        ("shop", "delay"),
    ]
    assert everything["error"] == 0.05
    (shop,) = (await client.get("/stats", params={"project": "shop"})).json()["items"]
    assert shop["name"] == "delay"


async def test_what_did_not_run(client: httpx.AsyncClient, counted: None) -> None:
    assert (await client.get("/activities/nobody/stats")).status_code == 404
    later = {"since": (datetime.now(UTC) + timedelta(hours=2)).isoformat()}
    assert (await client.get("/activities/sendEmail/stats", params=later)).status_code == 404
    assert (await client.get("/stats", params=later)).json()["items"] == []


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01T00:00:00"])
async def test_a_time_must_be_one_and_have_a_zone(client: httpx.AsyncClient, since: str) -> None:
    assert (await client.get("/stats", params={"since": since})).status_code == 422
