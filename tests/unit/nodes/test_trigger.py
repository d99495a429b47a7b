from __future__ import annotations

import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed
from headrace.nodes.builtin import builtin
from headrace.nodes.trigger import Trigger, TriggerConfig

from .conftest import context, lines

pytestmark = pytest.mark.anyio

SCHEMA: JsonObject = {
    "type": "object",
    "required": ["city"],
    "properties": {"city": {"type": "string"}, "rows": {"type": "array", "items": {"type": "integer"}}},
}


def trigger(**config: JsonValue) -> TriggerConfig:
    return TriggerConfig.model_validate(config)


async def test_it_passes_its_input_on() -> None:
    one = context({"anything": [1]})

    assert await Trigger().start(one, trigger()) == Done({"anything": [1]})
    assert lines(one) == [("trigger", "Started (manual)")]


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ({"city": "Dubai", "more": 1}, []),
        ({}, ["input.city"]),
        (None, ["input.city"]),
        ({"city": 1, "rows": [1, "2"]}, ["input.city", "input.rows[1]"]),
        ([], ["input"]),
    ],
)
async def test_a_run_whose_input_breaks_the_schema_is_not_started(given: JsonValue, paths: list[str]) -> None:
    found = list(Trigger().check_start(trigger(inputSchema=SCHEMA), given))

    assert sorted(one.path for one in found) == paths


async def test_where_it_is_no_root_it_fails_instead() -> None:
    outcome = await Trigger().start(context({"city": 1}), trigger(inputSchema=SCHEMA))

    assert outcome == Failed(
        "input.city: must be of type string",
        kind="InvalidInput",
        retryable=False,
        details=[{"path": "input.city", "message": "must be of type string"}],
    )


def test_a_schema_that_is_none_is_a_problem() -> None:
    assert [one.path for one in Trigger().check(trigger(inputSchema={"type": "strin"}))] == [
        "inputSchema.type"
    ]
    assert [one.path for one in Trigger().check(trigger(inputSchema="text"))] == ["inputSchema"]
    assert list(Trigger().check(trigger(inputSchema=SCHEMA))) == []


def test_the_settings_of_other_systems_triggers_are_understood() -> None:
    one = trigger(trigger_type="schedule", cron_expression="0 2 * * *", webhook_method="POST")
    other = trigger(triggerType="scheduled", cronSchedule="0 2 * * *", webhookMethod="POST")

    assert one == other
    assert one.cron_expression == "0 2 * * *"


def test_start_is_another_name_of_trigger() -> None:
    registry = builtin()

    assert registry.get("start") is registry.get("trigger") is not None
