"""The API in the test's own process, over real servers; and short ways to use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpx

from headrace.api.main import create_app
from headrace.config import Settings
from headrace.engine.program import Engine
from headrace.graph.dispatch import RunTask
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from support.drive import drain


def settings_for(database_url: str, redis_url: str, **more: object) -> Settings:
    """Settings by their names in the environment, without samples unless asked for."""
    given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "HEADRACE_SAMPLES": False, **more}
    return Settings(_env_file=None, **given)


@asynccontextmanager
async def serving(settings: Settings, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API with these settings. A crash is answered as 500 and not raised."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost:3000", headers=headers) as client,
    ):
        yield client


async def saved(client: httpx.AsyncClient, document: JsonObject) -> str:
    """Stores a workflow and returns its id."""
    response = await client.post("/workflows", json=document)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def started(client: httpx.AsyncClient, workflow_id: str, run_input: JsonValue = None) -> str:
    """Starts a run and returns its id."""
    response = await client.post(f"/workflows/{workflow_id}/execute-async", json={"input": run_input})
    assert response.status_code == 201, response.text
    return str(response.json()["runId"])


async def finish(engine: Engine, run_id: str, roots: int = 1) -> None:
    """Does the work of the workers, from the first nodes on, until nothing is left."""
    ids = [TaskId(UUID(run_id), position) for position in range(roots)]
    await drain(engine, [RunTask(task, 1, 1, "", 300) for task in ids])


async def finished_run(client: httpx.AsyncClient, engine: Engine, document: JsonObject) -> tuple[str, str]:
    """The ids of a workflow and of a run of it that has ended."""
    workflow_id = await saved(client, document)
    run_id = await started(client, workflow_id, {"who": "Ada"})
    await finish(engine, run_id)
    return workflow_id, run_id
