"""The examples of the node types that wait, walked through in the test's own process."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.signals import Answer, SignalRequest, answer_task, send_signal
from headrace.engine.start import StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.graph.json_types import JsonObject, JsonValue
from support.build import edge, node, workflow
from support.drive import drain, status_of, task_id
from support.project import ROOT
from support.rows import end_waits, sql

pytestmark = pytest.mark.anyio


async def begun(engine: Engine, file: str, run_input: JsonObject) -> UUID:
    document: JsonValue = json.loads((ROOT / "examples/nodes" / file).read_text())
    started = await start_run(engine, StartRequest(await create_workflow(engine, document), run_input))
    await drain(engine, started.dispatches)
    return started.run_id


async def said(engine: Engine, run_id: UUID) -> list[str]:
    """What the notifications of a run that succeeded wrote."""
    assert await status_of(engine, run_id) == "succeeded"
    rows = await sql(
        engine.db,
        "SELECT message FROM workflow_events WHERE run_id = $1 AND data ->> 'kind' = 'notification'",
        run_id,
    )
    return [row.message for row in rows]


async def time_passes(engine: Engine) -> None:
    await end_waits(engine.db)
    await drain(engine, await wake_due(engine))


async def test_approval(engine: Engine) -> None:
    payment: JsonObject = {"amount": 90, "payee": "Bob"}
    approved = await begun(engine, "approval.json", payment)
    left = await begun(engine, "approval.json", payment)

    decision: JsonObject = {"decision": "approve", "by": "Ada", "data": {"remark": "fine"}}
    sent = await answer_task(engine, Answer(task_id(approved, 0), "approval", decision))
    await drain(engine, sent.dispatches)
    await time_passes(engine)

    assert await said(engine, approved) == ["Paid 90 EUR, approved by Ada"]
    assert await said(engine, left) == ["Not paid"]


async def test_wait_signal(engine: Engine) -> None:
    paid = await begun(engine, "wait-signal.json", {"order": 7})
    unpaid = await begun(engine, "wait-signal.json", {"order": 8})

    sent = await send_signal(engine, SignalRequest(paid, "paid", {"amount": 12}))
    await drain(engine, sent.dispatches)
    await time_passes(engine)

    assert await said(engine, paid) == ["12 EUR came: shipping order 7"]
    assert await said(engine, unpaid) == ["Nobody paid order 8"]


async def test_wait_until(engine: Engine) -> None:
    run_id = await begun(engine, "wait-until.json", {"opensAt": "2999-12-24T18:00:00Z"})

    await time_passes(engine)
    for doors in ("ajar", "open"):
        sent = await send_signal(engine, SignalRequest(run_id, "doors", {"doors": doors}))
        await drain(engine, sent.dispatches)

    assert await said(engine, run_id) == ["Welcome, it is after 2999-12-24T18:00:00Z"]


async def test_a_condition_on_a_variable_of_the_run(engine: Engine) -> None:
    ready: JsonObject = {"condition": {"var": "vars.ready"}, "every": "1m"}
    document = workflow(
        [
            node("wait", "waitUntil", config=ready),
            node("gate", "waitSignal", config={"name": "go"}),
            node("set", "setVariable", config={"name": "ready", "value": True}),
        ],
        [edge("gate", "set")],
    )
    started = await start_run(engine, StartRequest(await create_workflow(engine, document)))
    await drain(engine, started.dispatches)
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'condition'")
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, started.run_id) == "running", "not set yet"

    sent = await send_signal(engine, SignalRequest(started.run_id, "go"))
    await drain(engine, sent.dispatches)
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'condition'")
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, started.run_id) == "succeeded"
