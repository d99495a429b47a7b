"""`verify` finds what is broken, whatever it is, and nothing in what is sound."""

from __future__ import annotations

import pytest

from headrace.engine.again import retry_run
from headrace.engine.control import cancel_run
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.engine.verify import verify
from headrace.graph.json_types import JsonObject, JsonValue
from support.build import edge, if_else, node, workflow
from support.drive import deliver, drain, run_to_end, status_of, statuses_of
from support.rows import sql

pytestmark = pytest.mark.anyio


def document() -> JsonObject:
    return workflow(
        [
            node("a"),
            if_else("if", "n", 5),
            node("yes"),
            node("no"),
            node("join"),
            node("early", join="any_success"),
            node("tidy") | {"finally": True},
        ],
        [
            edge("a", "if"),
            edge("if", "yes", "out-true"),
            edge("if", "no", "out-false"),
            edge("yes", "join"),
            edge("no", "join"),
            edge("yes", "early"),
            edge("a", "early"),
        ],
    )


BREAKS = {
    "one_task_a_node": "UPDATE workflow_tasks SET node_id = 'a' WHERE node_id = 'yes'",
    "ended_run_has_ended_tasks": (
        "UPDATE workflow_tasks SET status = 'pending', finished_at = NULL WHERE node_id = 'join'"
    ),
    "run_ends_with_its_tasks": (
        "UPDATE workflow_runs SET status = 'running', finished_at = NULL WHERE status = 'succeeded'"
    ),
    "counters_are_counts": "UPDATE workflow_runs SET completed = completed - 1, skipped = skipped + 1",
    "queued_has_a_delivery": "UPDATE workflow_tasks SET delivery = 0 WHERE status = 'queued'",
    "open_task_in_open_run": (
        "UPDATE workflow_tasks SET status = 'queued', finished_at = NULL WHERE node_id = 'join'"
    ),
    "lost_workers_are_noticed": (
        "UPDATE workflow_tasks SET status = 'running', token = 1, lease_until = now() - interval '61 s'"
        " WHERE status = 'queued'"
    ),
    "waits_end": (
        "UPDATE workflow_tasks SET status = 'waiting', wake_at = now() - interval '61 s'"
        " WHERE status = 'queued'"
    ),
    "ends_are_followed_up": (
        "UPDATE workflow_tasks SET propagated = false, finished_at = now() - interval '61 s'"
        " WHERE node_id = 'join' AND finished_at IS NOT NULL"
    ),
    "each_end_is_told_once": "DELETE FROM workflow_events WHERE node_id = 'join' AND type = 'task.completed'",
    "each_run_ends_once": (
        "INSERT INTO workflow_events (run_id, type) SELECT id, 'run.failed' FROM workflow_runs"
    ),
    "signals_are_taken": (
        "WITH w AS (UPDATE workflow_tasks SET status = 'waiting', signal = 'go' WHERE status = 'queued'"
        " RETURNING run_id) INSERT INTO workflow_signals (run_id, id, name, sent_at)"
        " SELECT DISTINCT run_id, '1', 'go', now() - interval '61 s' FROM w"
    ),
    "taken_signals_have_takers": (
        "INSERT INTO workflow_signals (run_id, id, name, position)"
        " SELECT run_id, '1', 'go', position FROM workflow_tasks WHERE node_id = 'no'"
    ),
    "An ended task has not one outcome for each edge out of it": (
        "UPDATE workflow_tasks SET outcomes = '' WHERE node_id = 'a' AND finished_at IS NOT NULL"
    ),
    "A task was released although its join is not met": (
        "UPDATE workflow_tasks SET outcomes = 'NN' WHERE node_id = 'yes' AND finished_at IS NOT NULL"
    ),
    "A task was released by an edge that was not taken": (
        "UPDATE workflow_tasks SET released_by = '{4}' WHERE node_id = 'early'"
    ),
    "A task was skipped, or failed by its parents, against its join": (
        "UPDATE workflow_tasks SET status = 'upstream_failed' WHERE status = 'skipped'"
    ),
    "The counters of a task differ from its parents' outcomes": (
        "UPDATE workflow_tasks SET edges_unresolved = 1, edges_taken = 1 WHERE status = 'pending'"
    ),
    "A task is pending although its join is decided": (
        "UPDATE workflow_tasks SET status = 'pending', attempt = 0 WHERE status = 'queued'"
    ),
    "A task stands where it cannot be before the others have ended": (
        "UPDATE workflow_tasks SET status = 'queued', delivery = 1, attempt = 1, queued_at = now()"
        " WHERE node_id = 'tidy' AND status = 'pending'"
    ),
    "A run has not one task for each node of its plan": "DELETE FROM workflow_tasks WHERE node_id = 'no'",
}


async def _two_runs(engine: Engine) -> None:
    """One that is over, and one of which a node is queued."""
    workflow_id = await create_workflow(engine, document())
    run = await start_run(engine, StartRequest(workflow_id, {"n": 9}))
    await drain(engine, run.dispatches)
    other = await start_run(engine, StartRequest(workflow_id, {"n": 9}))
    (release,) = await deliver(engine, other.dispatches[0])
    await deliver(engine, release)


@pytest.mark.parametrize("what", BREAKS)
async def test_what_is_broken_is_found(engine: Engine, what: str) -> None:
    await _two_runs(engine)
    assert await verify(engine.db) == []
    await sql(engine.db, BREAKS[what])
    found = {finding.name: finding for finding in await verify(engine.db)}
    found |= {finding.description: finding for finding in found.values()}
    found |= {finding.description: finding for finding in await verify(engine.db)}
    assert what in found
    assert found[what].count >= 1
    assert found[what].example


async def test_runs_in_every_stage_and_those_given_up_are_sound(engine: Engine) -> None:
    await _two_runs(engine)
    workflow_id = await create_workflow(engine, document())
    for stage in range(4):
        run = await start_run(engine, StartRequest(workflow_id, {"n": 9}))
        dispatches = list(run.dispatches)
        for _ in range(stage):
            dispatches += await deliver(engine, dispatches.pop(0))
        await cancel_run(engine, run.run_id)
        assert await verify(engine.db) == []
    broken = await start_run(engine, StartRequest(workflow_id))
    await sql(engine.db, "UPDATE workflow_versions SET definition = '7' WHERE workflow_id = $1", workflow_id)
    other_process = Engine.over(engine.db, engine.nodes)
    await deliver(other_process, broken.dispatches[0])
    await sql(
        engine.db,
        "UPDATE workflow_versions SET definition = (SELECT definition FROM workflow_versions"
        " WHERE workflow_id <> $1) WHERE workflow_id = $1",
        workflow_id,
    )
    assert await verify(engine.db) == []


async def test_verifying_changes_nothing_and_disturbs_nobody(engine: Engine) -> None:
    await _two_runs(engine)
    before = await sql(engine.db, "SELECT * FROM workflow_tasks ORDER BY run_id, position")
    async with engine.db.transaction() as tx:
        await tx.fetch("SELECT 1 FROM workflow_tasks FOR UPDATE")
        assert await verify(engine.db) == []
    assert await sql(engine.db, "SELECT * FROM workflow_tasks ORDER BY run_id, position") == before


def _fails_once(name: str, **options: JsonValue) -> JsonObject:
    return node(name, "script", config={"do": "fail", "times": 1, "retryable": False}, **options)


@pytest.mark.parametrize("drawn", [{}, {"on": "always"}], ids=["any_failed", "always"])
async def test_what_completed_before_a_retry_is_not_held_to_the_ends_after_it(
    engine: Engine, drawn: JsonObject
) -> None:
    """Its parent has not ended any more, then it ends in another way."""
    below = node("below", join="any_success" if drawn else "any_failed")
    document = workflow([_fails_once("bad"), below], [edge("bad", "below", **drawn)])
    run_id = await run_to_end(engine, document)
    assert await statuses_of(engine, run_id) == {"bad": "failed", "below": "completed"}
    dispatches = await retry_run(engine, run_id)
    assert await verify(engine.db) == []
    await drain(engine, dispatches)
    assert await status_of(engine, run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_what_was_released_after_a_retry_is_decided_again(engine: Engine) -> None:
    nodes = [node("a"), _fails_once("bad"), node("end")]
    run_id = await run_to_end(engine, workflow(nodes, [edge("a", "end"), edge("bad", "end")]))
    await drain(engine, await retry_run(engine, run_id))
    assert await verify(engine.db) == []
    await sql(engine.db, "UPDATE workflow_tasks SET outcomes = 'F' WHERE node_id = 'bad'")
    (finding,) = await verify(engine.db)
    assert finding.description == "A task was released although its join is not met"
