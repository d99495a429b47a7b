"""Waits and people on real processes: a wait holds no worker, so it does not matter which of them live."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from uuid import UUID

import pytest

from headrace.engine.asking import AskedFilter, asked_now
from headrace.engine.signals import Answer, Sent, SignalRequest, answer_task, send_signal
from headrace.errors import InvalidInput, WrongState
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from support.build import edge, node, workflow
from support.drive import tasks_of
from support.fleet import Fleet, eventually, fleet
from support.project import ROOT
from support.rows import sql

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]

DEADLINE = 45.0
WORKERS = 3
RUNS = 200
NUMBER: JsonObject = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


def waiting(name: str, **config: JsonValue) -> JsonObject:
    return node(name, "waitSignal", config={"name": "go", "payloadSchema": NUMBER, **config})


@pytest.fixture
async def crew(database_url: str, redis_url: str) -> AsyncIterator[Fleet]:
    async with fleet(database_url, redis_url) as one:
        one.start(WORKERS)
        yield one


async def push(crew: Fleet, sending: Awaitable[Sent]) -> Sent:
    sent = await sending
    await crew.broker.push_async(sent.dispatches)
    return sent


async def signal(crew: Fleet, run_id: UUID, number: JsonValue, id: str | None = None) -> Sent:
    return await push(crew, send_signal(crew.engine, SignalRequest(run_id, "go", {"n": number}, id=id)))


async def until_waiting(crew: Fleet, count: int, node_id: str = "%") -> None:
    async def all_wait() -> bool:
        return await crew.count_tasks(f"status = 'waiting' AND node_id LIKE '{node_id}'") == count

    await eventually(all_wait, DEADLINE, f"{count} tasks wait")


async def run_of(crew: Fleet, document: JsonObject, run_input: JsonValue = None) -> UUID:
    return (await crew.start_runs(await crew.save(document), 1, run_input))[0]


async def test_early_late_duplicate_and_wrong_typed_signals(crew: Fleet) -> None:
    chain = workflow(
        [node("begin"), waiting("first"), waiting("second")],
        [edge("begin", "first"), edge("first", "second")],
    )
    workflow_id = await crew.save(chain)
    runs = await crew.start_runs(workflow_id, 20)
    for run_id in runs:  # some find the task waiting, some are early
        await signal(crew, run_id, 1, id="one")
        await signal(crew, run_id, 1, id="one")
    await until_waiting(crew, len(runs), "second")

    for run_id in runs:
        with pytest.raises(InvalidInput):
            await signal(crew, run_id, "many", id="two")
        assert (await signal(crew, run_id, 1, id="one")).dispatches == ()
    assert await crew.count_tasks("status = 'waiting' AND node_id = 'second'") == len(runs)
    for run_id in runs:
        assert (await signal(crew, run_id, 2, id="two")).position == 2
    await crew.until_all_ended(DEADLINE)

    for run_id in runs:
        tasks = await tasks_of(crew.engine, run_id)
        assert [tasks[name].output for name in ("first", "second")] == [{"n": 1}, {"n": 2}]
        with pytest.raises(WrongState):
            await signal(crew, run_id, 3)
    await crew.check_all_well(len(runs), 3 * len(runs))


async def test_a_signal_raced_against_the_time_out(crew: Fleet) -> None:
    """One of the two wins, and everything says the same about which."""
    document = workflow(
        [waiting("wait", timeout="1h"), node("came"), node("late")],
        [edge("wait", "came", "out-done"), edge("wait", "late", "out-timeout")],
    )
    runs = await crew.start_runs(await crew.save(document), RUNS)
    await until_waiting(crew, RUNS)

    await sql(
        crew.engine.db,
        "UPDATE workflow_tasks SET wake_at = clock_timestamp() + random() * interval '1 s'"
        " WHERE status = 'waiting'",
    )
    order = random.sample(runs, RUNS)
    taken = {run_id: await took(crew, run_id, number) for number, run_id in enumerate(order)}
    await crew.until_all_ended(DEADLINE)

    for number, run_id in enumerate(order):
        tasks = await tasks_of(crew.engine, run_id)
        came = taken[run_id]
        assert tasks["wait"].output == ({"n": number} if came else {"timedOut": True})
        assert tasks["came"].status == ("completed" if came else "skipped")
        assert tasks["late"].status == ("skipped" if came else "completed")
    assert await crew.statuses() == {"succeeded": RUNS}


async def took(crew: Fleet, run_id: UUID, number: int) -> bool:
    """Whether the task took the signal; else it was too late for it, and perhaps for its run."""
    try:
        return (await signal(crew, run_id, number)).position is not None
    except WrongState:
        return False


async def test_waits_survive_the_end_of_every_process(crew: Fleet) -> None:
    each = 5
    kinds = {
        "signal": waiting("wait"),
        "approval": node("wait", "approval", config={"message": "Go?"}),
        "question": node("wait", "question", config={"question": "Who?"}),
        "time": node("wait", "waitUntil", config={"time": "2999-01-01"}),
        "condition": node(
            "wait",
            "waitUntil",
            config={"condition": {"var": "signal.n"}, "every": "1h", "signal": "go"},
        ),
    }
    runs = {
        kind: await crew.start_runs(
            await crew.save(workflow([one, node("after")], [edge("wait", "after")])), each
        )
        for kind, one in kinds.items()
    }
    await until_waiting(crew, each * len(kinds))
    for worker in list(crew.workers):
        crew.kill(worker)
    crew.start(2)

    for run_id in (*runs["signal"], *runs["condition"]):
        await signal(crew, run_id, 7)
    for task in await open_ones(crew, "approval"):
        await push(crew, answer_task(crew.engine, Answer(task, "approval", {"decision": "approve"})))
    for task in await open_ones(crew, "question"):
        await push(crew, answer_task(crew.engine, Answer(task, "question", {"answer": "Ada"})))
    await sql(crew.engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'timer'")

    await crew.until_all_ended(DEADLINE)
    await crew.check_all_well(each * len(kinds), 2 * each * len(kinds))


async def open_ones(crew: Fleet, kind: str) -> Sequence[TaskId]:
    return [one.task for one in await asked_now(crew.engine, AskedFilter(kind))]


async def test_the_first_of_many_decisions_counts(crew: Fleet) -> None:
    document = workflow(
        [node("ask", "approval"), node("yes"), node("no")],
        [edge("ask", "yes", "out-approve"), edge("ask", "no", "out-reject")],
    )
    runs = await crew.start_runs(await crew.save(document), 20)
    await until_waiting(crew, len(runs))

    async def decide(task: TaskId, decision: str) -> str | None:
        answer = Answer(task, "approval", {"decision": decision})
        try:
            await push(crew, answer_task(crew.engine, answer))
        except WrongState:
            return None
        return decision

    for task in await open_ones(crew, "approval"):
        decided = await asyncio.gather(*(decide(task, one) for one in ("approve", "reject") * 4))
        [won] = [one for one in decided if one]
        assert Counter(decided) == {won: 1, None: 7}
    await crew.until_all_ended(DEADLINE)
    assert await crew.statuses() == {"succeeded": len(runs)}


async def test_add_user_asks_twice_and_says_what_it_did(crew: Fleet) -> None:
    document = json.loads((ROOT / "examples/nodes/add-user.json").read_text())
    run_id = await run_of(crew, document, {"actor": "A. Admin"})
    for kind, answer in (("ASK_FOR_FULL_NAME", "A. User"), ("ASK_ABOUT_THE_DATE", "2026-12-24")):
        await until_waiting(crew, 1)
        [asked] = await asked_now(crew.engine, AskedFilter("question", run_id))
        assert (asked.asked["type"], asked.asked["actor"]) == (kind, "A. Admin")
        for wrong in ({"type": "ASK_FOR_NOTHING", "answer": answer}, {"type": kind, "answer": ""}):
            with pytest.raises(InvalidInput):
                await answer_task(crew.engine, Answer(asked.task, "question", wrong))
        right: JsonObject = {"type": kind, "answer": answer}
        await push(crew, answer_task(crew.engine, Answer(asked.task, "question", right)))
        with pytest.raises(WrongState):
            await answer_task(crew.engine, Answer(asked.task, "question", right))
    await crew.until_all_ended(DEADLINE)

    lines = await sql(
        crew.engine.db, "SELECT message FROM workflow_events WHERE type = 'log' AND node_id = 'create'"
    )
    assert [line.message for line in lines] == [
        "Microsoft AD user has been created! Name A. User. Date 2026-12-24"
    ]
    await crew.check_all_well(1, 3)
