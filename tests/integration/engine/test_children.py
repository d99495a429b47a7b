"""Maps, loops and sub-workflows: their runs, their results, their ends."""

from __future__ import annotations

import asyncio
import random
from uuid import UUID

import pytest

from headrace.engine.children import look
from headrace.engine.control import cancel_run, pause_run, resume_run
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.sweep import SweepSettings, sweep, wake_due
from headrace.engine.verify import verify
from headrace.graph.children import DEEPEST
from headrace.graph.dispatch import Release, RunTask
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store import children
from headrace.store.db import Database
from support.build import chain, edge, node, workflow
from support.drive import deliver, drain, run_to_end, status_of, tasks_of
from support.family import a_loop, a_map, call, children_of, statuses_of_runs, with_items
from support.rows import sql

pytestmark = pytest.mark.anyio

ITEM = node("item", "item")
WAIT = node("hold", "script", config={"do": "wait"})
SETTINGS = SweepSettings(every=5.0, lost_delivery=10.0, forgotten_release=10.0)


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types, `script` and `item`."""
    return Engine.over(db, with_items())


async def started(engine: Engine, document: JsonObject, run_input: JsonValue = None) -> Started:
    return await start_run(engine, StartRequest(await create_workflow(engine, document), run_input))


async def output_of(engine: Engine, run_id: UUID, name: str) -> JsonValue:
    return (await tasks_of(engine, run_id))[name].output


async def failure_of(engine: Engine, run_id: UUID, name: str) -> JsonObject:
    task = (await tasks_of(engine, run_id))[name]
    assert task.status.value == "failed"
    assert task.error is not None
    return task.error


async def test_a_map_gives_its_results_in_the_order_of_its_items(engine: Engine) -> None:
    document = workflow([a_map("map", ITEM, maxConcurrency=7), node("after")], [edge("map", "after")])
    run = await started(engine, document, {"items": list(range(60))})
    await drain(engine, run.dispatches, random.Random(3))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await output_of(engine, run.run_id, "map") == [10 * number for number in range(60)]
    assert await verify(engine.db) == []


async def test_a_map_never_runs_more_items_than_it_may(engine: Engine) -> None:
    run = await started(engine, workflow([a_map("map", ITEM, maxConcurrency=4)], []), {"items": [1] * 30})
    waiting, most = list(run.dispatches), 0
    while waiting:
        waiting += await deliver(engine, waiting.pop(0))
        rows = await sql(
            engine.db,
            "SELECT count(*)::int AS n FROM workflow_runs WHERE status = 'running' AND body <> ''",
        )
        most = max(most, rows[0].n)
    assert most == 4
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_an_empty_list_gives_an_empty_list(engine: Engine) -> None:
    run_id = await run_to_end(engine, workflow([a_map("map", ITEM)], []), {"items": []})
    assert await output_of(engine, run_id, "map") == []
    assert await statuses_of_runs(engine) == {"succeeded": 1}


async def test_the_graph_of_a_body_names_item_index_and_inputs_in_every_node(engine: Engine) -> None:
    body: JsonObject = {
        "nodes": [
            node("first", config={"template": "{{item.name}}"}),
            node("second", "script", config={"output": {"x": 1}}),
            node("third", config={"template": "{{item.name}} {{index}} {{by}}"}),
        ],
        "edges": [edge("first", "second"), edge("second", "third")],
    }
    document = workflow([a_map("map", body, inputs={"by": "${input.who}"})], [])
    run_id = await run_to_end(engine, document, {"items": [{"name": "a"}, {"name": "b"}], "who": "Ada"})
    assert await status_of(engine, run_id) == "succeeded"
    rows = await sql(
        engine.db, "SELECT message FROM workflow_events WHERE node_id = 'third' AND type = 'log' ORDER BY id"
    )
    assert sorted(row.message.rpartition(": ")[2] for row in rows) == ["a 0 Ada", "b 1 Ada"]


@pytest.mark.parametrize(
    ("tolerate", "fails", "is_well"),
    [(0, [], True), (0, [3], False), (2, [1, 5], True), (2, [1, 5, 9], False), ("20%", [1, 5], True)],
)
async def test_tolerance(engine: Engine, tolerate: JsonValue, fails: list[JsonValue], is_well: bool) -> None:
    body = node("item", "item", config={"fails": fails})
    document = workflow([a_map("map", body, tolerate=tolerate, maxConcurrency=3)], [])
    run_id = await run_to_end(engine, document, {"items": list(range(10))})
    assert await status_of(engine, run_id) == ("succeeded" if is_well else "failed")
    assert await verify(engine.db) == []
    if is_well:
        expected = [None if number in fails else 10 * number for number in range(10)]
        assert await output_of(engine, run_id, "map") == expected
    else:
        error = await failure_of(engine, run_id, "map")
        assert error["type"] == "ChildFailed"
        assert "node 'item' failed" in str(error["message"])


async def test_when_too_many_have_failed_the_rest_is_cancelled(engine: Engine) -> None:
    body: JsonObject = {
        "nodes": [node("item", "item", config={"fails": [0]}), WAIT],
        "edges": [edge("item", "hold")],
    }
    run = await started(engine, workflow([a_map("map", body, maxConcurrency=5)], []), {"items": [1] * 20})
    await drain(engine, run.dispatches)
    assert await statuses_of_runs(engine) == {"failed": 2, "cancelled": 19}
    assert await verify(engine.db) == []


async def test_a_map_in_a_sub_workflow_in_a_loop(engine: Engine) -> None:
    inner = workflow(
        [a_map("map", ITEM, items="${rows}")], [], name="inner", outputs={"rows": "${nodes.map.output}"}
    )
    await create_workflow(engine, inner)
    body = call("inner", "inner", input={"rows": [1, 2, "${index}"]})
    run_id = await run_to_end(engine, workflow([a_loop("loop", body, **{"for": 3})], []))
    assert await status_of(engine, run_id) == "succeeded"
    assert await output_of(engine, run_id, "loop") == {
        "iterations": 3,
        "last": {"rows": [10, 20, 20]},
        "results": [{"rows": [10, 20, 10 * number]} for number in range(3)],
    }
    assert await verify(engine.db) == []


async def test_what_is_forked_may_be_known_at_run_time_only(engine: Engine) -> None:
    """A dynamic fork: the list names the workflows and their inputs."""
    for name in ("double", "treble"):
        by = {"double": 2, "treble": 3}[name]
        body = node("out", "item", config={"by": by})
        each = a_map("each", body, items=["${n}"])
        await create_workflow(
            engine, workflow([each], [], name=name, outputs={"n": "${nodes.each.output[0]}"})
        )
    body = call("call", "${item.workflow}", input="${item.input}")
    forks: JsonValue = [{"workflow": "treble", "input": {"n": 7}}, {"workflow": "double", "input": {"n": 4}}]
    run_id = await run_to_end(engine, workflow([a_map("fork", body, items="${forks}")], []), {"forks": forks})
    assert await output_of(engine, run_id, "fork") == [{"n": 21}, {"n": 8}]


async def test_five_levels_of_sub_workflows(engine: Engine) -> None:
    await create_workflow(engine, chain(1) | {"name": "level 0"})
    for level in range(1, 5):
        document = workflow([call("call", f"level {level - 1}")], [], name=f"level {level}")
        await create_workflow(engine, document)
    run_id = await run_to_end(engine, workflow([call("call", "level 4")], []), {"n": 1})
    assert await status_of(engine, run_id) == "succeeded"
    assert await output_of(engine, run_id, "call") == {"call": {"call": {"call": {"call": {"n0": {"n": 1}}}}}}
    assert await statuses_of_runs(engine) == {"succeeded": 6}


async def test_a_workflow_that_calls_itself_stops_at_the_limit(engine: Engine) -> None:
    run_id = await run_to_end(engine, workflow([call("call", "test")], []))
    assert await statuses_of_runs(engine) == {"failed": DEEPEST + 1}
    error = await failure_of(engine, run_id, "call")
    assert error["type"] == "ChildFailed"
    rows = await sql(engine.db, "SELECT error->>'type' AS kind FROM workflow_tasks ORDER BY run_id DESC")
    assert [row.kind for row in rows] == ["TooDeep"] + ["ChildFailed"] * DEEPEST
    assert await verify(engine.db) == []


async def test_too_many_tasks_below_one_run_fail_the_node_that_wants_more(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.engine.spawning.MOST_TASKS", 25)
    inner = a_map("inner", ITEM, items=[1, 2, 3])
    document = workflow([a_map("outer", inner, items=list(range(8)), tolerate=8, maxConcurrency=1)], [])
    run_id = await run_to_end(engine, document)
    assert await output_of(engine, run_id, "outer") == [[10, 20, 30]] * 5 + [None] * 3
    rows = await sql(
        engine.db, "SELECT DISTINCT error->>'type' AS kind FROM workflow_tasks WHERE error IS NOT NULL"
    )
    assert [row.kind for row in rows] == ["TooMany"]
    assert await verify(engine.db) == []


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"workflow": "nobody"}, "UnknownWorkflow"),
        ({"workflow": "twice"}, "UnknownWorkflow"),
        ({"workflow": "asks"}, "InvalidInput"),
        ({"workflow": "child", "version": 7}, "UnknownVersion"),
    ],
)
async def test_what_cannot_be_started_fails_the_node(engine: Engine, config: JsonObject, kind: str) -> None:
    form: JsonObject = {"fields": [{"id": "n", "key": "n", "inputKind": "number"}]}
    for name in ("twice", "twice", "child"):
        await create_workflow(engine, chain(1) | {"name": name})
    await create_workflow(engine, workflow([node("form", "inputText", config=form)], [], name="asks"))
    caller = workflow([node("call", "subWorkflow", config=config), node("beside")], [])
    run_id = await run_to_end(engine, caller, {"n": "many"})
    assert (await failure_of(engine, run_id, "call"))["type"] == kind
    assert (await tasks_of(engine, run_id))["beside"].status.value == "completed"
    assert await verify(engine.db) == []


async def test_a_pinned_version_and_a_workflow_by_id(engine: Engine) -> None:
    from_id = await create_workflow(
        engine, workflow([node("x", "script", config={"output": 1})], [], name="w")
    )
    run_id = await run_to_end(engine, workflow([call("call", str(from_id), version=1)], []))
    assert await output_of(engine, run_id, "call") == {"x": 1}


async def test_nobody_waits_for_a_detached_run(engine: Engine) -> None:
    await create_workflow(engine, workflow([WAIT], [], name="child"))
    run_id = await run_to_end(
        engine, workflow([call("call", "child", wait=False), node("z")], [edge("call", "z")])
    )
    assert await status_of(engine, run_id) == "succeeded"
    output = await output_of(engine, run_id, "call")
    assert isinstance(output, dict)
    (row,) = await sql(engine.db, "SELECT * FROM workflow_runs WHERE id = $1", UUID(str(output["runId"])))
    assert row.status == "running"
    assert row.parent_run_id is None
    assert str(run_id) in row.origin


@pytest.mark.parametrize("wait", [True, False])
async def test_the_concurrency_of_a_workflow_holds_for_its_runs_as_a_child(
    engine: Engine, wait: bool
) -> None:
    limited = workflow([node("x", "script")], [], name="child", concurrency={"limit": 1})
    child_id = await create_workflow(engine, limited)
    body = call("call", "child", wait=wait)
    run = await started(engine, workflow([a_map("map", body, items=[1, 2, 3, 4])], []))
    waiting, most = list(run.dispatches), 0
    while waiting:
        waiting += await deliver(engine, waiting.pop(0))
        (row,) = await sql(
            engine.db,
            "SELECT count(*)::int AS n FROM workflow_runs WHERE workflow_id = $1 AND status = 'running'",
            child_id,
        )
        most = max(most, row.n)
    assert most == 1
    assert await statuses_of_runs(engine) == {"succeeded": 9}
    assert await verify(engine.db) == []


async def test_a_failed_child_fails_its_node_with_details(engine: Engine) -> None:
    failing = node("x", "script", config={"do": "fail", "retryable": False, "message": "no such luck"})
    await create_workflow(engine, workflow([failing], [], name="child"))
    run_id = await run_to_end(engine, workflow([call("call", "child")], []))
    error = await failure_of(engine, run_id, "call")
    (child,) = await children_of(engine, run_id)
    assert error["type"] == "ChildFailed"
    assert str(child) in str(error["details"])


async def test_a_child_that_takes_too_long_is_stopped(engine: Engine) -> None:
    await create_workflow(engine, workflow([WAIT], [], name="child"))
    run = await started(engine, workflow([call("call", "child", timeout="1h")], []))
    await drain(engine, run.dispatches)
    await sql(
        engine.db,
        "UPDATE workflow_tasks SET wake_at = now() - interval '1 ms' WHERE waits_for = 'children'",
    )
    await drain(engine, await wake_due(engine))
    assert (await failure_of(engine, run.run_id, "call"))["type"] == "Timeout"
    assert await statuses_of_runs(engine) == {"failed": 1, "cancelled": 1}
    assert await verify(engine.db) == []


@pytest.mark.parametrize("on_cancel", ["cancel", "abandon"])
async def test_a_cancel_in_the_middle(engine: Engine, on_cancel: str) -> None:
    await create_workflow(engine, workflow([a_map("map", WAIT, items=[1, 2, 3])], [], name="child"))
    run = await started(engine, workflow([call("call", "child", onCancel=on_cancel)], []))
    await drain(engine, run.dispatches)
    await drain(engine, await cancel_run(engine, run.run_id))
    if on_cancel == "cancel":
        assert await statuses_of_runs(engine) == {"cancelled": 5}
    else:
        assert await statuses_of_runs(engine) == {"cancelled": 1, "running": 4}
        await _end_timers(engine)
        await drain(engine, await wake_due(engine))
        assert await statuses_of_runs(engine) == {"cancelled": 1, "succeeded": 4}
    assert await verify(engine.db) == []
    assert await sql(engine.db, "SELECT 1 FROM workflow_tasks WHERE finished_at IS NULL") == []


async def test_one_item_cancelled_by_hand_counts_as_failed_wherever_it_stands(engine: Engine) -> None:
    document = workflow([a_map("map", WAIT, items=list(range(6)), maxConcurrency=2, tolerate=3)], [])
    run = await started(engine, document)
    await drain(engine, run.dispatches)
    runs = await children_of(engine, run.run_id)
    for number in (0, 3, 4):
        await drain(engine, await cancel_run(engine, runs[number]))
    while await status_of(engine, run.run_id) == "running":
        await _end_timers(engine)
        await drain(engine, await wake_due(engine))
    output = await output_of(engine, run.run_id, "map")
    assert isinstance(output, list)
    assert [one is None for one in output] == [True, False, False, True, True, False]
    assert await verify(engine.db) == []


async def test_lost_news_of_a_child_are_found_by_the_sweep(engine: Engine) -> None:
    run = await started(engine, workflow([a_map("map", ITEM, items=[1, 2])], []))
    waiting = list(run.dispatches)
    lost: list[object] = []
    while waiting:
        for follows in await deliver(engine, waiting.pop(0)):
            is_news = isinstance(follows, Release) and follows.tasks[0].run_id == run.run_id
            (lost if is_news else waiting).append(follows)
    assert len(lost) >= 2
    await _age_ends(engine)
    swept = await sweep(engine, SETTINGS)
    assert swept is not None
    await drain(engine, swept.dispatches)
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_children_of_a_task_that_ended_unheard_are_cancelled_by_the_sweep(engine: Engine) -> None:
    run = await started(engine, workflow([a_map("map", WAIT, items=[1, 2, 3], maxConcurrency=2)], []))
    await drain(engine, run.dispatches)
    await cancel_run(engine, run.run_id)  # what it says to the queues gets lost
    assert await statuses_of_runs(engine) == {"cancelled": 1, "running": 2, "queued": 1}
    await _age_ends(engine)
    swept = await sweep(engine, SETTINGS)
    assert swept is not None
    await drain(engine, swept.dispatches)
    assert await statuses_of_runs(engine) == {"cancelled": 4}
    assert await verify(engine.db) == []


async def _end_timers(engine: Engine) -> None:
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'timer'")


async def _age_ends(engine: Engine) -> None:
    for table in ("workflow_runs", "workflow_tasks"):
        await sql(engine.db, f"UPDATE {table} SET finished_at = finished_at - interval '11 seconds'")


async def test_a_paused_map_starts_no_more_items_and_goes_on_when_it_is_resumed(engine: Engine) -> None:
    run = await started(engine, workflow([a_map("map", ITEM, items=[1, 2, 3], maxConcurrency=1)], []))
    (job,) = run.dispatches
    follows = list(await deliver(engine, job))
    await pause_run(engine, run.run_id)
    await drain(engine, follows)
    assert await statuses_of_runs(engine) == {"paused": 2, "queued": 2}
    await drain(engine, await resume_run(engine, run.run_id))
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await output_of(engine, run.run_id, "map") == [10, 20, 30]


async def test_a_second_look_changes_nothing(engine: Engine) -> None:
    run = await started(engine, workflow([a_map("map", ITEM, items=[1, 2, 3], maxConcurrency=2)], []))
    waiting = list(run.dispatches)
    while waiting:
        job = waiting.pop(0)
        waiting += await deliver(engine, job)
        if isinstance(job, Release):
            assert await look(engine, job.tasks) == []
        if isinstance(job, RunTask):
            assert await deliver(engine, job) == []
    assert await output_of(engine, run.run_id, "map") == [10, 20, 30]


async def test_another_attempt_of_a_parent_has_children_of_its_own(engine: Engine) -> None:
    """The first attempt's child is stopped; its end, which comes late, counts for nothing."""
    await create_workflow(engine, workflow([WAIT], [], name="child"))
    retry: JsonObject = {"maxAttempts": 2, "strategy": "fixed", "initial": 1, "jitter": False}
    caller = call("call", "child") | {"retry": retry}
    run = await started(engine, workflow([caller], []))
    await drain(engine, run.dispatches)
    task = (await tasks_of(engine, run.run_id))["call"].id
    await sql(
        engine.db,
        "UPDATE workflow_tasks SET waits_for = 'retry', wake_at = now() WHERE run_id = $1",
        run.run_id,
    )
    await drain(engine, await wake_due(engine))
    first, second = await children_of(engine, run.run_id)
    assert await status_of(engine, first) == "cancelled"
    assert (await tasks_of(engine, run.run_id))["call"].status.value == "waiting"
    await _end_timers(engine)
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, second) == "succeeded"
    assert await status_of(engine, run.run_id) == "succeeded"
    async with engine.db.transaction() as tx:
        assert await children.answers(tx, [task]) == []


@pytest.mark.parametrize(
    ("config", "iterations"),
    [
        ({"for": 3}, 3),
        ({"for": 0}, 0),
        ({"for": "${times}"}, 4),
        ({"while": {"<": [{"var": "index"}, 2]}}, 2),
        ({"until": {">=": [{"var": "last.index"}, 4]}}, 5),
        ({"for": 9, "breakWhen": {"==": [{"var": "index"}, 1]}}, 2),
        ({"for": 9, "breakKey": "index"}, 2),
        ({"for": 150, "onExhausted": "complete"}, 100),
    ],
)
async def test_loops_end(engine: Engine, config: JsonObject, iterations: int) -> None:
    body = node("x", "script")
    run_id = await run_to_end(engine, workflow([a_loop("loop", body, **config)], []), {"times": 4})
    output = await output_of(engine, run_id, "loop")
    assert isinstance(output, dict)
    assert output["iterations"] == iterations


async def test_an_exhausted_loop_fails(engine: Engine) -> None:
    loop = a_loop("loop", node("x", "script"), until=False, maxIterations=3)
    run_id = await run_to_end(engine, workflow([loop], []))
    assert (await failure_of(engine, run_id, "loop"))["type"] == "LoopExhausted"
    assert await statuses_of_runs(engine) == {"failed": 1, "succeeded": 3}


async def test_a_loop_keeps_the_last_results_and_hands_on_the_last(engine: Engine) -> None:
    body = node("x", "script")
    loop = a_loop("loop", body, keepLast=2, inputs={"start": "${input.n}"}, **{"for": 4})
    run_id = await run_to_end(engine, workflow([loop], []), {"n": 7})
    output = await output_of(engine, run_id, "loop")
    assert isinstance(output, dict)
    results = output["results"]
    assert isinstance(results, list)
    assert [one["index"] for one in results if isinstance(one, dict)] == [2, 3]
    last = output["last"]
    assert isinstance(last, dict)
    assert last == {"start": 7, "index": 3}


async def test_a_loop_hands_on_what_the_last_iteration_gave(engine: Engine) -> None:
    body = node("say", config={"template": "after {{last.index}}"})
    run_id = await run_to_end(engine, workflow([a_loop("loop", body, **{"for": 3})], []))
    rows = await sql(engine.db, "SELECT message FROM workflow_events WHERE node_id = 'say' AND type = 'log'")
    assert await status_of(engine, run_id) == "succeeded"
    said = sorted(row.message.rpartition("after")[2].strip() for row in rows if "after" in row.message)
    assert said == ["", "0", "1"]


async def test_results_that_are_too_large_together_fail_the_map(engine: Engine) -> None:
    body = node("x", "script", config={"size": 1024 * 1024})
    run_id = await run_to_end(engine, workflow([a_map("map", body, items=[1] * 9)], []))
    assert (await failure_of(engine, run_id, "map"))["type"] == "TooLarge"


async def test_mocks_reach_into_a_body(engine: Engine) -> None:
    workflow_id = await create_workflow(engine, workflow([a_map("map", ITEM, items=[1, 2])], []))
    request = StartRequest(workflow_id, mocks={"map/item": {"output": 6}})
    run = await start_run(engine, request)
    await drain(engine, run.dispatches)
    assert await output_of(engine, run.run_id, "map") == [6, 6]


async def test_random_orders_of_delivery_come_to_the_same(engine: Engine) -> None:
    body = a_map("inner", ITEM, items=[1, 2, "${item}"], maxConcurrency=2)
    document = workflow([a_map("outer", body, items=[1, 2, 3, 4], maxConcurrency=3)], [])
    for seed in range(5):
        run = await started(engine, document)
        await drain(engine, run.dispatches, random.Random(seed))
        expected = [[10, 20, 10 * number] for number in (1, 2, 3, 4)]
        assert await output_of(engine, run.run_id, "outer") == expected
    assert await verify(engine.db) == []


@pytest.mark.parametrize("seed", range(6))
async def test_families_under_many_hands_and_a_cancel_at_any_moment(engine: Engine, seed: int) -> None:
    """Eight workers at once take jobs in any order, some twice, and somebody may cancel the run meanwhile."""
    rng = random.Random(seed)
    body = a_map("inner", node("item", "item", config={"fails": [2]}), items=[1, 2, 3], tolerate=seed % 2)
    loop = a_loop("loop", a_map("third", ITEM, items=[1, 2], maxConcurrency=1), **{"for": 3})
    outer = a_map("outer", body, items=list(range(8)), maxConcurrency=3, tolerate=3)
    run = await started(engine, workflow([outer, loop], []))
    bag = [*run.dispatches, *run.dispatches]
    left = rng.choice((10, 40, 90, 10_000))

    async def work() -> None:
        nonlocal left
        while bag:
            job = bag.pop(rng.randrange(len(bag)))
            bag.extend(await deliver(engine, job))
            if rng.random() < 0.1:
                bag.append(job)
            left -= 1
            if left == 0:
                bag.extend(await cancel_run(engine, run.run_id))

    async with asyncio.timeout(60):
        while await _has_active(engine):
            await asyncio.gather(*(work() for _ in range(8)))
    status = await status_of(engine, run.run_id)
    assert status in (("cancelled",) if left <= 0 else ("failed",) if seed % 2 == 0 else ("succeeded",))
    assert await verify(engine.db) == []


async def _has_active(engine: Engine) -> bool:
    rows = await sql(engine.db, "SELECT 1 FROM workflow_runs WHERE finished_at IS NULL LIMIT 1")
    return bool(rows)


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        ("DELETE FROM task_children", "children_go_on"),
        ("UPDATE workflow_runs SET is_reported = true WHERE body <> ''", "children_go_on"),
        ("UPDATE task_children SET at_once = 1", "children_at_once"),
        (
            "UPDATE workflow_tasks SET status = 'cancelled', finished_at = now() - interval '1 hour',"
            " outcomes = '', waits_for = NULL WHERE waits_for = 'children'",
            "children_end_with_their_parent",
        ),
    ],
)
async def test_verify_finds_families_that_are_broken(engine: Engine, damage: str, name: str) -> None:
    run = await started(engine, workflow([a_map("map", WAIT, items=[1, 2, 3], maxConcurrency=2)], []))
    await drain(engine, run.dispatches)
    assert await verify(engine.db) == []
    await sql(engine.db, damage)
    assert name in {finding.name for finding in await verify(engine.db)}
