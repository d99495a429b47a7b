from __future__ import annotations

import pytest

from headrace.graph.definition import parse
from headrace.graph.inputs import Result
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outputs import body_output, output_positions, run_outputs
from headrace.graph.plan import Plan, make_plan
from headrace.graph.states import TaskStatus
from support.build import edge, node, workflow

ONE_END = workflow([node("a"), node("b")], [edge("a", "b")])
TWO_ENDS = workflow([node("a"), node("b"), node("c")], [edge("a", "b"), edge("a", "c")])
WITH_FINALLY = workflow([node("a"), node("z", **{"finally": True})], [])
DECLARED = ONE_END | {
    "outputs": {"first": "${nodes.a.output}", "given": "${input.n}", "gone": "${nodes.a.x}"}
}


def left(plan: Plan, *skipped: str) -> dict[int, Result]:
    return {
        one.position: Result(TaskStatus.SKIPPED)
        if one.id in skipped
        else Result(TaskStatus.COMPLETED, output=one.id.upper())
        for one in plan.nodes
        if one.position in output_positions(plan)
    }


@pytest.mark.parametrize(
    ("document", "skipped", "of_run", "of_body"),
    [
        (ONE_END, (), {"b": "B"}, "B"),
        (ONE_END, ("b",), {}, None),
        (TWO_ENDS, (), {"b": "B", "c": "C"}, {"b": "B", "c": "C"}),
        (TWO_ENDS, ("c",), {"b": "B"}, {"b": "B"}),
        (WITH_FINALLY, (), {"a": "A", "z": "Z"}, "A"),
        (DECLARED, (), *[{"first": "A", "given": 7, "gone": None}] * 2),
    ],
)
def test_outputs(
    document: JsonObject, skipped: tuple[str, ...], of_run: JsonObject, of_body: JsonValue
) -> None:
    plan = make_plan(parse(document))
    results = left(plan, *skipped)
    assert run_outputs(plan, results, {"n": 7}) == of_run
    assert body_output(plan, results, {"n": 7}) == of_body


def test_only_what_is_named_need_be_read() -> None:
    plan = make_plan(parse(DECLARED))
    assert [plan.nodes[position].id for position in output_positions(plan)] == ["a"]
