"""What really ran: checked, and turned into hops. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.graphs import Graph

MAX_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Span:
    """One execution of one node of one run; start and end in seconds on one clock."""

    run: int
    node: int
    start: float
    end: float


def wrongs(graph: Graph, runs: int, spans: Sequence[Span]) -> str:
    """What is wrong with the executions; '' when each node ran once, and after all of its parents."""
    times = Counter((span.run, span.node) for span in spans)
    expected = {(run, node) for run in range(runs) for node in range(graph.size)}
    missing, twice = expected - times.keys(), [key for key, count in times.items() if count > 1]
    if missing:
        return f"{len(missing)} of {len(expected)} nodes never ran, such as {sorted(missing)[:MAX_SHOWN]}"
    if twice:
        return f"{len(twice)} nodes ran more than once, such as {sorted(twice)[:MAX_SHOWN]}"
    if times.keys() != expected:
        return "nodes ran that nobody asked for"
    return _too_early(graph, spans)


def _too_early(graph: Graph, spans: Sequence[Span]) -> str:
    ends = {(span.run, span.node): span.end for span in spans}
    early = [
        (span.run, span.node)
        for span in spans
        if any(span.start < ends[span.run, parent] for parent in graph.parents[span.node])
    ]
    if not early:
        return ""
    return f"{len(early)} nodes ran before one of their parents ended, such as {sorted(early)[:MAX_SHOWN]}"


def hops(spans: Sequence[Span]) -> list[float]:
    """Of one run of a chain: milliseconds from the start of each node to the start of the next."""
    starts = sorted(span.start for span in spans)
    return [(after - before) * 1_000 for before, after in pairwise(starts)]
