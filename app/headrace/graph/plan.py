"""A definition made ready for running: positions instead of names, edges both ways, defaults resolved."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from headrace.graph.definition import Definition, Node
from headrace.graph.edges import PlanEdge
from headrace.graph.join import Join, Losers
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.retry import RetryPolicy
from headrace.graph.settings import Cache, Concurrency, OnFailure, Rate, RunConcurrency
from headrace.graph.template import references, secret_references, uses


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A node of a plan. Edges are indexes into `Plan.edges`, references positions of other nodes.

    The timeouts are seconds. is_final: it runs when all others have ended. priority: None for the run's.
    compensates: the position of the node that this one undoes, if it is there for that.
    """

    position: int
    id: str
    type: str
    name: str
    config: JsonObject
    join: Join
    retry: RetryPolicy
    attempt_timeout: float
    max_lost: int
    allow_failure: bool
    is_final: bool
    in_edges: tuple[int, ...]
    out_edges: tuple[int, ...]
    references: tuple[int, ...]
    uses_variables: bool = False
    secrets: frozenset[str] = frozenset()
    queue_timeout: float | None = None
    total_timeout: float | None = None
    priority: int | None = None
    compensates: int | None = None
    concurrency: Concurrency | None = None
    rate: Rate | None = None
    cache: Cache | None = None

    @property
    def is_main(self) -> bool:
        """Whether it runs in the run's main phase, as the graph says."""
        return not self.is_final and self.compensates is None

    @property
    def is_guarded(self) -> bool:
        """Whether somebody must look at it before it runs: a clock, a limit or the cache."""
        return (self.queue_timeout, self.total_timeout, self.concurrency, self.rate, self.cache) != (
            None,
        ) * 5


@dataclass(frozen=True)
class Plan:
    """A frozen version's graph. Positions are a stable topological order of the nodes."""

    nodes: tuple[PlanNode, ...]
    edges: tuple[PlanEdge, ...]
    on_failure: OnFailure
    outputs: JsonObject
    timeout: float | None = None
    failure_workflow: str | None = None
    priority: int = 5
    concurrency: RunConcurrency | None = None

    @cached_property
    def by_id(self) -> dict[str, PlanNode]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def roots(self) -> tuple[int, ...]:
        """Positions that start with the run."""
        return tuple(node.position for node in self.nodes if not node.in_edges and node.is_main)

    @cached_property
    def compensations(self) -> tuple[int, ...]:
        """Positions that undo others."""
        return tuple(node.position for node in self.nodes if node.compensates is not None)

    @cached_property
    def has_losers(self) -> bool:
        """Whether a join cancels those that it does not wait for."""
        return any(node.join.losers is Losers.CANCEL for node in self.nodes)

    @cached_property
    def main_size(self) -> int:
        """How many tasks must end before compensations and `finally` nodes."""
        return sum(node.is_main for node in self.nodes)

    @cached_property
    def finals(self) -> tuple[int, ...]:
        """Positions that run when all others have ended."""
        return tuple(node.position for node in self.nodes if node.is_final)

    def out(self, position: int) -> list[PlanEdge]:
        return [self.edges[index] for index in self.nodes[position].out_edges]

    def into(self, position: int) -> list[PlanEdge]:
        return [self.edges[index] for index in self.nodes[position].in_edges]

    def losers(self, join: int) -> list[int]:
        """Positions all of whose paths lead to `join`: what it need not wait for once it is met."""
        lost: list[int] = []
        waiting = [join]
        astray: dict[int, int] = {}
        while waiting:
            for edge in self.into(waiting.pop()):
                astray[edge.source] = astray.get(edge.source, len(self.nodes[edge.source].out_edges)) - 1
                if astray[edge.source] == 0:
                    lost.append(edge.source)
                    waiting.append(edge.source)
        return sorted(lost)


def make_plan(definition: Definition) -> Plan:
    """The plan of a valid definition (see `headrace.graph.validate`)."""
    names = topological_order(definition)
    at = {name: position for position, name in enumerate(names)}
    edges = tuple(_plan_edges(definition, at))
    incoming = _indexes(len(names), ((edge.target, edge.index) for edge in edges))
    outgoing = _indexes(len(names), ((edge.source, edge.index) for edge in edges))
    by_name = {node.id: node for node in definition.nodes}
    undoes = {node.compensate_with: at[node.id] for node in definition.nodes if node.compensate_with}
    nodes = tuple(
        replace(
            _plan_node(by_name[name], position, incoming[position], outgoing[position], at),
            compensates=undoes.get(name),
        )
        for position, name in enumerate(names)
    )
    return Plan(
        nodes,
        edges,
        definition.on_failure,
        definition.outputs,
        timeout=definition.timeout,
        failure_workflow=definition.failure_workflow,
        priority=int(definition.priority),
        concurrency=definition.concurrency,
    )


def topological_order(definition: Definition) -> list[str]:
    """Node ids, parents before children, otherwise as written. Nodes of a cycle are left out."""
    rank = {node.id: number for number, node in enumerate(definition.nodes)}
    targets: dict[str, list[str]] = {name: [] for name in rank}
    missing = dict.fromkeys(rank, 0)
    for edge in definition.edges:
        if edge.source in rank and edge.target in rank:
            targets[edge.source].append(edge.target)
            missing[edge.target] += 1
    ready = [rank[name] for name, count in missing.items() if count == 0]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        name = definition.nodes[heapq.heappop(ready)].id
        order.append(name)
        for target in targets[name]:
            missing[target] -= 1
            if missing[target] == 0:
                heapq.heappush(ready, rank[target])
    return order


def _plan_edges(definition: Definition, at: dict[str, int]) -> Iterator[PlanEdge]:
    slots: Counter[str] = Counter()
    for index, edge in enumerate(definition.distinct_edges()):
        yield PlanEdge(
            index=index,
            slot=slots[edge.source],
            id=edge.id,
            source=at[edge.source],
            target=at[edge.target],
            branch=edge.branch,
            on=edge.on,
            when=edge.when,
        )
        slots[edge.source] += 1


def _plan_node(
    node: Node, position: int, incoming: Sequence[int], outgoing: Sequence[int], at: dict[str, int]
) -> PlanNode:
    return PlanNode(
        position=position,
        id=node.id,
        type=node.type,
        name=node.name or node.id,
        config=node.config,
        join=node.join_rule(),
        retry=node.retry.policy(),
        attempt_timeout=node.timeouts.attempt,
        max_lost=node.max_lost,
        allow_failure=node.allow_failure,
        is_final=node.is_final,
        in_edges=tuple(incoming),
        out_edges=tuple(outgoing),
        references=tuple(sorted(at[name] for name in references(own_config(node)) if name in at)),
        uses_variables=uses(own_config(node), "vars"),
        secrets=secret_references(own_config(node)),
        queue_timeout=node.timeouts.queue,
        total_timeout=node.timeouts.total,
        priority=None if node.priority is None else int(node.priority),
        concurrency=node.concurrency,
        rate=node.rate,
        cache=node.cache,
    )


BODY = "body"
"""The key of a node's config that holds a graph of its own, as the body of a loop."""


def own_config(node: Node) -> JsonObject:
    """A node's config without its body: names in a body are the body's.

    Other types have settings of that name, too: only what could be a graph is one.
    """
    return {key: value for key, value in node.config.items() if key != BODY or not _may_be_graph(value)}


def _may_be_graph(value: JsonValue) -> bool:
    return isinstance(value, dict) and isinstance(value.get("nodes"), list)


def _indexes(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(count)]
    for position, index in pairs:
        found[position].append(index)
    return found
