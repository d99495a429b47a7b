"""Versions over HTTP: saved, listed, compared, activated; and deleting what still runs."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from headrace.engine.program import Engine
from headrace.graph.dispatch import RunTask
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from support.api import finish, saved, started
from support.build import chain, node, workflow
from support.drive import deliver, drain

pytestmark = pytest.mark.anyio


def saying(text: str) -> JsonObject:
    return workflow([node("a", config={"template": text})], []) | {"name": f"say {text}"}


async def with_versions(client: httpx.AsyncClient, *texts: str) -> str:
    workflow_id = await saved(client, saying(texts[0]))
    for text in texts[1:]:
        assert (await client.put(f"/workflows/{workflow_id}", json=saying(text))).status_code == 200
    return workflow_id


async def current(client: httpx.AsyncClient, workflow_id: str) -> tuple[int, str]:
    body = (await client.get(f"/workflows/{workflow_id}")).json()
    return body["version"], body["name"]


async def test_every_save_is_a_version(client: httpx.AsyncClient) -> None:
    workflow_id = await with_versions(client, "one", "two", "three")
    listed = (await client.get(f"/workflows/{workflow_id}/versions")).json()
    assert [(one["version"], one["name"], one["isCurrent"]) for one in listed] == [
        (3, "say three", True),
        (2, "say two", False),
        (1, "say one", False),
    ]
    paged = await client.get(f"/workflows/{workflow_id}/versions", params={"limit": 1, "offset": 1})
    assert paged.json() == listed[1:2]
    first = (await client.get(f"/workflows/{workflow_id}/versions/1")).json()
    assert (first["version"], first["nodes"][0]["base"]["config"]) == (1, {"template": "one"})


async def test_going_back_and_saving_again(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await with_versions(client, "one", "two")
    pinned = await started(client, workflow_id)
    back = await client.post(f"/workflows/{workflow_id}/versions/1/activate")
    assert (back.status_code, back.json()["version"]) == (200, 1)
    assert await current(client, workflow_id) == (1, "say one")
    after = await started(client, workflow_id)
    for run_id, version, text in ((pinned, 2, "two"), (after, 1, "one")):
        await finish(engine, run_id)
        run = (await client.get(f"/runs/{run_id}")).json()
        said = [line["message"] for line in run["logs"] if line["nodeId"] == "a"]
        assert (run["version"], said) == (version, [text])
    await client.put(f"/workflows/{workflow_id}", json=saying("three"))
    assert await current(client, workflow_id) == (3, "say three")


async def test_saves_at_once_after_going_back_get_numbers_of_their_own(client: httpx.AsyncClient) -> None:
    workflow_id = await with_versions(client, "one", "two")
    await client.post(f"/workflows/{workflow_id}/versions/1/activate")
    saves = [client.put(f"/workflows/{workflow_id}", json=saying(f"n{number}")) for number in range(10)]
    assert {response.status_code for response in await asyncio.gather(*saves)} == {200}
    listed = (await client.get(f"/workflows/{workflow_id}/versions")).json()
    assert [one["version"] for one in listed] == list(range(12, 0, -1))


async def test_two_versions_compared(client: httpx.AsyncClient) -> None:
    workflow_id = await with_versions(client, "one", "two")
    found = (await client.get(f"/workflows/{workflow_id}/versions/diff", params={"from": 1, "to": 2})).json()
    change = {"kind": "changed", "before": "one", "after": "two"}
    assert found == {
        "isSame": False,
        "settings": [{"path": "name", **change, "before": "say one", "after": "say two"}],
        "nodes": {"added": [], "removed": [], "changed": {"a": [{"path": "config.template", **change}]}},
        "edges": {"added": [], "removed": [], "changed": {}},
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/versions/3", 404),
        ("GET", "/versions/0", 422),
        ("GET", "/versions/99999999999", 422),
        ("POST", "/versions/3/activate", 404),
        ("GET", "/versions/diff?from=1&to=3", 404),
        ("GET", "/versions/diff?from=1", 422),
    ],
)
async def test_versions_that_are_none(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    workflow_id = await with_versions(client, "one")
    assert (await client.request(method, f"/workflows/{workflow_id}{path}")).status_code == status
    assert (await client.get(f"/workflows/{uuid4()}/versions")).status_code == 404


async def test_a_workflow_with_an_active_run_is_deleted_only_by_force(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    workflow_id = await saved(client, chain(2))
    run_id = await started(client, workflow_id)
    assert (await client.delete(f"/workflows/{workflow_id}")).status_code == 409
    assert (await client.delete(f"/workflows/{workflow_id}?force=true")).status_code == 200
    assert (await client.get(f"/runs/{run_id}")).status_code == 404
    assert (await client.delete(f"/workflows/{workflow_id}?force=true")).status_code == 404
    # The job that was in the queue finds nothing to do.
    assert await deliver(engine, RunTask(TaskId(UUID(run_id), 0), 1, 1, "n0", 300)) == []


async def test_force_does_not_wait_for_the_last_nodes_of_a_run_that_is_being_cancelled(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    document = workflow([node("a"), node("tidy", **{"finally": True})], [])
    workflow_id = await saved(client, document)
    run_id = await started(client, workflow_id)
    await client.post(f"/runs/{run_id}/cancel")
    assert (await client.delete(f"/workflows/{workflow_id}?force=true")).status_code == 200
    await drain(engine, [RunTask(TaskId(UUID(run_id), 1), 1, 1, "tidy", 300)])
    assert (await client.get(f"/runs/{run_id}")).status_code == 404


async def prune(client: httpx.AsyncClient, workflow_id: str, **wish: JsonValue) -> list[int]:
    answer = await client.post(f"/workflows/{workflow_id}/versions/prune", json=wish)
    assert answer.status_code == 200
    pruned: list[int] = answer.json()["pruned"]
    return pruned


async def test_pruning_keeps_what_is_current_newest_or_in_a_run(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    workflow_id = await with_versions(client, "one", "two")
    active = await started(client, workflow_id)
    for text in ("three", "four", "five", "six"):
        await client.put(f"/workflows/{workflow_id}", json=saying(text))
    await client.post(f"/workflows/{workflow_id}/versions/4/activate")
    assert await prune(client, workflow_id, dryRun=True) == [1, 3, 5]
    assert await prune(client, workflow_id, version=2) == []
    assert await prune(client, workflow_id, version=3) == [3]
    assert await prune(client, workflow_id) == [1, 5]
    kept = (await client.get(f"/workflows/{workflow_id}/versions")).json()
    assert [one["version"] for one in kept] == [6, 4, 2]
    await finish(engine, active)
    assert await prune(client, workflow_id) == []
    ended = (await client.get(f"/workflows/{workflow_id}/runs/{active}")).json()
    assert (ended["version"], ended["status"]) == (2, "succeeded")
    await client.put(f"/workflows/{workflow_id}", json=saying("seven"))
    assert await current(client, workflow_id) == (7, "say seven")


@pytest.mark.parametrize("by_name", [False, True])
async def test_pruning_keeps_a_version_that_a_sub_workflow_stays_with(
    client: httpx.AsyncClient, by_name: bool
) -> None:
    workflow_id = await with_versions(client, "one", "two", "three", "four")
    config: JsonObject = {"workflow": "say four" if by_name else workflow_id, "version": 2}
    inner = workflow([node("call", type="subWorkflow", config=config)], [])
    each: JsonObject = {"items": "${input.all}", "body": inner}
    await saved(client, workflow([node("each", type="map", config=each)], []))
    assert await prune(client, workflow_id) == [1, 3]


async def test_pruning_what_is_not_there(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/workflows/{uuid4()}/versions/prune", json={})
    assert answer.status_code == 404
