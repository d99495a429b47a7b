"""The graphs that are run. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from headrace.graph.json_types import JsonObject

_MOST_PARENTS = 3

NOTHING: JsonObject = {"type": "noop", "config": {}}
"""A node that does nothing."""


@dataclass(frozen=True)
class Graph:
    """Nodes 0 to size - 1 and edges from a lower to a higher number."""

    size: int
    edges: tuple[tuple[int, int], ...]

    @cached_property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """Each node's parents, in the order of the edges."""
        found: list[list[int]] = [[] for _ in range(self.size)]
        for source, target in self.edges:
            found[target].append(source)
        return tuple(map(tuple, found))

    def document(self, name: str, node: JsonObject = NOTHING) -> JsonObject:
        """A workflow definition, all of whose nodes are of one kind. node: their type and config."""
        return {
            "name": name,
            "nodes": [{"id": f"n{number}", "name": f"n{number}", **node} for number in range(self.size)],
            "edges": [{"source": f"n{source}", "target": f"n{target}"} for source, target in self.edges],
        }


def layered(widths: Sequence[int]) -> Graph:
    """Layers of nodes, each node of one joined to each node of the next."""
    edges: list[tuple[int, int]] = []
    first = 0
    for width, following in pairwise(widths):
        second = first + width
        edges += [
            (source, target)
            for source in range(first, second)
            for target in range(second, second + following)
        ]
        first = second
    return Graph(sum(widths), tuple(edges))


def chain(length: int) -> Graph:
    """One node after the other."""
    return layered([1] * length)


def fan(size: int) -> Graph:
    """A root, `size - 2` nodes side by side, and a join of them all."""
    return layered([1, size - 2, 1])


def tangle(size: int, seed: int = 7) -> Graph:
    """A random graph: every node but the first has one to three parents anywhere before it."""
    choice = random.Random(seed)
    edges = [
        (parent, target)
        for target in range(1, size)
        for parent in sorted(choice.sample(range(target), min(target, choice.randint(1, _MOST_PARENTS))))
    ]
    return Graph(size, tuple(edges))
