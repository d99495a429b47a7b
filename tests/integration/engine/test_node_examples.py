"""The examples of the node types that decide, check, reshape and say, run to their ends."""

from __future__ import annotations

import json

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.errors import InvalidInput
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.db import Database
from support.drive import drain, run_to_end, status_of, statuses_of, tasks_of
from support.project import ROOT
from support.rows import sql

pytestmark = pytest.mark.anyio


def example(file: str) -> JsonObject:
    document: JsonObject = json.loads((ROOT / "examples/nodes" / file).read_text())
    return document


async def said(db: Database, run_id: object) -> list[tuple[str, str]]:
    """The kinds and texts of the lines that the nodes of a run wrote, in the order of their writing."""
    rows = await sql(
        db,
        "SELECT data ->> 'kind' AS kind, message FROM workflow_events "
        "WHERE run_id = $1 AND data ->> 'kind' IS NOT NULL ORDER BY id",
        run_id,
    )
    return [(row.kind, row.message) for row in rows]


ORDER: JsonObject = {"customer": "Ada", "mail": "ada@example.com", "lines": [{"article": "pen", "pieces": 3}]}


async def test_trigger(engine: Engine) -> None:
    run_id = await run_to_end(engine, example("trigger.json"), ORDER)

    assert await status_of(engine, run_id) == "succeeded"
    assert (await tasks_of(engine, run_id))["order"].output == ORDER
    assert ("notification", "Thank you, Ada: 3 x pen") in await said(engine.db, run_id)


async def test_trigger_refuses_a_run_with_another_input(engine: Engine) -> None:
    workflow_id = await create_workflow(engine, example("trigger.json"))
    wrong: JsonObject = {"mail": "ada", "lines": [{"article": "pen", "pieces": 0}]}

    with pytest.raises(InvalidInput) as refusal:
        await start_run(engine, StartRequest(workflow_id, wrong))

    assert {one.path for one in refusal.value.problems} == {
        "input.customer",
        "input.mail",
        "input.lines[0].pieces",
    }
    assert await sql(engine.db, "SELECT id FROM workflow_runs") == []


@pytest.mark.parametrize(
    ("status", "kilos", "ran", "line"),
    [
        ("paid", 50, {"status", "size", "freight"}, ("info", "[INFO] Order 7 goes by lorry")),
        ("paid", 2, {"status", "size", "parcel"}, ("info", "[INFO] Order 7 goes by post")),
        ("refunded", 2, {"status", "stop"}, ("info", "[INFO] Order 7 is stopped")),
        ("cancelled", 2, {"status", "stop"}, ("info", "[INFO] Order 7 is stopped")),
        ("odd", 2, {"status", "look"}, ("warn", "[WARN] Order 7 has the unknown status 'odd'")),
    ],
)
async def test_switch(engine: Engine, status: str, kilos: int, ran: set[str], line: tuple[str, str]) -> None:
    run_id = await run_to_end(engine, example("switch.json"), {"order": 7, "status": status, "kilos": kilos})

    assert await status_of(engine, run_id) == "succeeded"
    statuses = await statuses_of(engine, run_id)
    assert {name for name, one in statuses.items() if one == "completed"} == ran
    assert {one for name, one in statuses.items() if name not in ran} == {"skipped"}
    assert line in await said(engine.db, run_id)


async def test_switch_without_a_match_and_without_a_default_fails_at_the_first_attempt(
    engine: Engine,
) -> None:
    run_id = await run_to_end(engine, example("switch.json"), {"order": 7, "status": "paid", "kilos": 0})

    assert await status_of(engine, run_id) == "failed"
    task = (await tasks_of(engine, run_id))["size"]
    assert (task.status.value, task.attempt) == ("failed", 1)
    assert task.error == {"type": "NoBranchMatched", "message": "no case matches and there is no default"}
    statuses = await statuses_of(engine, run_id)
    assert {statuses["freight"], statuses["parcel"]} == {"upstream_failed"}


def order(id: int, status: str, amount: float, city: str) -> JsonObject:
    return {"id": id, "status": status, "amount": amount, "to": {"city": city}}


async def test_transform(engine: Engine) -> None:
    orders: list[JsonValue] = [
        order(1, "paid", 10.5, "Paris"),
        order(2, "open", 99, "Paris"),
        order(3, "paid", 20, "Oslo"),
        order(4, "paid", 30, "Paris"),
    ]
    run_id = await run_to_end(
        engine, example("transform.json"), {"day": "Monday", "file": json.dumps(orders)}
    )

    assert await status_of(engine, run_id) == "succeeded"
    outputs = {name: task.output for name, task in (await tasks_of(engine, run_id)).items()}
    rows: list[JsonValue] = [
        {"order": 1, "city": "Paris", "eur": 10.5},
        {"order": 3, "city": "Oslo", "eur": 20},
        {"order": 4, "city": "Paris", "eur": 30},
    ]
    assert outputs["parse"] == orders
    assert outputs["paid"] == [orders[0], orders[2], orders[3]]
    assert outputs["report"] == {
        "title": "Orders of Monday",
        "sum": {"eur": 60.5, "currency": "EUR"},
        "cities": {"Paris": [orders[0], orders[3]], "Oslo": [orders[2]]},
        "rows": rows,
        "lorries": [rows[:2], rows[2:]],
        "labels": ["1: Paris", "2: Oslo", "3: Paris"],
    }
    assert outputs["text"] == '{\n  "eur": 60.5,\n  "currency": "EUR"\n}'
    assert outputs["shout"] == "MONDAY: 60.5 EUR"


async def test_transform_of_what_is_no_json_fails_at_the_first_attempt(engine: Engine) -> None:
    run_id = await run_to_end(engine, example("transform.json"), {"day": "Monday", "file": "no JSON"})

    assert await status_of(engine, run_id) == "failed"
    task = (await tasks_of(engine, run_id))["parse"]
    assert (task.attempt, (task.error or {})["type"]) == (1, "BadData")


@pytest.mark.parametrize(
    ("given", "text", "output"),
    [
        (
            {"mail": "ada@example.com", "name": "Ada", "age": 36},
            "Welcome, Ada",
            {"valid": True, "errors": []},
        ),
        (
            {"name": "Ada"},
            "Please correct your address: Data is required but not provided",
            {"valid": False, "errors": ["Data is required but not provided"]},
        ),
        (
            {"mail": "ada"},
            "Please correct your address: Length 3 is less than minimum 6,"
            "Data does not match pattern: ^[^@ ]+@[^@ ]+$",
            {
                "valid": False,
                "errors": [
                    "Length 3 is less than minimum 6",
                    "Data does not match pattern: ^[^@ ]+@[^@ ]+$",
                ],
            },
        ),
    ],
)
async def test_validate(engine: Engine, given: JsonObject, text: str, output: JsonObject) -> None:
    run_id = await run_to_end(engine, example("validate.json"), given)

    assert await status_of(engine, run_id) == "succeeded"
    assert (await tasks_of(engine, run_id))["mail"].output == output
    assert ("notification", text) in await said(engine.db, run_id)


async def test_validate_can_fail(engine: Engine) -> None:
    run_id = await run_to_end(
        engine, example("validate.json"), {"mail": "ada@example.com", "name": "Ada", "age": 17}
    )

    assert await status_of(engine, run_id) == "failed"
    task = (await tasks_of(engine, run_id))["person"]
    assert task.error == {
        "type": "InvalidData",
        "message": "age: the value is less than the minimum of 18",
        "details": ["age: the value is less than the minimum of 18"],
    }


@pytest.mark.parametrize(
    ("celsius", "lines"),
    [
        (20, [("debug", '[DEBUG] Sensor roof\n{"celsius":20}')]),
        (
            45.5,
            [
                ("debug", '[DEBUG] Sensor roof\n{"celsius":45.5}'),
                ("error", "[ERROR] 45.5 degrees at roof"),
            ],
        ),
    ],
)
async def test_log(engine: Engine, celsius: float, lines: list[tuple[str, str]]) -> None:
    run_id = await run_to_end(engine, example("log.json"), {"sensor": "roof", "celsius": celsius})

    assert await status_of(engine, run_id) == "succeeded"
    assert await said(engine.db, run_id) == lines


async def test_variables(engine: Engine) -> None:
    workflow_id = await create_workflow(engine, example("variables.json"))
    greetings = []
    for who in ("Ada", "Grace"):
        run = await start_run(engine, StartRequest(workflow_id, {"who": who}))
        await drain(engine, run.dispatches)
        assert await status_of(engine, run.run_id) == "succeeded"
        greetings += [text for _, text in await said(engine.db, run.run_id) if "visitor" in text]
    assert greetings[-1] == "[INFO] Grace is visitor 2"
    assert "[INFO] Ada is visitor 1" in greetings


BOOKED = ["[INFO] A room in Rome is booked", "[INFO] A seat to Rome is booked"]
TAKEN_BACK = ["[INFO] The seat to Rome is free again", "[INFO] The room in Rome is free again"]


@pytest.mark.parametrize(
    ("paid", "status", "lines"),
    [
        (True, "succeeded", [*BOOKED, "[INFO] Have a good time in Rome"]),
        (False, "failed", [*BOOKED, "Rome was not paid for", *TAKEN_BACK]),
    ],
)
async def test_terminate_and_compensations(engine: Engine, paid: bool, status: str, lines: list[str]) -> None:
    run_id = await run_to_end(engine, example("terminate.json"), {"city": "Rome", "paid": paid})

    assert await status_of(engine, run_id) == status
    assert [text for _, text in await said(engine.db, run_id) if not text.startswith("Matched")] == [
        *lines,
        "[INFO] The file of Rome is closed",
    ]
