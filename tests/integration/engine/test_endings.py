"""How runs end: terminate, pause on failure, compensations, failure workflows, the four clocks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from uuid import UUID

import pytest

from headrace.engine import clocks
from headrace.engine.again import retry_run
from headrace.engine.control import cancel_run, pause_run, resume_run
from headrace.engine.execute import claim
from headrace.engine.program import Engine
from headrace.engine.release import release
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.stopping import fail_run
from headrace.engine.sweep import SweepSettings, sweep, wake_due
from headrace.engine.verify import verify
from headrace.errors import InvalidDefinition, WrongState
from headrace.graph.dispatch import Dispatch, Release, RunTask, Stop
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.claims import Delivery
from headrace.store.time_travel import skip
from support.build import edge, node, workflow
from support.drive import WORKER, deliver, drain, run_to_end, status_of, statuses_of, tasks_of
from support.rows import sql

pytestmark = pytest.mark.anyio


def script(name: str, _options: JsonObject | None = None, **config: JsonValue) -> JsonObject:
    return {**node(name, "script", config=config), **(_options or {})}


def fails(name: str, **options: JsonValue) -> JsonObject:
    return script(name, options, do="fail", retryable=False)


async def started(engine: Engine, document: JsonValue, run_input: JsonValue = None) -> Started:
    return await start_run(engine, StartRequest(await create_workflow(engine, document), run_input))


async def reason_of(engine: Engine, run_id: UUID) -> object:
    (row,) = await sql(engine.db, "SELECT reason FROM workflow_runs WHERE id = $1", run_id)
    return row.reason


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
async def test_terminate_ends_the_run_and_finally_runs(engine: Engine, status: str) -> None:
    stop = node("stop", "terminate", config={"status": status, "reason": "no {{what}}"})
    document = workflow(
        [stop, script("waits", do="wait"), node("after"), {**node("last"), "finally": True}],
        [edge("stop", "after")],
    )
    run = await started(engine, document, {"what": "money"})
    waits = next(one for one in run.dispatches if isinstance(one, RunTask) and one.node_id == "waits")
    await drain(engine, [waits])
    await drain(engine, [one for one in run.dispatches if one is not waits])
    assert await status_of(engine, run.run_id) == status
    assert await reason_of(engine, run.run_id) == "no money"
    assert await statuses_of(engine, run.run_id) == {
        "stop": "completed",
        "waits": "cancelled",
        "after": "cancelled",
        "last": "completed",
    }
    assert await verify(engine.db) == []
    with pytest.raises(WrongState):
        await retry_run(engine, run.run_id)


async def test_a_failure_pauses_the_run_until_somebody_decides(engine: Engine) -> None:
    once = script("bad", do="fail", times=1, retryable=False)
    document = workflow(
        [once, node("after"), script("w", do="wait"), node("later")],
        [edge("bad", "after"), edge("w", "later")],
    )
    run = await started(engine, {**document, "onFailure": "pause"})
    await drain(engine, run.dispatches)
    assert await status_of(engine, run.run_id) == "paused"
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE wake_at IS NOT NULL")
    assert await wake_due(engine) == []
    await drain(engine, await retry_run(engine, run.run_id))
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_a_run_that_a_failure_paused_may_go_on_without_a_retry(engine: Engine) -> None:
    document = workflow([fails("bad"), script("w", do="wait"), node("later")], [edge("w", "later")])
    run = await started(engine, {**document, "onFailure": "pause"})
    await drain(engine, run.dispatches)
    await resume_run(engine, run.run_id)
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE wake_at IS NOT NULL")
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "failed"
    assert (await statuses_of(engine, run.run_id))["later"] == "completed"


def undoing(*names: str, last: JsonObject, undo: JsonObject | None = None) -> JsonObject:
    """A chain whose steps have compensations, and a last step."""
    steps = [script(name, {"compensateWith": f"undo-{name}"}, output={"did": name}) for name in names]
    undos = [undo if undo and undo["id"] == f"undo-{name}" else script(f"undo-{name}") for name in names]
    ids = [*names, str(last["id"])]
    return workflow([*steps, last, *undos], [edge(a, b) for a, b in pairwise(ids)])


async def test_a_failed_run_is_undone_in_reverse_order(engine: Engine) -> None:
    document = undoing("a", "b", last=fails("bad"))
    run_id = await run_to_end(engine, document)
    assert await status_of(engine, run_id) == "failed"
    assert await reason_of(engine, run_id) == "node 'bad' failed"
    tasks = await tasks_of(engine, run_id)
    assert tasks["undo-a"].output == {"did": "a"}
    assert tasks["undo-b"].output == {"did": "b"}
    assert tasks["undo-b"].finished_at <= tasks["undo-a"].queued_at  # type: ignore[operator]
    assert await verify(engine.db) == []
    with pytest.raises(WrongState):
        await retry_run(engine, run_id)


async def test_a_run_that_succeeds_is_not_undone(engine: Engine) -> None:
    run_id = await run_to_end(engine, undoing("a", last=node("end")))
    assert await status_of(engine, run_id) == "succeeded"
    assert (await statuses_of(engine, run_id))["undo-a"] == "skipped"
    assert await verify(engine.db) == []


async def test_only_what_completed_is_undone_when_a_run_is_cancelled(engine: Engine) -> None:
    document = undoing("a", "b", last=node("end"))
    document["nodes"] = [*document["nodes"], {**node("last"), "finally": True}]  # type: ignore[misc]
    run = await started(engine, document)
    followed = await deliver(engine, run.dispatches[0])
    for one in followed:
        await deliver(engine, one)
    await drain(engine, await cancel_run(engine, run.run_id))
    assert await status_of(engine, run.run_id) == "cancelled"
    assert await statuses_of(engine, run.run_id) == {
        "a": "completed",
        "b": "cancelled",
        "end": "cancelled",
        "undo-a": "completed",
        "undo-b": "skipped",
        "last": "completed",
    }
    assert await verify(engine.db) == []


async def test_a_compensation_that_fails_fails_the_run_and_the_others_still_run(engine: Engine) -> None:
    document = undoing("a", "b", last=fails("bad"), undo=fails("undo-b"))
    run_id = await run_to_end(engine, document)
    assert await status_of(engine, run_id) == "failed"
    statuses = await statuses_of(engine, run_id)
    assert (statuses["undo-b"], statuses["undo-a"]) == ("failed", "completed")
    run = await started(engine, undoing("a", last=node("end"), undo=fails("undo-a")))
    followed = await deliver(engine, run.dispatches[0])
    await drain(engine, [*await cancel_run(engine, run.run_id), *followed])
    assert await status_of(engine, run.run_id) == "failed"
    assert await reason_of(engine, run.run_id) == "node 'undo-a' failed"
    assert await verify(engine.db) == []


async def test_a_bad_compensation_is_refused(engine: Engine) -> None:
    nodes = [node("a", compensateWith="nobody"), node("b", compensateWith="c"), node("c")]
    with pytest.raises(InvalidDefinition) as caught:
        await create_workflow(engine, workflow(nodes, [edge("a", "c")]))
    assert [problem.path for problem in caught.value.problems] == [
        "nodes[0].compensateWith",
        "nodes[1].compensateWith",
    ]


async def test_a_failed_run_starts_its_failure_workflow_once(engine: Engine) -> None:
    await create_workflow(engine, {**workflow([script("tell")], []), "name": "care"})
    failing = {**workflow([fails("bad")], []), "failureWorkflow": "care"}
    run = await started(engine, failing, {"n": 1})
    await drain(engine, run.dispatches)
    assert await status_of(engine, run.run_id) == "failed"
    (row,) = await sql(engine.db, "SELECT id, status FROM workflow_runs WHERE origin IS NOT NULL")
    assert row.status == "succeeded"
    told = (await tasks_of(engine, row.id))["tell"].output
    assert isinstance(told, dict)
    assert (told["runId"], told["reason"], told["input"]) == (str(run.run_id), "node 'bad' failed", {"n": 1})
    assert await verify(engine.db) == []


async def test_a_failure_workflow_that_is_not_there_or_fails_itself_changes_nothing(engine: Engine) -> None:
    run_id = await run_to_end(engine, {**workflow([fails("bad")], []), "failureWorkflow": "nobody"})
    assert await status_of(engine, run_id) == "failed"
    await create_workflow(engine, {**workflow([fails("x")], []), "name": "worse", "failureWorkflow": "worse"})
    await run_to_end(engine, {**workflow([fails("bad")], []), "failureWorkflow": "worse"})
    rows = await sql(engine.db, "SELECT status FROM workflow_runs WHERE origin IS NOT NULL")
    assert [row.status for row in rows] == ["failed"]


async def test_the_queue_clock_fails_what_nobody_takes(engine: Engine) -> None:
    slow = {**node("slow"), "timeouts": {"queue": "10s"}}
    run = await started(engine, workflow([slow, node("repair")], [edge("slow", "repair", on="failure")]))
    assert await clocks.enforce(engine) == []
    await sql(
        engine.db, "UPDATE workflow_tasks SET queued_at = now() - interval '11 s' WHERE status = 'queued'"
    )
    await drain(engine, await clocks.enforce(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    failed = (await tasks_of(engine, run.run_id))["slow"]
    assert (failed.status, failed.error and failed.error["type"]) == ("failed", "QueueTimeout")
    await drain(engine, run.dispatches)  # the job that came too late
    assert await verify(engine.db) == []


async def test_the_total_clock_ends_retries_and_waits(engine: Engine) -> None:
    nodes = [
        script("tries", {"timeouts": {"total": "1m"}}, do="fail"),
        script("waits", {"timeouts": {"total": "1m"}}, do="wait"),
    ]
    run = await started(engine, workflow(nodes, []))
    await drain(engine, run.dispatches)
    assert await statuses_of(engine, run.run_id) == {"tries": "waiting", "waits": "waiting"}
    assert await clocks.enforce(engine) == []
    await sql(engine.db, "UPDATE workflow_tasks SET ready_at = now() - interval '61 s'")
    await drain(engine, await clocks.enforce(engine))
    assert await status_of(engine, run.run_id) == "failed"
    kinds = {task.error and task.error["type"] for task in (await tasks_of(engine, run.run_id)).values()}
    assert kinds == {"TotalTimeout"}
    assert await verify(engine.db) == []


async def test_the_ticker_ends_an_attempt_that_its_process_does_not_end(engine: Engine) -> None:
    stuck = {**node("stuck"), "timeouts": {"attempt": "1s"}, "retry": {"strategy": "fixed", "jitter": False}}
    run = await started(engine, workflow([stuck], []))
    await sql(
        engine.db,
        "UPDATE workflow_tasks SET status = 'running', token = 1, started_at = now() - interval '7 s',"
        " lease_until = now() + interval '1 h'",
    )
    dispatches = await clocks.enforce(engine)
    assert [one for one in dispatches if isinstance(one, Stop)]
    task = (await tasks_of(engine, run.run_id))["stuck"]
    assert (task.status, task.waits_for, task.reason) == (
        "waiting",
        "retry",
        "the attempt took longer than 1 s",
    )


async def test_the_run_s_clock_stops_all_but_finally(engine: Engine) -> None:
    nodes = [script("waits", do="wait"), node("after"), {**node("last"), "finally": True}]
    run = await started(engine, {**workflow(nodes, [edge("waits", "after")]), "timeout": "1h"})
    await drain(engine, run.dispatches)
    assert await clocks.enforce(engine) == []
    await sql(engine.db, "UPDATE workflow_runs SET deadline_at = now() - interval '1 s'")
    await drain(engine, await clocks.enforce(engine))
    assert await status_of(engine, run.run_id) == "failed"
    assert await reason_of(engine, run.run_id) == "Timeout: the run took longer than 3600 s"
    assert await statuses_of(engine, run.run_id) == {
        "waits": "cancelled",
        "after": "cancelled",
        "last": "completed",
    }
    assert await verify(engine.db) == []


def stop(status: str) -> JsonObject:
    return node("stop", "terminate", config={"status": status, "reason": "enough"})


async def test_a_node_s_word_counts_more_than_a_failure_before_it(engine: Engine) -> None:
    document = workflow([fails("bad"), stop("cancelled"), node("after")], [edge("stop", "after")])
    run = await started(engine, document)
    jobs = {one.node_id: one for one in run.dispatches if isinstance(one, RunTask)}
    await drain(engine, [jobs["bad"]])
    await drain(engine, [jobs["stop"]])
    assert await status_of(engine, run.run_id) == "cancelled"
    assert await reason_of(engine, run.run_id) == "enough"
    assert await verify(engine.db) == []


async def test_a_node_s_word_counts_although_a_cancel_comes_before_its_release(engine: Engine) -> None:
    run = await started(engine, workflow([stop("succeeded"), script("w", do="wait")], []))
    jobs = {one.node_id: one for one in run.dispatches if isinstance(one, RunTask)}
    release = await deliver(engine, jobs["stop"])
    await drain(engine, [*await cancel_run(engine, run.run_id), *release])
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await reason_of(engine, run.run_id) == "enough"
    assert await verify(engine.db) == []


async def test_a_word_and_a_failure_in_one_release_leave_no_pause(engine: Engine) -> None:
    document = workflow([fails("bad"), stop("succeeded"), {**node("last"), "finally": True}], [])
    run = await started(engine, {**document, "onFailure": "pause"})
    releases = [follows for one in run.dispatches for follows in await deliver(engine, one)]
    tasks = [task for one in releases if isinstance(one, Release) for task in one.tasks]
    await drain(engine, await release(engine, tasks))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []


PAUSED_AT_THE_END = {
    **undoing("a", last=script("bad", do="fail", times=1, retryable=False)),
    "onFailure": "pause",
}
PAUSED_AT_THE_END["nodes"] = [*PAUSED_AT_THE_END["nodes"], {**node("last"), "finally": True}]  # type: ignore[misc]


async def paused_at_the_end(engine: Engine) -> UUID:
    run_id = await run_to_end(engine, PAUSED_AT_THE_END)
    assert await status_of(engine, run_id) == "paused"
    assert await reason_of(engine, run_id) == "a node failed and the workflow pauses on failure"
    statuses = await statuses_of(engine, run_id)
    assert (statuses["bad"], statuses["undo-a"], statuses["last"]) == ("failed", "pending", "pending")
    assert await verify(engine.db) == []
    return run_id


async def test_a_failure_pauses_a_run_with_nothing_left_to_do_and_a_resume_closes_it(engine: Engine) -> None:
    run_id = await paused_at_the_end(engine)
    await drain(engine, await resume_run(engine, run_id))
    assert await status_of(engine, run_id) == "failed"
    assert await reason_of(engine, run_id) == "node 'bad' failed"
    statuses = await statuses_of(engine, run_id)
    assert (statuses["undo-a"], statuses["last"]) == ("completed", "completed")
    assert await verify(engine.db) == []


async def test_a_retry_takes_up_a_run_that_a_failure_paused_at_its_end(engine: Engine) -> None:
    run_id = await paused_at_the_end(engine)
    await drain(engine, await retry_run(engine, run_id))
    assert await status_of(engine, run_id) == "succeeded"
    assert (await statuses_of(engine, run_id))["undo-a"] == "skipped"
    assert await verify(engine.db) == []


async def test_a_cancel_closes_a_run_that_a_failure_paused_at_its_end(engine: Engine) -> None:
    run_id = await paused_at_the_end(engine)
    await drain(engine, await cancel_run(engine, run_id))
    assert await status_of(engine, run_id) == "failed"
    assert await verify(engine.db) == []


async def test_a_failure_during_somebody_s_pause_keeps_the_run_open(engine: Engine) -> None:
    run = await started(engine, {**workflow([fails("bad")], []), "onFailure": "pause"})
    release = await deliver(engine, run.dispatches[0])
    await pause_run(engine, run.run_id)
    await drain(engine, release)
    assert await status_of(engine, run.run_id) == "paused"
    assert await verify(engine.db) == []


@pytest.mark.parametrize(("decide", "status"), [(retry_run, "succeeded"), (resume_run, "failed")])
async def test_a_sub_workflow_that_pauses_on_failure_keeps_its_parent_waiting(
    engine: Engine, decide: Callable[[Engine, UUID], Awaitable[list[Dispatch]]], status: str
) -> None:
    once = script("bad", do="fail", times=1, retryable=False)
    await create_workflow(engine, {**workflow([once], []), "name": "inner", "onFailure": "pause"})
    call = {**node("call", "subWorkflow", config={"workflow": "inner"}), "retry": {"maxAttempts": 1}}
    run_id = await run_to_end(engine, workflow([call, node("after")], [edge("call", "after")]))
    (child,) = await sql(engine.db, "SELECT id, status FROM workflow_runs WHERE parent_run_id = $1", run_id)
    assert (child.status, await status_of(engine, run_id)) == ("paused", "running")
    await drain(engine, await decide(engine, child.id))
    assert await status_of(engine, run_id) == status
    assert await verify(engine.db) == []


async def test_a_pause_stops_the_clocks_of_a_run_and_of_its_tasks(engine: Engine) -> None:
    body: JsonObject = {"nodes": [script("w", {"timeouts": {"total": "1h"}}, do="wait")], "edges": []}
    await create_workflow(engine, {**workflow(body["nodes"], []), "name": "inner", "timeout": "1h"})  # type: ignore[arg-type]
    nodes = [
        node("call", "subWorkflow", config={"workflow": "inner"}),
        script("w", {"timeouts": {"total": "1h"}}, do="wait"),
    ]
    run = await started(engine, {**workflow(nodes, []), "timeout": "1h"})
    await drain(engine, run.dispatches)
    await _pass(engine, 3000)
    await pause_run(engine, run.run_id)
    await _pass(engine, 3000)
    assert await clocks.enforce(engine) == []
    await drain(engine, await resume_run(engine, run.run_id))
    rows = await sql(engine.db, "SELECT status FROM workflow_runs")
    assert [row.status for row in rows] == ["running"] * 2
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() + interval '1 day'")
    assert await clocks.enforce(engine) == []
    await _pass(engine, 500)
    assert await clocks.enforce(engine) == []
    await _pass(engine, 200)
    await drain(engine, await clocks.enforce(engine))
    assert await status_of(engine, run.run_id) == "failed"
    assert await reason_of(engine, run.run_id) == "Timeout: the run took longer than 3600 s"
    assert await verify(engine.db) == []


async def _pass(engine: Engine, seconds: float) -> None:
    async with engine.db.transaction() as tx:
        await skip(tx, seconds)


async def test_a_task_that_runs_through_a_pause_has_its_total_clock_stopped_too(engine: Engine) -> None:
    slow = script("slow", {"timeouts": {"total": "1h"}}, do="wait")
    run = await started(engine, workflow([slow], []))
    (job,) = run.dispatches
    assert isinstance(job, RunTask)
    await claim(engine, [Delivery(job.task, 1, 1)], WORKER)
    await pause_run(engine, run.run_id)
    await _pass(engine, 4000)
    await sql(engine.db, "UPDATE workflow_tasks SET started_at = now()")  # its attempt goes on, and is young
    assert await clocks.enforce(engine) == []
    await resume_run(engine, run.run_id)
    assert await clocks.enforce(engine) == []
    await _pass(engine, 3700)
    await sql(engine.db, "UPDATE workflow_tasks SET started_at = now()")
    await drain(engine, await clocks.enforce(engine))
    error = (await tasks_of(engine, run.run_id))["slow"].error
    assert error is not None
    assert error["type"] == "TotalTimeout"


async def test_a_failure_workflow_is_told_which_nodes_failed_with_what(engine: Engine) -> None:
    await create_workflow(engine, {**workflow([script("tell")], []), "name": "care"})
    nodes = [
        fails("bad"),
        node("after"),
        fails("also", allowFailure=True),
        fails("last", **{"finally": True}),
    ]
    failing = {**workflow(nodes, [edge("bad", "after")]), "name": "pay", "failureWorkflow": "care"}
    run = await started(engine, failing, {"n": 1})
    await drain(engine, run.dispatches)
    (row,) = await sql(engine.db, "SELECT id FROM workflow_runs WHERE origin IS NOT NULL")
    told = (await tasks_of(engine, row.id))["tell"].output
    assert isinstance(told, dict)
    assert (told["workflow"], told["version"], told["status"]) == ("pay", 1, "failed")
    error = {"type": "ScriptError", "message": "as the script says"}
    assert told["failedNodes"] == [
        {"id": name, "name": name, "attempt": 1, "error": error} for name in ("bad", "last")
    ]


async def test_a_failure_workflow_takes_the_place_of_an_older_run_of_its_own(engine: Engine) -> None:
    one_at_once: JsonObject = {"limit": 1, "onLimit": "cancel_oldest"}
    care = workflow([script("w", do="wait")], [])
    await create_workflow(engine, {**care, "name": "care", "concurrency": one_at_once})
    failing = {**workflow([fails("bad")], []), "failureWorkflow": "care"}
    for _ in range(2):
        await run_to_end(engine, failing)
    swept = await sweep(engine, SweepSettings(every=0.0))
    assert swept is not None
    await drain(engine, swept.dispatches)
    rows = await sql(engine.db, "SELECT status FROM workflow_runs WHERE origin IS NOT NULL ORDER BY id")
    assert [row.status for row in rows] == ["cancelled", "running"]


async def test_a_run_that_the_engine_gave_up_can_be_retried_and_its_history_is_whole(engine: Engine) -> None:
    document = workflow([script("a"), script("b"), script("w", do="wait"), node("c")], [edge("a", "c")])
    run = await started(engine, document)
    jobs = {one.node_id: one for one in run.dispatches if isinstance(one, RunTask)}
    await drain(engine, [jobs["w"]])
    await deliver(engine, jobs["b"])
    await fail_run(engine, run.run_id, "EngineError: no such thing")
    assert await verify(engine.db) == []
    await drain(engine, await retry_run(engine, run.run_id))
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE wake_at IS NOT NULL")
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []
