"""Starting runs: once for each Idempotency-Key, and never of a workflow that is being deleted."""

from __future__ import annotations

import asyncio

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow, delete_workflow, update_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.errors import IdempotencyConflict, InvalidInput, NotFound, WrongState
from headrace.graph.json_types import JsonValue
from headrace.store import workflows
from support.build import chain, node, workflow
from support.drive import drain, status_of
from support.rows import sql

pytestmark = pytest.mark.anyio


async def test_twenty_starts_at_once_with_one_key_are_one_run(engine: Engine) -> None:
    workflow_id = await create_workflow(engine, chain(2))
    request = StartRequest(workflow_id, {"n": 1}, key="k")
    starts = await asyncio.gather(*(start_run(engine, request) for _ in range(20)))
    assert len({one.run_id for one in starts}) == 1
    assert [len(one.dispatches) for one in starts].count(1) == 1
    (count,) = await sql(engine.db, "SELECT count(*) AS n FROM workflow_runs")
    assert count.n == 1
    await drain(engine, [job for one in starts for job in one.dispatches])
    assert await status_of(engine, starts[0].run_id) == "succeeded"


async def test_a_key_belongs_to_its_input_and_its_workflow(engine: Engine) -> None:
    first = await create_workflow(engine, chain(1))
    second = await create_workflow(engine, chain(1))
    run = await start_run(engine, StartRequest(first, {"n": 1}, key="k"))
    with pytest.raises(IdempotencyConflict):
        await start_run(engine, StartRequest(first, {"n": 2}, key="k"))
    again = await start_run(engine, StartRequest(first, {"n": 1}, key="k"))
    assert (again.run_id, list(again.dispatches)) == (run.run_id, [])
    other = await start_run(engine, StartRequest(second, {"n": 2}, key="k"))
    plain = await start_run(engine, StartRequest(first, {"n": 1}))
    assert len({run.run_id, other.run_id, plain.run_id}) == 3


async def test_a_key_is_forgotten_after_a_day(engine: Engine) -> None:
    workflow_id = await create_workflow(engine, chain(1))
    run = await start_run(engine, StartRequest(workflow_id, 1, key="k"))
    await sql(engine.db, "UPDATE idempotency_keys SET created_at = now() - interval '23 h 59 min'")
    assert (await start_run(engine, StartRequest(workflow_id, 1, key="k"))).run_id == run.run_id
    await sql(engine.db, "UPDATE idempotency_keys SET created_at = now() - interval '24 h 1 s'")
    later = await asyncio.gather(
        *(start_run(engine, StartRequest(workflow_id, 2, key="k")) for _ in range(5))
    )
    assert len({one.run_id for one in later} - {run.run_id}) == 1


async def test_a_start_that_is_refused_leaves_nothing_and_its_key_free(engine: Engine) -> None:
    workflow_id = await create_workflow(engine, chain(1))
    values: list[JsonValue] = [{"text": "\x00"}, {"number": float("nan")}, "\ud800"]
    for value in values:
        with pytest.raises(InvalidInput):
            await start_run(engine, StartRequest(workflow_id, value, key="k"))
    with pytest.raises(InvalidInput):
        await start_run(engine, StartRequest(workflow_id, 1, key="\x00"))
    for table in ("workflow_runs", "workflow_tasks", "workflow_events", "idempotency_keys"):
        (count,) = await sql(engine.db, f"SELECT count(*) AS n FROM {table}")
        assert count.n == 0, table
    assert (await start_run(engine, StartRequest(workflow_id, 1, key="k"))).dispatches


async def test_a_workflow_that_cannot_be_stored_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInput):
        await create_workflow(engine, workflow([node("a", config={"template": "\x00"})], []))


_WAITS = """
SELECT count(*) AS n FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def _until_somebody_waits(engine: Engine) -> None:
    async with asyncio.timeout(10):
        while (await sql(engine.db, _WAITS))[0].n == 0:
            await asyncio.sleep(0.005)


async def test_a_start_waits_for_a_delete_and_then_finds_nothing(engine: Engine) -> None:
    workflow_id = await create_workflow(engine, chain(1))
    async with engine.db.transaction() as tx:
        await workflows.lock(tx, workflow_id)
        start = asyncio.create_task(start_run(engine, StartRequest(workflow_id)))
        await _until_somebody_waits(engine)
        assert await workflows.delete(tx, workflow_id)
    with pytest.raises(NotFound):
        await start


async def test_a_workflow_with_an_active_run_is_not_deleted(engine: Engine) -> None:
    workflow_id = await create_workflow(engine, chain(1))
    run = await start_run(engine, StartRequest(workflow_id, key="k"))
    with pytest.raises(WrongState):
        await delete_workflow(engine, workflow_id)
    await update_workflow(engine, workflow_id, chain(2))
    await drain(engine, run.dispatches)
    await delete_workflow(engine, workflow_id)
    with pytest.raises(NotFound):
        await delete_workflow(engine, workflow_id)
    for table in ("workflows", "workflow_versions", "workflow_runs", "workflow_tasks", "workflow_events"):
        (count,) = await sql(engine.db, f"SELECT count(*) AS n FROM {table}")
        assert count.n == 0, table
