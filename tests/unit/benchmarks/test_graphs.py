"""The graphs are those that the shapes promise, and definitions that Headrace accepts."""

from __future__ import annotations

import pytest
from benchmarks.graphs import Graph, chain, fan, layered, tangle
from benchmarks.peers.scripts import protocol
from benchmarks.shapes import SHAPES, smaller
from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.program import Rules
from headrace.graph.definition import parse
from headrace.graph.validate import require_valid
from headrace.nodes.builtin import builtin


def test_a_chain_has_one_parent_a_node() -> None:
    assert chain(4).edges == ((0, 1), (1, 2), (2, 3))


def test_a_fan_has_a_root_and_a_join() -> None:
    assert fan(5).edges == ((0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4))


def test_layers_are_joined_all_to_all() -> None:
    graph = layered((2, 3, 1))
    assert graph.size == 6
    assert graph.parents == ((), (), (0, 1), (0, 1), (0, 1), (2, 3, 4))


@given(st.integers(1, 200), st.integers(0, 5))
def test_a_tangle_is_connected_acyclic_and_the_same_each_time(size: int, seed: int) -> None:
    graph = tangle(size, seed)
    assert graph == tangle(size, seed)
    assert all(source < target for source, target in graph.edges)
    assert len(set(graph.edges)) == len(graph.edges)
    assert all(1 <= len(parents) <= 3 for parents in graph.parents[1:])


@pytest.mark.parametrize("graph", [chain(3), fan(6), layered((1, 2, 1, 1)), tangle(40)])
def test_headrace_accepts_them(graph: Graph) -> None:
    definition = parse(graph.document("one"))
    require_valid(definition, Rules(builtin()))
    assert len(definition.nodes) == graph.size
    assert len(definition.edges) == len(graph.edges)


def test_the_shapes_are_those_of_the_plan() -> None:
    assert {name: shape.nodes for name, shape in SHAPES.items()} == {
        "S0": 1_500,
        "S1": 50,
        "S2": 102,
        "S3": 100,
        "S4": 1_500,
    }
    assert [name for name, shape in SHAPES.items() if shape.is_chain] == ["S1"]
    assert len(SHAPES["S3"].graph.edges) == 900


def test_a_smaller_shape_has_fewer_runs_but_at_least_one() -> None:
    assert smaller(SHAPES["S4"], 3).nodes == 500
    assert smaller(SHAPES["S1"], 3).runs == 1


@pytest.mark.parametrize("name", SHAPES)
def test_drivers_draw_the_same_graph(name: str) -> None:
    shape = SHAPES[name]
    above = protocol.parents(list(shape.widths))
    assert [tuple(above.get(node, ())) for node in range(shape.graph.size)] == list(shape.graph.parents)
