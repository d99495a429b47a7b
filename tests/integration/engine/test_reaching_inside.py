"""What the world does to a run reaches what runs in it: signals, answers, pauses and cancels."""

from __future__ import annotations

import pytest

from headrace.engine.asking import AskedFilter, asked_now
from headrace.engine.control import cancel_run, pause_run, resume_run
from headrace.engine.execute import claim
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.signals import Answer, Sent, SignalRequest, answer_task, send_signal, signals_of
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.engine.verify import verify
from headrace.errors import NotFound, WrongState
from headrace.graph.dispatch import RunTask, Stop
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.question import QUESTION
from headrace.store.claims import Delivery
from headrace.store.db import Database
from support.build import edge, node, workflow
from support.drive import WORKER, deliver, drain, status_of, tasks_of
from support.family import a_loop, a_map, call, with_items
from support.rows import sql

pytestmark = pytest.mark.anyio

WAIT = node("wait", "waitSignal", config={"name": "go"})
TIMER = node("hold", "script", config={"do": "wait"})


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types, `script` and `item`."""
    return Engine.over(db, with_items())


async def begun(engine: Engine, document: JsonObject) -> Started:
    run = await start_run(engine, StartRequest(await create_workflow(engine, document)))
    await drain(engine, run.dispatches)
    return run


async def nested(engine: Engine, body: JsonObject, times: int = 1) -> Started:
    """A map in a sub-workflow in a loop."""
    inner = workflow([a_map("map", body, items=[1, 2])], [], name="inner")
    await create_workflow(engine, inner)
    return await begun(engine, workflow([a_loop("loop", call("call", "inner"), **{"for": times})], []))


async def sent(engine: Engine, run: Started, node: str, payload: JsonValue = None, id: str = "") -> Sent:
    answer = await send_signal(engine, SignalRequest(run.run_id, "go", payload, id or None, node))
    await drain(engine, answer.dispatches)
    return answer


async def counted(engine: Engine) -> dict[str, int]:
    rows = await sql(engine.db, "SELECT status, count(*)::int AS n FROM workflow_runs GROUP BY status")
    return {row.status: row.n for row in rows}


async def test_a_signal_reaches_one_item_by_its_path(engine: Engine) -> None:
    run = await begun(engine, workflow([a_map("map", WAIT, items=[1, 2, 3])], []))
    for index in (2, 0, 1):
        answer = await sent(engine, run, f"map[{index}]/wait", index, id="same for each")
        assert answer.position == 0
        assert answer.run_id != run.run_id
    assert (await tasks_of(engine, run.run_id))["map"].output == [0, 1, 2]
    assert await verify(engine.db) == []


async def test_a_signal_reaches_a_map_in_a_sub_workflow_in_a_loop(engine: Engine) -> None:
    run = await nested(engine, WAIT, times=2)
    await sent(engine, run, "loop[0]/call[0]/map[0]/wait")
    with pytest.raises(WrongState, match="has ended"):
        await sent(engine, run, "loop[0]/call/map[0]/wait")
    await sent(engine, run, "loop/call/map[1]/wait")
    await sent(engine, run, "loop/call/map[1]/wait")  # of the second iteration, which has begun
    with pytest.raises(WrongState, match="has ended"):
        await sent(engine, run, "loop[0]/call[0]/map[0]/wait")
    await sent(engine, run, "loop/call/map[0]/wait")
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_a_signal_that_comes_before_its_item_waits_for_it(engine: Engine) -> None:
    run = await begun(engine, workflow([a_map("map", WAIT, items=[1, 2], maxConcurrency=1)], []))
    early = await sent(engine, run, "map[1]/wait", "early")
    assert early.position is None
    await sent(engine, run, "map[0]/wait", "now")
    assert (await tasks_of(engine, run.run_id))["map"].output == ["now", "early"]


async def test_paths_that_lead_to_nobody(engine: Engine) -> None:
    first = node("first", "script", config={"do": "wait"})
    document = workflow([first, a_map("map", WAIT, items=[1, 2]), a_map("later", WAIT, items=[1])], [])
    document["edges"] = [edge("first", "later")]
    run = await begun(engine, document)
    for path, error, text in (
        ("nobody/wait", NotFound, "has no node 'nobody'"),
        ("map[0]/nobody", NotFound, "has no node 'nobody'"),
        ("map[7]/wait", WrongState, "no run with the number 7"),
        ("map/wait", WrongState, "several runs: say which"),
        ("later/wait", WrongState, "no run that goes on"),
    ):
        with pytest.raises(error, match=text):
            await sent(engine, run, path)


async def test_the_signals_of_a_run_and_of_what_runs_in_it(engine: Engine) -> None:
    strict = node("wait", "waitSignal", config={"name": "go", "payloadSchema": {"type": "integer"}})
    document = workflow([strict, a_map("map", WAIT, items=[1])], [])
    run = await start_run(engine, StartRequest(await create_workflow(engine, document)))
    await send_signal(engine, SignalRequest(run.run_id, "go", "no number", "a"))
    await send_signal(engine, SignalRequest(run.run_id, "go", 7, "b"))
    await send_signal(engine, SignalRequest(run.run_id, "else", 7, "c"))
    await drain(engine, run.dispatches)
    await sent(engine, run, "map[0]/wait", 1, "d")
    own = await signals_of(engine, run.run_id, 10, 0)
    assert [(one.signal.id, one.taker, one.signal.refused is None) for one in own] == [
        ("a", None, False),
        ("b", "wait", True),
        ("c", None, True),
    ]
    everything = await signals_of(engine, run.run_id, 10, 0, with_children=True)
    assert [one.signal.id for one in everything] == ["a", "b", "c", "d"]


async def test_questions_in_bodies_are_listed_with_their_run_and_answered(engine: Engine) -> None:
    question = node("ask", "question", config={"question": "how many?"})
    run = await nested(engine, question)
    found = await asked_now(engine, AskedFilter(QUESTION, run.run_id))
    assert len(found) == 2
    assert run.run_id not in {one.task.run_id for one in found}
    for one in found:
        payload: JsonObject = {"type": None, "answer": "7", "by": "Ada"}
        answer = await answer_task(engine, Answer(one.task, QUESTION, payload))
        await drain(engine, answer.dispatches)
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_a_pause_holds_every_depth(engine: Engine) -> None:
    body: JsonObject = {"nodes": [TIMER, node("end")], "edges": [edge("hold", "end")]}
    run = await nested(engine, body, times=2)
    await pause_run(engine, run.run_id)
    assert await counted(engine) == {"paused": 5}
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE wake_at IS NOT NULL")
    assert await wake_due(engine) == []
    await drain(engine, await resume_run(engine, run.run_id))
    while await status_of(engine, run.run_id) == "running":
        await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'timer'")
        await drain(engine, await wake_due(engine))
    assert await counted(engine) == {"succeeded": 9}
    assert await verify(engine.db) == []


async def test_a_cancel_with_a_grace_gives_it_to_code_at_every_depth(engine: Engine) -> None:
    await create_workflow(engine, workflow([a_map("map", node("x"), items=[1, 2])], [], name="inner"))
    document = workflow([a_loop("loop", call("call", "inner"), **{"for": 1})], [])
    run = await start_run(engine, StartRequest(await create_workflow(engine, document)))
    waiting, held = list(run.dispatches), []
    while waiting:
        job = waiting.pop(0)
        if isinstance(job, RunTask) and job.node_id == "x":
            held.append(job.task)
            await claim(engine, [Delivery(job.task, 1, 1)], WORKER)
        else:
            waiting += await deliver(engine, job)
    dispatches = await cancel_run(engine, run.run_id, grace=7.0)
    stops = [one for one in dispatches if isinstance(one, Stop)]
    assert sorted(task for stop in stops for task in stop.tasks) == sorted(held)
    assert len(held) == 2
    assert {stop.grace for stop in stops} == {7.0}
    await drain(engine, [one for one in dispatches if not isinstance(one, Stop)])
    assert await counted(engine) == {"cancelled": 5}
    assert await verify(engine.db) == []
