"""Programs that a worker refuses to run: its machine has no walls for them, or they ask for too much."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from headrace.engine.explain import explain
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.graph.json_types import JsonObject
from headrace.sandbox import lane as sandboxes
from headrace.sandbox.support import SandboxSupport
from headrace.store.results import Task
from headrace.testing import FakeHttp, process
from headrace_worker.lanes import WorkerLanes
from support.api import serving, settings_for
from support.drive import tasks_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bare(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerLanes]:
    """The lanes of a worker whose kernel has no Landlock."""
    monkeypatch.setattr(sandboxes, "sandbox_support", lambda: SandboxSupport(0, True, ""))
    one = WorkerLanes.of(settings_for("", ""))
    yield one
    await one.close()


async def run(engine: Engine, lanes: WorkerLanes, **node: object) -> tuple[Task, str]:
    """Its task, and what `explain` says of the run."""
    document: JsonObject = {"name": "w", "nodes": [{"id": "n", **node}]}  # type: ignore[dict-item]
    started = await start_run(engine, StartRequest(await create_workflow(engine, document), {"a": 1}))
    waiting = list(started.dispatches)
    while waiting:
        waiting += await process.deliver(engine, waiting.pop(0), FakeHttp(), lanes)
    told = await explain(engine, started.run_id)
    return (await tasks_of(engine, started.run_id))["n"], told.text


@pytest.mark.parametrize(
    "node",
    [
        {"type": "code", "config": {"code": "return 1"}},
        {"type": "code", "config": {"language": "javascript", "code": "1"}},
        {"type": "inline", "config": {"expression": "$.a"}},
    ],
    ids=["python", "javascript", "inline"],
)
async def test_a_worker_without_walls_refuses_and_explain_says_what_is_missing(
    engine: Engine, bare: WorkerLanes, node: JsonObject
) -> None:
    task, told = await run(engine, bare, **node)
    assert task.error is not None
    assert (task.status, task.attempt, task.error["type"]) == ("failed", 1, "SandboxUnavailable")
    assert "this machine has no sandbox: it lacks Landlock (Linux 5.13)" in str(task.error["message"])
    assert "HEADRACE_UNSAFE_CODE=1" in str(task.error["message"])
    assert "this machine has no sandbox: it lacks Landlock" in told


async def test_a_node_asks_for_no_more_memory_than_the_setting_allows(
    engine: Engine, database_url: str, redis_url: str
) -> None:
    config = {"code": "return 1", "memoryMb": 1025}
    async with serving(settings_for(database_url, redis_url)) as client:
        refused = await _saved(client, config)
        assert refused.status_code == 422
        (problem,) = refused.json()["details"]
        assert problem["path"] == "nodes[0].config.memoryMb"
        assert problem["message"] == "must be at most 1024, which HEADRACE_SANDBOX_MEMORY_MB allows"
        assert (await _saved(client, config | {"memoryMb": 1024})).status_code == 201


async def test_a_worker_with_a_lower_limit_refuses(engine: Engine) -> None:
    """The API that saved the workflow has allowed more, or allowed it in other times."""
    lanes = WorkerLanes.of(settings_for("", "", HEADRACE_SANDBOX_MEMORY_MB="512"))
    task, told = await run(engine, lanes, type="code", config={"code": "return 1", "memoryMb": 600})
    await lanes.close()
    message = "it asks for 600 MiB, and HEADRACE_SANDBOX_MEMORY_MB allows 512"
    assert task.error == {"type": "MemoryLimit", "message": message}
    assert (task.status, task.attempt) == ("failed", 1)
    assert message in told


async def _saved(client: httpx.AsyncClient, config: JsonObject) -> httpx.Response:
    return await client.post(
        "/workflows", json={"name": "w", "nodes": [{"id": "n", "type": "code", "config": config}]}
    )
