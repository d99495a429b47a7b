"""Attempts: retries, timeouts, answers that cannot be kept, inputs that cannot be made."""

from __future__ import annotations

from uuid import UUID

import pytest

from headrace.engine.execute import Finished, claim, perform
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.settle import settle
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.graph.dispatch import Release, RunTask
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Failed, Waiting
from headrace.nodes.base import LogLine
from headrace.store.claims import Delivery
from support.build import edge, node, workflow
from support.drive import WORKER, NoHttp, deliver, drain, run_to_end, status_of, statuses_of, tasks_of
from support.rows import end_waits, sql

pytestmark = pytest.mark.anyio


def script(name: str, **config: JsonValue) -> JsonObject:
    return node(name, "script", config=config)


async def started(engine: Engine, document: JsonObject, run_input: JsonValue = None) -> Started:
    return await start_run(engine, StartRequest(await create_workflow(engine, document), run_input))


async def test_a_failed_attempt_waits_in_the_database_and_the_next_one_succeeds(engine: Engine) -> None:
    flaky = script("flaky", do="fail", times=1) | {
        "retry": {"initial": "40s", "strategy": "fixed", "jitter": False}
    }
    run_id = await run_to_end(engine, workflow([flaky, node("next")], [edge("flaky", "next")]), {"n": 1})
    task = (await tasks_of(engine, run_id))["flaky"]
    assert (task.status, task.attempt, task.waits_for) == ("waiting", 1, "retry")
    assert task.error == {"type": "ScriptError", "message": "as the script says"}
    (row,) = await sql(
        engine.db,
        "SELECT extract(epoch FROM wake_at - now())::float8 AS seconds FROM workflow_tasks"
        " WHERE status = 'waiting'",
    )
    assert 35 < row.seconds <= 40
    await end_waits(engine.db)
    (job,) = await wake_due(engine)
    assert isinstance(job, RunTask)
    assert (job.attempt, job.delivery) == (2, 2)
    await drain(engine, [job])
    tasks = await tasks_of(engine, run_id)
    assert (tasks["flaky"].status, tasks["flaky"].attempt) == ("completed", 2)
    assert (tasks["flaky"].error, tasks["flaky"].reason) == (None, None)
    assert tasks["flaky"].output == {"n": 1}
    assert await status_of(engine, run_id) == "succeeded"


async def test_attempts_end_and_the_last_failure_counts(engine: Engine) -> None:
    run_id = await run_to_end(
        engine, workflow([script("bad", do="crash") | {"retry": {"maxAttempts": 3}}], [])
    )
    for _ in range(2):
        await end_waits(engine.db)
        await drain(engine, await wake_due(engine))
    task = (await tasks_of(engine, run_id))["bad"]
    assert (task.status, task.attempt) == ("failed", 3)
    assert task.error == {"type": "RuntimeError", "message": "RuntimeError: as the script says"}
    assert await status_of(engine, run_id) == "failed"


@pytest.mark.parametrize(
    "options",
    [
        {"config": {"do": "fail", "retryable": False}},
        {"config": {"do": "fail"}, "retry": {"strategy": "none"}},
        {"config": {"do": "fail"}, "retry": {"noRetryOn": ["ScriptError"]}},
        {"config": {"do": "fail"}, "retry": {"retryOn": ["Timeout"]}},
    ],
    ids=["not retryable", "no strategy", "never on this kind", "only on another kind"],
)
async def test_what_cannot_be_helped_is_not_tried_again(engine: Engine, options: JsonObject) -> None:
    run_id = await run_to_end(engine, workflow([node("bad", "script", **options)], []))
    assert (await tasks_of(engine, run_id))["bad"].attempt == 1
    assert await status_of(engine, run_id) == "failed"


async def test_an_attempt_that_takes_too_long_fails(engine: Engine) -> None:
    slow = script("slow", do="hang") | {"timeouts": {"attempt": 0.02}, "retry": {"maxAttempts": 1}}
    run_id = await run_to_end(engine, workflow([slow], []))
    error = (await tasks_of(engine, run_id))["slow"].error
    assert error == {"type": "Timeout", "message": "the attempt took longer than 0.02 s"}


async def test_a_node_s_own_timeout_is_told_from_the_attempt_s(engine: Engine) -> None:
    run_id = await run_to_end(
        engine, workflow([script("n", do="time_out") | {"retry": {"maxAttempts": 1}}], [])
    )
    error = (await tasks_of(engine, run_id))["n"].error
    assert error == {"type": "TimeoutError", "message": "TimeoutError: the other side is slow"}


async def test_a_node_that_exits_fails_and_its_process_lives_on(engine: Engine) -> None:
    run_id = await run_to_end(engine, workflow([script("n", do="exit") | {"retry": {"maxAttempts": 1}}], []))
    error = (await tasks_of(engine, run_id))["n"].error
    assert error is not None
    assert error["type"] == "SystemExit"


async def _all_at_once(engine: Engine, run: Started) -> list[Finished]:
    """All roots of a run, claimed as one batch and performed."""
    deliveries = [
        Delivery(one.task, one.attempt, one.delivery) for one in run.dispatches if isinstance(one, RunTask)
    ]
    executions = await claim(engine, deliveries, WORKER)
    return [await perform(execution, NoHttp()) for execution in executions]


UNSTORABLE = ["nul", "nan", "surrogate", "huge", "huge_umlauts"]


async def test_what_cannot_be_stored_fails_its_own_task_and_no_other(engine: Engine) -> None:
    bad = [script(which, do="unstorable", which=which) for which in UNSTORABLE]
    nonsense = script("nonsense", do="nonsense")
    good = [script(f"good{number}", output={"n": number}) for number in range(7)]
    mixed = [one for pair in zip(good, [*bad, nonsense], strict=False) for one in pair] + good[6:]
    run = await started(engine, workflow(mixed, []))
    settled = await settle(engine, await _all_at_once(engine, run))
    assert settled.late == []
    await drain(engine, settled.dispatches)
    tasks = await tasks_of(engine, run.run_id)
    for number in range(7):
        assert tasks[f"good{number}"].output == {"n": number}
    for name in [*UNSTORABLE, "nonsense"]:
        error = tasks[name].error
        assert tasks[name].status == "failed"
        assert error is not None
        assert error["type"] == "BadOutput", name
    assert await status_of(engine, run.run_id) == "failed"


async def test_a_row_that_only_postgres_refuses_is_found_by_halving(engine: Engine) -> None:
    """A time that no interval can hold; one statement settles the whole batch."""
    run = await started(engine, workflow([script(f"n{number}") for number in range(9)], []))
    finished = await _all_at_once(engine, run)
    culprit = finished[4].execution
    finished[4] = Finished(culprit, Waiting(1e300, "timer"))
    settled = await settle(engine, finished)
    assert settled.late == []
    await drain(engine, settled.dispatches)
    assert await status_of(engine, run.run_id) == "failed"
    statuses = await statuses_of(engine, run.run_id)
    assert statuses.pop(culprit.node.id) == "failed"
    assert list(statuses.values()) == ["completed"] * 8


@pytest.mark.parametrize("text", ["\\u0000", "a\\\\u0000b", 'C:\\users\\u0000"', "ä\N{PILE OF POO}\x01"])
async def test_text_that_only_looks_unstorable_is_kept_as_it_is(engine: Engine, text: str) -> None:
    run_id = await run_to_end(engine, workflow([script("n", output={"text": text, text: 1})], []))
    assert (await tasks_of(engine, run_id))["n"].output == {"text": text, text: 1}


async def test_messages_and_log_lines_lose_what_cannot_be_stored(engine: Engine) -> None:
    run = await started(engine, workflow([script("a"), script("b")], []))
    first, second = await _all_at_once(engine, run)
    first.execution.log.append(LogLine("info", "script", "\x00 and \ud800 in a line"))
    failed = Failed("\x00 and \ud800", kind="ScriptError")
    settled = await settle(engine, [first, Finished(second.execution, failed)])
    assert settled.late == []
    tasks = await tasks_of(engine, run.run_id)
    assert (tasks["a"].status, tasks["b"].status) == ("completed", "waiting")
    assert tasks["b"].reason == "\ufffd and \ufffd"
    rows = await sql(engine.db, "SELECT message FROM workflow_events WHERE node_id = 'a' AND type = 'log'")
    assert [row.message for row in rows] == ["\ufffd and \ufffd in a line"]


async def test_a_missing_reference_fails_the_node_without_another_attempt(engine: Engine) -> None:
    document = workflow(
        [
            script("a", output={"n": 1}),
            node("call", "apiCall", config={"method": "POST", "url": "http://x", "body": {"v": "${gone}"}}),
        ],
        [edge("a", "call")],
    )
    run_id = await run_to_end(engine, document)
    task = (await tasks_of(engine, run_id))["call"]
    assert (task.status, task.attempt) == ("failed", 1)
    assert task.error is not None
    assert task.error["type"] == "MissingReference"


MIB = 1024 * 1024


async def test_a_merged_input_over_the_limit_fails_the_node_and_not_the_engine(engine: Engine) -> None:
    document = workflow(
        [script("a", size=5 * MIB), script("b", size=5 * MIB), node("join"), node("one")],
        [edge("a", "join"), edge("b", "join"), edge("a", "one")],
    )
    run_id = await run_to_end(engine, document)
    tasks = await tasks_of(engine, run_id)
    assert tasks["one"].status == "completed"
    assert tasks["join"].status == "failed"
    assert tasks["join"].error == {
        "type": "TooLarge",
        "message": "the merged input of node 'join' is larger than 8 MiB",
    }


async def break_version(engine: Engine, run_id: UUID) -> Engine:
    """The version that this run is pinned to is no workflow any more, for a process that has not read it."""
    await sql(
        engine.db,
        "UPDATE workflow_versions v SET definition = '{\"nodes\": 7}' FROM workflow_runs r"
        " WHERE r.id = $1 AND v.workflow_id = r.workflow_id",
        run_id,
    )
    return Engine.over(engine.db, engine.nodes)


async def test_a_run_that_cannot_be_claimed_fails_and_the_others_go_on(engine: Engine) -> None:
    runs = [await started(engine, workflow([node("a")], [])) for _ in range(5)]
    engine = await break_version(engine, runs[2].run_id)
    jobs = [one for run in runs for one in run.dispatches if isinstance(one, RunTask)]
    executions = await claim(engine, [Delivery(job.task, 1, 1) for job in jobs], WORKER)
    assert {execution.task.run_id for execution in executions} == {run.run_id for run in runs} - {
        runs[2].run_id
    }
    assert await status_of(engine, runs[2].run_id) == "failed"
    (row,) = await sql(engine.db, "SELECT reason FROM workflow_runs WHERE id = $1", runs[2].run_id)
    assert row.reason.startswith("EngineError: ")


def with_final() -> JsonObject:
    return workflow([node("a"), node("b"), node("tidy") | {"finally": True}], [edge("a", "b")])


async def test_a_run_whose_release_cannot_be_decided_fails_and_the_others_go_on(engine: Engine) -> None:
    runs = [await started(engine, with_final()) for _ in range(5)]
    releases = [one for run in runs for one in await deliver(engine, run.dispatches[0])]
    await sql(engine.db, "DELETE FROM workflow_tasks WHERE run_id = $1 AND node_id = 'b'", runs[1].run_id)
    engine = await break_version(engine, runs[3].run_id)
    tasks = tuple(task for one in releases if isinstance(one, Release) for task in one.tasks)
    follow = await deliver(engine, Release(tasks))
    assert {one.task.run_id for one in follow if isinstance(one, RunTask)} == {
        runs[number].run_id for number in (0, 2, 4)
    }
    await drain(engine, follow)
    assert [await status_of(engine, run.run_id) for run in runs] == [
        "succeeded",
        "failed",
        "succeeded",
        "failed",
        "succeeded",
    ]
    rows = await sql(engine.db, "SELECT reason, open FROM workflow_runs WHERE status = 'failed'")
    assert all(row.reason.startswith("EngineError: ") and row.open == 0 for row in rows)
    assert await statuses_of(engine, runs[3].run_id) == {
        "a": "completed",
        "b": "cancelled",
        "tidy": "cancelled",
    }
    assert await deliver(engine, Release(tasks)) == []
