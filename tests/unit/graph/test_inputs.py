"""What a node gets from its parents, and what its templates may name."""

from __future__ import annotations

import pytest

from headrace.errors import TooLarge
from headrace.graph.definition import parse
from headrace.graph.inputs import MERGED_INPUT_LIMIT, Result, needed, node_input, node_scope
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.plan import Plan, make_plan
from headrace.graph.states import TaskStatus
from support.build import edge, node, workflow

RUN_INPUT: JsonValue = {"from": "run"}
ERROR: JsonObject = {"type": "HttpError", "message": "no"}


def plan_of(*edges: JsonObject, **target: JsonValue) -> Plan:
    """`a`, `b` and `c` with these edges to `z`, at position 3."""
    return make_plan(parse(workflow([node("a"), node("b"), node("c"), node("z") | target], list(edges))))


def done(output: JsonValue, size: int = 0) -> Result:
    return Result(TaskStatus.COMPLETED, output, size=size)


FAILED = Result(TaskStatus.FAILED, error=ERROR, input={"asked": 1})


def test_a_root_gets_the_input_of_the_run() -> None:
    assert node_input(plan_of(), 3, (), {}, RUN_INPUT) == RUN_INPUT


@pytest.mark.parametrize("output", [{"a": 1}, [1, 2], "text", 5, None])
def test_of_one_parent_the_input_is_its_output_of_whatever_type(output: JsonValue) -> None:
    plan = plan_of(edge("a", "z"), edge("b", "z"))
    assert node_input(plan, 3, (1,), {0: done({"x": 0}), 1: done(output)}, RUN_INPUT) == output


@pytest.mark.parametrize("output", [{"a": 1}, [1, 2], "text"])
def test_one_parent_with_two_taken_edges_is_one_parent(output: JsonValue) -> None:
    plan = plan_of(edge("a", "z"), edge("a", "z", on="always"))
    big = done(output, size=MERGED_INPUT_LIMIT)
    assert node_input(plan, 3, (0, 1), {0: big}, RUN_INPUT) == output


def test_of_several_parents_the_objects_are_merged_in_edge_order() -> None:
    plan = plan_of(edge("b", "z"), edge("a", "z"), edge("c", "z"))
    results = {0: done({"k": "a", "a": 1}), 1: done({"k": "b", "b": 2}), 2: done([3])}
    assert node_input(plan, 3, (0, 1, 2), results, RUN_INPUT) == {"k": "a", "a": 1, "b": 2}


def test_merging_leaves_the_outputs_as_they_are() -> None:
    plan = plan_of(edge("a", "z"), edge("b", "z"))
    results = {0: done({"k": 1}), 1: done({"k": 2})}
    node_input(plan, 3, (0, 1), results, RUN_INPUT)
    assert results[0].output == {"k": 1}


def test_of_no_taken_parent_the_input_is_empty() -> None:
    assert node_input(plan_of(edge("a", "z"), join="all_done"), 3, (), {}, RUN_INPUT) == {}


@pytest.mark.parametrize("on", ["failure", "always"])
def test_a_handler_gets_the_error_and_what_the_failed_node_got(on: str) -> None:
    plan = plan_of(edge("a", "z", on=on))
    assert node_input(plan, 3, (0,), {0: FAILED}, RUN_INPUT) == {"error": ERROR, "input": {"asked": 1}}


def test_over_an_always_edge_a_completed_node_gives_its_output() -> None:
    assert node_input(plan_of(edge("a", "z", on="always")), 3, (0,), {0: done("x")}, RUN_INPUT) == "x"


def test_an_allowed_failure_gives_null() -> None:
    assert node_input(plan_of(edge("a", "z")), 3, (0,), {0: FAILED}, RUN_INPUT) is None


def test_an_allowed_failure_that_an_always_edge_tells_of_too_gives_the_error() -> None:
    plan = plan_of(edge("a", "z"), edge("a", "z", on="always"))
    expected = {"error": ERROR, "input": {"asked": 1}}
    assert node_input(plan, 3, (0, 1), {0: FAILED}, RUN_INPUT) == expected


def test_outputs_that_are_too_large_together_are_refused() -> None:
    plan = plan_of(edge("a", "z"), edge("b", "z"))
    half = MERGED_INPUT_LIMIT // 2
    assert node_input(plan, 3, (0, 1), {0: done({}, half), 1: done({}, half)}, RUN_INPUT) == {}
    with pytest.raises(TooLarge, match="merged input of node 'z' is larger than 8 MiB"):
        node_input(plan, 3, (0, 1), {0: done({}, half), 1: done({}, half + 1)}, RUN_INPUT)


def test_templates_may_name_the_run_its_input_parents_and_referenced_nodes() -> None:
    config: JsonValue = {"template": "{{nodes.a.output}} {{nodes.b.error.message}} {{nodes.z.status}}"}
    plan = plan_of(edge("a", "z"), edge("c", "z"), config=config)
    run: JsonObject = {"id": "r", "input": RUN_INPUT}
    results = {0: done([1]), 1: FAILED, 2: done({"c": 3})}
    scope = node_scope(plan, 3, (0, 1), results, run)
    assert scope.input == {"c": 3}
    assert scope.names == {
        "input": RUN_INPUT,
        "run": run,
        "parents": {"a": [1], "c": {"c": 3}},
        "nodes": {
            "a": {"status": "completed", "output": [1], "error": None},
            "b": {"status": "failed", "output": None, "error": ERROR},
        },
    }


def test_a_run_without_an_input_gives_its_roots_null() -> None:
    scope = node_scope(plan_of(), 3, (), {}, {"id": "r"})
    assert scope.input is None
    assert scope.names["input"] is None


def test_only_taken_parents_and_referenced_nodes_are_needed() -> None:
    plan = plan_of(edge("a", "z"), edge("c", "z"), config={"template": "{{nodes.b.output}}"})
    assert needed(plan, 3, (1,)) == {1, 2}
    assert needed(plan, 0, ()) == set()
