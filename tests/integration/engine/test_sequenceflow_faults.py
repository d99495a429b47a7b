"""What SequenceFlow gets wrong, each as a test that it does not happen here."""

from __future__ import annotations

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow, update_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.errors import InvalidDefinition
from headrace.graph.json_types import JsonObject, JsonValue
from support.build import chain, edge, if_else, node, workflow
from support.drive import drain, run_to_end, status_of, statuses_of, tasks_of
from support.rows import end_waits, sql

pytestmark = pytest.mark.anyio


def says(name: str, output: JsonValue) -> JsonObject:
    return node(name, "script", config={"output": output})


def decision(name: str, *above: float) -> JsonObject:
    """One outcome a limit: `out-0` matches when `n` is above the first."""
    decisions: list[JsonValue] = [
        {
            "id": str(number),
            "name": f"above {limit}",
            "predicates": [
                {"id": "p", "targetField": "n", "validationLogic": {">": [{"var": "value"}, limit]}}
            ],
        }
        for number, limit in enumerate(above)
    ]
    return node(name, "decision", config={"decisions": decisions})


def diamond() -> JsonObject:
    return workflow(
        [node("a"), if_else("if", "n", 5), node("yes"), node("no"), node("join")],
        [
            edge("a", "if"),
            edge("if", "yes", "out-true"),
            edge("if", "no", "out-false"),
            edge("yes", "join"),
            edge("no", "join"),
        ],
    )


@pytest.mark.parametrize(("number", "taken", "skipped"), [(9, "yes", "no"), (1, "no", "yes")])
async def test_b1_a_join_behind_ifelse_runs_when_one_branch_is_skipped(
    engine: Engine, number: int, taken: str, skipped: str
) -> None:
    run_id = await run_to_end(engine, diamond(), {"n": number})
    assert await status_of(engine, run_id) == "succeeded"
    statuses = await statuses_of(engine, run_id)
    assert (statuses[taken], statuses[skipped], statuses["join"]) == ("completed", "skipped", "completed")


async def test_b2_a_decision_without_a_match_skips_what_follows_and_the_run_ends(engine: Engine) -> None:
    document = workflow(
        [decision("d", 5, 7), node("x"), node("y"), node("after")],
        [edge("d", "x", "out-0"), edge("d", "y", "out-1"), edge("x", "after"), edge("y", "after")],
    )
    run_id = await run_to_end(engine, document, {"n": 1})
    assert await status_of(engine, run_id) == "succeeded"
    assert await statuses_of(engine, run_id) == {
        "d": "completed",
        "x": "skipped",
        "y": "skipped",
        "after": "skipped",
    }


async def test_b2_every_outcome_that_matches_is_followed(engine: Engine) -> None:
    document = workflow(
        [decision("d", 5, 7, 100), node("x"), node("y"), node("z"), node("after")],
        [
            *(edge("d", name, f"out-{number}") for number, name in enumerate("xyz")),
            *(edge(name, "after") for name in "xyz"),
        ],
    )
    run_id = await run_to_end(engine, document, {"n": 9})
    statuses = await statuses_of(engine, run_id)
    assert [statuses[name] for name in "xyz"] == ["completed", "completed", "skipped"]
    assert statuses["after"] == "completed"


async def test_b3_an_edge_without_a_label_is_taken_whatever_the_branching_node_says(engine: Engine) -> None:
    document = workflow(
        [if_else("if", "n", 5), node("always"), node("yes"), node("drawn")],
        [
            edge("if", "always"),
            edge("if", "yes", "out-true"),
            {"id": "e", "sourceId": "if", "targetId": "drawn", "sourceHandleId": "out"},
        ],
    )
    run_id = await run_to_end(engine, document, {"n": 1})
    assert await statuses_of(engine, run_id) == {
        "if": "completed",
        "always": "completed",
        "yes": "skipped",
        "drawn": "completed",
    }


async def test_b4_all_roots_start_and_their_join_waits_for_both(engine: Engine) -> None:
    document = workflow(
        [says("left", {"l": 1}), says("right", {"r": 2}), node("join")],
        [edge("left", "join"), edge("right", "join")],
    )
    run_id = await run_to_end(engine, document)
    assert await status_of(engine, run_id) == "succeeded"
    assert (await tasks_of(engine, run_id))["join"].output == {"l": 1, "r": 2}


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
async def test_b5_a_join_gets_every_parent_s_output_merged_in_edge_order(
    engine: Engine, order: tuple[str, ...]
) -> None:
    document = workflow(
        [says(name, {"last": name, name: True}) for name in "abc"] + [node("join")],
        [edge(name, "join") for name in order],
    )
    run_id = await run_to_end(engine, document)
    merged = (await tasks_of(engine, run_id))["join"].output
    assert merged == {"last": order[-1], "a": True, "b": True, "c": True}


async def test_b6_a_failed_node_ends_the_run_and_what_follows(engine: Engine) -> None:
    document = workflow(
        [
            node("bad", "script", config={"do": "fail", "retryable": False}),
            node("next"),
            node("last"),
            node("beside"),
        ],
        [edge("bad", "next"), edge("next", "last")],
    )
    run_id = await run_to_end(engine, document)
    assert await status_of(engine, run_id) == "failed"
    assert await statuses_of(engine, run_id) == {
        "bad": "failed",
        "next": "upstream_failed",
        "last": "upstream_failed",
        "beside": "completed",
    }
    tasks = await tasks_of(engine, run_id)
    assert tasks["bad"].error == {"type": "ScriptError", "message": "as the script says"}
    assert (tasks["next"].caused_by, tasks["last"].caused_by) == ("bad", "next")
    (run,) = await sql(engine.db, "SELECT reason, completed, failed, upstream_failed FROM workflow_runs")
    assert list(run) == ["node 'bad' failed", 1, 1, 2]


async def test_b7_a_delay_holds_up_its_own_successors_alone_and_adds_nothing(engine: Engine) -> None:
    document = workflow(
        [
            node("start"),
            node("pause", "delay", config={"delayType": "hours", "delayValue": 2}),
            node("late"),
            node("later"),
            node("beside"),
        ],
        [edge("start", "pause"), edge("pause", "late"), edge("late", "later"), edge("start", "beside")],
    )
    run_id = await run_to_end(engine, document, {"delayMs": 9, "who": "Ada"})
    assert await statuses_of(engine, run_id) == {
        "start": "completed",
        "pause": "waiting",
        "late": "pending",
        "later": "pending",
        "beside": "completed",
    }
    (left,) = await sql(
        engine.db,
        "SELECT extract(epoch FROM wake_at - now())::float8 AS seconds, token FROM workflow_tasks"
        " WHERE status = 'waiting'",
    )
    assert 7190 < left.seconds <= 7200
    assert left.token is None
    assert await wake_due(engine) == []
    await end_waits(engine.db)
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run_id) == "succeeded"
    outputs = [task.output for task in (await tasks_of(engine, run_id)).values()]
    assert outputs == [{"delayMs": 9, "who": "Ada"}] * 5
    (count,) = await sql(engine.db, "SELECT count(*) AS n FROM workflow_events WHERE type = 'task.waiting'")
    assert count.n == 1


BROKEN: dict[str, JsonObject] = {
    "empty": workflow([], []),
    "cycle": workflow([node("a"), node("b")], [edge("a", "b"), edge("b", "a")]),
    "self": workflow([node("a")], [edge("a", "a")]),
    "dangling": workflow([node("a")], [edge("a", "b")]),
    "twice": workflow([node("a"), node("a")], []),
    "unknown type": workflow([node("a", "warp")], []),
    "unknown branch": workflow([if_else("a", "n", 1), node("b")], [edge("a", "b", "out-maybe")]),
}


async def test_b8_what_cannot_run_is_refused_and_nothing_is_stored(engine: Engine) -> None:
    for document in BROKEN.values():
        with pytest.raises(InvalidDefinition) as refused:
            await create_workflow(engine, document)
        assert refused.value.problems
    for table in ("workflows", "workflow_versions", "workflow_runs"):
        (count,) = await sql(engine.db, f"SELECT count(*) AS n FROM {table}")
        assert count.n == 0, table


async def test_b17_an_edit_during_a_run_does_not_touch_it(engine: Engine) -> None:
    workflow_id = await create_workflow(engine, chain(3))
    started = await start_run(engine, StartRequest(workflow_id, {"n": 1}))
    await update_workflow(engine, workflow_id, workflow([node("other")], []))
    await drain(engine, started.dispatches)
    assert await statuses_of(engine, started.run_id) == dict.fromkeys(("n0", "n1", "n2"), "completed")
    later = await start_run(engine, StartRequest(workflow_id))
    await drain(engine, later.dispatches)
    assert await statuses_of(engine, later.run_id) == {"other": "completed"}
    with pytest.raises(InvalidDefinition):
        await update_workflow(engine, workflow_id, BROKEN["cycle"])
    (row,) = await sql(engine.db, "SELECT version FROM workflows")
    assert row.version == 2
