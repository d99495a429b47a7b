"""A retry in place runs again what failed and what stood behind it, each after its parents; no more."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from headrace.engine.again import retry_run
from headrace.engine.control import cancel_run, pause_run
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.engine.verify import verify
from headrace.graph.dispatch import Dispatch, RunTask
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.db import Database
from support.build import edge, node, workflow
from support.drive import drain, status_of, statuses_of, tasks_of
from support.family import a_loop, with_items
from support.rows import end_waits, sql

pytestmark = pytest.mark.anyio


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types, `script` and `item`."""
    return Engine.over(db, with_items())


def waits(name: str) -> JsonObject:
    return node(name, "script", config={"do": "wait", "output": {name: 1}})


def fails(name: str, times: int = 1, **options: JsonValue) -> JsonObject:
    """A node whose first attempts fail for good; the others answer."""
    config: JsonObject = {"do": "fail", "times": times, "retryable": False, "output": {name: "new"}}
    return node(name, "script", config=config, **options)


def jobs(dispatches: Sequence[Dispatch]) -> list[str]:
    return sorted(one.node_id for one in dispatches if isinstance(one, RunTask))


async def begun(engine: Engine, document: JsonObject, run_input: JsonValue = None) -> UUID:
    """A run that goes on until nothing can be delivered."""
    run = await start_run(engine, StartRequest(await create_workflow(engine, document), run_input))
    await drain(engine, run.dispatches)
    return run.run_id


async def retried(engine: Engine, run_id: UUID) -> None:
    await drain(engine, await retry_run(engine, run_id))
    assert await verify(engine.db) == []


async def waited(engine: Engine) -> None:
    """All waits come to their end, and what follows."""
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'timer'")
    await drain(engine, await wake_due(engine))
    assert await verify(engine.db) == []


@pytest.mark.parametrize("pauses", [True, False])
async def test_a_join_beside_the_failure_counts_each_parent_once(engine: Engine, pauses: bool) -> None:
    """`a` is told again for the sake of `behind`; `beside` still waits for its other parent."""
    document = workflow(
        [node("a", "noop"), waits("slow"), fails("bad"), node("beside", "noop"), node("behind", "noop")],
        [edge("a", "beside"), edge("slow", "beside"), edge("a", "behind"), edge("bad", "behind")],
        **({"onFailure": "pause"} if pauses else {}),
    )
    run_id = await begun(engine, document)
    if not pauses:
        await pause_run(engine, run_id)
    await retried(engine, run_id)
    assert await statuses_of(engine, run_id) == {
        "a": "completed",
        "slow": "waiting",
        "bad": "completed",
        "beside": "pending",
        "behind": "completed",
    }
    await waited(engine)
    assert (await tasks_of(engine, run_id))["beside"].output == {"slow": 1}
    assert await status_of(engine, run_id) == "succeeded"


async def test_two_parents_in_common_with_the_failure_are_counted_once_each(engine: Engine) -> None:
    document = workflow(
        [*(node(name, "noop") for name in "abxy"), waits("slow"), fails("bad")],
        [*(edge(source, target) for source in "ab" for target in "xy"), edge("slow", "x"), edge("bad", "y")],
        onFailure="pause",
    )
    run_id = await begun(engine, document)
    await retried(engine, run_id)
    assert (await statuses_of(engine, run_id))["x"] == "pending"
    await waited(engine)
    assert await status_of(engine, run_id) == "succeeded"


@pytest.mark.parametrize("how", ["always", "all_done"])
async def test_a_failure_below_a_failure_waits_for_it(engine: Engine, how: str) -> None:
    drawn = edge("bad", "below", on="always") if how == "always" else edge("bad", "below")
    below = fails("below") if how == "always" else fails("below", join="all_done")
    below["config"] = {"do": "fail", "times": 1, "retryable": False}  # then it answers what it got
    run_id = await begun(engine, workflow([fails("bad"), below], [drawn]), {"given": "old"})
    assert await statuses_of(engine, run_id) == {"bad": "failed", "below": "failed"}
    dispatches = await retry_run(engine, run_id)
    assert jobs(dispatches) == ["bad"]
    assert await statuses_of(engine, run_id) == {"bad": "queued", "below": "pending"}
    await drain(engine, dispatches)
    below_now = (await tasks_of(engine, run_id))["below"]
    assert (below_now.output, below_now.attempt) == ({"bad": "new"}, 2)
    assert await status_of(engine, run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_a_failure_below_one_that_fails_again_gets_the_new_failure(engine: Engine) -> None:
    document = workflow(
        [fails("bad", times=2), fails("below"), node("end", join="all_done")],
        [edge("bad", "below", on="always"), edge("below", "end"), edge("bad", "end", on="always")],
    )
    run_id = await begun(engine, document)
    await retried(engine, run_id)
    assert await statuses_of(engine, run_id) == {"bad": "failed", "below": "completed", "end": "completed"}
    assert await status_of(engine, run_id) == "failed"
    await retried(engine, run_id)
    assert await status_of(engine, run_id) == "succeeded"


async def test_what_ran_because_of_a_failure_that_is_gone_does_not_run_again(engine: Engine) -> None:
    """`alarm` failed, too; after the retry there is nothing that it could be for."""
    document = workflow([fails("bad"), fails("alarm", join="any_failed")], [edge("bad", "alarm")])
    run_id = await begun(engine, document)
    assert await statuses_of(engine, run_id) == {"bad": "failed", "alarm": "failed"}
    await retried(engine, run_id)
    assert await statuses_of(engine, run_id) == {"bad": "completed", "alarm": "skipped"}
    assert await status_of(engine, run_id) == "succeeded"


async def test_a_failure_below_what_was_cancelled_waits_for_it(engine: Engine) -> None:
    """`slow` was cancelled as the run failed fast; `below` had begun without it."""
    document = workflow(
        [waits("slow"), node("quick"), fails("below", join="any_success"), node("end")],
        [edge("slow", "below"), edge("quick", "below"), edge("slow", "end"), edge("below", "end")],
        onFailure="fail_fast",
    )
    run_id = await begun(engine, document)
    assert (await statuses_of(engine, run_id))["slow"] == "cancelled"
    await retried(engine, run_id)
    await waited(engine)
    assert set((await statuses_of(engine, run_id)).values()) == {"completed"}
    assert await status_of(engine, run_id) == "succeeded"


@pytest.mark.parametrize("drawn", [{"on": "always"}, {}], ids=["always", "all_done"])
async def test_a_loop_with_another_input_begins_anew(engine: Engine, drawn: JsonObject) -> None:
    body = node("item", "item", config={"fails": [1], "attempts": 1})
    loop = a_loop("loop", body, **{"for": 3}, inputs={"item": "${bad?}"}) | {"join": "all_done"}
    run_id = await begun(
        engine, workflow([fails("bad"), loop], [edge("bad", "loop", **drawn)]), {"bad": "old"}
    )
    assert await statuses_of(engine, run_id) == {"bad": "failed", "loop": "failed"}
    await retried(engine, run_id)
    await retried(engine, run_id)
    assert (await tasks_of(engine, run_id))["loop"].output == {
        "iterations": 3,
        "last": "new",
        "results": ["new", "new", "new"],
    }


async def test_a_loop_that_an_early_join_gives_another_input_begins_anew(engine: Engine) -> None:
    """Nothing above it runs again, and yet it gets more: its second parent has ended meanwhile."""
    body: JsonObject = {"nodes": [node("item", "item"), waits("w")], "edges": [edge("item", "w")]}
    loop = a_loop("loop", body, **{"for": 2}, inputs={"item": "${late?}"}) | {"join": "any_success"}
    late = node("late", "script", config={"do": "wait", "output": {"late": 7}})
    document = workflow([node("a", "noop"), late, loop], [edge("a", "loop"), edge("late", "loop")])
    run_id = await begun(engine, document, {})
    assert (await statuses_of(engine, run_id))["loop"] == "waiting"
    await waited(engine)  # for `late`, and for the loop's first iteration
    await drain(engine, await cancel_run(engine, run_id))
    await retried(engine, run_id)
    while await status_of(engine, run_id) == "running":
        await waited(engine)
    inputs = await sql(
        engine.db, "SELECT input ->> 'item' AS item FROM workflow_runs WHERE body <> '' ORDER BY id"
    )
    assert [row.item for row in inputs][-2:] == ["7", "7"]


async def test_a_failure_whose_cause_to_run_is_gone_is_skipped(engine: Engine) -> None:
    """`bad` was mended while the alarm waited for its second attempt; only then the alarm failed for good."""
    alarm = node("alarm", "script", config={"do": "fail", "times": 2}, join="any_failed")
    alarm["retry"] = {"maxAttempts": 2}
    run_id = await begun(engine, workflow([fails("bad"), alarm], [edge("bad", "alarm")]))
    assert await statuses_of(engine, run_id) == {"bad": "failed", "alarm": "waiting"}
    await pause_run(engine, run_id)
    await retried(engine, run_id)
    assert await statuses_of(engine, run_id) == {"bad": "completed", "alarm": "waiting"}
    await end_waits(engine.db)
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run_id) == "failed"
    await retried(engine, run_id)
    assert await statuses_of(engine, run_id) == {"bad": "completed", "alarm": "skipped"}
    assert await status_of(engine, run_id) == "succeeded"
