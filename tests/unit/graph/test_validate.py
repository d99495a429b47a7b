"""What a definition must keep to be run; every problem with its path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from headrace.errors import InvalidDefinition, Problem
from headrace.graph.definition import Node, parse
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.validate import Limits, require_valid, validate
from support.build import chain, edge, if_else, node, workflow
from support.rules import RULES

LARGE = 10_000
FINAL: JsonObject = {"finally": True}


def found(
    nodes: list[JsonObject], edges: list[JsonObject] | None = None, **options: JsonValue
) -> list[Problem]:
    return validate(parse(workflow(nodes, edges or [], **options)), RULES)


def paths(nodes: list[JsonObject], edges: list[JsonObject] | None = None, **options: JsonValue) -> list[str]:
    return [problem.path for problem in found(nodes, edges, **options)]


def says(text: str) -> JsonObject:
    return node("z", config={"template": text})


def test_a_good_workflow_has_no_problems() -> None:
    nodes = [
        node("a"),
        if_else("if", "n", 1),
        node("b"),
        node("z", join="quorum:2"),
        node("f") | FINAL,
    ]
    edges = [
        edge("a", "if"),
        edge("if", "b", "out-true"),
        edge("if", "z", "out-false"),
        edge("b", "z", when={"var": "output"}),
        edge("b", "z", on="failure"),
    ]
    assert found(nodes, edges) == []
    require_valid(parse(workflow(nodes, edges)), RULES)


def test_an_empty_graph() -> None:
    assert found([]) == [Problem("nodes", "a workflow needs at least one node")]


def test_limits_of_nodes_and_edges() -> None:
    definition = parse(workflow([node("a"), node("b"), node("c")], [edge("a", "b"), edge("b", "c")]))
    assert validate(definition, RULES, Limits(nodes=3, edges=2)) == []
    assert validate(definition, RULES, Limits(nodes=2, edges=1)) == [
        Problem("nodes", "3 nodes are more than the limit of 2", "split it into several workflows"),
        Problem("edges", "2 edges are more than the limit of 1", "split it into several workflows"),
    ]
    assert Limits() == Limits(nodes=20_000, edges=100_000)


def test_an_unknown_type_names_the_known_ones() -> None:
    (problem,) = found([node("a"), node("b", "apiCal")])
    assert problem.path == "nodes[1].type"
    assert "apiCall" in problem.hint


def test_a_bad_config_is_found_where_it_is() -> None:
    assert paths([node("a"), node("b", "decision", config={"decisions": [{"name": "no id"}]})]) == [
        "nodes[1].config.decisions[0].id"
    ]


def test_edges_that_lead_nowhere() -> None:
    assert paths([node("a")], [edge("a", "x"), edge("y", "a"), edge("x", "y")]) == [
        "edges[0].target",
        "edges[1].source",
        "edges[2].source",
        "edges[2].target",
    ]


def test_a_repeated_edge_does_not_shift_the_paths_of_others() -> None:
    assert paths([node("a"), node("b")], [edge("a", "b"), edge("a", "b"), edge("a", "x")]) == [
        "edges[2].target"
    ]


def test_every_node_with_a_doubled_id_is_named() -> None:
    assert paths([node("a"), node("b"), node("a")]) == ["nodes[0].id", "nodes[2].id"]


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [
        ([("a", "b"), ("b", "c"), ("c", "a")], "a -> b -> c -> a"),
        ([("a", "a")], "a -> a"),
        ([("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")], "b -> c -> b"),
        ([("a", "c"), ("c", "d"), ("d", "c"), ("d", "b")], "d -> c -> d"),
    ],
)
def test_a_cycle_is_shown(edges: list[tuple[str, str]], cycle: str) -> None:
    (problem,) = found([node(name) for name in "abcd"], [edge(*one) for one in edges])
    assert problem.path == "edges"
    assert problem.message == f"the graph has a cycle: {cycle}"


def test_an_unknown_branch_names_the_known_ones() -> None:
    nodes = [if_else("if", "n", 1), node("d", "decision"), node("b")]
    edges = [edge("if", "b", "out-true"), edge("if", "b", "out-maybe"), edge("d", "b", "out-x")]
    assert found(nodes, edges) == [
        Problem("edges[1].branch", "node 'if' has no branch 'out-maybe'", "known: out-true, out-false"),
        Problem("edges[2].branch", "node 'd' has no branch 'out-x'", "known: none"),
    ]


def test_branches_of_a_node_that_is_not_understood_are_not_judged() -> None:
    nodes = [node("u", "unheard"), node("d", "decision", config={"decisions": 5}), node("b")]
    edges = [edge("u", "b", "out-x"), edge("d", "b", "out-x")]
    assert paths(nodes, edges) == ["nodes[0].type", "nodes[1].config.decisions"]


def test_conditions_of_edges() -> None:
    edges = [
        edge("a", "b", when={"nope": [{"also": 1}]}),
        edge("a", "b", on="always", when={"var": "output"}),
        edge("d", "b", "out-x", on="failure"),
        edge("d", "b", "out-x", on="always"),
        edge("a", "b", on="failure", when={"var": "error"}),
    ]
    decision = node("d", "decision", config={"decisions": [{"id": "x"}]})
    problems = found([node("a"), decision, node("b")], edges)
    assert [(one.path, one.message) for one in problems] == [
        ("edges[0].when", "unknown operator 'also'"),
        ("edges[0].when", "unknown operator 'nope'"),
        ("edges[1].when", "an edge on always is taken without a condition"),
        ("edges[2].branch", "an edge on failure follows no branch"),
        ("edges[3].branch", "an edge on always follows no branch"),
    ]


@pytest.mark.parametrize(("quorum", "is_good"), [(0, False), (1, True), (2, True), (3, False)])
def test_a_quorum_fits_the_edges_that_count(quorum: int, is_good: bool) -> None:
    edges = [edge("a", "z"), edge("a", "z", id="again"), edge("b", "z")]
    problems = paths([node("a"), node("b"), node("z", join=f"quorum:{quorum}")], edges)
    assert problems == ([] if is_good else ["nodes[2].join"])


def test_a_root_has_no_quorum() -> None:
    (problem,) = found([node("a", join="quorum:1")])
    assert problem.message == "a quorum of 1 does not fit 0 incoming edges"


@pytest.mark.parametrize("rule", ["all", "all_success", "all_done", "none_failed", "all_failed"])
def test_only_early_joins_have_losers(rule: str) -> None:
    options: JsonValue = {"rule": rule, "onLosers": "cancel"}
    assert paths([node("a"), node("z", join=options)], [edge("a", "z")]) == ["nodes[1].join.onLosers"]


@pytest.mark.parametrize("rule", ["any_success", "any_failed", "quorum:1"])
def test_early_joins_may_cancel_losers(rule: str) -> None:
    options: JsonValue = {"rule": rule, "onLosers": "cancel"}
    assert paths([node("a"), node("z", join=options)], [edge("a", "z")]) == []


def test_finals_are_joined_only_to_each_other() -> None:
    finals = [node(name) | FINAL for name in "xy"]
    edges = [edge("a", "x"), edge("x", "y"), edge("y", "b")]
    assert paths([node("a"), node("b"), *finals], edges) == ["edges[0]", "edges[2]"]
    assert paths(finals) == ["nodes"]


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("{{nodes.a.output}} ${nodes.b.output}", True),
        ("{{nodes.z.output}}", False),
        ("{{nodes.later.output}}", False),
        ("{{nodes.beside.output}}", False),
        ("{{nodes.nowhere.output}}", False),
        ("{{input.nodes}} {{run.id}}", True),
    ],
)
def test_only_ancestors_may_be_referred_to(text: str, is_good: bool) -> None:
    nodes = [node("a"), node("b"), says(text), node("later"), node("beside")]
    problems = found(nodes, [edge("a", "b"), edge("b", "z"), edge("z", "later")])
    assert [one.path for one in problems] == ([] if is_good else ["nodes[2].config"])


def test_a_final_may_refer_to_all_others_but_not_to_itself_or_later_ones() -> None:
    text = "{{nodes.a.output}} {{nodes.b.output}} {{nodes.z.output}} {{nodes.y.output}}"
    nodes = [node("a"), node("b"), says(text) | FINAL, node("y") | FINAL]
    assert [one.message for one in found(nodes, [edge("z", "y")])] == [
        "'nodes.y' is no ancestor of node 'z'",
        "'nodes.z' is no ancestor of node 'z'",
    ]
    assert found([*nodes[:2], says("{{nodes.y.output}}") | FINAL, nodes[3]], [edge("y", "z")]) == []


def test_references_on_and_behind_a_cycle_are_not_judged_but_must_exist() -> None:
    nodes = [node("a"), node("b"), says("{{nodes.b.output}} {{nodes.gone.output}}")]
    problems = found(nodes, [edge("a", "b"), edge("b", "a"), edge("b", "z")])
    assert [one.path for one in problems] == ["edges", "nodes[2].config"]
    assert "nodes.gone" in problems[1].message


def test_outputs_refer_to_nodes_that_exist() -> None:
    outputs: JsonValue = {"x": ["${nodes.a.output}", "${nodes.gone.output.y}"]}
    assert found([node("a")], outputs=outputs) == [Problem("outputs", "there is no node 'gone'")]


def test_all_problems_are_told_at_once() -> None:
    nodes = [node("a"), node("a"), node("u", "unheard"), says("{{nodes.no.output}}") | {"join": "quorum:9"}]
    edges = [edge("a", "x"), edge("a", "u"), edge("u", "a"), edge("a", "z", "out-x", when={"nope": 1})]
    with pytest.raises(InvalidDefinition) as caught:
        require_valid(parse(workflow(nodes, edges)), RULES)
    assert [one.path for one in caught.value.problems] == [
        "nodes[0].id",
        "nodes[1].id",
        "nodes[2].type",
        "edges[0].target",
        "edges",
        "edges[3].branch",
        "edges[3].when",
        "nodes[3].join",
        "nodes[3].config",
    ]


def test_a_cycle_of_ten_thousand_nodes_is_found() -> None:
    document = chain(LARGE)
    definition = parse(
        workflow(_items(document["nodes"]), [*_items(document["edges"]), edge(f"n{LARGE - 1}", "n0")])
    )
    (problem,) = validate(definition, RULES)
    assert problem.message.startswith("the graph has a cycle: n0 -> n1 -> n2 -> ")
    assert problem.message.endswith(f" -> n{LARGE - 1} -> n0")


def test_ten_thousand_nodes_that_refer_to_their_ancestors_are_checked_in_one_pass() -> None:
    """Walking back from each of them would visit 50 million nodes, longer than this suite's time limit."""
    nodes = [
        node(
            f"n{number}", config={"template": f"{{{{nodes.n{number // 2}.output}}}} {{{{nodes.n0.output}}}}"}
        )
        for number in range(1, LARGE)
    ]
    edges = [edge(f"n{number}", f"n{number + 1}") for number in range(LARGE - 1)]
    assert found([node("n0"), *nodes], edges) == []


class CountingRules:
    """The real rules, and how often each node was asked for."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()

    def problems(self, node: Node) -> Iterable[Problem]:
        self.asked["problems", node.id] += 1
        return RULES.problems(node)

    def branches(self, node: Node) -> tuple[str, ...] | None:
        self.asked["branches", node.id] += 1
        return RULES.branches(node)


def test_a_node_is_asked_for_its_branches_once_however_many_edges_it_has() -> None:
    decisions: JsonValue = [{"id": str(number)} for number in range(300)]
    nodes = [node("d", "decision", config={"decisions": decisions}), *(node(f"t{one}") for one in range(300))]
    edges = [edge("d", f"t{number}", f"out-{number}") for number in range(300)]
    rules = CountingRules()
    assert validate(parse(workflow(nodes, edges)), rules) == []
    assert rules.asked["branches", "d"] == 1
    assert set(rules.asked.values()) == {1}
    assert sum(kind == "branches" for kind, _ in rules.asked) == 1


def _items(value: JsonValue) -> list[JsonObject]:
    assert isinstance(value, list)
    return [one for one in value if isinstance(one, dict)]
