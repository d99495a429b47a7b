"""Stored activities on real workers: edited while runs are in flight, they stay one version a run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from support.api import saved, serving, settings_for, started
from support.drive import status_of, tasks_of
from support.fleet import Fleet, eventually, fleet

pytestmark = pytest.mark.anyio

RUNS = 200
STEPS: JsonObject = {
    "name": "three times",
    "nodes": [
        {"id": "first", "type": "version", "config": {"x": 1}},
        {"id": "wait", "type": "delay", "config": {"delayType": "seconds", "delayValue": 1}},
        {"id": "second", "type": "activity", "config": {"activity": "version", "input": {"x": 2}}},
        {
            "id": "each",
            "type": "map",
            "config": {"items": [1, 2], "body": {"nodes": [{"id": "third", "type": "version"}]}},
        },
    ],
    "edges": [
        {"source": "first", "target": "wait"},
        {"source": "wait", "target": "second"},
        {"source": "second", "target": "each"},
    ],
}


def of_version(number: int) -> JsonObject:
    """A source with state in its module and a helper, so that a mixture of two would show."""
    text = f"""
import sys

NUMBER = {number}
seen = getattr(sys, "seen", None)
sys.seen = NUMBER

def _helper():
    return NUMBER

def version(x=None):
    return {{"version": _helper(), "before": seen}}
"""
    return {"language": "python", "source": text}


@pytest.fixture
async def crew(database_url: str, redis_url: str) -> AsyncIterator[Fleet]:
    async with fleet(database_url, redis_url) as workers:
        yield workers


@pytest.fixture
async def client(database_url: str, redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings_for(database_url, redis_url)) as client:
        yield client


async def put(client: httpx.AsyncClient, body: JsonObject, name: str = "version") -> str:
    response = await client.put(f"/activities/{name}", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["hash"])


def versions_in(value: JsonValue) -> set[int]:
    match value:
        case {"version": int(number), "before": before}:
            assert before is None  # each call has a process, or at least names, of its own
            return {number}
        case dict():
            return set[int]().union(*map(versions_in, value.values()))
        case list():
            return set[int]().union(*map(versions_in, value))
        case _:
            return set()


async def versions_of(crew: Fleet, run_id: UUID) -> set[int]:
    tasks = await tasks_of(crew.engine, run_id)
    outputs = [tasks[name].output for name in ("first", "second", "each")]
    assert all(versions_in(output) for output in outputs), outputs
    return versions_in(outputs)


@pytest.mark.parametrize("workers", [2])
async def test_each_of_200_runs_uses_one_version_while_it_is_edited(
    crew: Fleet, client: httpx.AsyncClient, workers: int
) -> None:
    await put(client, of_version(0))
    workflow_id = await saved(client, STEPS)
    crew.start(workers)
    runs: dict[UUID, int] = {}
    for number in range(5):
        await put(client, of_version(number))
        ids = await asyncio.gather(*(started(client, workflow_id) for _ in range(RUNS // 5)))
        runs |= dict.fromkeys(map(UUID, ids), number)
    in_flight = (await crew.statuses()).get("running", 0)
    await put(client, of_version(99))
    await crew.until_all_ended(120)
    assert in_flight > RUNS // 4
    assert {await status_of(crew.engine, run_id) for run_id in runs} == {"succeeded"}
    used = {run_id: await versions_of(crew, run_id) for run_id in runs}
    assert used == {run_id: {number} for run_id, number in runs.items()}
    assert Counter(runs.values()) == dict.fromkeys(range(5), RUNS // 5)


async def test_edits_need_no_restart_and_leave_nothing_behind(crew: Fleet, client: httpx.AsyncClient) -> None:
    """One trusted child process after the other sees old, new and old again: by content, never by name."""
    await client.put("/projects/default/settings", json={"activitiesTrusted": True})
    crew.env["HEADRACE_ISOLATED_PROCESSES"] = "1"
    await put(client, {"language": "python", "source": "def which():\n    return 'old'\n"}, "which")
    workflow_id = await saved(client, {"name": "one", "nodes": [{"id": "a", "type": "which"}]})
    crew.start(1)

    async def run() -> JsonValue:
        run_id = UUID(await started(client, workflow_id))

        async def has_ended() -> bool:
            return await status_of(crew.engine, run_id) in ("succeeded", "failed")

        await eventually(has_ended, 30, "the run ends")
        output: JsonValue = (await tasks_of(crew.engine, run_id))["a"].output
        return output

    assert await run() == "old"
    await put(client, {"language": "python", "source": "def which():\n    return 'new'\n"}, "which")
    assert await run() == "new"
    assert (await client.post("/activities/which/rollback")).status_code == 200
    assert await run() == "old"
