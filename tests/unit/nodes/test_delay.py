from __future__ import annotations

import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Waiting
from headrace.nodes.delay import Delay, DelayConfig

from .conftest import context, lines

pytestmark = pytest.mark.anyio


def config(settings: JsonObject) -> DelayConfig:
    return DelayConfig.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "seconds", "words"),
    [
        ({"delayType": "seconds", "delayValue": 5}, 5, "5 second(s)"),
        ({"delayType": "seconds", "delayValue": "5"}, 5, "5 second(s)"),
        ({"delayType": "seconds", "delayValue": 90}, 90, "1 minute(s)"),
        ({"delayType": "minutes", "delayValue": 60}, 3600, "1 hour(s)"),
        ({"delayType": "hours", "delayValue": 2.5}, 9000, "2 hour(s)"),
        ({"delayType": "days", "delayValue": 366}, 366 * 86400, "366 day(s)"),
        ({"delayType": "fortnights", "delayValue": 3}, 3, "3 second(s)"),
        ({"delayValue": 0.2}, 0.2, "0 second(s)"),
        ({"delayMs": 1500}, 1.5, "1 second(s)"),
        ({"delayMs": "250"}, 0.25, "0 second(s)"),
        ({"delayType": "hours", "delayValue": None, "delayMs": 1000}, 1, "1 second(s)"),
        ({"delayType": "hours", "delayValue": ""}, 5, "5 second(s)"),
        ({}, 5, "5 second(s)"),
    ],
)
async def test_it_parks_for_as_long_as_it_says(settings: JsonObject, seconds: float, words: str) -> None:
    one = context({"a": 1})

    assert await Delay().start(one, config(settings)) == Waiting(seconds, "timer")
    assert lines(one) == [("delay", f"Delay scheduled: {words}")]
    assert list(Delay().check(config(settings))) == []


async def test_its_output_is_its_input_and_nothing_of_the_delay() -> None:
    assert await Delay().resume(context({"a": 1}), config({"delayValue": 5})) == Done({"a": 1})


async def test_no_delay_does_not_park() -> None:
    assert await Delay().start(context({"a": 1}), config({"delayValue": 0})) == Done({"a": 1})


@pytest.mark.parametrize("value", [-1, "-0.5", "soon", "nan", "inf", 366 * 86400 + 1, "1e400", "1e-400x"])
async def test_a_length_that_is_none_is_a_problem_and_fails(value: JsonValue) -> None:
    bad = config({"delayValue": value})

    assert [one.path for one in Delay().check(bad)] == ["delayValue"]
    outcome = await Delay().start(context({}), bad)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.retryable) == ("InvalidConfig", False)
