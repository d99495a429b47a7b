"""When counting is enough: and that it then comes to what the cascade decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.decide import Cascade, TaskView
from headrace.graph.definition import parse
from headrace.graph.inputs import Result, taken_into
from headrace.graph.join import Tally
from headrace.graph.json_types import JsonObject
from headrace.graph.plan import Plan, make_plan
from headrace.graph.shortcut import may_shortcut
from headrace.graph.states import TaskStatus
from support.build import edge, node, workflow

COMPLETED = TaskStatus.COMPLETED


def fan(**join: str | JsonObject) -> Plan:
    """a -> b, a -> c; the join is b's."""
    return make_plan(
        parse(workflow([node("a"), node("b", **join), node("c")], [edge("a", "b"), edge("a", "c")]))
    )


def test_a_completion_whose_edges_are_all_taken() -> None:
    assert may_shortcut(fan(), 0, COMPLETED, "TT")
    assert may_shortcut(fan(), 1, COMPLETED, ""), "a last node only counts down its run"


@pytest.mark.parametrize("status", sorted(set(TaskStatus) - {COMPLETED}))
def test_no_other_end(status: TaskStatus) -> None:
    assert not may_shortcut(fan(), 0, status, "TT")


@pytest.mark.parametrize("outcomes", ["TN", "NT", "NN", "TF", "TC"])
def test_not_with_an_edge_that_is_not_taken(outcomes: str) -> None:
    assert not may_shortcut(fan(), 0, COMPLETED, outcomes)


@pytest.mark.parametrize(
    "join", ["all_success", "all_done", "none_failed", "any_success", "any_failed", "all_failed", "quorum:1"]
)
def test_not_into_another_join(join: str) -> None:
    assert not may_shortcut(fan(join=join), 0, COMPLETED, "TT")


def test_not_with_finally_nodes() -> None:
    nodes = [node("a"), node("b"), node("last", **{"finally": True})]
    plan = make_plan(parse(workflow(nodes, [edge("a", "b")])))
    assert not may_shortcut(plan, 0, COMPLETED, "T")


@given(st.integers(1, 6), st.data())
def test_counting_comes_to_what_the_cascade_decides(width: int, data: st.DataObject) -> None:
    """A join of `width` parents, some of which ended before: taken or not, but none failed."""
    names = [f"p{number}" for number in range(width)]
    plan = make_plan(
        parse(workflow([*map(node, names), node("join")], [edge(name, "join") for name in names]))
    )
    earlier = data.draw(st.lists(st.sampled_from("TN"), max_size=width - 1))
    tally = Tally(width, width - len(earlier), taken=earlier.count("T"))
    mine = plan.by_id[names[len(earlier)]].position
    assert may_shortcut(plan, mine, COMPLETED, "T")
    cascade = Cascade(plan, {mine: "T"})
    cascade.load({plan.by_id["join"].position: TaskView(TaskStatus.PENDING, tally)})
    is_ready = bool(cascade.decision.ready)
    assert is_ready == (tally.unresolved == 1), "the last edge releases it, and no other"
    assert not cascade.decision.ended


def test_the_edges_that_released_a_task_are_as_stored_or_the_taken_ones() -> None:
    plan = make_plan(parse(workflow([node("a"), node("b"), node("j")], [edge("a", "j"), edge("b", "j")])))
    results = {0: Result(COMPLETED, outcomes="T"), 1: Result(TaskStatus.SKIPPED, outcomes="N")}
    assert taken_into(plan, 2, None, results) == (0,)
    assert taken_into(plan, 2, [1], results) == (1,)
