"""Nodes that take no time run before their parents' ends are recorded; then all are recorded at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from headrace.engine import ahead
from headrace.engine.control import cancel_run, pause_run, resume_run
from headrace.engine.execute import Finished, claim, perform_at_once
from headrace.engine.handover import Taker
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.settle import Settled, settle
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.engine.verify import verify
from headrace.graph.dispatch import Release, RunTask
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done
from headrace.store.claims import Delivery
from headrace.store.payloads import INLINE_LIMIT
from support.build import edge, if_else, node, workflow
from support.drive import WORKER, NoHttp, deliver, drain, status_of, tasks_of
from support.rows import sql

pytestmark = pytest.mark.anyio


def at_once(execution: Execution) -> Finished:
    return perform_at_once(execution, NoHttp())


TAKER = Taker(WORKER, partial(min, 8), at_once)


def chain(length: int, **last: object) -> JsonObject:
    nodes = [node(f"n{number}", "noop") for number in range(length)]
    nodes[-1] |= last
    return workflow(nodes, [edge(f"n{number}", f"n{number + 1}") for number in range(length - 1)])


def diamond(**options: object) -> JsonObject:
    """a -> b, c -> d."""
    edges = [edge("a", "b"), edge("a", "c"), edge("b", "d"), edge("c", "d")]
    return workflow([node(name, "noop") for name in "abcd"], edges, **options)


async def started(engine: Engine, document: JsonObject, **request: object) -> Started:
    return await start_run(engine, StartRequest(await create_workflow(engine, document), {"x": 1}, **request))  # type: ignore[arg-type]


async def roots_of(engine: Engine, run: Started) -> list[Finished]:
    jobs = [one for one in run.dispatches if isinstance(one, RunTask)]
    held = await claim(engine, [Delivery(job.task, job.attempt, job.delivery) for job in jobs], WORKER)
    return [at_once(one) for one in held]


def nested(depth: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(depth):
        value = {"in": value}
    return value


def ran(settled: Settled) -> list[str]:
    return [one.dispatch.node_id for one in settled.ran]


def queued(settled: Settled) -> list[str]:
    return sorted(one.node_id for one in settled.dispatches if isinstance(one, RunTask))


async def settle_roots(engine: Engine, document: JsonObject) -> tuple[Started, Settled]:
    run = await started(engine, document)
    return run, await settle(engine, await roots_of(engine, run), TAKER)


async def test_a_graph_of_such_nodes_is_one_settlement(engine: Engine) -> None:
    run, settled = await settle_roots(engine, diamond())
    assert ran(settled) == ["b", "c", "d"]
    assert len(settled.released) == 4
    assert await status_of(engine, run.run_id) == "succeeded"
    tasks = await tasks_of(engine, run.run_id)
    assert {task.status.value for task in tasks.values()} == {"completed"}
    assert {task.attempt for task in tasks.values()} == {1}
    assert tasks["d"].output == {"x": 1}
    assert await verify(engine.db) == []


async def test_history_and_times_are_in_the_order_in_which_things_were(engine: Engine) -> None:
    document = chain(3)
    document["nodes"][1] |= {"type": "log", "config": {"message": "here"}}  # type: ignore[index, call-overload, operator]
    run, _ = await settle_roots(engine, document)
    rows = await sql(
        engine.db, "SELECT node_id, type FROM workflow_events WHERE run_id = $1 ORDER BY id", run.run_id
    )
    told = [(row.node_id, row.type) for row in rows if row.node_id in ("n0", "n1", "n2")]
    assert told == [
        ("n0", "task.queued"),
        ("n0", "task.running"),
        ("n0", "task.completed"),
        ("n1", "task.running"),
        ("n1", "log"),
        ("n1", "task.completed"),
        ("n2", "task.running"),
        ("n2", "task.completed"),
    ]
    times = await sql(
        engine.db,
        "SELECT started_at, finished_at FROM workflow_tasks WHERE run_id = $1 ORDER BY position",
        run.run_id,
    )
    moments = [moment for row in times for moment in (row.started_at, row.finished_at)]
    assert moments == sorted(moments)


async def test_a_node_that_takes_time_ends_the_way_ahead(engine: Engine) -> None:
    document = chain(4)
    document["nodes"][2] |= {"type": "script", "config": {"do": "answer"}}  # type: ignore[index, call-overload, operator]
    run, settled = await settle_roots(engine, document)
    assert (ran(settled), [one.node.id for one in settled.taken]) == (["n1"], ["n2"])
    assert settled.taken[0].scope.input == {"x": 1}
    assert (await tasks_of(engine, run.run_id))["n3"].status == "pending"


@pytest.mark.parametrize(
    "config", [{"do": "fail", "retryable": False}, {"do": "unstorable"}, {"do": "nonsense"}, {"do": "crash"}]
)
async def test_a_failure_is_left_to_the_ordinary_way(engine: Engine, config: JsonObject) -> None:
    run, settled = await settle_roots(
        engine, chain(2, type="quick_script", config=config, retry={"maxAttempts": 1})
    )
    assert (ran(settled), [one.node.id for one in settled.taken]) == ([], ["n1"])
    last = await settle(engine, [at_once(one) for one in settled.taken], TAKER)
    await drain(engine, last.dispatches)
    assert await status_of(engine, run.run_id) == "failed"


async def test_of_a_branch_only_what_counting_decides_runs_ahead(engine: Engine) -> None:
    nodes = [node("a", "noop"), if_else("if", "x", 0), node("yes"), node("no")]
    edges = [edge("a", "if"), edge("if", "yes", "out-true"), edge("if", "no", "out-false")]
    run, settled = await settle_roots(engine, workflow(nodes, edges))
    assert (ran(settled), [one.node.id for one in settled.taken]) == ([], ["if"])
    for one in settled.taken:
        settled = await settle(engine, [at_once(one)], TAKER)
    assert any(isinstance(one, Release) for one in settled.dispatches)
    await drain(engine, settled.dispatches)
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_what_ran_ahead_of_a_cancelled_run_never_ran(engine: Engine) -> None:
    run = await started(engine, diamond())
    roots = await roots_of(engine, run)
    await drain(engine, await cancel_run(engine, run.run_id))
    settled = await settle(engine, roots, TAKER)
    assert (ran(settled), settled.released, settled.late) == ([], [], [roots[0].execution.task])
    statuses = {task.status.value for task in (await tasks_of(engine, run.run_id)).values()}
    assert statuses == {"cancelled"}
    assert await verify(engine.db) == []


async def test_what_ran_ahead_of_a_paused_run_runs_again_after_it(engine: Engine) -> None:
    run = await started(engine, diamond())
    roots = await roots_of(engine, run)
    await pause_run(engine, run.run_id)
    settled = await settle(engine, roots, TAKER)
    assert (ran(settled), settled.released) == ([], [])
    await drain(engine, settled.dispatches)
    assert (await tasks_of(engine, run.run_id))["b"].status == "waiting"
    await resume_run(engine, run.run_id)
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_a_breakpoint_stops_what_ran_ahead(engine: Engine) -> None:
    run = await started(engine, chain(3), debug={"breakpoints": ["n1"], "steps": False})
    settled = await settle(engine, await roots_of(engine, run), TAKER)
    assert ran(settled) == []
    await drain(engine, settled.dispatches)
    assert (await tasks_of(engine, run.run_id))["n1"].status == "waiting"


async def test_nothing_counts_that_ran_ahead_of_a_late_parent(engine: Engine) -> None:
    """Of two roots one was given to somebody else meanwhile: only the other is recorded."""
    document = workflow(
        [node(name, "noop") for name in "abcd"], [edge("a", "c"), edge("b", "c"), edge("b", "d")]
    )
    run = await started(engine, document)
    roots = await roots_of(engine, run)
    await sql(
        engine.db,
        "UPDATE workflow_tasks SET token = token + 1 WHERE run_id = $1 AND node_id = 'a'",
        run.run_id,
    )
    settled = await settle(engine, roots, TAKER)
    assert ran(settled) == []
    assert [task.position for task in settled.late] == [0]
    tasks = await tasks_of(engine, run.run_id)
    assert {name: task.status.value for name, task in tasks.items()} == {
        "a": "running",
        "b": "completed",
        "c": "pending",
        "d": "queued",
    }
    assert queued(settled) == ["d"]


async def test_what_was_tried_before_is_not_run_ahead(engine: Engine) -> None:
    """The number of its attempt is known to the database alone."""
    run = await started(engine, chain(3))
    roots = await roots_of(engine, run)
    await sql(engine.db, "UPDATE workflow_tasks SET attempt = 2, delivery = 3 WHERE node_id = 'n2'")
    settled = await settle(engine, roots, TAKER)
    assert ran(settled) == []
    await drain(engine, [*settled.dispatches])
    assert (await tasks_of(engine, run.run_id))["n1"].status in ("queued", "completed")


async def test_one_slot_is_enough_for_what_follows_them(engine: Engine) -> None:
    """A worker keeps as many slots as it has use for: none for what has run already."""
    document = workflow(
        [node("a", "noop"), node("b", "noop"), node("c", "script")], [edge("a", "b"), edge("b", "c")]
    )
    run = await started(engine, document)
    asked: list[int] = []

    def keep(most: int) -> int:
        asked.append(most)
        return 1

    settled = await settle(engine, await roots_of(engine, run), Taker(WORKER, keep, at_once))
    assert (ran(settled), [one.node.id for one in settled.taken], asked) == (["b"], ["c"], [1])


async def test_once_for_nothing_and_then_no_more(engine: Engine) -> None:
    run = await started(engine, chain(4))
    roots = await roots_of(engine, run)
    await sql(engine.db, "UPDATE workflow_runs SET failed = 1 WHERE id = $1", run.run_id)
    performed: list[str] = []

    def note(execution: Execution) -> Finished:
        performed.append(execution.node.id)
        return at_once(execution)

    taker = Taker(WORKER, partial(min, 8), note)
    settled = await settle(engine, roots, taker)
    assert performed == ["n1", "n2", "n3"]
    jobs = [
        job for one in settled.dispatches for job in await deliver(engine, one) if isinstance(job, RunTask)
    ]
    assert [job.node_id for job in jobs] == ["n1"]
    held = await claim(engine, [Delivery(job.task, job.attempt, job.delivery) for job in jobs], WORKER)
    await settle(engine, [at_once(one) for one in held], taker)
    assert performed == ["n1", "n2", "n3"]


async def test_a_long_output_is_stored_apart_and_so_the_ordinary_way(engine: Engine) -> None:
    run, settled = await settle_roots(engine, chain(3, type="quick_script", config={"size": INLINE_LIMIT}))
    assert (ran(settled), [one.node.id for one in settled.taken]) == (["n1"], ["n2"])
    last = await settle(engine, [at_once(one) for one in settled.taken], TAKER)
    assert await status_of(engine, run.run_id) == "succeeded"
    assert len(last.released) == 1
    (row,) = await sql(engine.db, "SELECT output FROM workflow_tasks WHERE output_ref IS NOT NULL")
    assert row.output is None


async def test_what_goes_wrong_ahead_harms_no_other(engine: Engine) -> None:
    """An input that is nested deeper than Python can follow."""
    run = await started(engine, chain(2))
    roots = await roots_of(engine, run)
    broken = replace(roots[0], outcome=Done(nested(600)))
    other = await started(engine, chain(2))
    settled = await settle(engine, [broken, *await roots_of(engine, other)], TAKER)
    assert await status_of(engine, other.run_id) in ("succeeded", "running")
    await drain(engine, settled.dispatches)
    for one in settled.taken:
        await drain(engine, (await settle(engine, [at_once(one)], TAKER)).dispatches)
    assert await status_of(engine, other.run_id) == "succeeded"


async def test_losers_wait_until_the_database_says_that_they_run(engine: Engine) -> None:
    document = diamond()
    document["nodes"][3]["join"] = {"rule": "any_success", "onLosers": "cancel"}  # type: ignore[index, call-overload]
    _, settled = await settle_roots(engine, document)
    assert ran(settled) == []


async def test_a_large_output_is_read_from_the_database(engine: Engine) -> None:
    config: JsonObject = {"size": ahead.SIZE_LIMIT + 1}
    document = chain(3)
    document["nodes"][0] |= {"type": "quick_script", "config": config}  # type: ignore[index, call-overload, operator]
    _, settled = await settle_roots(engine, document)
    assert (ran(settled), [one.node.id for one in settled.taken]) == ([], ["n1"])


async def test_one_settlement_runs_so_many_ahead_and_no_more(engine: Engine) -> None:
    run, settled = await settle_roots(engine, chain(ahead.AT_ONCE + 3))
    passed: Sequence[str] = ran(settled)
    assert len(passed) <= ahead.AT_ONCE
    while settled.taken:
        settled = await settle(engine, [at_once(one) for one in settled.taken], TAKER)
    await drain(engine, settled.dispatches)
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await verify(engine.db) == []
