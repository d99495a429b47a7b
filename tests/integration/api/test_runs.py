"""Starting, reading, listing and cancelling runs over HTTP."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest

from headrace.engine.program import Engine
from headrace.graph.dispatch import RunTask
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from support.build import chain
from support.drive import drain

pytestmark = pytest.mark.anyio


async def saved(client: httpx.AsyncClient, document: JsonObject) -> str:
    response = await client.post("/workflows", json=document)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def started(client: httpx.AsyncClient, workflow_id: str, run_input: JsonValue = None) -> str:
    response = await client.post(f"/workflows/{workflow_id}/execute-async", json={"input": run_input})
    assert response.status_code == 201, response.text
    return str(response.json()["runId"])


async def finish(engine: Engine, run_id: str, roots: int = 1) -> None:
    """Does the work of the workers, from the roots on."""
    ids = [TaskId(UUID(run_id), position) for position in range(roots)]
    await drain(engine, [RunTask(task, 1, 1, "", 300) for task in ids])


async def test_a_run_is_started_and_its_end_is_seen(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, chain(2))
    run_id = await started(client, workflow_id, {"who": "Ada"})
    await finish(engine, run_id)
    seen = (await client.get(f"/workflows/{workflow_id}/runs/{run_id}/status")).json()
    assert seen["status"] == "succeeded"
    assert seen["tasks"][1]["input"] == {"who": "Ada"}
