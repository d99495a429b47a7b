"""A node whose children failed names them, their nodes and errors, down to the root."""

from __future__ import annotations

from uuid import UUID

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.graph.culprits import MOST_OF_A_CHAIN, MOST_OF_AN_ERROR
from headrace.graph.json_types import JsonObject
from headrace.store.db import Database
from support.build import edge, node, workflow
from support.drive import run_to_end, tasks_of
from support.family import a_loop, a_map, call, children_of, with_items
from support.rows import sql

pytestmark = pytest.mark.anyio


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types, `script` and `item`."""
    return Engine.over(db, with_items())


def failing(message: str = "no such luck") -> JsonObject:
    return node("x", "script", config={"do": "fail", "retryable": False, "message": message})


async def error_of(engine: Engine, run_id: UUID, node_id: str) -> tuple[str, JsonObject]:
    error = (await tasks_of(engine, run_id))[node_id].error
    assert error is not None
    assert error["type"] == "ChildFailed"
    assert isinstance(error["details"], dict)
    return str(error["message"]), error["details"]


async def test_a_sub_workflow_s_error_is_its_node_s(engine: Engine) -> None:
    await create_workflow(engine, workflow([failing()], [], name="child"))
    run_id = await run_to_end(engine, workflow([call("call", "child")], []))
    (child,) = await children_of(engine, run_id)
    message, details = await error_of(engine, run_id, "call")
    assert message == f"run {child} failed: node 'x' failed: ScriptError: no such luck"
    assert details["root"] == {
        "runId": str(child),
        "nodeId": "x",
        "type": "ScriptError",
        "message": "no such luck",
    }


async def test_an_item_s_and_an_iteration_s_error_is_its_node_s(engine: Engine) -> None:
    nodes = [a_map("map", failing(), [1]), a_loop("loop", failing(), **{"for": 1})]
    run_id = await run_to_end(engine, workflow(nodes, []))
    of_map, of_loop = await children_of(engine, run_id)
    why = "node 'x' failed: ScriptError: no such luck"
    assert (await error_of(engine, run_id, "map"))[0] == f"1 of 1 items failed; item 0 (run {of_map}): {why}"
    assert (await error_of(engine, run_id, "loop"))[0] == f"iteration 0 (run {of_loop}) failed: {why}"


async def test_an_error_comes_up_through_runs_in_runs(engine: Engine) -> None:
    await create_workflow(engine, workflow([failing()], [], name="low"))
    await create_workflow(engine, workflow([a_map("map", call("each", "low"), [1])], [], name="mid"))
    run_id = await run_to_end(engine, workflow([call("top", "mid")], []))
    message, details = await error_of(engine, run_id, "top")
    (mid,) = await children_of(engine, run_id)
    (item,) = await children_of(engine, mid)
    (low,) = await children_of(engine, item)
    assert message == (
        f"run {mid} failed: node 'map' failed: 1 of 1 items failed; item 0 (run {item}): "
        f"node 'each' failed: run {low} failed: node 'x' failed: ScriptError: no such luck"
    )
    assert details["root"] == {
        "runId": str(low),
        "nodeId": "x",
        "type": "ScriptError",
        "message": "no such luck",
    }


async def test_long_errors_and_long_chains_keep_their_ends(engine: Engine) -> None:
    await create_workflow(engine, workflow([failing("a" + "b" * 5_000 + "z")], [], name="level 0"))
    for level in range(1, 10):
        name = "n" * 190
        document = workflow([call(name, f"level {level - 1}")], [], name=f"level {level}")
        await create_workflow(engine, document)
    run_id = await run_to_end(engine, workflow([call("call", "level 9")], []))
    message, details = await error_of(engine, run_id, "call")
    assert len(message) <= MOST_OF_A_CHAIN
    assert message.startswith("run ")
    assert message.endswith("bz")
    assert isinstance(details["root"], dict)
    assert details["root"]["nodeId"] == "x"
    assert len(str(details["root"]["message"])) <= MOST_OF_AN_ERROR


async def test_a_failure_that_was_handled_is_not_blamed(engine: Engine) -> None:
    nodes = [{**failing("handled"), "id": "first"}, node("repair"), failing("fatal")]
    edges = [edge("first", "repair", on="failure"), edge("repair", "x")]
    await create_workflow(engine, workflow(nodes, edges, name="child"))
    run_id = await run_to_end(engine, workflow([call("call", "child")], []))
    message, _ = await error_of(engine, run_id, "call")
    assert message.endswith("node 'x' failed: ScriptError: fatal")


async def test_a_child_that_no_node_failed_says_its_own_reason(engine: Engine) -> None:
    nodes = [node("stop", "terminate", config={"status": "failed", "reason": "enough"})]
    await create_workflow(engine, workflow(nodes, [], name="child"))
    run_id = await run_to_end(engine, workflow([call("call", "child")], []))
    (child,) = await children_of(engine, run_id)
    (row,) = await sql(engine.db, "SELECT reason FROM workflow_runs WHERE id = $1", child)
    message, details = await error_of(engine, run_id, "call")
    assert message == f"run {child} failed: {row.reason}"
    assert "root" not in details
