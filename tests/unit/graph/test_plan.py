"""Plans: order, edges, roots, finals, and what a join that was met need not wait for."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.definition import parse
from headrace.graph.edges import On
from headrace.graph.join import Join, Losers, Rule
from headrace.graph.json_types import JsonObject
from headrace.graph.plan import Plan, make_plan, topological_order
from headrace.graph.retry import RetryPolicy
from headrace.graph.settings import OnFailure
from support.build import chain, edge, node, workflow
from support.graphs import Kinds, random_case

FINAL: JsonObject = {"finally": True}
RANDOMS = st.randoms(use_true_random=False)


def plan_of(nodes: str, *arrows: str) -> Plan:
    """`plan_of("a b", "a>b")`."""
    return make_plan(parse(drawn(nodes, *arrows)))


def drawn(nodes: str, *arrows: str) -> JsonObject:
    edges = [edge(*arrow.split(">")) for arrow in arrows]
    return workflow([node(name) for name in nodes.split()], edges)


def order_of(nodes: str, *arrows: str) -> str:
    return " ".join(topological_order(parse(drawn(nodes, *arrows))))


def test_the_order_is_as_written_where_the_edges_allow_it() -> None:
    assert order_of("c a b") == "c a b"
    assert order_of("c a b", "b>c") == "a b c"
    assert order_of("c a b d", "b>c", "d>a") == "b c d a"


@given(st.permutations(list(range(5))), st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=6))
def test_the_order_is_the_first_of_all_that_have_parents_first(
    written: list[int], pairs: set[tuple[int, int]]
) -> None:
    arrows = [(a, b) for a, b in pairs if a < b]
    possible = [
        order for order in permutations(range(5)) if all(order.index(a) < order.index(b) for a, b in arrows)
    ]
    first = min(possible, key=lambda order: [written.index(one) for one in order])
    names = " ".join(map(str, written))
    assert order_of(names, *(f"{a}>{b}" for a, b in arrows)) == " ".join(map(str, first))


def test_nodes_on_and_behind_a_cycle_have_no_order() -> None:
    assert order_of("a b c d", "b>c", "c>b", "c>d") == "a"


def test_edges_to_nowhere_do_not_disturb_the_order() -> None:
    assert order_of("b a", "a>b", "a>x", "x>b") == "a b"


def test_a_plan_has_its_edges_both_ways() -> None:
    plan = plan_of("c a b", "b>c", "a>c", "a>b")
    assert [one.id for one in plan.nodes] == ["a", "b", "c"]
    assert [(one.source, one.target) for one in plan.into(2)] == [(1, 2), (0, 2)]
    assert [one.target for one in plan.out(0)] == [2, 1]
    assert [one.index for one in plan.edges] == [0, 1, 2]
    assert plan.by_id["b"].position == 1


@given(RANDOMS)
def test_positions_indexes_and_slots_fit_together(rng: random.Random) -> None:
    plan = random_case(rng, Kinds()).plan
    assert [one.position for one in plan.nodes] == list(range(len(plan.nodes)))
    assert [one.index for one in plan.edges] == list(range(len(plan.edges)))
    for one in plan.edges:
        assert one.source < one.target
        assert plan.nodes[one.source].out_edges[one.slot] == one.index
        assert one.index in plan.nodes[one.target].in_edges
    for ways in ([one.in_edges for one in plan.nodes], [one.out_edges for one in plan.nodes]):
        assert sorted(index for way in ways for index in way) == list(range(len(plan.edges)))
        assert all(list(way) == sorted(way) for way in ways)


def test_an_edge_that_is_drawn_twice_counts_once() -> None:
    document = workflow(
        [node("a"), node("b")],
        [
            edge("a", "b", id="first"),
            edge("a", "b"),
            edge("a", "b", sourceHandle="out"),
            edge("a", "b", "x"),
            edge("a", "b", "x"),
            edge("a", "b", on="failure"),
            edge("a", "b", when={"var": "output"}),
        ],
    )
    plan = make_plan(parse(document))
    assert [(one.id, one.slot) for one in plan.edges] == [
        ("first", 0),
        ("a->b:x", 1),
        ("a->b", 2),
        ("a->b", 3),
    ]


def test_roots_start_with_the_run_and_finals_after_it() -> None:
    document = workflow(
        [node("z") | FINAL, node("a"), node("b"), node("y") | FINAL],
        [edge("a", "b"), edge("z", "y")],
    )
    plan = make_plan(parse(document))
    assert [plan.nodes[position].id for position in plan.roots] == ["a"]
    assert [plan.nodes[position].id for position in plan.finals] == ["z", "y"]


def test_options_reach_the_plan() -> None:
    options: JsonObject = {
        "join": {"rule": "quorum:1", "onLosers": "cancel"},
        "retry": {"maxAttempts": 5, "strategy": "linear", "initial": "2s", "retryOn": ["HttpError"]},
        "timeouts": {"attempt": "1m"},
        "allowFailure": True,
        "maxLost": 0,
        "config": {"template": "{{nodes.a.output}} {{nodes.gone.output}}"},
    }
    guarded = edge("a", "b", "x", id="e", when={"var": "output"})
    document = workflow([node("a"), node("b") | options], [guarded], onFailure="fail_fast", outputs={"x": 1})
    plan = make_plan(parse(document))
    two = plan.by_id["b"]
    assert two.join == Join(Rule.QUORUM, 1, Losers.CANCEL)
    assert two.retry == RetryPolicy(5, "linear", initial=2, retry_on=frozenset({"HttpError"}))
    assert (two.attempt_timeout, two.max_lost, two.allow_failure) == (60, 0, True)
    assert two.references == (0,)
    assert (plan.on_failure, plan.outputs) == (OnFailure.FAIL_FAST, {"x": 1})
    (one,) = plan.edges
    assert (one.id, one.branch, one.on, one.when) == ("e", "x", On.SUCCESS, {"var": "output"})


def test_a_node_without_a_name_is_called_by_its_id() -> None:
    document = workflow([{"id": "a", "type": "delay"}, node("b") | {"name": "Bee"}], [])
    assert [one.name for one in make_plan(parse(document)).nodes] == ["a", "Bee"]


@pytest.mark.parametrize(
    ("nodes", "arrows", "losers"),
    [
        ("a j", "a>j", "a"),
        ("r a b j", "r>a r>b a>j b>j", "r a b"),
        ("a b j other", "a>j b>j b>other", "a"),
        ("r a b j other", "r>a r>b a>j b>other", "a"),
        ("a j k", "a>j j>k", "a"),
        ("a b j", "b>j", "b"),
        ("j", "", ""),
    ],
)
def test_losers_of_a_join(nodes: str, arrows: str, losers: str) -> None:
    plan = plan_of(nodes, *arrows.split())
    assert [plan.nodes[position].id for position in plan.losers(plan.by_id["j"].position)] == losers.split()


@given(RANDOMS)
def test_losers_are_the_nodes_all_of_whose_paths_lead_to_the_join(rng: random.Random) -> None:
    plan = random_case(rng, Kinds()).plan
    paths = {one.position: list(all_paths(plan, one.position)) for one in plan.nodes}
    for join in plan.nodes:
        expected = [
            position
            for position, ways in paths.items()
            if position != join.position and all(join.position in way for way in ways)
        ]
        assert plan.losers(join.position) == expected


def all_paths(plan: Plan, position: int) -> list[tuple[int, ...]]:
    targets = {one.target for one in plan.out(position)}
    ways = [(position, *way) for target in targets for way in all_paths(plan, target)]
    return ways or [(position,)]


def test_a_long_chain_is_planned_without_recursion() -> None:
    plan = make_plan(parse(chain(10_000)))
    assert [one.id for one in plan.nodes] == [f"n{number}" for number in range(10_000)]
    assert plan.losers(9_999) == list(range(9_999))
