"""A stored activity and a worker's of the same name: the run's pin and project say which one runs."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from headrace import worker_task
from headrace.activities.registry import REGISTRY
from headrace.engine.activities import Upload, upload
from headrace.engine.lacking import declare
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.project import EVERY_PROJECT
from headrace.nodes.builtin import builtin
from headrace.nodes.lanes import Language, NoLanes, Program, Sandboxed, SandboxLimits
from headrace.sandbox.checked import Checked
from headrace.store import workers
from headrace.store.db import Database
from headrace.store.workers import NewWorker
from headrace.testing import FakeHttp, process
from support.build import node, workflow
from support.drive import tasks_of
from support.rows import sql

pytestmark = pytest.mark.anyio

AS_TYPE = node("a", "greet")
BY_NAME = node("a", "activity", config={"activity": "greet"})


class Stored(NoLanes):
    """A process whose sandbox answers so for every program."""

    async def run_sandboxed(
        self,
        program: Program,  # noqa: ARG002
        payload: JsonValue,  # noqa: ARG002
        limits: SandboxLimits,  # noqa: ARG002
    ) -> Sandboxed:
        return Sandboxed("stored")


async def anything(language: Language, source: str) -> Checked:
    return Checked((), ("run",))


async def put(engine: Engine, project: str) -> None:
    """As an API does, which has no code of workers."""
    with REGISTRY.restored():
        REGISTRY.forget("greet")
        await upload(engine, Upload("greet", "python", "def run(task_input): ...", project=project), anything)


async def begun(engine: Engine, project: str, *nodes: JsonObject) -> Started:
    saved = await create_workflow(engine, workflow([*nodes], []), project=project)
    return await start_run(engine, StartRequest(saved))


async def answers(engine: Engine, run: Started) -> dict[str, JsonValue]:
    waiting = [*run.dispatches]
    while waiting:
        waiting += await process.deliver(engine, waiting.pop(0), FakeHttp(), Stored())
    return {name: task.output for name, task in (await tasks_of(engine, run.run_id)).items()}


@pytest.fixture
def worker(db: Database) -> Iterator[Engine]:
    """The engine of a worker that brings an activity `greet` of its own."""
    with REGISTRY.restored():

        @worker_task("greet")
        async def greet() -> str:
            return "local"

        yield Engine.over(db, builtin())


async def declared_for(engine: Engine, project: str) -> None:
    one = NewWorker(uuid4(), "w", "here", 1, queues=("q",), concurrency=1, projects=(project, EVERY_PROJECT))
    async with engine.db.transaction() as tx:
        await workers.register(tx, one)
    (greet,) = [each.declaration for each in REGISTRY if each.name == "greet"]
    await declare(engine, one.id, project, {"greet": greet.as_json()}, [])


@pytest.mark.parametrize("project", ["shop", "default"])
@pytest.mark.parametrize("kind", [AS_TYPE, BY_NAME])
async def test_a_pinned_run_stays_with_its_version_when_a_worker_brings_the_name(
    db: Database, worker: Engine, project: str, kind: JsonObject
) -> None:
    await put(worker, project)
    run = await begun(Engine.over(db, builtin()), project, kind)
    await declared_for(worker, project)
    assert await answers(worker, run) == {"a": "stored"}


@pytest.mark.parametrize("kind", [AS_TYPE, BY_NAME])
async def test_a_worker_of_another_project_hides_no_stored_activity(worker: Engine, kind: JsonObject) -> None:
    await declared_for(worker, "default")
    await put(worker, "shop")
    assert await answers(worker, await begun(worker, "shop", kind)) == {"a": "stored"}
    assert await answers(worker, await begun(worker, "default", kind)) == {"a": "local"}


async def test_a_child_that_a_worker_starts_is_pinned_as_one_that_the_api_starts(worker: Engine) -> None:
    await declared_for(worker, "default")
    await put(worker, "shop")
    await create_workflow(worker, {**workflow([AS_TYPE], []), "name": "inner"}, project="shop")
    run = await begun(worker, "shop", node("a", "subWorkflow", config={"workflow": "inner"}))
    await answers(worker, run)
    (child,) = await sql(
        worker.db, "SELECT pins->>'greet' AS hash FROM workflow_runs WHERE id <> $1", run.run_id
    )
    assert child.hash is not None
