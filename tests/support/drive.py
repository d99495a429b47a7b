"""Runs workflows in the test's own process: the engine without queues, one dispatch at a time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from uuid import UUID, uuid4

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.graph.dispatch import Dispatch
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.store import results, run_reading
from headrace.store.results import Task
from headrace.testing import FakeHttp, process

WORKER = uuid4()


NoHttp = FakeHttp
"""For workflows that call nobody."""


async def deliver(engine: Engine, dispatch: Dispatch) -> Sequence[Dispatch]:
    """Does what a worker does with one job; returns what follows."""
    return await process.deliver(engine, dispatch, NoHttp())


async def drain(engine: Engine, dispatches: Sequence[Dispatch], order: random.Random | None = None) -> None:
    """Delivers until nothing is left; `order` picks at random what comes next."""
    waiting = list(dispatches)
    while waiting:
        place = order.randrange(len(waiting)) if order else 0
        waiting += await deliver(engine, waiting.pop(place))


async def run_to_end(engine: Engine, document: JsonValue, run_input: JsonValue = None) -> UUID:
    """Stores a workflow, runs it without waits and returns the run's id."""
    workflow_id = await create_workflow(engine, document)
    started = await start_run(engine, StartRequest(workflow_id, run_input))
    await drain(engine, started.dispatches)
    return started.run_id


async def status_of(engine: Engine, run_id: UUID) -> str:
    async with engine.db.transaction() as tx:
        run = await run_reading.get(tx, run_id)
    assert run is not None
    return run.status.value


async def tasks_of(engine: Engine, run_id: UUID) -> dict[str, Task]:
    """The run's tasks by node id."""
    async with engine.db.transaction() as tx:
        return {task.node_id: task for task in await results.tasks_of_run(tx, run_id)}


async def statuses_of(engine: Engine, run_id: UUID) -> dict[str, str]:
    return {name: task.status.value for name, task in (await tasks_of(engine, run_id)).items()}


def task_id(run_id: UUID, position: int) -> TaskId:
    return TaskId(run_id, position)
