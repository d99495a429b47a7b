"""map, repeat and subWorkflow: what they ask for and what they make of the answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Child, Done, Failed, Spawned
from headrace.nodes.base import NodeContext
from headrace.nodes.map_items import MapConfig, MapItems, tolerated
from headrace.nodes.repeat import Repeat, RepeatConfig
from headrace.nodes.sub_workflow import SubWorkflow, SubWorkflowConfig

from .conftest import context

pytestmark = pytest.mark.anyio


def answer(index: int, output: JsonValue = None, status: str = "succeeded") -> JsonObject:
    error: JsonValue = (
        None if status == "succeeded" else {"type": "ChildFailed", "message": f"{index} is bad"}
    )
    return {"index": index, "status": status, "output": output, "error": error, "runId": f"run {index}"}


def told(context: NodeContext, *answers: JsonObject, memory: JsonValue = None) -> NodeContext:
    context.wake, context.memory = {"children": list(answers)}, memory
    return context


async def test_a_map_asks_for_one_run_an_item() -> None:
    config = MapConfig.model_validate({"items": "${rows}", "inputs": {"a": "${n}"}, "tolerate": "50%"})
    asked = await MapItems().start(context({"rows": ["x", None], "n": 7}), config)
    assert isinstance(asked, Spawned)
    assert list(asked.children) == [
        Child(0, {"a": 7, "item": "x", "index": 0}),
        Child(1, {"a": 7, "item": None, "index": 1}),
    ]
    assert (asked.at_once, asked.tolerated) == (10, 1)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"items": "${n}"}, "InvalidItems"),
        ({"items": [1, 2, 3], "maxItems": 2}, "TooManyItems"),
    ],
)
async def test_a_map_without_a_list_or_with_too_long_a_list_fails(config: JsonObject, kind: str) -> None:
    failed = await MapItems().start(context({"n": 7}), MapConfig.model_validate(config))
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.retryable) == (kind, False)


async def test_details_of_a_map_and_warnings_of_what_it_tolerates() -> None:
    config = MapConfig.model_validate({"items": [1, 2], "tolerate": 1, "results": "details"})
    answers = (answer(0, "x"), answer(1, status="failed"))
    seen = told(context({}), *answers)
    assert await MapItems().resume(seen, config) == Done(list(answers))
    assert [line.message for line in seen.log] == ["Item 1 failed: 1 is bad"]


async def test_the_culprit_is_named_before_those_that_were_cancelled_with_it() -> None:
    answers = (answer(0, status="cancelled"), answer(1, status="failed"))
    failed = await MapItems().resume(told(context({}), *answers), MapConfig())
    assert isinstance(failed, Failed)
    assert failed.message == "2 of 2 items failed; item 1 (run run 1): 1 is bad"
    assert isinstance(failed.details, dict)
    assert [one["index"] for one in _listed(failed.details["children"])] == [1, 0]


def _listed(value: JsonValue) -> Sequence[JsonObject]:
    assert isinstance(value, list)
    return [one for one in value if isinstance(one, dict)]


@pytest.mark.parametrize(
    ("setting", "items", "count"),
    [(3, 100, 3), ("3", 100, 3), ("10%", 25, 2), (" 100 % ", 4, 4), ("2.5%", 40, 1)],
)
def test_shares(setting: int | str, items: int, count: int) -> None:
    assert tolerated(setting, items) == count


@pytest.mark.parametrize("setting", [-1, "many", "101%", "-1%", ""])
def test_what_is_no_share(setting: int | str) -> None:
    (problem,) = MapItems().check(MapConfig.model_validate({"tolerate": setting}))
    assert problem.path == "tolerate"


@pytest.mark.parametrize("config", [{"for": 1, "until": True}, {"for": -1}, {"while": {"eval": 1}}])
def test_loops_that_cannot_be(config: JsonObject) -> None:
    assert len(list(Repeat().check(RepeatConfig.model_validate(config)))) == 1


async def test_a_loop_fails_with_its_iteration() -> None:
    seen = told(context({}), answer(2, status="failed"), memory={"done": 2, "last": 1, "results": []})
    failed = await Repeat().resume(seen, RepeatConfig.model_validate({"for": 5}))
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.message) == ("ChildFailed", "iteration 2 (run run 2) failed: 2 is bad")


async def test_a_loop_without_a_condition_goes_on_until_it_breaks() -> None:
    config = RepeatConfig.model_validate({"breakKey": "stop"})
    again = await Repeat().resume(told(context({}), answer(0, {"stop": 0})), config)
    assert isinstance(again, Spawned)
    assert list(again.children) == [Child(1, {"index": 1, "last": {"stop": 0}})]
    ended = await Repeat().resume(told(context({}), answer(1, {"stop": 1}), memory=again.memory), config)
    assert ended == Done({"iterations": 2, "last": {"stop": 1}, "results": [{"stop": 0}, {"stop": 1}]})


async def test_a_number_of_times_that_is_none_fails() -> None:
    failed = await Repeat().start(context({"n": "often"}), RepeatConfig.model_validate({"for": "${n}"}))
    assert isinstance(failed, Failed)
    assert failed.kind == "InvalidConfig"


async def test_a_sub_workflow_gets_its_input_and_knows_its_workflow_by_templates() -> None:
    config = SubWorkflowConfig.model_validate(
        {
            "workflowId": "${which}",
            "version": 3,
            "input": {"a": "${n}"},
            "onCancel": "abandon",
            "timeout": "5m",
        }
    )
    asked = await SubWorkflow().start(context({"which": "w", "n": 7}), config)
    assert asked == Spawned([Child(0, {"a": 7}, workflow="w", version=3)], abandons=True, seconds=300.0)
    plain = await SubWorkflow().start(context({"n": 7}), SubWorkflowConfig.model_validate({"workflow": "w"}))
    assert plain == Spawned([Child(0, {"n": 7}, workflow="w")])


async def test_a_sub_workflow_gives_its_outputs_or_fails() -> None:
    config = SubWorkflowConfig.model_validate({"workflow": "w", "timeout": 2})
    assert await SubWorkflow().resume(told(context({}), answer(0, {"x": 1})), config) == Done({"x": 1})
    failed = await SubWorkflow().resume(told(context({}), answer(0, status="cancelled")), config)
    late = await SubWorkflow().resume(context({}), config)
    assert isinstance(failed, Failed)
    assert isinstance(late, Failed)
    assert (failed.kind, late.kind, late.message) == (
        "ChildFailed",
        "Timeout",
        "the workflow took longer than 2 s",
    )
