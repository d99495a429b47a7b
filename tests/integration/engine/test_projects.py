"""Whose things are whose: names, shared keys and variables of one project mean nothing to another."""

from __future__ import annotations

from uuid import UUID

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.graph.dispatch import RunTask
from headrace.graph.json_types import JsonObject
from headrace.graph.queue_names import task_queue
from headrace.store import run_reading
from support.build import chain, edge, node, workflow
from support.drive import drain, status_of, tasks_of
from support.rows import sql

pytestmark = pytest.mark.anyio


async def begun(engine: Engine, project: str, document: JsonObject) -> Started:
    workflow_id = await create_workflow(engine, document, project=project)
    return await start_run(engine, StartRequest(workflow_id))


async def ran(engine: Engine, project: str, document: JsonObject) -> UUID:
    started = await begun(engine, project, document)
    await drain(engine, started.dispatches)
    return started.run_id


def calling(name: str) -> JsonObject:
    return workflow([node("call", "subWorkflow", config={"workflow": name})], [])


async def test_jobs_go_to_the_queue_of_their_project(engine: Engine) -> None:
    started = await begun(engine, "shop", {**chain(2), "priority": "HIGH"})
    (job,) = started.dispatches
    assert isinstance(job, RunTask)
    assert task_queue(job.priority, job.project) == "workflow-tasks-high--shop"


async def test_a_name_means_the_workflow_of_ones_own_project(engine: Engine) -> None:
    for project in ("shop", "bank"):
        await create_workflow(engine, {**chain(1), "name": "pay"}, project=project)
    run_id = await ran(engine, "shop", calling("pay"))
    assert await status_of(engine, run_id) == "succeeded"
    async with engine.db.transaction() as tx:
        (child,) = await run_reading.children(tx, run_id, None, 10, 0)
    assert child.project == "shop"
    stranger = await ran(engine, "garage", calling("pay"))
    assert await status_of(engine, stranger) == "failed"
    (task,) = (await tasks_of(engine, stranger)).values()
    assert task.error["message"] == "there is no workflow 'pay'"


async def test_an_id_leads_into_another_project_whose_workers_run_it(engine: Engine) -> None:
    pay = await create_workflow(engine, chain(2), project="bank")
    document = workflow(
        [node("call", "subWorkflow", config={"workflow": str(pay)}), node("after")], [edge("call", "after")]
    )
    run_id = await ran(engine, "shop", document)
    assert await status_of(engine, run_id) == "succeeded"
    async with engine.db.transaction() as tx:
        (child,) = await run_reading.children(tx, run_id, None, 10, 0)
    assert child.project == "bank"
    rows = await sql(engine.db, "SELECT DISTINCT run_id, project FROM workflow_tasks")
    assert {(row.run_id, row.project) for row in rows} == {(run_id, "shop"), (child.id, "bank")}


async def test_bodies_of_nodes_are_in_their_runs_project(engine: Engine) -> None:
    body: JsonObject = {"nodes": [node("inner")], "edges": []}
    mapped = workflow([node("map", "map", config={"items": [1, 2, 3], "body": body})], [])
    run_id = await ran(engine, "shop", mapped)
    assert await status_of(engine, run_id) == "succeeded"
    rows = await sql(engine.db, "SELECT project, count(*) AS runs FROM workflow_runs GROUP BY project")
    assert [(row.project, row.runs) for row in rows] == [("shop", 4)]


async def test_a_shared_key_is_shared_within_a_project_only(engine: Engine) -> None:
    limited = workflow(
        [node("one", config={"template": "x"}, concurrency={"key": "printer", "limit": 1})], []
    )
    first = await begun(engine, "shop", limited)
    (job,) = first.dispatches
    assert isinstance(job, RunTask)
    # Somebody of the shop holds its printer.
    await sql(
        engine.db,
        "WITH held AS (UPDATE workflow_tasks SET status = 'running', token = 7,"
        " lease_until = now() + interval '1 hour' WHERE run_id = $1)"
        " INSERT INTO concurrency_slots (key, run_id, position, token) VALUES ('shop: printer', $1, 0, 7)",
        first.run_id,
    )
    assert await status_of(engine, await ran(engine, "bank", limited)) == "succeeded"
    waiting = await ran(engine, "shop", limited)
    (task,) = (await tasks_of(engine, waiting)).values()
    assert task.status.value == "waiting"


async def test_a_variable_of_a_project_is_its_own(engine: Engine) -> None:
    def counting(project: str) -> JsonObject:
        config = {"scope": "project", "name": "count", "operation": "increment", "value": 1}
        return {**workflow([node("count", "setVariable", config=config)], []), "name": project}

    for project in ("shop", "shop", "bank"):
        assert await status_of(engine, await ran(engine, project, counting(project))) == "succeeded"
    rows = await sql(engine.db, "SELECT owner, value FROM workflow_variables ORDER BY owner")
    assert [(row.owner, str(row.value)) for row in rows] == [("bank", "1"), ("shop", "2")]
