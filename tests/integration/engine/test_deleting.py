"""Runs that have ended are deleted with all that is theirs, and with nothing that others need."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from headrace.engine import deleting
from headrace.engine.again import Rerun, rerun, retry_run
from headrace.engine.bulk import BulkAction, BulkRequest, act_on_many
from headrace.engine.control import cancel_run
from headrace.engine.deleting import delete_run, delete_runs
from headrace.engine.explain import explain
from headrace.engine.program import Engine
from headrace.engine.reading import run_detail
from headrace.engine.save import create_workflow
from headrace.engine.signals import SignalRequest, send_signal
from headrace.engine.start import StartRequest, start_run
from headrace.engine.verify import verify
from headrace.errors import NotFound, WrongState
from headrace.graph.json_types import JsonObject
from headrace.graph.states import RunStatus
from headrace.store import payloads
from headrace.store.db import Database
from support.build import edge, node, workflow
from support.drive import deliver, drain, run_to_end, status_of, statuses_of, tasks_of
from support.family import a_map, call, children_of, with_items
from support.rows import sql

pytestmark = pytest.mark.anyio

TABLES_OF_RUNS = (
    "workflow_tasks",
    "workflow_events",
    "workflow_signals",
    "task_children",
    "run_trees",
    "variable_writes",
    "concurrency_slots",
    "task_heartbeats",
)
CHAIN = workflow([node("a"), node("b")], [edge("a", "b")])
LONG = "x" * (payloads.INLINE_LIMIT + 1)


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types, `script` and `item`."""
    return Engine.over(db, with_items())


def items(*fails: int, **config: object) -> JsonObject:
    """A map of three items in a body that sets a variable."""
    counts = node("count", "setVariable", config={"name": "n", "operation": "increment", "value": 1})
    body: JsonObject = {
        "nodes": [counts, node("item", "item", config={"fails": [*fails], "attempts": 1})],
        "edges": [edge("count", "item")],
    }
    return a_map("map", body, items=[1, 2, 3], maxConcurrency=3)


async def begun(engine: Engine, document: JsonObject) -> UUID:
    run = await start_run(engine, StartRequest(await create_workflow(engine, document)))
    await drain(engine, run.dispatches)
    return run.run_id


async def left(db: Database) -> dict[str, int]:
    """How many rows of runs there are, by table."""
    names = ("workflow_runs", *TABLES_OF_RUNS)
    counts: dict[str, int] = {
        name: (await sql(db, f"SELECT count(*)::int AS n FROM {name}"))[0].n for name in names
    }
    own = await sql(db, "SELECT count(*)::int AS n FROM workflow_variables WHERE scope = 'run'")
    return {name: n for name, n in {**counts, "variables": own[0].n}.items() if n}


async def test_a_run_goes_with_all_that_is_below_it(engine: Engine, db: Database) -> None:
    await create_workflow(
        engine, workflow([items(), node("wait", "waitSignal", config={"signal": "go"})], [], name="inner")
    )
    other = await run_to_end(engine, CHAIN)
    kept = await left(db)
    run_id = await begun(engine, workflow([call("call", "inner")], []))
    (inner,) = await children_of(engine, run_id)
    sent = await send_signal(engine, SignalRequest(inner, "go"))
    await drain(engine, sent.dispatches)
    assert await status_of(engine, run_id) == "succeeded"
    full = await left(db)
    assert full["workflow_runs"] == kept["workflow_runs"] + 5
    assert {"workflow_signals", "run_trees", "variable_writes", "variables"} <= full.keys()

    await delete_run(engine, run_id)
    assert await left(db) == kept
    assert await status_of(engine, other) == "succeeded"
    assert await verify(db) == []
    with pytest.raises(NotFound):
        await delete_run(engine, run_id)
    with pytest.raises(NotFound):
        await retry_run(engine, run_id)


@pytest.mark.parametrize("status", ["running", "paused", "queued"])
async def test_a_run_that_has_not_ended_is_cancelled_first(engine: Engine, db: Database, status: str) -> None:
    run_id = await begun(engine, workflow([node("wait", "waitSignal", config={"signal": "go"})], []))
    await sql(db, "UPDATE workflow_runs SET status = $2 WHERE id = $1", run_id, status)
    with pytest.raises(WrongState, match=f"it is {status}: cancel it first"):
        await delete_run(engine, run_id)
    await drain(engine, await cancel_run(engine, run_id))
    await delete_run(engine, run_id)
    assert await left(db) == {}


async def test_what_another_run_waits_for_stays(engine: Engine, db: Database) -> None:
    hold: JsonObject = {
        "nodes": [node("in", "item"), node("wait", "waitSignal", config={"signal": "go"})],
        "edges": [],
    }
    quick = workflow([node("a")], [], name="quick")
    await create_workflow(engine, quick)
    run_id = await begun(engine, workflow([call("call", "quick"), a_map("map", hold, items=[1])], []))
    done, open_ = await children_of(engine, run_id)
    assert [await status_of(engine, one) for one in (done, open_)] == ["succeeded", "running"]
    with pytest.raises(WrongState, match=f"belongs to run {run_id}, which has not ended"):
        await delete_run(engine, done)
    await drain(engine, await cancel_run(engine, run_id))
    await delete_run(engine, done)
    assert await children_of(engine, run_id) == [open_]
    assert await verify(db) == []


async def test_a_run_stays_while_one_that_it_abandoned_goes_on(engine: Engine, db: Database) -> None:
    inner = workflow([node("wait", "waitSignal", config={"signal": "go"})], [], name="inner")
    await create_workflow(engine, inner)
    run_id = await begun(engine, workflow([call("call", "inner", onCancel="abandon")], []))
    (child,) = await children_of(engine, run_id)
    await drain(engine, await cancel_run(engine, run_id))
    assert (await status_of(engine, run_id), await status_of(engine, child)) == ("cancelled", "running")
    with pytest.raises(WrongState, match=f"Run {child}, which runs for it, has not ended"):
        await delete_run(engine, run_id)
    await drain(engine, await cancel_run(engine, child))
    await delete_run(engine, run_id)
    assert await left(db) == {}


async def test_a_child_that_nobody_has_counted_yet_stays(engine: Engine, db: Database) -> None:
    await create_workflow(engine, workflow([node("a")], [], name="quick"))
    run_id = await run_to_end(engine, workflow([call("call", "quick")], []))
    (child,) = await children_of(engine, run_id)
    await sql(db, "UPDATE workflow_runs SET is_reported = false WHERE id = $1", child)
    with pytest.raises(WrongState, match="try again"):
        await delete_run(engine, child)


async def test_a_retry_makes_a_deleted_child_anew(engine: Engine, db: Database) -> None:
    run_id = await run_to_end(engine, workflow([items(1)], []))
    assert await status_of(engine, run_id) == "failed"
    first, second, _ = await children_of(engine, run_id)
    for child in (first, second):
        await delete_run(engine, child)
    assert (await explain(engine, run_id)).text.startswith("failed because of node map")
    assert len((await run_detail(engine, run_id)).inner) == 2  # of the item that is left
    await drain(engine, await retry_run(engine, run_id))
    # The new one in the middle is at its first attempt, which fails as the deleted one's did.
    assert await status_of(engine, run_id) == "failed"
    await drain(engine, await retry_run(engine, run_id))
    assert (await tasks_of(engine, run_id))["map"].output == [10, 20, 30]
    assert await verify(db) == []


async def test_a_rerun_keeps_what_it_uses_again(engine: Engine, db: Database) -> None:
    first = await run_to_end(
        engine, workflow([items(), node("a"), node("b")], [edge("map", "b"), edge("a", "b")]), {"long": LONG}
    )
    before = await tasks_of(engine, first)
    again = await rerun(engine, Rerun(first, ["b"]))
    await delete_run(engine, first)
    await sql(db, "UPDATE payloads SET created_at = now() - interval '2 hours'")
    async with db.transaction() as tx:
        await payloads.forget_unused(tx, 100)
    await drain(engine, again.dispatches)
    assert await status_of(engine, again.run_id) == "succeeded"
    after = await tasks_of(engine, again.run_id)
    assert {name: task.output for name, task in after.items()} == {
        n: task.output for n, task in before.items()
    }
    assert (await sql(db, "SELECT count(*) AS n FROM payloads"))[0].n > 0
    assert await verify(db) == []

    await delete_run(engine, again.run_id)
    await sql(db, "UPDATE payloads SET created_at = now() - interval '2 hours'")
    async with db.transaction() as tx:
        await payloads.forget_unused(tx, 100)
    assert (await sql(db, "SELECT count(*) AS n FROM payloads"))[0].n == 0
    assert await left(db) == {}


async def test_reruns_raced_with_the_delete_reuse_all_or_are_refused(engine: Engine, db: Database) -> None:
    for _ in range(20):
        first = await run_to_end(engine, CHAIN)
        reran, _ = await asyncio.gather(
            rerun(engine, Rerun(first, ["b"])), delete_run(engine, first), return_exceptions=True
        )
        if isinstance(reran, BaseException):
            assert isinstance(reran, NotFound)
            continue
        assert list(reran.reused) == ["a"]
        await drain(engine, reran.dispatches)
        assert await statuses_of(engine, reran.run_id) == {"a": "completed", "b": "completed"}
    assert await verify(db) == []


async def test_retries_raced_with_the_delete(engine: Engine, db: Database) -> None:
    bad = workflow([node("bad", "script", config={"do": "fail", "times": 1, "retryable": False})], [])
    for _ in range(20):
        run_id = await run_to_end(engine, bad)
        retried, deleted = await asyncio.gather(
            retry_run(engine, run_id), delete_run(engine, run_id), return_exceptions=True
        )
        refusals = [one for one in (retried, deleted) if isinstance(one, BaseException)]
        assert len(refusals) == 1
        if not isinstance(retried, BaseException):
            assert isinstance(deleted, WrongState)
            await drain(engine, retried)
            assert await status_of(engine, run_id) == "succeeded"
    assert await verify(db) == []


async def test_a_key_goes_on_starting_nothing(engine: Engine, db: Database) -> None:
    workflow_id = await create_workflow(engine, CHAIN)
    first = await start_run(engine, StartRequest(workflow_id, key="order-17"))
    await drain(engine, first.dispatches)
    await delete_run(engine, first.run_id)
    second = await start_run(engine, StartRequest(workflow_id, key="order-17"))
    assert (second.run_id, list(second.dispatches)) == (first.run_id, [])
    assert await left(db) == {}


async def test_late_jobs_of_a_deleted_run_do_nothing(engine: Engine, db: Database) -> None:
    started = await start_run(engine, StartRequest(await create_workflow(engine, CHAIN)))
    seen = list(started.dispatches)
    waiting = list(seen)
    while waiting:
        new = await deliver(engine, waiting.pop())
        seen += new
        waiting += new
    await delete_run(engine, started.run_id)
    for dispatch in seen:
        assert not await deliver(engine, dispatch)
    assert await left(db) == {}


async def test_many_at_once(engine: Engine, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "AT_ONCE", 2)
    workflow_id = await create_workflow(engine, workflow([items()], []))
    ended = []
    for _ in range(5):
        run = await start_run(engine, StartRequest(workflow_id))
        await drain(engine, run.dispatches)
        ended.append(run.run_id)
    going_on = await start_run(engine, StartRequest(workflow_id))
    other = await run_to_end(engine, CHAIN)
    dry = await act_on_many(engine, BulkRequest(BulkAction.DELETE, workflow_id, is_dry=True))
    assert (dry.matched, dry.done) == ([*ended, going_on.run_id], [])
    result = await act_on_many(engine, BulkRequest(BulkAction.DELETE, workflow_id))
    assert (result.matched, result.done) == ([*ended, going_on.run_id], ended)
    assert [(one.run_id, one.message) for one in result.refused] == [
        (going_on.run_id, "The run has not ended, it is running: cancel it first")
    ]
    assert await status_of(engine, other) == "succeeded"
    assert (await left(db))["workflow_runs"] == 2
    done = BulkRequest(BulkAction.DELETE, status=RunStatus.SUCCEEDED)
    assert (await act_on_many(engine, done)).done == [other]
    assert await verify(db) == []


async def test_a_run_and_its_child_asked_for_together(engine: Engine, db: Database) -> None:
    await create_workflow(engine, workflow([node("a")], [], name="quick"))
    run_id = await run_to_end(engine, workflow([call("call", "quick")], []))
    (child,) = await children_of(engine, run_id)
    unknown = uuid4()
    deletion = await delete_runs(engine, [child, run_id, unknown])
    assert (deletion.deleted, list(deletion.refused)) == ([child, run_id], [unknown])
    assert await left(db) == {}
