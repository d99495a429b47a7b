"""Pause and resume, retry in place, reruns: on the engine without queues."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from headrace.engine.again import Rerun, rerun, retry_run
from headrace.engine.control import cancel_run, pause_run, resume_run
from headrace.engine.debugging import step
from headrace.engine.execute import claim
from headrace.engine.program import Engine
from headrace.engine.reading import run_detail
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.sweep import expire_worker, wake_due
from headrace.engine.verify import verify
from headrace.errors import InvalidInput, NotFound, WrongState
from headrace.graph.dispatch import Dispatch, RunTask, Withdraw
from headrace.graph.holding import Debug
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.claims import Delivery
from support.build import edge, node, workflow
from support.drive import WORKER, deliver, drain, run_to_end, status_of, statuses_of, tasks_of
from support.rows import sql

pytestmark = pytest.mark.anyio


def script(name: str, **config: JsonValue) -> JsonObject:
    return node(name, "script", config=config)


def fails_once(name: str, **options: JsonValue) -> JsonObject:
    """A node whose first attempt fails for good; the attempt after a retry in place succeeds."""
    return node(name, "script", config={"do": "fail", "times": 1, "retryable": False}, **options)


async def started(engine: Engine, document: JsonValue, run_input: JsonValue = None) -> Started:
    return await start_run(engine, StartRequest(await create_workflow(engine, document), run_input))


def jobs(dispatches: Sequence[Dispatch]) -> list[str]:
    return sorted(one.node_id for one in dispatches if isinstance(one, RunTask))


CHAIN = workflow([node("a"), node("b"), node("c")], [edge("a", "b"), edge("b", "c")])


async def test_a_paused_run_starts_nothing_and_goes_on_after_a_resume(engine: Engine) -> None:
    run = await started(engine, CHAIN)
    assert await pause_run(engine, run.run_id) == [Withdraw((run.dispatches[0].job_id,))]  # type: ignore[union-attr]
    assert await status_of(engine, run.run_id) == "paused"
    await drain(engine, run.dispatches)
    assert await wake_due(engine) == []
    assert await statuses_of(engine, run.run_id) == {"a": "waiting", "b": "pending", "c": "pending"}
    assert await resume_run(engine, run.run_id) == []
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert {task.attempt for task in (await tasks_of(engine, run.run_id)).values()} == {1}
    assert await verify(engine.db) == []


async def test_what_runs_at_a_pause_finishes_and_its_successor_waits(engine: Engine) -> None:
    run = await started(engine, CHAIN)
    followed = await deliver(engine, run.dispatches[0])
    await pause_run(engine, run.run_id)
    await drain(engine, followed)
    assert await statuses_of(engine, run.run_id) == {"a": "completed", "b": "waiting", "c": "pending"}
    await resume_run(engine, run.run_id)
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_a_wait_that_began_during_a_pause_is_held_when_its_time_comes(engine: Engine) -> None:
    run = await started(engine, workflow([script("w", do="wait"), node("b")], [edge("w", "b")]))
    await drain(engine, run.dispatches)
    await pause_run(engine, run.run_id)
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now(), is_paused = false WHERE node_id = 'w'")
    assert await wake_due(engine) == []
    assert (await statuses_of(engine, run.run_id))["w"] == "waiting"
    await resume_run(engine, run.run_id)
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_a_paused_run_can_be_cancelled(engine: Engine) -> None:
    run = await started(engine, CHAIN)
    await pause_run(engine, run.run_id)
    await cancel_run(engine, run.run_id)
    assert await status_of(engine, run.run_id) == "cancelled"
    assert await verify(engine.db) == []


@pytest.mark.parametrize("act", [pause_run, resume_run, retry_run])
async def test_an_ended_run_is_neither_paused_nor_resumed_nor_retried(engine: Engine, act: object) -> None:
    run_id = await run_to_end(engine, CHAIN)
    with pytest.raises(WrongState):
        await act(engine, run_id)  # type: ignore[operator]
    with pytest.raises(NotFound):
        await act(engine, UUID(int=5))  # type: ignore[operator]


async def test_a_running_run_is_not_resumed_and_a_paused_one_not_paused(engine: Engine) -> None:
    run = await started(engine, CHAIN)
    with pytest.raises(WrongState):
        await resume_run(engine, run.run_id)
    await pause_run(engine, run.run_id)
    with pytest.raises(WrongState):
        await pause_run(engine, run.run_id)


LAST: JsonObject = {**node("last"), "finally": True}
BROKEN = workflow(
    [node("a"), fails_once("bad"), node("side"), node("after"), node("end"), LAST],
    [edge("a", "bad"), edge("a", "side"), edge("bad", "after"), edge("after", "end"), edge("side", "end")],
)


async def test_a_retry_in_place_repeats_the_failure_and_what_suffered_from_it(engine: Engine) -> None:
    run_id = await run_to_end(engine, BROKEN)
    assert await statuses_of(engine, run_id) == {
        "a": "completed",
        "bad": "failed",
        "side": "completed",
        "after": "upstream_failed",
        "end": "upstream_failed",
        "last": "completed",
    }
    retried = await retry_run(engine, run_id)
    assert jobs(retried) == ["bad"]
    assert await status_of(engine, run_id) == "running"
    await drain(engine, retried)
    assert set((await statuses_of(engine, run_id)).values()) == {"completed"}
    assert await status_of(engine, run_id) == "succeeded"
    tasks = await tasks_of(engine, run_id)
    assert {name: task.attempt for name, task in tasks.items()} == {
        "a": 1,
        "bad": 2,
        "side": 1,
        "after": 1,
        "end": 1,
        "last": 2,
    }
    assert await verify(engine.db) == []


async def test_a_retry_of_a_cancelled_run_runs_what_was_cancelled(engine: Engine) -> None:
    run = await started(engine, CHAIN)
    followed = await deliver(engine, run.dispatches[0])
    await cancel_run(engine, run.run_id)
    await drain(engine, followed)
    assert await status_of(engine, run.run_id) == "cancelled"
    await drain(engine, await retry_run(engine, run.run_id))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_a_failure_that_was_handled_is_not_repeated(engine: Engine) -> None:
    document = workflow(
        [fails_once("handled"), node("repair"), fails_once("bad")],
        [edge("handled", "repair", on="failure")],
    )
    run_id = await run_to_end(engine, document)
    retried = await retry_run(engine, run_id)
    assert jobs(retried) == ["bad"]
    await drain(engine, retried)
    assert await statuses_of(engine, run_id) == {
        "handled": "failed",
        "repair": "completed",
        "bad": "completed",
    }
    assert await status_of(engine, run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_a_second_failure_fails_the_run_again_and_it_can_be_retried_again(engine: Engine) -> None:
    twice = node("bad", "script", config={"do": "fail", "times": 2, "retryable": False})
    run_id = await run_to_end(engine, workflow([twice, node("b")], [edge("bad", "b")]))
    await drain(engine, await retry_run(engine, run_id))
    assert await status_of(engine, run_id) == "failed"
    await drain(engine, await retry_run(engine, run_id))
    assert await status_of(engine, run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_a_late_release_after_a_retry_changes_nothing(engine: Engine) -> None:
    run = await started(engine, workflow([fails_once("bad"), node("b")], [edge("bad", "b")]))
    (release,) = await deliver(engine, run.dispatches[0])
    await drain(engine, [release])
    retried = await retry_run(engine, run.run_id)
    await drain(engine, [release, *retried, release])
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_a_rerun_from_a_node_uses_the_other_results_again(engine: Engine) -> None:
    document = workflow(
        [script("a", output={"n": 1}), script("b", output={"m": 2}), node("c"), node("join")],
        [edge("a", "join"), edge("b", "c"), edge("c", "join")],
    )
    first = await run_to_end(engine, document, {"given": True})
    again = await rerun(engine, Rerun(first, nodes=["c"]))
    assert sorted(again.reused) == ["a", "b"]
    assert jobs(again.dispatches) == ["c"]
    await drain(engine, again.dispatches)
    assert await status_of(engine, again.run_id) == "succeeded"
    old, new = await tasks_of(engine, first), await tasks_of(engine, again.run_id)
    assert new["a"].output == {"n": 1}
    assert {name: task.output for name, task in new.items()} == {
        name: task.output for name, task in old.items()
    }
    assert await verify(engine.db) == []


async def test_reused_tasks_show_what_they_really_got(engine: Engine) -> None:
    each = node("each", "map", config={"items": "${items}", "body": script("x")})
    document = workflow([script("root"), each, node("end")], [edge("root", "end"), edge("each", "end")])
    first = await run_to_end(engine, document, {"items": [1, 2]})
    other: JsonValue = {"items": [3]}
    second = await rerun(engine, Rerun(first, nodes=["end"], input=other, keeps_input=False))
    await drain(engine, second.dispatches)
    third = await rerun(engine, Rerun(second.run_id, nodes=["end"]))
    await drain(engine, third.dispatches)
    fourth = await rerun(engine, Rerun(third.run_id, nodes=["each"]))
    await drain(engine, fourth.dispatches)
    for again in (second, third):
        assert sorted(again.reused) == ["each", "root"]
        detail = await run_detail(engine, again.run_id)
        tasks = {task.node_id: (detail.inputs[task.id.position], task) for task in detail.tasks}
        assert tasks["root"][0] == tasks["each"][0] == {"items": [1, 2]}
        each_output = (await tasks_of(engine, first))["each"].output
        assert tasks["each"][1].output == each_output
        assert tasks["end"][1].status.value == "completed"
    detail = await run_detail(engine, fourth.run_id)
    inputs = {task.node_id: detail.inputs[task.id.position] for task in detail.tasks}
    assert (inputs["root"], inputs["each"]) == ({"items": [1, 2]}, {"items": [3]})
    assert await verify(engine.db) == []


async def test_a_rerun_without_nodes_runs_all_with_an_input_of_its_own(engine: Engine) -> None:
    first = await run_to_end(engine, workflow([script("echo")], []), {"n": 1})
    again = await rerun(engine, Rerun(first, input={"n": 2}, keeps_input=False))
    assert again.reused == []
    await drain(engine, again.dispatches)
    assert (await tasks_of(engine, again.run_id))["echo"].output == {"n": 2}
    kept = await rerun(engine, Rerun(first))
    await drain(engine, kept.dispatches)
    assert (await tasks_of(engine, kept.run_id))["echo"].output == {"n": 1}


async def test_a_rerun_of_a_failed_run_does_not_use_what_suffered_again(engine: Engine) -> None:
    first = await run_to_end(engine, BROKEN)
    again = await rerun(engine, Rerun(first, nodes=["end"]))
    assert sorted(again.reused) == ["a", "side"]
    assert jobs(again.dispatches) == ["bad"]
    await drain(engine, again.dispatches)
    assert await status_of(engine, again.run_id) == "failed"
    assert await verify(engine.db) == []


async def test_a_node_that_ended_its_run_says_so_in_a_rerun_too(engine: Engine) -> None:
    stop = node("stop", "terminate", config={"status": "failed", "reason": "enough"})
    document = workflow(
        [node("a"), stop, script("slow", do="wait"), node("end")], [edge("a", "stop"), edge("slow", "end")]
    )
    first = await run_to_end(engine, document)
    assert await status_of(engine, first) == "failed"
    again = await rerun(engine, Rerun(first, nodes=["slow"]))
    assert again.reused == ["a"]
    await drain(engine, again.dispatches)
    assert await status_of(engine, again.run_id) == "failed"
    assert (await run_detail(engine, again.run_id)).run.reason == "enough"
    assert await verify(engine.db) == []


async def test_a_rerun_of_a_run_whose_nodes_are_all_used_again_ends_at_once(engine: Engine) -> None:
    """All but a leaf; then nothing but the leaf runs."""
    first = await run_to_end(engine, CHAIN)
    again = await rerun(engine, Rerun(first, nodes=["c"]))
    assert sorted(again.reused) == ["a", "b"]
    await drain(engine, again.dispatches)
    assert await status_of(engine, again.run_id) == "succeeded"


async def test_what_cannot_be_rerun(engine: Engine) -> None:
    run = await started(engine, CHAIN)
    with pytest.raises(WrongState):
        await rerun(engine, Rerun(run.run_id))
    await drain(engine, run.dispatches)
    with pytest.raises(InvalidInput):
        await rerun(engine, Rerun(run.run_id, nodes=["nobody"]))
    with pytest.raises(NotFound):
        await rerun(engine, Rerun(UUID(int=3)))


async def test_a_pause_holds_children_too_and_a_resume_lets_them_go_on(engine: Engine) -> None:
    body: JsonObject = {"nodes": [script("w", do="wait"), node("b")], "edges": [edge("w", "b")]}
    each = node("each", "map", config={"items": [1, 2], "body": body})
    run = await started(engine, workflow([each, node("end")], [edge("each", "end")]))
    await drain(engine, run.dispatches)
    await pause_run(engine, run.run_id)
    rows = await sql(engine.db, "SELECT status FROM workflow_runs ORDER BY id")
    assert [row.status for row in rows] == ["paused"] * 3
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE wake_at IS NOT NULL")
    assert await wake_due(engine) == []
    await drain(engine, await resume_run(engine, run.run_id))
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_a_lost_task_of_a_paused_run_is_held(engine: Engine) -> None:
    run = await started(engine, CHAIN)
    (job,) = run.dispatches
    assert isinstance(job, RunTask)
    await claim(engine, [Delivery(job.task, 1, 1)], WORKER)
    await pause_run(engine, run.run_id)
    assert await expire_worker(engine, WORKER) == []
    assert (await statuses_of(engine, run.run_id))["a"] == "waiting"
    await resume_run(engine, run.run_id)
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_children_that_an_interrupted_resume_left_paused_are_resumed_by_the_next(
    engine: Engine,
) -> None:
    body: JsonObject = {"nodes": [script("w", do="wait")], "edges": []}
    run = await started(engine, workflow([node("each", "map", config={"items": [1, 2], "body": body})], []))
    await drain(engine, run.dispatches)
    await pause_run(engine, run.run_id)
    await sql(engine.db, "UPDATE workflow_runs SET status = 'running' WHERE id = $1", run.run_id)
    await sql(engine.db, "UPDATE workflow_tasks SET is_paused = false WHERE run_id = $1", run.run_id)
    await resume_run(engine, run.run_id)
    rows = await sql(engine.db, "SELECT status FROM workflow_runs")
    assert [row.status for row in rows] == ["running"] * 3
    with pytest.raises(WrongState):
        await resume_run(engine, run.run_id)


async def test_a_retry_needs_room_at_its_workflow_s_key(engine: Engine) -> None:
    bad = node("bad", "script", config={"do": "fail", "retryable": False})
    document: JsonObject = {**workflow([bad], []), "concurrency": {"limit": 1}}
    workflow_id = await create_workflow(engine, document)
    first = await start_run(engine, StartRequest(workflow_id))
    await drain(engine, first.dispatches)
    second = await start_run(engine, StartRequest(workflow_id))
    with pytest.raises(WrongState, match="room"):
        await retry_run(engine, first.run_id)
    with pytest.raises(WrongState, match="room"):
        await rerun(engine, Rerun(first.run_id))
    await drain(engine, second.dispatches)
    await retry_run(engine, first.run_id)
    assert await status_of(engine, first.run_id) == "running"


async def test_a_retry_in_place_of_a_paused_run_counts_a_pending_join_anew(engine: Engine) -> None:
    document = workflow(
        [fails_once("bad"), script("slow", do="wait"), node("join")],
        [edge("bad", "join"), edge("slow", "join")],
    )
    run = await started(engine, {**document, "onFailure": "pause"})
    await drain(engine, run.dispatches)
    assert await statuses_of(engine, run.run_id) == {"bad": "failed", "slow": "waiting", "join": "pending"}
    await drain(engine, await retry_run(engine, run.run_id))
    assert (await statuses_of(engine, run.run_id))["join"] == "pending"
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE wake_at IS NOT NULL")
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_a_held_compensation_is_not_taken_for_none(engine: Engine) -> None:
    document = workflow(
        [script("a"), fails_once("bad"), node("undo"), {**node("last"), "finally": True}], [edge("a", "bad")]
    )
    document["nodes"][0]["compensateWith"] = "undo"  # type: ignore[index, call-overload]
    workflow_id = await create_workflow(engine, document)
    debug = Debug(frozenset({"undo"})).as_json()
    run = await start_run(engine, StartRequest(workflow_id, debug=debug))
    await drain(engine, run.dispatches)
    assert await status_of(engine, run.run_id) == "running"
    await drain(engine, await step(engine, run.run_id))
    assert await status_of(engine, run.run_id) == "failed"
    assert (await statuses_of(engine, run.run_id))["undo"] == "completed"
    assert await verify(engine.db) == []
