"""A retry in place of maps, loops and sub-workflows: what ended well stays, what failed runs again."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from uuid import UUID

import pytest

from headrace.engine.again import retry_run
from headrace.engine.control import cancel_run, pause_run, resume_run
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow, update_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.engine.verify import verify
from headrace.errors import WrongState
from headrace.graph.dispatch import Dispatch
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.db import Database
from support.build import edge, node, workflow
from support.drive import deliver, drain, run_to_end, status_of, statuses_of, tasks_of
from support.family import a_loop, a_map, call, children_of, statuses_of_runs, with_items
from support.rows import sql

pytestmark = pytest.mark.anyio

WAIT = node("hold", "script", config={"do": "wait"})


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types, `script` and `item`."""
    return Engine.over(db, with_items())


def fails(*indexes: int, attempts: int = 1) -> JsonObject:
    return node("item", "item", config={"fails": [*indexes], "attempts": attempts})


def steps(bad: JsonObject) -> JsonObject:
    """A body of two nodes, the second of which is bad."""
    return {"nodes": [node("first", "item"), bad], "edges": [edge("first", str(bad["id"]))]}


async def begun(engine: Engine, document: JsonObject, run_input: JsonValue = None) -> UUID:
    """A run that goes on until nothing can be delivered."""
    run = await start_run(engine, StartRequest(await create_workflow(engine, document), run_input))
    await drain(engine, run.dispatches)
    return run.run_id


async def retried(engine: Engine, run_id: UUID) -> None:
    await drain(engine, await retry_run(engine, run_id))
    assert await verify(engine.db) == []


async def output_of(engine: Engine, run_id: UUID, name: str) -> JsonValue:
    return (await tasks_of(engine, run_id))[name].output


async def attempts(engine: Engine, name: str) -> list[int]:
    """How often each task of this node ran, in the order of the runs' places."""
    rows = await sql(
        engine.db,
        "SELECT t.attempt FROM workflow_tasks t JOIN workflow_runs r ON r.id = t.run_id"
        " WHERE t.node_id = $1 ORDER BY r.parent_run_id, r.child_index, r.id",
        name,
    )
    return [row.attempt for row in rows]


async def test_only_the_failed_items_of_a_map_run_again(engine: Engine) -> None:
    each = a_map("map", steps(fails(1, 3)), items=[1, 2, 3, 4, 5], tolerate=1, maxConcurrency=5)
    run_id = await run_to_end(engine, workflow([each, node("end")], [edge("map", "end")]))
    assert await status_of(engine, run_id) == "failed"
    children = await children_of(engine, run_id)
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "succeeded"
    assert await output_of(engine, run_id, "map") == [10, 20, 30, 40, 50]
    assert await attempts(engine, "first") == [1, 1, 1, 1, 1]
    assert await attempts(engine, "item") == [1, 2, 1, 2, 1]
    assert await children_of(engine, run_id) == children


async def test_items_that_were_cancelled_because_of_others_run_then(engine: Engine) -> None:
    each = a_map("map", fails(1), items=list(range(9)), maxConcurrency=2)
    run_id = await run_to_end(engine, workflow([each], []))
    before = await statuses_of_runs(engine)
    assert before["cancelled"] >= 5
    await retried(engine, run_id)
    assert await output_of(engine, run_id, "map") == [10 * number for number in range(9)]
    assert (await attempts(engine, "item"))[:2] == [1, 2]


@pytest.mark.parametrize(("tolerate", "status"), [(2, "succeeded"), (1, "failed")])
async def test_the_tolerance_counts_kept_items_and_those_that_fail_again(
    engine: Engine, tolerate: int, status: str
) -> None:
    body: JsonObject = {
        "nodes": [fails(1, 2, 3), {**node("again", "item", config={"fails": [2, 3]})}],
        "edges": [edge("item", "again")],
    }
    each = a_map("map", body, items=[0, 1, 2, 3, 4], tolerate=tolerate, maxConcurrency=5)
    run_id = await run_to_end(engine, workflow([each], []))
    assert await status_of(engine, run_id) == "failed"
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == status
    if status == "succeeded":
        assert await output_of(engine, run_id, "map") == [0, 10, None, None, 40]


async def test_failed_items_run_again_no_more_together_than_they_may(engine: Engine) -> None:
    each = a_map("map", fails(*range(20)), items=[1] * 30, maxConcurrency=3, tolerate=19)
    run_id = await run_to_end(engine, workflow([each], []))
    assert await status_of(engine, run_id) == "failed"
    waiting, most = list(await retry_run(engine, run_id)), 0
    while waiting:
        waiting += await deliver(engine, waiting.pop(0))
        rows = await sql(
            engine.db,
            "SELECT count(*)::int AS n FROM workflow_runs WHERE status = 'running' AND body <> ''",
        )
        most = max(most, rows[0].n)
    assert most == 3
    assert await output_of(engine, run_id, "map") == [10] * 30
    assert await verify(engine.db) == []


async def test_a_loop_goes_on_at_the_iteration_that_failed(engine: Engine) -> None:
    loop = a_loop("loop", steps(fails(2)), **{"for": 4}, inputs={"item": 7})
    run_id = await run_to_end(engine, workflow([loop], []))
    assert await status_of(engine, run_id) == "failed"
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "succeeded"
    output = await output_of(engine, run_id, "loop")
    assert isinstance(output, dict)
    assert (output["iterations"], output["results"]) == (4, [70] * 4)
    assert await attempts(engine, "first") == [1, 1, 1, 1]
    assert await attempts(engine, "item") == [1, 1, 2, 1]


async def test_a_sub_workflow_is_opened_again_at_its_failed_node(engine: Engine) -> None:
    bad = node("bad", "script", config={"do": "fail", "times": 1, "retryable": False})
    inner = workflow([node("a"), bad, node("c")], [edge("a", "bad"), edge("bad", "c")], name="inner")
    inner_id = await create_workflow(engine, inner)
    run_id = await run_to_end(engine, workflow([call("call", "inner")], []), {"n": 1})
    (child,) = await children_of(engine, run_id)
    await update_workflow(engine, inner_id, workflow([node("other")], [], name="inner"))
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "succeeded"
    assert await children_of(engine, run_id) == [child]  # with the version that it began with
    assert {name: task.attempt for name, task in (await tasks_of(engine, child)).items()} == {
        "a": 1,
        "bad": 2,
        "c": 1,
    }


async def test_a_map_in_a_sub_workflow_in_a_loop_runs_one_item_again(engine: Engine) -> None:
    each = a_map("map", steps(fails(2)), items="${rows}")
    inner = workflow([each], [], name="inner", outputs={"rows": "${nodes.map.output}"})
    await create_workflow(engine, inner)
    body = call("inner", "inner", input={"rows": [1, 2, 3]})
    run_id = await run_to_end(engine, workflow([a_loop("loop", body, **{"for": 2})], []))
    assert await status_of(engine, run_id) == "failed"
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "failed"  # the second iteration's map fails once, too
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "succeeded"
    output = await output_of(engine, run_id, "loop")
    assert isinstance(output, dict)
    assert output["results"] == [{"rows": [10, 20, 30]}] * 2
    assert await attempts(engine, "first") == [1] * 6
    assert await attempts(engine, "item") == [1, 1, 2] * 2


async def test_a_cancelled_map_goes_on_with_what_had_not_ended(engine: Engine) -> None:
    body: JsonObject = {"nodes": [node("first", "item"), WAIT], "edges": [edge("first", "hold")]}
    run_id = await begun(engine, workflow([a_map("map", body, items=[1, 2, 3], maxConcurrency=2)], []))
    await sql(
        engine.db,
        "UPDATE workflow_tasks SET wake_at = now() WHERE node_id = 'hold' AND run_id = $1",
        (await children_of(engine, run_id))[0],
    )
    await drain(engine, await wake_due(engine))
    await drain(engine, await cancel_run(engine, run_id))
    assert await statuses_of_runs(engine) == {"succeeded": 1, "cancelled": 3}
    await drain(engine, await retry_run(engine, run_id))
    while await status_of(engine, run_id) == "running":
        await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'timer'")
        await drain(engine, await wake_due(engine))
    assert await output_of(engine, run_id, "map") == [10, 20, 30]
    assert (await attempts(engine, "first")) == [1, 1, 1]
    assert await verify(engine.db) == []


async def test_other_items_are_other_children(engine: Engine) -> None:
    """What ran for an item counts only for this item: a node before the map may answer anew."""
    each = a_map("map", steps(fails(1)), items="${items}", tolerate=0, maxConcurrency=9)
    run_id = await run_to_end(engine, workflow([each], []), {"items": [1, 2, 3]})
    other: JsonValue = '{"items": [1, 5, 3, 4]}'
    await sql(engine.db, "UPDATE workflow_runs SET input = $2::text::jsonb WHERE id = $1", run_id, other)
    engine = Engine.over(engine.db, engine.nodes)
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "failed"  # the new item 1 is at its first attempt
    await retried(engine, run_id)
    assert await output_of(engine, run_id, "map") == [10, 50, 30, 40]


async def test_a_child_that_cannot_be_opened_again_is_made_anew(engine: Engine) -> None:
    ends = node("end", "terminate", config={"status": "failed", "reason": "enough"})
    body: JsonObject = {"nodes": [node("first", "item"), ends], "edges": [edge("first", "end")]}
    run_id = await run_to_end(engine, workflow([a_map("map", body, items=[1])], []))
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "failed"
    assert len(await children_of(engine, run_id)) == 2
    assert await attempts(engine, "first") == [1, 1]


async def test_a_finally_map_runs_all_its_items_again(engine: Engine) -> None:
    bad = node("bad", "script", config={"do": "fail", "times": 1, "retryable": False})
    last = a_map("last", node("item", "item"), items=[1, 2]) | {"finally": True}
    run_id = await run_to_end(engine, workflow([bad, last], []))
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "succeeded"
    assert await attempts(engine, "item") == [1] * 4


async def test_a_run_whose_finally_node_failed_runs_only_that_again(engine: Engine) -> None:
    last = node("last", "script", config={"do": "fail", "times": 1, "retryable": False})
    run_id = await run_to_end(engine, workflow([node("a"), {**last, "finally": True}], []))
    assert await status_of(engine, run_id) == "failed"
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "succeeded"
    assert {name: task.attempt for name, task in (await tasks_of(engine, run_id)).items()}["a"] == 1


async def test_one_failed_item_is_retried_while_its_map_goes_on(engine: Engine) -> None:
    body: JsonObject = {"nodes": [fails(0), WAIT], "edges": [edge("item", "hold")]}
    each = a_map("map", body, items=[1, 2], tolerate=1)
    run_id = await begun(engine, workflow([each], []))
    first, _ = await children_of(engine, run_id)
    assert await status_of(engine, first) == "failed"
    await pause_run(engine, run_id)
    with pytest.raises(WrongState, match=f"run {run_id}, which is paused"):
        await retry_run(engine, first)
    await drain(engine, await resume_run(engine, run_id))
    await retried(engine, first)
    assert await statuses_of(engine, first) == {"item": "completed", "hold": "waiting"}
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'timer'")
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run_id) == "succeeded"
    assert await output_of(engine, run_id, "map") == [10, 20]
    assert await verify(engine.db) == []


async def test_a_child_whose_parent_has_ended_names_the_run_to_retry(engine: Engine) -> None:
    await create_workflow(engine, workflow([a_map("map", fails(0), items=[1])], [], name="inner"))
    run_id = await run_to_end(engine, workflow([call("call", "inner")], []))
    (middle,) = await children_of(engine, run_id)
    (item,) = await children_of(engine, middle)
    with pytest.raises(WrongState, match=f"task 'map' of run {middle}.*retry run {run_id}"):
        await retry_run(engine, item)
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "succeeded"


@pytest.mark.parametrize("seed", range(4))
async def test_retries_at_random_orders_come_to_the_same(engine: Engine, seed: int) -> None:
    order = random.Random(seed)
    inner = a_map("inner", steps(fails(1)), items=[1, "${item}", 3], maxConcurrency=2, tolerate=0)
    outer = a_map("outer", inner, items=[4, 5, 6], maxConcurrency=2, tolerate=0)
    run_id = await run_to_end(engine, workflow([outer], []))
    for _ in range(5):
        if await status_of(engine, run_id) == "succeeded":
            break
        jobs: list[Dispatch] = await retry_run(engine, run_id)
        await drain(engine, [*jobs, *jobs], order)
        assert await verify(engine.db) == []
    assert await output_of(engine, run_id, "outer") == [[10, 10 * item, 30] for item in (4, 5, 6)]
    assert await attempts(engine, "first") == [1] * 9


@pytest.mark.parametrize("seed", range(6))
async def test_retries_and_a_cancel_under_many_hands(engine: Engine, seed: int) -> None:
    """Eight workers deliver in any order, some jobs twice; somebody retries items and cancels meanwhile."""
    rng = random.Random(seed)
    inner = a_map("inner", steps(fails(0, 2)), items=[1, "${item}", 3], maxConcurrency=2, tolerate=seed % 3)
    outer = a_map("outer", inner, items=list(range(6)), maxConcurrency=3, tolerate=2)
    loop = a_loop("loop", steps(fails(1)), **{"for": 3}, inputs={"item": 5})
    run = await start_run(engine, StartRequest(await create_workflow(engine, workflow([outer, loop], []))))
    bag: list[Dispatch] = [*run.dispatches, *run.dispatches]
    cancels = [rng.choice((15, 60, 120, 10_000))]

    async def work() -> None:
        while bag:
            job = bag.pop(rng.randrange(len(bag)))
            bag.extend(await deliver(engine, job))
            if rng.random() < 0.1:
                bag.append(job)
            cancels[0] -= 1
            with suppress(WrongState):
                if cancels[0] == 0:
                    bag.extend(await cancel_run(engine, run.run_id))
                elif rng.random() < 0.1:
                    bag.extend(await retry_run(engine, await _any_failed(engine, rng)))

    async with asyncio.timeout(50):
        while await status_of(engine, run.run_id) != "succeeded":
            await asyncio.gather(*(work() for _ in range(8)))
            with suppress(WrongState):
                bag.extend(await retry_run(engine, run.run_id))
    assert await verify(engine.db) == []
    output = await output_of(engine, run.run_id, "loop")
    assert isinstance(output, dict)
    assert output["results"] == [50] * 3
    results = await output_of(engine, run.run_id, "outer")
    assert isinstance(results, list)
    for item, result in enumerate(results):
        for expected, found in zip([10, 10 * item, 30], result or (), strict=bool(result)):  # type: ignore[arg-type]
            assert found in (expected, None)  # a failure may be tolerated
    twice = await sql(
        engine.db,
        "SELECT 1 FROM workflow_events WHERE type = 'task.completed' AND node_id IN ('first', 'item')"
        " GROUP BY run_id, position HAVING count(*) > 1",
    )
    assert twice == []  # what completed stays


async def _any_failed(engine: Engine, rng: random.Random) -> UUID:
    """One of the runs that have failed; a run that is not there when none has."""
    rows = await sql(engine.db, "SELECT id FROM workflow_runs WHERE status = 'failed' ORDER BY id")
    if not rows:
        raise WrongState
    return UUID(str(rng.choice(rows).id))


async def test_a_cancelled_loop_goes_on_at_its_iteration(engine: Engine) -> None:
    body: JsonObject = {"nodes": [node("first", "item"), WAIT], "edges": [edge("first", "hold")]}
    run_id = await begun(engine, workflow([a_loop("loop", body, **{"for": 3})], []))
    await _end_timers(engine)
    await drain(engine, await cancel_run(engine, run_id))
    assert await statuses_of_runs(engine) == {"succeeded": 1, "cancelled": 2}
    await drain(engine, await retry_run(engine, run_id))
    while await status_of(engine, run_id) == "running":
        await _end_timers(engine)
    assert await attempts(engine, "first") == [1, 1, 1]
    output = await output_of(engine, run_id, "loop")
    assert isinstance(output, dict)
    assert output["iterations"] == 3
    assert await verify(engine.db) == []


async def _end_timers(engine: Engine) -> None:
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'timer'")
    await drain(engine, await wake_due(engine))


@pytest.mark.parametrize("is_full", [True, False])
async def test_a_child_behind_a_full_key_is_made_anew_and_waits(engine: Engine, is_full: bool) -> None:
    bad = node("bad", "script", config={"do": "fail", "times": 1, "retryable": False})
    inner = workflow([bad, node("hold", "script", config={"do": "wait"})], [], name="inner")
    inner_id = await create_workflow(engine, inner | {"concurrency": {"limit": 1}, "onFailure": "fail_fast"})
    run_id = await run_to_end(engine, workflow([call("call", "inner")], []))
    assert await status_of(engine, run_id) == "failed"
    if is_full:
        other = await start_run(engine, StartRequest(inner_id))
        await pause_run(engine, other.run_id)
    await drain(engine, await retry_run(engine, run_id))
    children = await children_of(engine, run_id)
    if is_full:
        assert await status_of(engine, children[1]) == "queued"
        await drain(engine, await cancel_run(engine, other.run_id))
        assert await status_of(engine, children[1]) != "queued"
    else:
        assert len(children) == 1
        await _end_timers(engine)
        assert await status_of(engine, run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_an_abandoned_child_runs_on_beside_the_next_one(engine: Engine) -> None:
    await create_workflow(engine, workflow([WAIT], [], name="inner"))
    run_id = await begun(engine, workflow([call("call", "inner", onCancel="abandon")], []))
    await drain(engine, await cancel_run(engine, run_id))
    await drain(engine, await retry_run(engine, run_id))
    assert await statuses_of_runs(engine) == {"running": 3}
    await _end_timers(engine)
    assert await statuses_of_runs(engine) == {"succeeded": 3}
    assert await verify(engine.db) == []


async def test_a_run_that_a_failed_map_paused_goes_on_with_its_failed_item(engine: Engine) -> None:
    document = workflow([a_map("map", steps(fails(1)), items=[1, 2, 3]), node("beside")], [])
    run_id = await begun(engine, document | {"onFailure": "pause"})
    assert await status_of(engine, run_id) == "paused"
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "succeeded"
    assert await output_of(engine, run_id, "map") == [10, 20, 30]
    assert await attempts(engine, "first") == [1, 1, 1]


async def test_a_child_that_its_own_failure_paused_is_retried_by_itself(engine: Engine) -> None:
    bad = node("bad", "script", config={"do": "fail", "times": 1, "retryable": False})
    await create_workflow(engine, workflow([bad], [], name="inner", onFailure="pause"))
    run_id = await begun(engine, workflow([call("call", "inner")], []))
    (child,) = await children_of(engine, run_id)
    assert await status_of(engine, child) == "paused"
    await retried(engine, child)
    assert await status_of(engine, run_id) == "succeeded"


async def test_an_item_is_not_retried_while_its_map_gives_up(engine: Engine) -> None:
    """Too many failed, and the other one is tidying up: what runs again now would be stopped at once."""
    tidy = node("tidy", "script", config={"do": "wait"}) | {"finally": True}
    body: JsonObject = {"nodes": [fails(0), WAIT, tidy], "edges": [edge("item", "hold")]}
    run_id = await begun(engine, workflow([a_map("map", body, items=[1, 2])], []))
    first, second = await children_of(engine, run_id)
    await sql(
        engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE node_id = 'tidy' AND run_id = $1", first
    )
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, first) == "failed"
    assert (await statuses_of(engine, second))["tidy"] == "waiting"
    with pytest.raises(WrongState, match=f"gives up.*retry run {run_id}"):
        await retry_run(engine, first)
    await _end_timers(engine)
    assert await status_of(engine, run_id) == "failed"
    await retried(engine, run_id)
    for _ in range(2):
        await _end_timers(engine)
    assert await status_of(engine, run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_an_item_is_retried_only_where_there_is_room_for_it(engine: Engine) -> None:
    body: JsonObject = {"nodes": [fails(0), WAIT], "edges": [edge("item", "hold")]}
    each = a_map("map", body, items=[1, 2, 3], tolerate=2, maxConcurrency=2)
    run_id = await begun(engine, workflow([each], []))
    first, second, third = await children_of(engine, run_id)
    assert [await status_of(engine, one) for one in (first, second, third)] == [
        "failed",
        "running",
        "running",
    ]
    with pytest.raises(WrongState, match="retry this one when another has ended"):
        await retry_run(engine, first)
    hold = "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'timer' AND run_id = $1"
    await sql(engine.db, hold, second)
    await drain(engine, await wake_due(engine))
    await retried(engine, first)
    await _end_timers(engine)
    assert await output_of(engine, run_id, "map") == [10, 20, 30]
    assert await verify(engine.db) == []


async def test_children_of_a_cancelled_attempt_are_not_those_of_the_next(engine: Engine) -> None:
    """The run is retried before they were stopped: they are more than the next batch may have at once yet."""
    run_id = await begun(engine, workflow([a_map("map", WAIT, items=[1, 2, 3])], []))
    stops = await cancel_run(engine, run_id)
    jobs = await retry_run(engine, run_id)
    await sql(engine.db, "UPDATE task_children SET at_once = 1 WHERE total = 0")  # as a row made anew has it
    assert await verify(engine.db) == []
    await drain(engine, [*stops, *jobs])
    await _end_timers(engine)
    assert await status_of(engine, run_id) == "succeeded"
    assert await verify(engine.db) == []
