"""The examples of maps, loops and sub-workflows, run in the test's own process."""

from __future__ import annotations

import json

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.graph.json_types import JsonObject, JsonValue
from support.drive import drain, status_of
from support.project import ROOT
from support.rows import sql

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("file", "run_input", "said"),
    [
        (
            "nodes/map.json",
            {"sender": "Ada", "people": [{"name": "Bob", "age": 50}, {"name": "Tim", "age": 9}]},
            ["Dear Bob, yours sincerely, Ada", "Hi Tim! Ada"],
        ),
        (
            "nodes/repeat.json",
            {"who": "Bob", "times": 2},
            ["2 reminders were sent", "Bob, this is reminder 0", "Bob, this is reminder 1"],
        ),
        (
            "nodes/sub-workflow.json",
            {"names": ["Grace", "Ada"]},
            ["Message for Ada (priority: low) Number 1", "Message for Grace (priority: low) Number 0"],
        ),
    ],
)
async def test_examples(engine: Engine, file: str, run_input: JsonObject, said: list[str]) -> None:
    await create_workflow(engine, _read("03-simple-notification.json"))
    started = await start_run(engine, StartRequest(await create_workflow(engine, _read(file)), run_input))
    await drain(engine, started.dispatches)
    while await status_of(engine, started.run_id) == "running":
        await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() WHERE waits_for = 'timer'")
        await drain(engine, await wake_due(engine))
    assert await status_of(engine, started.run_id) == "succeeded"
    rows = await sql(engine.db, "SELECT message FROM workflow_events WHERE data ->> 'kind' = 'notification'")
    texts = sorted(" ".join(row.message.split()) for row in rows)
    assert [any(text in line for line in texts) for text in said] == [True] * len(said)
    assert len(texts) == len(said)


def _read(file: str) -> JsonValue:
    document: JsonValue = json.loads((ROOT / "examples" / file).read_text())
    return document
