"""The shapes that everybody runs, as DESIGN names them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from benchmarks.graphs import Graph, layered

NOOP, S1, S2, S3, S4 = "S0", "S1", "S2", "S3", "S4"


@dataclass(frozen=True)
class Shape:
    """Layers of nodes, run `runs` times at once.

    drained: everything is submitted while the workers stand still, and the clock runs from their release;
    else from the submission. warm_ups: runs before the one that counts.
    """

    name: str
    title: str
    widths: tuple[int, ...]
    runs: int = 1
    drained: bool = False
    warm_ups: int = 0

    @cached_property
    def graph(self) -> Graph:
        return layered(self.widths)

    @property
    def nodes(self) -> int:
        """Of all its runs together."""
        return self.runs * sum(self.widths)

    @property
    def is_chain(self) -> bool:
        return len(self.widths) > 1 and set(self.widths) == {1}


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(NOOP, "1,500 no-op jobs without a graph", (1,), runs=1_500, drained=True, warm_ups=3),
        Shape(S1, "a chain of 50", (1,) * 50, warm_ups=3),
        Shape(S2, "1 to 100 to 1", (1, 100, 1), warm_ups=3),
        Shape(S3, "10 layers of 10, all to all", (10,) * 10, warm_ups=3),
        Shape(
            S4,
            "300 diamonds with a tail (5 nodes), drained",
            (1, 2, 1, 1),
            runs=300,
            drained=True,
            warm_ups=3,
        ),
    )
}


def smaller(shape: Shape, factor: int) -> Shape:
    """The shape with fewer runs, for slow peers and quick looks."""
    return replace(shape, runs=max(1, shape.runs // factor))
