"""Long outputs: stored once each, kept while a task refers to them."""

from __future__ import annotations

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import delete_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.store import payloads
from headrace.store.payloads import INLINE_LIMIT
from support.build import chain, edge, node, workflow
from support.drive import drain, run_to_end, status_of, tasks_of

pytestmark = pytest.mark.anyio

LONG = {"text": "x" * INLINE_LIMIT}


async def count(engine: Engine, condition: str) -> int:
    async with engine.db.transaction() as tx:
        row = await tx.row(f"SELECT count(*) AS found FROM {condition}")
    assert row is not None
    return int(row.found)


async def test_an_output_that_is_passed_on_is_stored_once(engine: Engine) -> None:
    run_id = await run_to_end(engine, chain(5), LONG)
    assert await status_of(engine, run_id) == "succeeded"
    assert [task.output for task in (await tasks_of(engine, run_id)).values()] == [LONG] * 5
    assert await count(engine, "payloads") == 1
    assert await count(engine, "workflow_tasks WHERE output IS NOT NULL") == 0


async def test_a_short_output_stays_in_its_row(engine: Engine) -> None:
    await run_to_end(engine, chain(2), {"text": "short"})
    assert await count(engine, "payloads") == 0


async def test_a_long_output_comes_through_the_ordinary_release_too(engine: Engine) -> None:
    """A `finally` node keeps the run off the shortcut."""
    nodes = [node("a"), node("b"), node("last", **{"finally": True})]
    run_id = await run_to_end(engine, workflow(nodes, [edge("a", "b")]), LONG)
    tasks = await tasks_of(engine, run_id)
    assert tasks["b"].output == LONG
    assert await count(engine, "payloads") == 1


async def test_what_no_task_refers_to_is_forgotten_after_an_hour(engine: Engine) -> None:
    run_id = await run_to_end(engine, chain(1), LONG)
    async with engine.db.transaction() as tx:
        await tx.fetch("UPDATE payloads SET created_at = now() - interval '2 hours'")
        assert await payloads.forget_unused(tx, 100) == 0, "it is in use"
        row = await tx.row("SELECT workflow_id FROM workflow_runs WHERE id = $1", run_id)
    assert row is not None
    await delete_workflow(engine, row.workflow_id)
    async with engine.db.transaction() as tx:
        assert await payloads.forget_unused(tx, 100) == 1


async def test_a_run_whose_input_is_long_reads_it_each_time(engine: Engine) -> None:
    """Long inputs are not kept in memory; the nodes get them all the same."""
    run_id = await run_to_end(engine, chain(1), LONG)
    assert engine.runs.get(run_id) is None
    async with engine.db.transaction() as tx:
        row = await tx.row("SELECT workflow_id FROM workflow_runs WHERE id = $1", run_id)
    assert row is not None
    short = await start_run(engine, StartRequest(row.workflow_id, {}))
    await drain(engine, short.dispatches)
    assert engine.runs.get(short.run_id) is not None
