"""Projects in the API: named with a workflow, kept with it, and listed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from headrace.engine.program import Engine
from headrace.graph.json_types import JsonObject
from headrace.store import workers
from headrace.store.db import Tx
from headrace.store.workers import NewWorker
from support.api import serving, settings_for
from support.build import chain

pytestmark = pytest.mark.anyio


async def saved(client: httpx.AsyncClient, document: JsonObject, **query: str) -> JsonObject:
    answer = await client.post("/workflows", json=document, params=query)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_workflow_is_in_the_project_that_it_was_saved_for(client: httpx.AsyncClient) -> None:
    plain = await saved(client, chain(1))
    by_query = await saved(client, chain(1), project="shop")
    by_body = await saved(client, {**chain(1), "project": "bank"})
    both = await saved(client, {**chain(1), "project": "bank"}, project="shop")
    told = [one["project"] for one in (plain, by_query, by_body, both)]
    assert told == ["default", "shop", "bank", "shop"]
    assert (await client.get(f"/workflows/{by_body['id']}")).json()["project"] == "bank"
    of_shop = (await client.get("/workflows", params={"project": "shop"})).json()
    assert {one["id"] for one in of_shop} == {by_query["id"], both["id"]}
    assert {one["project"] for one in of_shop} == {"shop"}


@pytest.mark.parametrize("name", ["Shop", "-a", "a b", "x" * 64, "", "*"])
async def test_a_bad_name_is_refused_with_its_rule(client: httpx.AsyncClient, name: str) -> None:
    by_body = await client.post("/workflows", json={**chain(1), "project": name})
    assert by_body.status_code == 422
    (problem,) = by_body.json()["details"]
    assert (problem["path"], "lower-case letters" in problem["hint"]) == ("project", True)
    for by_query in (
        await client.post("/workflows", json=chain(1), params={"project": name}),
        await client.get("/workflows", params={"project": name}),
    ):
        assert (by_query.status_code, by_query.json()["details"]) == (422, [problem])
    assert (await client.get("/workflows")).json() == []


@pytest.mark.parametrize("name", [7, None, ["shop"]])
async def test_a_project_is_a_name(client: httpx.AsyncClient, name: object) -> None:
    answer = await client.post("/workflows", json={**chain(1), "project": name})
    assert answer.status_code == (201 if name is None else 422)


async def test_a_workflow_stays_in_its_project(client: httpx.AsyncClient) -> None:
    stored = await saved(client, chain(1), project="shop")
    path = f"/workflows/{stored['id']}"
    refused = await client.put(path, json={**chain(2), "project": "bank"})
    assert (refused.status_code, refused.json()["details"][0]["path"]) == (422, "project")
    assert (await client.put(path, json=chain(2))).json()["project"] == "shop"
    # What was read may be sent back.
    again = (await client.get(path)).json()
    assert (await client.put(path, json=again)).json()["version"] == 3


async def test_runs_are_their_workflows_projects(client: httpx.AsyncClient) -> None:
    shop = await saved(client, chain(1), project="shop")
    other = await saved(client, chain(1))
    for one in (shop, other):
        assert (await client.post(f"/workflows/{one['id']}/trigger", json={})).status_code == 201
    (run,) = (await client.get("/runs", params={"project": "shop"})).json()["items"]
    assert (run["workflowId"], run["project"]) == (shop["id"], "shop")
    assert (await client.get(f"/runs/{run['id']}")).json()["project"] == "shop"
    assert len((await client.get("/runs")).json()["items"]) == 2
    depths = {one["name"]: one["queued"] for one in (await client.get("/queues")).json()["items"]}
    assert (depths["workflow-tasks--shop"], depths["workflow-tasks"]) == (1, 1)


async def test_schedules_and_webhooks_are_their_workflows_projects(client: httpx.AsyncClient) -> None:
    for project in ("shop", "bank"):
        stored = await saved(client, chain(1), project=project)
        hook = {"workflowId": stored["id"], "path": project}
        assert (await client.post("/webhooks/subscriptions", json=hook)).status_code == 201
        timing = {"workflowId": stored["id"], "cron": "0 3 * * *", "name": project}
        assert (await client.post("/schedules", json=timing)).status_code == 201
    for path, key in (("/schedules", "name"), ("/webhooks/subscriptions", "path")):
        found = (await client.get(path, params={"project": "shop"})).json()["items"]
        assert [one[key] for one in found] == ["shop"]
        assert len((await client.get(path)).json()["items"]) == 2


async def test_a_project_exists_once_it_is_named(client: httpx.AsyncClient, engine: Engine) -> None:
    def lines(answer: httpx.Response) -> dict[str, tuple[int, ...]]:
        items = answer.json()["items"]
        keys = ("workflows", "activeRuns", "workers", "ownWorkers")
        return {one["name"]: tuple(one[key] for key in keys) for one in items}

    assert lines(await client.get("/projects")) == {"default": (0, 0, 0, 0)}

    async def employ(tx: Tx) -> None:
        for projects in (("default", "*"), ("shop", "bank")):
            worker = NewWorker(uuid4(), "w", "here", 1, ["workflow-tasks"], 64, projects)
            await workers.register(tx, worker)

    await engine.db.transact(employ)
    stored = await saved(client, chain(1), project="shop")
    await client.post(f"/workflows/{stored['id']}/trigger", json={})
    await client.put("/workers/desired", json={"count": 2, "project": "garage"})
    assert lines(await client.get("/projects")) == {
        "bank": (0, 0, 2, 1),
        "default": (0, 0, 1, 1),
        "garage": (0, 0, 1, 0),
        "shop": (1, 1, 2, 1),
    }


async def test_an_explanation_names_the_projects_queue(client: httpx.AsyncClient, engine: Engine) -> None:
    stored = await saved(client, chain(1), project="shop")
    run_id = (await client.post(f"/workflows/{stored['id']}/trigger", json={})).json()["runId"]

    async def told() -> str:
        answer = (await client.get(f"/runs/{run_id}/explain")).json()
        return str(answer)

    assert "no worker listens on workflow-tasks--shop" in await told()

    async def employ(tx: Tx, projects: tuple[str, ...]) -> None:
        await workers.register(tx, NewWorker(uuid4(), "w", "here", 1, ["workflow-tasks"], 64, projects))

    await engine.db.transact(lambda tx: employ(tx, ("default",)))
    assert "no worker listens on workflow-tasks--shop" in await told()
    await engine.db.transact(lambda tx: employ(tx, ("default", "*")))
    assert "a worker takes it next from workflow-tasks--shop" in await told()


@pytest.fixture
async def sealing(database_url: str, redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings_for(database_url, redis_url, HEADRACE_SECRET_KEY="k" * 32)
    async with serving(settings) as client:
        yield client


async def test_secrets_are_put_listed_and_forgotten_and_never_shown(sealing: httpx.AsyncClient) -> None:
    path, value = "/projects/shop/secrets", {"value": "t0ps3cret"}
    put = await sealing.put(f"{path}/TOKEN", json=value)
    assert (put.status_code, put.json()["name"]) == (200, "TOKEN")
    listed = await sealing.get(path)
    assert [one["name"] for one in listed.json()["items"]] == ["TOKEN"]
    assert "shop" in [one["name"] for one in (await sealing.get("/projects")).json()["items"]]
    assert (await sealing.get("/projects/bank/secrets")).json() == {"items": []}
    for refused in (
        await sealing.put(f"{path}/TOKEN", json={"value": "abc"}),
        await sealing.put(f"{path}/TOKEN", json={**value, "extra": "t0ps3cret"}),
        await sealing.put(f"{path}/TOKEN", json={"value": ["t0ps3cret"]}),
        await sealing.put(f"{path}/A-B", json=value),
        await sealing.put("/projects/My Shop/secrets/A", json=value),
    ):
        assert refused.status_code == 422
        assert "t0ps3cret" not in refused.text
    assert "t0ps3cret" not in put.text + listed.text
    assert (await sealing.delete(f"{path}/TOKEN")).status_code == 200
    assert (await sealing.delete(f"{path}/TOKEN")).status_code == 404


async def test_without_a_key_no_secret_is_kept(client: httpx.AsyncClient) -> None:
    refused = await client.put("/projects/shop/secrets/TOKEN", json={"value": "t0ps3cret"})
    assert refused.status_code == 422
    assert "HEADRACE_SECRET_KEY" in refused.json()["details"][0]["hint"]
