"""What differs between two definitions."""

from __future__ import annotations

import copy
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.definition import parse, to_wire
from headrace.graph.diff import Change, Kind, diff
from headrace.graph.json_types import JsonObject, JsonValue
from support.build import chain, edge, node, workflow
from support.graphs import random_case


def wire(document: JsonObject) -> JsonObject:
    return to_wire(parse(document))


TWO = wire(chain(2))


def test_nodes_and_edges_that_came_and_went() -> None:
    nodes, edges = [node("a"), node("b")], [edge("a", "b")]
    before = wire(workflow(nodes, edges))
    after = wire(workflow([node("a"), node("c")], [edge("a", "c", on="failure")]))
    found = diff(before, after)
    assert (found.nodes.added, found.nodes.removed, found.nodes.changed) == (("c",), ("b",), {})
    assert (found.edges.added, found.edges.removed) == (("a->c on failure",), ("a->b",))
    assert not found.is_same


def test_a_changed_setting_of_a_node_is_named_by_its_path() -> None:
    assert diff(wire(_with("x")), wire(_with("y"))).nodes.changed == {
        "a": (Change("config.template", Kind.CHANGED, "x", "y"),),
    }


def _with(template: str) -> JsonObject:
    return workflow([node("a", config={"template": template})], [])


def test_options_that_appear_and_disappear() -> None:
    plain, patient = wire(_with("x")), wire(workflow([node("a", config={"template": "x"}, maxLost=7)], []))
    assert diff(plain, patient).nodes.changed == {"a": (Change("maxLost", Kind.ADDED, None, 7),)}
    assert diff(patient, plain).nodes.changed == {"a": (Change("maxLost", Kind.REMOVED, 7, None),)}


def test_settings_of_the_workflow_itself() -> None:
    found = diff(TWO, TWO | {"name": "other", "onFailure": "fail_fast"})
    assert found.settings == (
        Change("name", Kind.CHANGED, "test", "other"),
        Change("onFailure", Kind.ADDED, None, "fail_fast"),
    )


def test_a_condition_on_an_edge() -> None:
    nodes = [node("a"), node("b")]
    before = wire(workflow(nodes, [edge("a", "b", when={"var": "output.x"})]))
    after = wire(workflow(nodes, [edge("a", "b", when={"var": "output.y"})]))
    assert diff(before, after).edges.changed == {
        "a->b": (Change("when.var", Kind.CHANGED, "output.x", "output.y"),)
    }


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ([1, 2], [1, 2, 3], (Change("value[2]", Kind.ADDED, None, 3),)),
        ([1, 2], [1], (Change("value[1]", Kind.REMOVED, 2, None),)),
        (1, True, (Change("value", Kind.CHANGED, 1, True),)),
        (1, 1.0, ()),
        (None, {}, (Change("value", Kind.CHANGED, None, {}),)),
    ],
)
def test_values(before: JsonValue, after: JsonValue, changes: tuple[Change, ...]) -> None:
    assert diff({"value": before}, {"value": after}).settings == changes


def test_two_edges_of_one_name_are_told_apart() -> None:
    one: JsonObject = {"sourceId": "a", "targetId": "b", "when": {"var": "x"}}
    two: JsonObject = one | {"when": {"var": "y"}}
    assert diff({"edges": [one]}, {"edges": [one, two]}).edges.added == ("a->b #2",)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_nothing_differs_from_itself_and_a_diff_reads_both_ways(first: int, second: int) -> None:
    one, other = (wire(random_case(random.Random(seed)).document) for seed in (first, second))
    shuffled = copy.deepcopy(one)
    nodes = shuffled["nodes"]
    assert isinstance(nodes, list)
    nodes.reverse()
    assert diff(one, shuffled).is_same
    there, back = diff(one, other), diff(other, one)
    assert set(there.nodes.added) == set(back.nodes.removed)
    assert set(there.edges.removed) == set(back.edges.added)
    assert there.nodes.changed.keys() == back.nodes.changed.keys()
    assert there.nodes.is_same == (by_text(one["nodes"]) == by_text(other["nodes"]))


def by_text(nodes: JsonValue) -> list[str]:
    assert isinstance(nodes, list)
    return sorted(map(repr, nodes))
