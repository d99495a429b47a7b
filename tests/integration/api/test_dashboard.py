"""rq-dashboard under /rq/."""

from __future__ import annotations

import httpx
import pytest

from headrace.engine.program import Engine
from support.api import saved, serving, settings_for, started
from support.build import chain

pytestmark = pytest.mark.anyio

TASKS = "workflow-tasks"


async def job_id(client: httpx.AsyncClient) -> str:
    """The id of the one job that a run of a one-node workflow has queued."""
    run_id = await started(client, await saved(client, chain(1)))
    return f"{run_id}-0-1-1"


async def test_it_shows_queues_and_jobs(client: httpx.AsyncClient) -> None:
    job = await job_id(client)
    assert (await client.get("/rq", follow_redirects=True)).status_code == 200
    queues = (await client.get("/rq/0/data/queues.json")).json()["queues"]
    assert {queue["name"]: queue["count"] for queue in queues} == {TASKS: 1}
    shown = (await client.get(f"/rq/0/data/job/{job}.json")).json()
    assert shown["description"].endswith("node n0")
    assert (await client.get(f"/rq/0/view/job/{job}")).status_code == 200
    assert (await client.get("/rq/0/data/workers.json")).json() == {"workers": []}
    listed = await client.get(f"/rq/0/data/jobs/{TASKS}/queued/8/asc/1.json")
    assert [one["id"] for one in listed.json()["jobs"]] == [job]
    assert (await client.get("/rq/static/css/main.css")).status_code == 200


async def test_it_deletes_nothing(client: httpx.AsyncClient) -> None:
    job = await job_id(client)
    for path in (f"/rq/job/{job}/delete", f"/rq/queue/{TASKS}/queued/empty"):
        assert (await client.post(path)).json() == {"status": "DISABLED"}
    queues = (await client.get("/queues")).json()["items"]
    assert [queue["queued"] for queue in queues if queue["name"] == TASKS] == [1]


async def test_a_link_requeues_nothing(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/rq/requeue/{TASKS}")).status_code == 405
    assert (await client.post(f"/rq/requeue/{TASKS}")).status_code == 200
    evil = {"Origin": "https://evil.example.com"}
    assert (await client.post(f"/rq/requeue/{TASKS}", headers=evil)).status_code == 403


@pytest.mark.parametrize("path", ["/rq/0/view/job/none", "/rq/0/data/job/none.json", "/rq/7/view/queues"])
async def test_what_is_not_there_is_404(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_it_shows_no_password(database_url: str, redis_url: str, engine: Engine) -> None:
    secret = redis_url.replace("redis://", "redis://someone:hunter2@", 1)
    async with serving(settings_for(database_url, secret)) as client:
        page = await client.get("/rq/")
    assert "hunter2" not in page.text
