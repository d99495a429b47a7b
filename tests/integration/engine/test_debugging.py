"""Breakpoints, steps and mocks that reach into bodies and sub-workflows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from headrace.engine.debugging import set_debug, step, stopped
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.engine.verify import verify
from headrace.errors import InvalidInput
from headrace.graph.holding import Debug
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store import children
from headrace.store.children import ParentFacts
from headrace.store.db import Database, Tx
from support.build import edge, if_else, node, workflow
from support.drive import deliver, drain, status_of, tasks_of
from support.family import a_loop, a_map, call, with_items
from support.rows import sql

pytestmark = pytest.mark.anyio

BODY: JsonObject = {"nodes": [node("first"), node("item", "item")], "edges": [edge("first", "item")]}
MAP = workflow([node("a"), a_map("map", BODY, items=[1, 2, 3], maxConcurrency=2)], [edge("a", "map")])


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types, `script` and `item`."""
    return Engine.over(db, with_items())


async def begun(
    engine: Engine, document: JsonObject, *breakpoints: str, mocks: JsonObject | None = None, **debug: bool
) -> Started:
    stops = Debug(frozenset(breakpoints), **debug).as_stored()
    request = StartRequest(await create_workflow(engine, document), debug=stops, mocks=mocks)
    run = await start_run(engine, request)
    await drain(engine, run.dispatches)
    return run


async def paths(engine: Engine, run: Started) -> list[str]:
    return [one.path for one in await stopped(engine, run.run_id)]


async def go(engine: Engine, run: Started, *nodes: str) -> list[str]:
    """Steps; returns where the run stands then."""
    await drain(engine, await step(engine, run.run_id, nodes))
    return await paths(engine, run)


@pytest.mark.parametrize("name", ["map/item", "map/first"])
async def test_a_breakpoint_in_a_body_holds_the_node_in_each_item(engine: Engine, name: str) -> None:
    run = await begun(engine, MAP, name)
    last = name.rpartition("/")[2]
    assert await paths(engine, run) == [f"map[0]/{last}", f"map[1]/{last}"]
    assert await go(engine, run, f"map[1]/{last}") == [f"map[0]/{last}", f"map[2]/{last}"]
    assert await go(engine, run, name) == []
    assert (await tasks_of(engine, run.run_id))["map"].output == [10, 20, 30]
    assert await verify(engine.db) == []


async def test_a_breakpoint_reaches_a_map_in_a_sub_workflow_in_a_loop(engine: Engine) -> None:
    inner = workflow([a_map("map", BODY, items=[1, 2])], [], name="inner")
    await create_workflow(engine, inner)
    document = workflow([a_loop("loop", call("call", "inner"), **{"for": 2})], [])
    run = await begun(engine, document, "loop/call/map/item")
    for index in (0, 1):
        place = f"loop[{index}]/call[0]/map"
        assert await paths(engine, run) == [f"{place}[0]/item", f"{place}[1]/item"]
        await go(engine, run)
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_steps_go_through_bodies(engine: Engine) -> None:
    document = workflow([a_map("map", BODY, items=[1])], [])
    run = await begun(engine, document, steps=True)
    seen = [await paths(engine, run)]
    while seen[-1]:
        seen.append(await go(engine, run))
    assert seen == [["map"], ["map[0]/first"], ["map[0]/item"], []]
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_breakpoints_that_are_set_later_hold_what_runs_already(engine: Engine) -> None:
    body: JsonObject = {
        "nodes": [node("hold", "script", config={"do": "wait"}), node("end")],
        "edges": [edge("hold", "end")],
    }
    document = workflow([a_map("map", body, items=[1, 2, 3], maxConcurrency=2)], [])
    run = await begun(engine, document)
    await set_debug(engine, run.run_id, Debug(frozenset({"map/end"})))
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'timer'")
    await drain(engine, await wake_due(engine))
    assert await paths(engine, run) == ["map[0]/end", "map[1]/end"]
    await set_debug(engine, run.run_id, Debug())
    await go(engine, run)
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'timer'")
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"


UNKNOWN = [
    ("nobody", "there is no node 'nobody'"),
    ("map/nobody", "there is no node 'nobody' in 'map'"),
    ("nobody/item", "there is no node 'nobody'"),
    ("a/item", "node 'a' has nothing inside"),
    ("call/x", "there is no node 'x' in 'call'"),
    ("gone/x", "node 'gone' calls no workflow that is there"),
    ("loose/n", "node 'loose' does not wait for its workflow: nothing reaches into it"),
]


@pytest.mark.parametrize(("name", "message"), UNKNOWN)
async def test_paths_that_lead_nowhere_are_refused(engine: Engine, name: str, message: str) -> None:
    await create_workflow(engine, workflow([node("n")], [], name="inner"))
    calls = [call("call", "inner"), call("gone", "nobody"), call("loose", "inner", wait=False)]
    document = workflow([node("a"), a_map("map", BODY, items=[1]), *calls], [])
    workflow_id = await create_workflow(engine, document)
    debug, mocks = Debug(frozenset({name})), {name: {"output": 1}}
    for request in (
        StartRequest(workflow_id, debug=debug.as_stored()),
        StartRequest(workflow_id, mocks=mocks),
    ):
        with pytest.raises(InvalidInput) as refused:
            await start_run(engine, request)
        assert [one.message for one in refused.value.problems] == [message]
    run = await start_run(engine, StartRequest(workflow_id, debug=Debug(steps=True).as_stored()))
    with pytest.raises(InvalidInput) as refused:
        await set_debug(engine, run.run_id, debug)
    assert [(one.path, one.message) for one in refused.value.problems] == [("breakpoints", message)]


async def test_a_path_into_a_workflow_that_only_the_run_knows_is_taken(engine: Engine) -> None:
    await create_workflow(engine, workflow([node("n")], [], name="inner"))
    run = await begun(engine, workflow([call("call", "${run.input}")], []), "call/n", mocks={"call/n": 7})
    assert await status_of(engine, run.run_id) == "failed"  # there is no workflow with this name
    request = StartRequest(
        await create_workflow(engine, workflow([call("call", "${name}")], [])),
        {"name": "inner"},
        mocks={"call/n": 7},
    )
    run = await start_run(engine, request)
    await drain(engine, run.dispatches)
    assert (await tasks_of(engine, run.run_id))["call"].output == {"n": 7}


async def test_mocks_reach_every_depth(engine: Engine) -> None:
    inner = workflow([a_map("map", BODY, items=[1, 2])], [], name="inner")
    await create_workflow(engine, inner)
    document = workflow([a_loop("loop", call("call", "inner"), **{"for": 1})], [])
    run = await begun(engine, document, mocks={"loop/call/map/item": {"output": 5}})
    output = (await tasks_of(engine, run.run_id))["loop"].output
    assert isinstance(output, dict)
    assert output["last"] == {"map": [5, 5]}


SAID: list[tuple[JsonValue, str, str]] = [
    ({"ouput": 1}, "mocks.map/big.ouput", "a mock has no 'ouput': did you mean 'output'?"),
    ({"output": 1, "branch": []}, "mocks.map/big.branch", "a mock has no 'branch': did you mean 'branches'?"),
    ({"output": 1, "delay": 5}, "mocks.map/big.delay", "a mock has no 'delay'"),
    ({"output": {}, "branches": ["out-yes"]}, "mocks.map/big.branches", "the node has no branch 'out-yes'"),
    ({"output": {}, "branches": "out-true"}, "mocks.map/big.branches", "is no list"),
    ({"error": "boom"}, "mocks.map/big.error", "is no object"),
    ({"error": {"kind": "Down"}}, "mocks.map/big.error.kind", "an error has no 'kind'"),
    ({"error": {}, "output": 1}, "mocks.map/big.error", "a mock either answers or fails"),
]


@pytest.mark.parametrize(("mock", "path", "message"), SAID)
async def test_mocks_that_say_something_else_than_they_mean_are_refused(
    engine: Engine, mock: JsonValue, path: str, message: str
) -> None:
    body: JsonObject = {
        "nodes": [if_else("big", "value", 3), node("yes")],
        "edges": [edge("big", "yes", "out-true")],
    }
    workflow_id = await create_workflow(engine, workflow([a_map("map", body, items=[1])], []))
    with pytest.raises(InvalidInput) as refused:
        await start_run(engine, StartRequest(workflow_id, mocks={"map/big": mock}))
    assert [(one.path, one.message) for one in refused.value.problems] == [(path, message)]


@pytest.mark.parametrize("mock", [None, 7, "output", [], {}, {"total": 9}, {"type": "x"}])
async def test_anything_else_is_the_output_itself(engine: Engine, mock: JsonValue) -> None:
    run = await begun(engine, workflow([node("a")], []), mocks={"a": mock})
    assert (await tasks_of(engine, run.run_id))["a"].output == mock


async def test_a_breakpoint_that_comes_while_a_map_begins_holds_its_items(
    engine: Engine, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = workflow([a_map("map", BODY, items=[1, 2, 3], maxConcurrency=3)], [])
    run = await start_run(engine, StartRequest(await create_workflow(engine, document)))
    read, setting = children.parents, list[asyncio.Task[None]]()

    async def read_and_be_overtaken(tx: Tx, tasks: Sequence[TaskId]) -> dict[TaskId, ParentFacts]:
        """What the map's items are to stop at is read; now somebody says otherwise."""
        found = await read(tx, tasks)
        debug = Debug(frozenset({"map/item"}))
        setting.append(asyncio.create_task(set_debug(engine, run.run_id, debug)))
        await until_done_or_locked_out(db, setting[0])
        return found

    monkeypatch.setattr(children, "parents", read_and_be_overtaken)
    (job,) = run.dispatches
    follows = await deliver(engine, job)
    await asyncio.gather(*setting)
    assert len(setting) == 1
    await drain(engine, follows)
    assert await paths(engine, run) == [f"map[{index}]/item" for index in range(3)]
    assert await go(engine, run) == []
    assert await status_of(engine, run.run_id) == "succeeded"


async def until_done_or_locked_out(db: Database, work: asyncio.Task[None]) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    waiting = (
        "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        " WHERE NOT l.granted AND d.datname = current_database()"
    )
    while not work.done() and not await sql(db, waiting):
        assert asyncio.get_running_loop().time() < deadline
