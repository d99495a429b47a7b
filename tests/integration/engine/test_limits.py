"""Concurrency keys, rates, the step cache, variables: held in the database, given back after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from uuid import UUID

import pytest

from headrace.engine.again import Rerun, rerun
from headrace.engine.execute import claim, perform
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.settle import settle
from headrace.engine.start import Started, StartRequest, start_run, start_within
from headrace.engine.sweep import SweepSettings, expire_worker, sweep, wake_due
from headrace.engine.verify import verify
from headrace.errors import WrongState
from headrace.graph.dispatch import Dispatch, RunTask
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.claims import Delivery
from support.build import edge, node, workflow
from support.drive import WORKER, NoHttp, deliver, drain, run_to_end, status_of, statuses_of, tasks_of
from support.rows import sql

pytestmark = pytest.mark.anyio


def script(name: str, options: JsonObject | None = None, **config: JsonValue) -> JsonObject:
    return {**node(name, "script", config=config), **(options or {})}


async def started(engine: Engine, document: JsonValue, run_input: JsonValue = None) -> Started:
    return await start_run(engine, StartRequest(await create_workflow(engine, document), run_input))


def of(dispatches: Sequence[Dispatch], *names: str) -> list[Dispatch]:
    return [one for one in dispatches if isinstance(one, RunTask) and one.node_id in names]


ONE_AT_ONCE: JsonObject = {"concurrency": {"limit": 1, "key": "printer"}}


async def claimed(engine: Engine, dispatch: Dispatch) -> object:
    """What a worker does that then hangs: it takes the task and passes the limits."""
    assert isinstance(dispatch, RunTask)
    (execution,) = await claim(engine, [Delivery(dispatch.task, dispatch.attempt, dispatch.delivery)], WORKER)
    return await perform(execution, NoHttp())


async def test_a_key_lets_so_many_run_and_the_next_follows(engine: Engine) -> None:
    run = await started(engine, workflow([script("a", ONE_AT_ONCE), script("b", ONE_AT_ONCE)], []))
    first = await claimed(engine, *of(run.dispatches, "a"))
    await drain(engine, of(run.dispatches, "b"))
    waiting = (await tasks_of(engine, run.run_id))["b"]
    assert (waiting.status, waiting.held_for, waiting.attempt) == ("waiting", "key printer", 1)
    settled = await settle(engine, [first])  # type: ignore[list-item]
    assert of(settled.dispatches, "b")
    await drain(engine, settled.dispatches)
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_a_crash_gives_a_key_back(engine: Engine) -> None:
    run = await started(engine, workflow([script("a", ONE_AT_ONCE), script("b", ONE_AT_ONCE)], []))
    await claimed(engine, *of(run.dispatches, "a"))
    await drain(engine, of(run.dispatches, "b"))
    again = await expire_worker(engine, WORKER)
    swept = await sweep(engine, SweepSettings(every=0.0))
    assert swept is not None
    await drain(engine, [*swept.dispatches, *again])
    await drain(engine, await _sweep(engine))
    assert await status_of(engine, run.run_id) == "succeeded"


async def _sweep(engine: Engine) -> Sequence[Dispatch]:
    swept = await sweep(engine, SweepSettings(every=0.0))
    return () if swept is None else swept.dispatches


async def test_a_waiting_task_holds_no_key(engine: Engine) -> None:
    parks = script("parks", ONE_AT_ONCE, do="wait")
    run = await started(engine, workflow([parks, script("b", ONE_AT_ONCE)], []))
    await drain(engine, of(run.dispatches, "parks"))
    await drain(engine, of(run.dispatches, "b"))
    assert await statuses_of(engine, run.run_id) == {"parks": "waiting", "b": "completed"}


async def test_never_more_than_the_limit_runs_with_many_racing(engine: Engine) -> None:
    limit: JsonObject = {"concurrency": {"limit": 3}}
    fan = workflow(
        [script(f"n{n}", {**limit, "concurrency": {"limit": 3, "key": "k"}}) for n in range(12)], []
    )
    run = await started(engine, fan)
    finished = await asyncio.gather(*(claimed(engine, one) for one in run.dispatches))
    from_limits = [one for one in finished if type(one.outcome).__name__ == "Held"]  # type: ignore[attr-defined]
    assert len(from_limits) == 9
    for one in finished:
        await drain(engine, (await settle(engine, [one])).dispatches)  # type: ignore[list-item]
    while await status_of(engine, run.run_id) != "succeeded":
        await drain(engine, await _sweep(engine))
    assert await verify(engine.db) == []


async def test_a_rate_spreads_what_is_too_much(engine: Engine) -> None:
    slow: JsonObject = {"rate": {"count": 2, "per": "1h", "key": "api"}}
    run = await started(engine, workflow([script(f"n{n}", slow) for n in range(3)], []))
    await drain(engine, run.dispatches)
    tasks = (await tasks_of(engine, run.run_id)).values()
    assert sorted(task.status for task in tasks) == ["completed", "completed", "waiting"]
    (held,) = [task for task in tasks if task.status == "waiting"]
    assert held.held_for == "rate api"
    assert held.wake_at is not None
    await sql(engine.db, "UPDATE rate_limits SET free_at = now() - interval '2 h'")
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE status = 'waiting'")
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert {task.attempt for task in (await tasks_of(engine, run.run_id)).values()} == {1}


async def test_a_result_is_used_again_for_the_same_input_until_it_expires(engine: Engine) -> None:
    counts = node(
        "counts", "setVariable", config={"name": "n", "operation": "increment", "scope": "workflow"}
    )
    workflow_id = await create_workflow(engine, workflow([{**counts, "cache": {"ttl": "1h"}}], []))

    async def result(run_input: JsonValue) -> JsonValue:
        run = await start_run(engine, StartRequest(workflow_id, run_input))
        await drain(engine, run.dispatches)
        output = (await tasks_of(engine, run.run_id))["counts"].output
        assert isinstance(output, dict)
        return output["value"]

    assert [await result({"a": 1}), await result({"a": 1}), await result({"a": 2})] == [1, 1, 2]
    await sql(engine.db, "UPDATE step_cache SET expires_at = now() - interval '1 s'")
    assert await result({"a": 1}) == 3
    await _sweep(engine)


@pytest.mark.parametrize("scope", ["run", "workflow", "project"])
async def test_variables_are_set_appended_to_and_counted_with(engine: Engine, scope: str) -> None:
    steps = [("set", "a", ["x"]), ("append", "a", "y"), ("increment", "n", 5), ("decrement", "n", 2)]
    nodes = [
        node(
            f"s{at}", "setVariable", config={"name": name, "operation": what, "value": value, "scope": scope}
        )
        for at, (what, name, value) in enumerate(steps)
    ]
    nodes += [node(f"get-{name}", "getVariable", config={"name": name, "scope": scope}) for name in "an"]
    nodes.append(node("none", "getVariable", config={"name": "no", "scope": scope, "default": 7}))
    names = [str(one["id"]) for one in nodes]
    edges = [edge(a, b) for a, b in pairwise(names)]
    run_id = await run_to_end(engine, workflow(nodes, edges))
    tasks = await tasks_of(engine, run_id)
    assert tasks["get-a"].output == {"name": "a", "value": ["x", "y"]}
    assert tasks["get-n"].output == {"name": "n", "value": 3}
    assert tasks["none"].output == {"name": "no", "value": 7}


async def test_templates_name_the_run_s_variables(engine: Engine) -> None:
    nodes = [
        node("set", "setVariable", config={"name": "who", "value": "Ada"}),
        node("say", config={"template": "Hello {{vars.who}}"}),
    ]
    run_id = await run_to_end(engine, workflow(nodes, [edge("set", "say")]))
    lines = await sql(
        engine.db, "SELECT message FROM workflow_events WHERE run_id = $1 AND node_id = 'say'", run_id
    )
    assert any(line.message and "Hello Ada" in line.message for line in lines)


async def test_what_does_not_fit_a_variable_fails_and_changes_nothing(engine: Engine) -> None:
    nodes = [
        node("text", "setVariable", config={"name": "t", "value": "x"}),
        node("bad", "setVariable", config={"name": "t", "operation": "increment"}, allowFailure=True),
        node("get", "getVariable", config={"name": "t"}),
    ]
    run_id = await run_to_end(engine, workflow(nodes, [edge("text", "bad"), edge("bad", "get")]))
    tasks = await tasks_of(engine, run_id)
    assert tasks["bad"].status == "failed"
    assert tasks["get"].output == {"name": "t", "value": "x"}


async def test_a_second_attempt_counts_once(engine: Engine) -> None:
    counts = node("counts", "setVariable", config={"name": "n", "operation": "increment", "value": 1})
    run = await started(engine, workflow([counts], []))
    await claimed(engine, run.dispatches[0])
    await drain(engine, await expire_worker(engine, WORKER))
    assert (await tasks_of(engine, run.run_id))["counts"].output == {"name": "n", "value": 1}


async def test_a_hundred_increments_at_once_lose_none(engine: Engine) -> None:
    config: JsonObject = {"name": "n", "operation": "increment", "scope": "workflow"}
    nodes = [node(f"n{number}", "setVariable", config=config) for number in range(40)]
    run = await started(engine, workflow(nodes, []))
    finished = await asyncio.gather(*(claimed(engine, one) for one in run.dispatches))
    assert sorted(one.outcome.output["value"] for one in finished) == list(range(1, 41))  # type: ignore[attr-defined]


def keyed(on_limit: str) -> JsonObject:
    return {
        **workflow([script("w", do="wait")], []),
        "concurrency": {"limit": 1, "key": "{{who}}", "onLimit": on_limit},
    }


async def statuses(engine: Engine, *run_ids: UUID) -> list[str]:
    return [await status_of(engine, run_id) for run_id in run_ids]


async def wake_all(engine: Engine) -> None:
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE wake_at IS NOT NULL")
    await drain(engine, await wake_due(engine))


async def test_runs_behind_a_key_take_their_turns(engine: Engine) -> None:
    workflow_id = await create_workflow(engine, keyed("queue"))
    request = StartRequest(workflow_id, {"who": "ada"})
    first, second, third = [await start_run(engine, request) for _ in range(3)]
    other = await start_run(engine, StartRequest(workflow_id, {"who": "bob"}))
    ids = [run.run_id for run in (first, second, third)]
    assert await statuses(engine, *ids, other.run_id) == ["running", "queued", "queued", "running"]
    await drain(engine, first.dispatches)
    await wake_all(engine)
    assert await statuses(engine, *ids) == ["succeeded", "running", "queued"]
    await wake_all(engine)
    await wake_all(engine)
    assert await statuses(engine, *ids) == ["succeeded", "succeeded", "succeeded"]
    assert await verify(engine.db) == []


async def test_a_turn_that_nobody_noticed_is_taken_by_the_sweep(engine: Engine) -> None:
    request = StartRequest(await create_workflow(engine, keyed("queue")), {"who": "ada"})
    first, second = [await start_run(engine, request) for _ in range(2)]
    await sql(
        engine.db,
        "UPDATE workflow_runs SET status = 'failed', finished_at = now(), open = 0 WHERE id = $1",
        first.run_id,
    )
    assert of(await _sweep(engine), "w")
    assert await status_of(engine, second.run_id) == "running"


async def test_a_condition_is_looked_at_again_when_a_variable_changes(engine: Engine) -> None:
    """Once from the run itself, once from the body of a map; `every` is far away."""
    counts = node("counts", "setVariable", config={"name": "n", "operation": "increment"})
    config: JsonObject = {"condition": {">=": [{"var": "vars.n"}, 2]}, "every": "1h"}
    waits = node("waits", "waitUntil", config=config)
    each = node("each", "map", config={"items": [1], "body": {"nodes": [counts], "edges": []}})
    run = await started(engine, workflow([waits, {**counts, "id": "own"}, each], []))
    await drain(engine, of(run.dispatches, "waits"))
    assert await wake_due(engine) == []
    for name in ("own", "each"):
        await drain(engine, of(run.dispatches, name))
        assert (await statuses_of(engine, run.run_id))["waits"] == "waiting"
        woken = await wake_due(engine)
        assert of(woken, "waits")
        await drain(engine, woken)
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_one_run_more_is_refused_or_takes_the_oldest_s_place(engine: Engine) -> None:
    request = StartRequest(await create_workflow(engine, keyed("skip")), {"who": "ada"})
    await start_run(engine, request)
    with pytest.raises(WrongState):
        await start_run(engine, request)
    request = StartRequest(await create_workflow(engine, keyed("cancel_oldest")), {"who": "ada"})
    first, second = [await start_run(engine, request) for _ in range(2)]
    assert await statuses(engine, first.run_id, second.run_id) == ["cancelled", "running"]


async def test_a_rerun_takes_the_place_of_the_oldest(engine: Engine) -> None:
    request = StartRequest(await create_workflow(engine, keyed("cancel_oldest")), {"who": "ada"})
    first, second = [await start_run(engine, request) for _ in range(2)]
    third = await rerun(engine, Rerun(first.run_id))
    assert await statuses(engine, second.run_id, third.run_id) == ["cancelled", "running"]


async def test_a_process_that_dies_before_it_cancels_the_oldest_is_made_up_for_by_the_sweep(
    engine: Engine,
) -> None:
    document: JsonObject = {**keyed("cancel_oldest"), "concurrency": {"limit": 2, "onLimit": "cancel_oldest"}}
    request = StartRequest(await create_workflow(engine, document), {"who": "ada"})
    runs = [await engine.db.transact(partial(start_within, engine, request)) for _ in range(4)]
    ids = [one.run_id for one in runs]
    assert runs[2].outdated == ids[:1]
    assert await statuses(engine, *ids) == ["running"] * 4
    await _sweep(engine)
    assert await statuses(engine, *ids) == ["cancelled", "cancelled", "running", "running"]
    assert await verify(engine.db) == []


async def test_the_sweep_leaves_runs_alone_that_may_run_side_by_side(engine: Engine) -> None:
    document: JsonObject = {**keyed("queue"), "concurrency": {"limit": 2}}
    request = StartRequest(await create_workflow(engine, document), {"who": "ada"})
    ids = [(await start_run(engine, request)).run_id for _ in range(3)]
    await _sweep(engine)
    assert await statuses(engine, *ids) == ["running", "running", "queued"]


async def test_a_mocked_or_failing_node_is_not_limited_for_ever(engine: Engine) -> None:
    bad = script("bad", {**ONE_AT_ONCE, "retry": {"maxAttempts": 1}}, do="fail")
    run_id = await run_to_end(engine, workflow([bad, script("b", ONE_AT_ONCE)], []))
    assert await statuses_of(engine, run_id) == {"bad": "failed", "b": "completed"}
    assert (
        await deliver(
            engine,
            RunTask(next(iter([task.id for task in (await tasks_of(engine, run_id)).values()])), 1, 1, "", 1),
        )
        == []
    )
