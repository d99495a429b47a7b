"""Signals in the test's own process: early, late, twice, wrong, at a pause, at the limit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from uuid import UUID

import pytest

from headrace.engine.control import cancel_run, pause_run, resume_run
from headrace.engine.execute import claim, perform
from headrace.engine.explain import explain
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.settle import settle
from headrace.engine.signals import SIGNAL_LIMIT, Sent, SignalConflict, SignalRequest, send_signal
from headrace.engine.start import StartRequest, start_run
from headrace.engine.sweep import SweepSettings, sweep, wake_due
from headrace.errors import InvalidInput, NotFound, TooLarge, WrongState
from headrace.graph.dispatch import Dispatch
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store import signals
from headrace.store.claims import Delivery
from headrace.store.signals import NewSignal
from support.build import edge, node, workflow
from support.drive import WORKER, NoHttp, drain, status_of, statuses_of, task_id, tasks_of
from support.rows import end_waits, sql

pytestmark = pytest.mark.anyio

NUMBER: JsonObject = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


def waiting(name: str = "wait", signal: str = "go", **config: JsonValue) -> JsonObject:
    return node(name, "waitSignal", config={"name": signal, **config})


ONE = workflow([waiting(), node("after")], [edge("wait", "after")])
LATER = workflow([node("first"), waiting()], [edge("first", "wait")])
STRICT = workflow([waiting(payloadSchema=NUMBER)], [])


async def begun(engine: Engine, document: JsonObject) -> tuple[UUID, Sequence[Dispatch]]:
    """A run of which nothing has been delivered yet."""
    started = await start_run(engine, StartRequest(await create_workflow(engine, document)))
    return started.run_id, started.dispatches


async def parked(engine: Engine, document: JsonObject) -> UUID:
    """A run whose nodes have done what they can."""
    run_id, dispatches = await begun(engine, document)
    await drain(engine, dispatches)
    return run_id


async def signalled(
    engine: Engine, run_id: UUID, payload: JsonValue = None, id: str | None = None, name: str = "go"
) -> Sent:
    sent = await send_signal(engine, SignalRequest(run_id, name, payload, id=id))
    await drain(engine, sent.dispatches)
    return sent


async def events_of(engine: Engine, run_id: UUID, like: str) -> list[str]:
    rows = await sql(
        engine.db,
        "SELECT type FROM workflow_events WHERE run_id = $1 AND type LIKE $2 ORDER BY id",
        run_id,
        like,
    )
    return [row.type for row in rows]


async def test_a_signal_wakes_the_task_that_waits_for_it(engine: Engine) -> None:
    run_id = await parked(engine, ONE)
    assert await statuses_of(engine, run_id) == {"wait": "waiting", "after": "pending"}

    sent = await signalled(engine, run_id, {"yes": True})

    assert (sent.position, len(sent.dispatches)) == (0, 1)
    assert await status_of(engine, run_id) == "succeeded"
    tasks = await tasks_of(engine, run_id)
    assert tasks["wait"].output == tasks["after"].output == {"yes": True}
    assert await events_of(engine, run_id, "signal.%") == ["signal.received"]


async def test_one_that_comes_early_waits_for_the_task(engine: Engine) -> None:
    run_id, dispatches = await begun(engine, LATER)

    early = await signalled(engine, run_id, 1)
    assert (early.position, early.dispatches) == (None, [])
    await drain(engine, dispatches)

    assert await status_of(engine, run_id) == "succeeded"
    assert (await tasks_of(engine, run_id))["wait"].output == 1
    assert await events_of(engine, run_id, "task.%") == [
        *["task.queued", "task.running", "task.completed"],
        *["task.queued", "task.running", "task.waiting", "task.queued", "task.running", "task.completed"],
    ]


async def test_the_oldest_is_taken_first_and_each_once(engine: Engine) -> None:
    three = workflow([waiting("a"), waiting("b"), waiting("c")], [edge("a", "b"), edge("b", "c")])
    run_id, dispatches = await begun(engine, three)
    for number in range(3):
        await signalled(engine, run_id, number)

    await drain(engine, dispatches)

    tasks = await tasks_of(engine, run_id)
    assert [tasks[name].output for name in "abc"] == [0, 1, 2]


async def test_the_same_id_counts_once(engine: Engine) -> None:
    run_id = await parked(engine, workflow([waiting("a"), waiting("b")], [edge("a", "b")]))

    first = await signalled(engine, run_id, {"n": 1}, id="one")
    again = await signalled(engine, run_id, {"n": 1}, id="one")

    assert (again.id, again.position, again.dispatches) == (first.id, first.position, ())
    assert await statuses_of(engine, run_id) == {"a": "completed", "b": "waiting"}
    with pytest.raises(SignalConflict):
        await signalled(engine, run_id, {"n": 2}, id="one")
    with pytest.raises(SignalConflict):
        await signalled(engine, run_id, {"n": 1}, id="one", name="other")
    await signalled(engine, run_id, id="two")
    assert (await signalled(engine, run_id, {"n": 1}, id="one")).position == 0, "also after the run's end"


async def test_one_that_is_refused_was_never_there(engine: Engine) -> None:
    run_id = await parked(engine, STRICT)

    with pytest.raises(InvalidInput) as refused:
        await signalled(engine, run_id, {"n": "many"}, id="one")
    assert [one.path for one in refused.value.problems] == ["n"]
    assert await statuses_of(engine, run_id) == {"wait": "waiting"}

    await signalled(engine, run_id, {"n": 1}, id="one")
    assert await status_of(engine, run_id) == "succeeded"


async def test_an_early_one_that_turns_out_wrong_is_refused_then(engine: Engine) -> None:
    run_id, dispatches = await begun(engine, STRICT)
    await signalled(engine, run_id, {"n": "many"})
    await signalled(engine, run_id, {"n": 2})
    await signalled(engine, run_id, {"n": 3})

    await drain(engine, dispatches)

    assert (await tasks_of(engine, run_id))["wait"].output == {"n": 2}
    rows = await sql(engine.db, "SELECT refused, position FROM workflow_signals ORDER BY sent_at")
    assert [(row.refused is None, row.position) for row in rows] == [(False, None), (True, 0), (True, None)]
    assert (await events_of(engine, run_id, "signal.%"))[-1] == "signal.refused"


async def test_an_early_one_that_turns_out_wrong_is_told_to_all_who_look(engine: Engine) -> None:
    run_id, dispatches = await begun(engine, STRICT)
    assert (await signalled(engine, run_id, {"n": "many"}, id="one")).position is None
    await drain(engine, dispatches)

    assert await statuses_of(engine, run_id) == {"wait": "waiting"}
    (line,) = await sql(
        engine.db,
        "SELECT message, node_id, data FROM workflow_events"
        " WHERE run_id = $1 AND type = 'log' AND data ->> 'kind' = 'warning'",
        run_id,
    )
    assert line.node_id == "wait"
    assert line.message.startswith("Signal 'go' (one) came early and is refused: n: ")
    with pytest.raises(InvalidInput) as refused:
        await signalled(engine, run_id, {"n": "many"}, id="one")
    assert refused.value.problems[0].message.startswith("n: ")

    (told,) = (await explain(engine, run_id)).tasks
    assert re.fullmatch(r"waits for signal go \(signal one came early and was refused: n: .+\)", told.text)
    (cause,) = told.causes
    refusal = cause.details["refused"]
    assert isinstance(refusal, dict)
    assert (refusal["id"], str(refusal["reason"])[:3]) == ("one", "n: ")


async def test_who_refused_nothing_is_not_told_of_it(engine: Engine) -> None:
    document = workflow([waiting("strict", payloadSchema=NUMBER), waiting("then")], [edge("strict", "then")])
    run_id, dispatches = await begun(engine, document)
    await signalled(engine, run_id, {"n": "many"}, id="one")
    await drain(engine, dispatches)
    await signalled(engine, run_id, {"n": 1})
    assert await statuses_of(engine, run_id) == {"strict": "completed", "then": "waiting"}
    (told,) = (await explain(engine, run_id)).tasks
    assert told.text == "waits for signal go"


async def test_a_run_that_ended_takes_none(engine: Engine) -> None:
    run_id = await parked(engine, ONE)
    await cancel_run(engine, run_id)

    with pytest.raises(WrongState, match="cancelled"):
        await signalled(engine, run_id)
    with pytest.raises(NotFound):
        await signalled(engine, UUID(int=1))


async def test_what_is_too_large_is_refused(engine: Engine) -> None:
    run_id = await parked(engine, ONE)

    with pytest.raises(TooLarge):
        await signalled(engine, run_id, "x" * SIGNAL_LIMIT)
    await signalled(engine, run_id, "x" * (SIGNAL_LIMIT - 2))
    assert await status_of(engine, run_id) == "succeeded"


async def test_a_signal_for_one_node_is_for_no_other(engine: Engine) -> None:
    run_id, dispatches = await begun(engine, workflow([waiting("a"), waiting("b")], []))
    await send_signal(engine, SignalRequest(run_id, "go", "early", node_id="b"))
    await drain(engine, dispatches)
    assert await statuses_of(engine, run_id) == {"a": "waiting", "b": "completed"}

    kept = await send_signal(engine, SignalRequest(run_id, "go", "late", node_id="b"))
    assert kept.position is None
    with pytest.raises(NotFound):
        await send_signal(engine, SignalRequest(run_id, "go", node_id="nobody"))

    await signalled(engine, run_id, "for whoever")
    assert (await tasks_of(engine, run_id))["a"].output == "for whoever"


async def test_a_paused_run_goes_on_with_it_when_it_is_resumed(engine: Engine) -> None:
    run_id = await parked(engine, ONE)
    await pause_run(engine, run_id)

    sent = await signalled(engine, run_id, "kept")
    assert (sent.position, sent.dispatches) == (0, [])
    assert await statuses_of(engine, run_id) == {"wait": "waiting", "after": "pending"}
    await signalled(engine, run_id, "for nobody")

    await drain(engine, await resume_run(engine, run_id))
    await drain(engine, await wake_due(engine))
    assert (await tasks_of(engine, run_id))["wait"].output == "kept"
    assert await status_of(engine, run_id) == "succeeded"


async def test_a_task_that_begins_to_wait_during_a_pause_takes_an_early_one_after_it(engine: Engine) -> None:
    run_id, _ = await begun(engine, ONE)
    await signalled(engine, run_id, "early")
    [execution] = await claim(engine, [Delivery(task_id(run_id, 0), 1, 1)], WORKER)
    await pause_run(engine, run_id)

    assert (await settle(engine, [await perform(execution, NoHttp())])).dispatches == []
    assert await wake_due(engine) == []
    assert await statuses_of(engine, run_id) == {"wait": "waiting", "after": "pending"}

    await drain(engine, await resume_run(engine, run_id))
    await drain(engine, await wake_due(engine))
    assert (await tasks_of(engine, run_id))["after"].output == "early"


async def test_a_time_out_fails_or_takes_its_branch(engine: Engine) -> None:
    drawn = workflow(
        [waiting(timeout="1h"), node("came"), node("late")],
        [edge("wait", "came", "out-done"), edge("wait", "late", "out-timeout")],
    )
    plain = await parked(engine, workflow([waiting(timeout="1h")], []))
    branched = await parked(engine, drawn)

    await end_waits(engine.db)
    await drain(engine, await wake_due(engine))

    assert (await tasks_of(engine, plain))["wait"].error == {
        "type": "SignalTimeout",
        "message": "the signal 'go' did not come in time",
    }
    assert await statuses_of(engine, branched) == {
        "wait": "completed",
        "came": "skipped",
        "late": "completed",
    }
    assert await statuses_of(engine, plain) == {"wait": "failed"}


async def test_no_signal_is_lost_between_its_sender_and_the_wait(engine: Engine) -> None:
    """Sent while its task begins to wait, it is taken at once: nobody sweeps here."""
    workflow_id = await create_workflow(engine, ONE)

    async def race(number: int) -> UUID:
        started = await start_run(engine, StartRequest(workflow_id))
        parking = asyncio.create_task(drain(engine, started.dispatches))
        for _ in range(number % 40):
            await asyncio.sleep(0)
        await signalled(engine, started.run_id, number)
        await parking
        return started.run_id

    for batch in range(0, 200, 8):
        runs = await asyncio.gather(*(race(number) for number in range(batch, batch + 8)))
        assert [await status_of(engine, run_id) for run_id in runs] == ["succeeded"] * 8


async def test_the_sweep_finds_a_signal_that_a_crash_left(engine: Engine) -> None:
    run_id = await parked(engine, ONE)
    async with engine.db.transaction() as tx:  # as if the check after the settlement had never been
        await signals.insert(tx, NewSignal(run_id, "one", "go", "found"))

    swept = await sweep(engine, SweepSettings())

    assert swept is not None
    await drain(engine, swept.dispatches)
    assert (await tasks_of(engine, run_id))["wait"].output == "found"
