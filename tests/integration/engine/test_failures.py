"""Failures and what graphs make of them: edges, joins, finally, fail_fast, cancel."""

from __future__ import annotations

from uuid import UUID

import pytest

from headrace.engine.control import cancel_run
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.errors import NotFound, WrongState
from headrace.graph.dispatch import RunTask, Stop, Withdraw
from headrace.graph.json_types import JsonObject, JsonValue
from support.build import edge, node, workflow
from support.drive import deliver, drain, run_to_end, status_of, statuses_of, tasks_of
from support.rows import sql

pytestmark = pytest.mark.anyio


def fails(name: str, **options: JsonValue) -> JsonObject:
    return node(name, "script", config={"do": "fail", "retryable": False}, **options)


def says(name: str, output: JsonValue) -> JsonObject:
    return node(name, "script", config={"output": output})


def parked(name: str, **options: JsonValue) -> JsonObject:
    return node(name, "script", config={"do": "wait"}, **options)


async def reason_of(engine: Engine, run_id: UUID) -> str | None:
    (row,) = await sql(engine.db, "SELECT reason FROM workflow_runs WHERE id = $1", run_id)
    reason: str | None = row.reason
    return reason


async def test_a_failure_edge_handles_the_failure_and_carries_error_and_input(engine: Engine) -> None:
    document = workflow(
        [fails("bad"), node("next"), node("repair"), node("note"), node("join")],
        [
            edge("bad", "next"),
            edge("bad", "repair", on="failure"),
            edge("bad", "note", on="always"),
            edge("next", "join"),
            edge("repair", "join"),
        ],
    )
    run_id = await run_to_end(engine, document, {"n": 1})
    assert await status_of(engine, run_id) == "succeeded"
    assert await statuses_of(engine, run_id) == {
        "bad": "failed",
        "next": "skipped",
        "repair": "completed",
        "note": "completed",
        "join": "completed",
    }
    told = {"error": {"type": "ScriptError", "message": "as the script says"}, "input": {"n": 1}}
    tasks = await tasks_of(engine, run_id)
    assert tasks["repair"].output == told
    assert tasks["note"].output == told


async def test_a_failure_edge_of_a_node_that_completes_is_not_taken(engine: Engine) -> None:
    document = workflow(
        [node("good"), node("next"), node("repair"), node("note")],
        [edge("good", "next"), edge("good", "repair", on="failure"), edge("good", "note", on="always")],
    )
    run_id = await run_to_end(engine, document)
    statuses = await statuses_of(engine, run_id)
    assert [statuses[name] for name in ("next", "repair", "note")] == ["completed", "skipped", "completed"]


async def test_an_always_edge_runs_but_does_not_handle(engine: Engine) -> None:
    document = workflow([fails("bad"), node("note")], [edge("bad", "note", on="always")])
    run_id = await run_to_end(engine, document)
    assert await status_of(engine, run_id) == "failed"
    assert (await statuses_of(engine, run_id))["note"] == "completed"


async def test_a_failure_that_is_allowed_goes_on_with_nothing(engine: Engine) -> None:
    document = workflow([fails("bad", allowFailure=True), node("next")], [edge("bad", "next")])
    run_id = await run_to_end(engine, document)
    assert await status_of(engine, run_id) == "succeeded"
    tasks = await tasks_of(engine, run_id)
    assert (tasks["next"].status, tasks["next"].output) == ("completed", None)


async def test_conditions_open_edges_by_input_output_error_and_run(engine: Engine) -> None:
    document = workflow(
        [says("a", {"n": 3}), node("high"), node("low"), node("by_run"), node("strange")],
        [
            edge("a", "high", when={">": [{"var": "output.n"}, 2]}),
            edge("a", "low", when={"<": [{"var": "output.n"}, 2]}),
            edge("a", "by_run", when={"==": [{"var": "run.input.who"}, "Ada"]}),
            edge("a", "strange", when={"in": [{"var": "input.who"}, 5]}),
        ],
    )
    run_id = await run_to_end(engine, document, {"who": "Ada"})
    statuses = await statuses_of(engine, run_id)
    assert {name: statuses[name] for name in ("high", "low", "by_run", "strange")} == {
        "high": "completed",
        "low": "skipped",
        "by_run": "completed",
        "strange": "skipped",
    }


@pytest.mark.parametrize(
    ("kind", "status", "repaired"),
    [("ScriptError", "succeeded", "completed"), ("Other", "failed", "skipped")],
)
async def test_a_failure_edge_with_a_condition_handles_only_what_it_names(
    engine: Engine, kind: str, status: str, repaired: str
) -> None:
    document = workflow(
        [node("bad", "script", config={"do": "fail", "retryable": False, "kind": kind}), node("repair")],
        [edge("bad", "repair", on="failure", when={"==": [{"var": "error.type"}, "ScriptError"]})],
    )
    run_id = await run_to_end(engine, document)
    assert await status_of(engine, run_id) == status
    assert (await statuses_of(engine, run_id))["repair"] == repaired


def with_finals(*nodes: JsonObject, edges: list[JsonObject], **options: JsonValue) -> JsonObject:
    finals = [node("tidy", finally_=True), node("report", finally_=True)]
    for one in finals:
        one["finally"] = one.pop("finally_")
    return workflow([*nodes, *finals], [*edges, edge("tidy", "report")], **options)


async def test_finally_nodes_run_last_after_success(engine: Engine) -> None:
    run_id = await run_to_end(engine, with_finals(node("a"), node("b"), edges=[edge("a", "b")]), {"n": 1})
    assert await status_of(engine, run_id) == "succeeded"
    tasks = await tasks_of(engine, run_id)
    assert {task.status for task in tasks.values()} == {"completed"}
    assert tasks["tidy"].output == {"n": 1}
    ended, queued = tasks["b"].finished_at, tasks["tidy"].queued_at
    assert ended is not None
    assert queued is not None
    assert ended <= queued


async def test_finally_nodes_run_after_failure_and_the_run_fails(engine: Engine) -> None:
    run_id = await run_to_end(engine, with_finals(fails("a"), node("b"), edges=[edge("a", "b")]))
    assert await status_of(engine, run_id) == "failed"
    statuses = await statuses_of(engine, run_id)
    assert (statuses["b"], statuses["tidy"], statuses["report"]) == (
        "upstream_failed",
        "completed",
        "completed",
    )


async def test_a_finally_node_that_fails_fails_the_run(engine: Engine) -> None:
    document = workflow([node("a"), fails("tidy", **{"finally": True})], [])
    run_id = await run_to_end(engine, document)
    assert await status_of(engine, run_id) == "failed"
    assert await reason_of(engine, run_id) == "node 'tidy' failed"


async def started(engine: Engine, document: JsonObject) -> Started:
    return await start_run(engine, StartRequest(await create_workflow(engine, document)))


async def test_cancel_ends_all_but_finally_and_then_the_run(engine: Engine) -> None:
    document = with_finals(
        node("done"),
        parked("waits"),
        node("ready"),
        node("later"),
        edges=[edge("done", "later"), edge("waits", "later")],
    )
    run = await started(engine, document)
    jobs = {one.node_id: one for one in run.dispatches if isinstance(one, RunTask)}
    await drain(engine, [jobs["done"], jobs["waits"]])
    dispatches = await cancel_run(engine, run.run_id)
    assert Withdraw((jobs["ready"].job_id,)) in dispatches
    assert await status_of(engine, run.run_id) == "running"
    await drain(engine, dispatches)
    assert await status_of(engine, run.run_id) == "cancelled"
    assert await statuses_of(engine, run.run_id) == {
        "done": "completed",
        "waits": "cancelled",
        "ready": "cancelled",
        "later": "cancelled",
        "tidy": "completed",
        "report": "completed",
    }
    assert await deliver(engine, jobs["ready"]) == []


async def test_a_second_cancel_is_refused_before_and_after_the_end(engine: Engine) -> None:
    run = await started(engine, with_finals(node("a"), edges=[]))
    dispatches = await cancel_run(engine, run.run_id)
    with pytest.raises(WrongState):
        await cancel_run(engine, run.run_id)
    await drain(engine, dispatches)
    with pytest.raises(WrongState):
        await cancel_run(engine, run.run_id)
    with pytest.raises(NotFound):
        await cancel_run(engine, UUID(int=7))


async def test_a_cancelled_run_with_an_unhandled_failure_has_failed(engine: Engine) -> None:
    run = await started(engine, workflow([fails("bad"), node("other")], []))
    jobs = {one.node_id: one for one in run.dispatches if isinstance(one, RunTask)}
    await drain(engine, [jobs["bad"]])
    await cancel_run(engine, run.run_id)
    assert await status_of(engine, run.run_id) == "failed"


async def test_a_cancel_between_an_end_and_its_release_is_not_lost(engine: Engine) -> None:
    document = with_finals(node("a"), node("b"), edges=[edge("a", "b")])
    run = await started(engine, document)
    release = await deliver(engine, run.dispatches[0])
    await drain(engine, await cancel_run(engine, run.run_id))
    assert await status_of(engine, run.run_id) == "running"
    await drain(engine, release)
    assert await status_of(engine, run.run_id) == "cancelled"
    assert await statuses_of(engine, run.run_id) == {
        "a": "completed",
        "b": "cancelled",
        "tidy": "completed",
        "report": "completed",
    }


async def test_fail_fast_stops_the_rest_at_the_first_unhandled_failure(engine: Engine) -> None:
    document = with_finals(
        parked("waits"),
        fails("bad"),
        node("ready"),
        node("later"),
        edges=[edge("bad", "later")],
        onFailure="fail_fast",
    )
    run = await started(engine, document)
    jobs = {one.node_id: one for one in run.dispatches if isinstance(one, RunTask)}
    await drain(engine, [jobs["waits"], jobs["bad"]])
    assert await status_of(engine, run.run_id) == "failed"
    assert await statuses_of(engine, run.run_id) == {
        "waits": "cancelled",
        "bad": "failed",
        "ready": "cancelled",
        "later": "upstream_failed",
        "tidy": "completed",
        "report": "completed",
    }
    assert await reason_of(engine, run.run_id) == "a node failed and the workflow fails fast"


async def test_fail_fast_lets_a_handled_failure_pass(engine: Engine) -> None:
    document = workflow(
        [fails("bad"), node("repair"), node("other")],
        [edge("bad", "repair", on="failure")],
        onFailure="fail_fast",
    )
    run_id = await run_to_end(engine, document)
    assert await status_of(engine, run_id) == "succeeded"


@pytest.mark.parametrize("rule", ["any_success", "quorum:1"])
async def test_a_met_join_handles_the_failures_that_enter_it(engine: Engine, rule: str) -> None:
    document = workflow(
        [fails("bad"), node("good"), node("join", join=rule)], [edge("bad", "join"), edge("good", "join")]
    )
    run_id = await run_to_end(engine, document)
    assert await status_of(engine, run_id) == "succeeded"


async def test_a_quorum_that_is_missed_fails_the_run(engine: Engine) -> None:
    document = workflow(
        [fails("bad"), node("good"), node("join", join="quorum:2")],
        [edge("bad", "join"), edge("good", "join")],
    )
    run_id = await run_to_end(engine, document)
    assert await status_of(engine, run_id) == "failed"
    assert (await statuses_of(engine, run_id))["join"] == "upstream_failed"
    assert await reason_of(engine, run_id) == "node 'bad' failed"


async def test_the_reason_names_a_failure_that_nobody_handled(engine: Engine) -> None:
    document = workflow(
        [fails("allowed", allowFailure=True), node("next"), fails("worse")],
        [edge("allowed", "next"), edge("next", "worse")],
    )
    run_id = await run_to_end(engine, document)
    assert await reason_of(engine, run_id) == "node 'worse' failed"


async def test_an_early_join_cancels_its_losers_in_every_state(engine: Engine) -> None:
    document = workflow(
        [
            node("fast"),
            node("queued"),
            node("running"),
            parked("waiting"),
            node("pending"),
            node("beside"),
            node("join", join={"rule": "any_success", "onLosers": "cancel"}),
            node("after"),
        ],
        [
            edge("fast", "join"),
            edge("queued", "join"),
            edge("running", "join"),
            edge("waiting", "pending"),
            edge("pending", "join"),
            edge("join", "after"),
        ],
    )
    run = await started(engine, document)
    jobs = {one.node_id: one for one in run.dispatches if isinstance(one, RunTask)}
    await drain(engine, [jobs["waiting"]])
    await _claim_only(engine, jobs["running"])
    (release,) = await deliver(engine, jobs["fast"])
    follow = await deliver(engine, release)
    assert Withdraw((jobs["queued"].job_id,)) in follow
    assert Stop((jobs["running"].task,)) in follow
    await drain(engine, [*follow, jobs["beside"], jobs["queued"]])
    assert await status_of(engine, run.run_id) == "succeeded"
    statuses = await statuses_of(engine, run.run_id)
    assert [statuses[name] for name in ("queued", "running", "waiting", "pending")] == ["cancelled"] * 4
    assert [statuses[name] for name in ("join", "after", "beside")] == ["completed"] * 3


async def _claim_only(engine: Engine, job: RunTask) -> None:
    await sql(
        engine.db,
        "UPDATE workflow_tasks SET status = 'running', token = 1, lease_until = now() + interval '30 s'"
        " WHERE run_id = $1 AND position = $2",
        job.task.run_id,
        job.task.position,
    )


async def test_without_cancel_an_early_join_lets_the_others_run(engine: Engine) -> None:
    document = workflow(
        [node("fast"), node("slow"), node("join", join="any_success")],
        [edge("fast", "join"), edge("slow", "join")],
    )
    run = await started(engine, document)
    jobs = {one.node_id: one for one in run.dispatches if isinstance(one, RunTask)}
    await drain(engine, [jobs["fast"]])
    assert await statuses_of(engine, run.run_id) == {
        "fast": "completed",
        "slow": "queued",
        "join": "completed",
    }
    assert await status_of(engine, run.run_id) == "running"
    await drain(engine, [jobs["slow"]])
    assert await status_of(engine, run.run_id) == "succeeded"
    (count,) = await sql(
        engine.db, "SELECT count(*) AS n FROM workflow_events WHERE type = 'task.queued' AND node_id = 'join'"
    )
    assert count.n == 1


async def test_fail_fast_delivers_nothing_that_it_has_just_cancelled(engine: Engine) -> None:
    document = workflow(
        [fails("bad"), node("note")], [edge("bad", "note", on="always")], onFailure="fail_fast"
    )
    run = await started(engine, document)
    (release,) = await deliver(engine, run.dispatches[0])
    assert [one for one in await deliver(engine, release) if isinstance(one, RunTask)] == []
    assert await statuses_of(engine, run.run_id) == {"bad": "failed", "note": "cancelled"}
    assert await status_of(engine, run.run_id) == "failed"
