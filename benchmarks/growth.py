"""How speed changes with the size of a graph: work a node must not depend on it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from benchmarks import servers
from benchmarks.graphs import Graph, chain, fan, tangle
from benchmarks.http import connection
from benchmarks.options import Options
from benchmarks.ours.api import api
from benchmarks.ours.client import client
from benchmarks.ours.fleet import Fleet, fleet
from benchmarks.ours.run import NODES, run_graph
from benchmarks.processes import peak_mb, say
from benchmarks.sample import OURS, Figures
from benchmarks.servers import Servers

KINDS: dict[str, Callable[[int], Graph]] = {"chain": chain, "fan": fan, "random": tangle}
SIZES = (10, 100, 1_000, 10_000)
LARGEST = SIZES[-1]

_REPEATS = dict(zip(SIZES, (30, 7, 3, 1), strict=True))


async def run_growth(options: Options, where: Servers, figures: Figures) -> None:
    """Adds nodes/s for every kind and size, after a warm-up, and how long the largest took to be accepted."""
    if not options.wants("growth"):
        return
    sizes = [size for size in _REPEATS if not options.quick or size < LARGEST]
    url = await where.new_database()
    async with (
        client(url, where.redis(servers.OURS_IN_REDIS)) as ours,
        fleet(ours, where.folder) as workers,
    ):
        await workers.start(options.processes)
        for who in NODES:
            for kind, make in KINDS.items():
                for size in sizes:
                    await _measure(Subject(who, kind, make(size)), workers, where.folder, figures)
        largest = max(map(peak_mb, workers.processes.pids))
        figures.add("memory after growth MB", OURS, largest)


@dataclass(frozen=True)
class Subject:
    """A graph of a kind, and of whose nodes."""

    who: str
    kind: str
    graph: Graph

    @property
    def key(self) -> str:
        return f"growth {self.kind} {self.graph.size}"


async def _measure(subject: Subject, workers: Fleet, folder: Path, figures: Figures) -> None:
    who, graph = subject.who, subject.graph
    workflow = await _accept(subject, workers, folder, figures)
    rates, starts = [], []
    for _ in range(1 + _REPEATS[graph.size]):
        course = await run_graph(workers, graph, workflow)
        if course.wrong:
            figures.wrong[subject.key.replace(" ", "-"), who] = course.wrong
            say(f"  {who:19} {subject.key} WRONG: {course.wrong}")
            return
        rates.append(graph.size / course.busy_seconds)
        starts.append(course.start_seconds)
    rate = statistics.median(rates[1:])
    figures.add(f"{subject.key} nodes/s", who, rate)
    figures.add(f"{subject.key} start s", who, statistics.median(starts[1:]))
    say(f"  {who:19} {subject.kind} of {graph.size}: {rate:.0f} nodes/s")


async def _accept(subject: Subject, workers: Fleet, folder: Path, figures: Figures) -> UUID:
    """Saves the graph; the largest ones through HTTP, against the clock."""
    kind, graph = subject.kind, subject.graph
    document = graph.document(f"{kind} {graph.size}", NODES[subject.who])
    if graph.size < LARGEST:
        return await workers.client.save(document)
    async with api(workers.client, folder) as port, connection(port) as one:
        began = time.monotonic()
        status, answer = await one.ask("POST", "/workflows", document)
        took = time.monotonic() - began
    assert status == 201, answer
    assert isinstance(answer, dict)
    figures.add(f"growth {kind} accepted s", subject.who, took)
    say(f"  {subject.who:19} {kind} of {graph.size} accepted in {took:.2f} s")
    return UUID(str(answer["id"]))
