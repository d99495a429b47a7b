"""Every problem of a definition at once, each with a path and a hint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from headrace.errors import InvalidDefinition, Problem
from headrace.graph.definition import Definition, Node
from headrace.graph.edges import On
from headrace.graph.expressions import check
from headrace.graph.join import Losers, Rule
from headrace.graph.plan import own_config, topological_order
from headrace.graph.template import references

_EARLY = (Rule.ANY_SUCCESS, Rule.ANY_FAILED, Rule.QUORUM)


class NodeRules(Protocol):
    """What validation must know of node types."""

    def problems(self, node: Node) -> Iterable[Problem]:
        """Unknown type or bad config; paths are relative to the node."""
        ...

    def branches(self, node: Node) -> tuple[str, ...] | None:
        """The labels its out-edges may carry; None when that cannot be said, as of a bad config."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest graph that is accepted."""

    nodes: int = 20_000
    edges: int = 100_000


def validate(definition: Definition, rules: NodeRules, limits: Limits = Limits()) -> list[Problem]:
    """All problems of a definition; an empty list when it can be run."""
    problems = list(_sizes(definition, limits))
    if problems:
        return problems
    graph = _Graph(definition)
    checks = (
        _duplicates(definition),
        _node_problems(definition, rules),
        _dangling(graph),
        _cycle(graph),
        _labels(graph, rules),
        _conditions(definition),
        _joins(graph),
        _finals(graph),
        _compensations(graph),
        _references(graph),
    )
    return [problem for found in checks for problem in found]


def require_valid(definition: Definition, rules: NodeRules, limits: Limits = Limits()) -> None:
    """Raises InvalidDefinition that lists every problem."""
    problems = validate(definition, rules, limits)
    if problems:
        raise InvalidDefinition(problems=problems)


class _Graph:
    """A definition with its lookups; edges whose ends exist."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.nodes: Mapping[str, Node] = {node.id: node for node in definition.nodes}
        self.order = topological_order(definition)
        self.edges = [
            (number, edge)
            for number, edge in enumerate(definition.edges)
            if edge.source in self.nodes and edge.target in self.nodes
        ]
        self.parents: dict[str, list[str]] = {name: [] for name in self.nodes}
        for edge in definition.distinct_edges():
            if edge.source in self.nodes and edge.target in self.nodes:
                self.parents[edge.target].append(edge.source)


def _sizes(definition: Definition, limits: Limits) -> Iterator[Problem]:
    if not definition.nodes:
        yield Problem("nodes", "a workflow needs at least one node")
    for name, count, limit in (
        ("nodes", len(definition.nodes), limits.nodes),
        ("edges", len(definition.edges), limits.edges),
    ):
        if count > limit:
            yield Problem(
                name, f"{count} {name} are more than the limit of {limit}", "split it into several workflows"
            )


def _duplicates(definition: Definition) -> Iterator[Problem]:
    counts = Counter(node.id for node in definition.nodes)
    for number, node in enumerate(definition.nodes):
        if counts[node.id] > 1:
            yield Problem(f"nodes[{number}].id", f"the id '{node.id}' is used by {counts[node.id]} nodes")


def _node_problems(definition: Definition, rules: NodeRules) -> Iterator[Problem]:
    for number, node in enumerate(definition.nodes):
        for problem in rules.problems(node):
            yield Problem(f"nodes[{number}].{problem.path}", problem.message, problem.hint)


def _dangling(graph: _Graph) -> Iterator[Problem]:
    for number, edge in enumerate(graph.definition.edges):
        for end, name in (("source", edge.source), ("target", edge.target)):
            if name not in graph.nodes:
                yield Problem(f"edges[{number}].{end}", f"there is no node '{name}'")


def _cycle(graph: _Graph) -> Iterator[Problem]:
    left = graph.nodes.keys() - set(graph.order)
    if left:
        path = " -> ".join(_walk_back(graph, left))
        yield Problem(
            "edges", f"the graph has a cycle: {path}", "repeat a part of a workflow with a loop node"
        )


def _walk_back(graph: _Graph, left: set[str]) -> list[str]:
    """A cycle among nodes that no topological order has: each of them, or one before it, lies on one."""
    name = next(name for name in graph.nodes if name in left)
    seen: dict[str, None] = {}
    while name not in seen:
        seen[name] = None
        name = next(parent for parent in graph.parents[name] if parent in left)
    names = list(seen)
    return [name, *reversed(names[names.index(name) + 1 :]), name]


def _labels(graph: _Graph, rules: NodeRules) -> Iterator[Problem]:
    branching = {edge.source for _, edge in graph.edges if edge.branch}
    labels = {name: rules.branches(graph.nodes[name]) for name in branching}
    for number, edge in graph.edges:
        branches = labels.get(edge.source)
        if edge.branch and branches is not None and edge.branch not in branches:
            known = ", ".join(branches) or "none"
            yield Problem(
                f"edges[{number}].branch",
                f"node '{edge.source}' has no branch '{edge.branch}'",
                f"known: {known}",
            )


def _conditions(definition: Definition) -> Iterator[Problem]:
    for number, edge in enumerate(definition.edges):
        if edge.branch and edge.on is not On.SUCCESS:
            yield Problem(f"edges[{number}].branch", f"an edge on {edge.on} follows no branch")
        if edge.when is None:
            continue
        if edge.on is On.ALWAYS:
            yield Problem(f"edges[{number}].when", "an edge on always is taken without a condition")
        for operator in check(edge.when):
            yield Problem(f"edges[{number}].when", f"unknown operator '{operator}'")


def _joins(graph: _Graph) -> Iterator[Problem]:
    for number, node in enumerate(graph.definition.nodes):
        join, degree = node.join_rule(), len(graph.parents[node.id])
        if join.rule is Rule.QUORUM and not 1 <= join.quorum <= degree:
            yield Problem(
                f"nodes[{number}].join",
                f"a quorum of {join.quorum} does not fit {degree} incoming edges",
                "it must be at least 1 and at most their number",
            )
        if join.losers is Losers.CANCEL and join.rule not in _EARLY:
            yield Problem(f"nodes[{number}].join.onLosers", f"join '{join}' waits for all: it has no losers")


def _finals(graph: _Graph) -> Iterator[Problem]:
    if all(node.is_final for node in graph.definition.nodes):
        yield Problem("nodes", "a workflow needs a node that is not `finally`")
    for number, edge in graph.edges:
        if _is_final(graph, edge.source) != _is_final(graph, edge.target):
            yield Problem(f"edges[{number}]", "an edge joins `finally` nodes only to each other")


def _compensations(graph: _Graph) -> Iterator[Problem]:
    targets = Counter(node.compensate_with for node in graph.definition.nodes if node.compensate_with)
    joined = {name for _, edge in graph.edges for name in (edge.source, edge.target)}
    for number, node in enumerate(graph.definition.nodes):
        path, name = f"nodes[{number}].compensateWith", node.compensate_with
        if name is None:
            continue
        if name not in graph.nodes:
            yield Problem(path, f"there is no node '{name}'")
        elif name in joined or graph.nodes[name].is_final or graph.nodes[name].compensate_with:
            yield Problem(
                path, f"node '{name}' cannot undo another", "it has no edges and no role of its own"
            )
        elif targets[name] > 1 or name == node.id or node.is_final:
            yield Problem(path, f"node '{name}' can undo one node only, which is not `finally`")


def _is_final(graph: _Graph, name: str) -> bool:
    return graph.nodes[name].is_final


def _references(graph: _Graph) -> Iterator[Problem]:
    named = [references(own_config(node)) for node in graph.definition.nodes]
    bits = {name: 1 << place for place, name in enumerate(graph.nodes.keys() & frozenset().union(*named))}
    allowed = _referable(graph, bits)
    for number, node in enumerate(graph.definition.nodes):
        for name in sorted(named[number]):
            if not bits.get(name, 0) & allowed[node.id]:
                yield Problem(
                    f"nodes[{number}].config",
                    f"'nodes.{name}' is no ancestor of node '{node.id}'",
                    "only nodes before this one can be referred to",
                )
    for name in sorted(references(graph.definition.outputs) - graph.nodes.keys()):
        yield Problem("outputs", f"there is no node '{name}'")


def _referable(graph: _Graph, bits: Mapping[str, int]) -> dict[str, int]:
    """What each node may refer to, as bits: one pass over the edges, however many nodes are named.

    Of nodes on or behind a cycle, which is a problem of its own, this cannot be said: all is allowed.
    """
    before_finals = sum(bit for name, bit in bits.items() if not _is_final(graph, name))
    allowed = dict.fromkeys(graph.nodes, -1)
    for name in graph.order:
        seen = before_finals if _is_final(graph, name) else 0
        for parent in graph.parents[name]:
            seen |= allowed[parent] | bits.get(parent, 0)
        allowed[name] = seen
    return allowed
