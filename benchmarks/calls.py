"""S5: 1 to 50 HTTP calls of 200 ms to 1, on two worker processes with default settings."""

from __future__ import annotations

from benchmarks import servers
from benchmarks.graphs import Graph, layered
from benchmarks.http import LateServer, late_server
from benchmarks.options import Options
from benchmarks.ours.client import client
from benchmarks.ours.fleet import Fleet, fleet
from benchmarks.ours.run import run_graph
from benchmarks.processes import TooSlow, say
from benchmarks.sample import OURS, Figures, Sample
from benchmarks.servers import Servers
from headrace.graph.json_types import JsonObject

CALLS = 50
DELAY = 0.2
PROCESSES = 2


async def run_calls(options: Options, where: Servers, figures: Figures) -> None:
    """Adds S5's seconds, one value a round."""
    if not options.wants("S5"):
        return
    url = await where.new_database()
    async with (
        late_server(DELAY) as late,
        client(url, where.redis(servers.OURS_IN_REDIS)) as ours,
        fleet(ours, where.folder, {"HEADRACE_HTTP_ALLOW": "127.0.0.1"}) as workers,
    ):
        await workers.start(PROCESSES)
        await _warm_up(workers, late)
        for _ in range(options.rounds):
            sample = await _measure(workers, late)
            figures.take(sample)
            say(f"  {OURS:16} S5  {sample.seconds:8.3f} s  {sample.wrong and 'WRONG: ' + sample.wrong}")


async def _warm_up(workers: Fleet, late: LateServer) -> None:
    late.delay = 0.01
    await _measure(workers, late)
    late.delay = DELAY


async def _measure(workers: Fleet, late: LateServer) -> Sample:
    graph = layered((1, CALLS, 1))
    late.calls.clear()
    workflow = await workers.client.save(_document(graph, late.port))
    try:
        course = await run_graph(workers, graph, workflow)
    except TooSlow as error:
        return Sample(OURS, "S5", graph.size, 0, wrong=str(error))
    wrong = course.wrong or _wrong_calls(late)
    return Sample(OURS, "S5", graph.size, course.seconds, wrong=wrong)


def _document(graph: Graph, port: int) -> JsonObject:
    """The middle layer calls; its configuration is the node type's default but for the address."""
    document = graph.document("S5")
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    for number in range(1, 1 + CALLS):
        nodes[number] = {
            "id": f"n{number}",
            "type": "apiCall",
            "name": f"n{number}",
            "config": {"url": f"http://127.0.0.1:{port}/{number}"},
        }
    return document


def _wrong_calls(late: LateServer) -> str:
    expected = {str(number): 1 for number in range(1, 1 + CALLS)}
    return (
        "" if late.calls == expected else f"{late.calls.total()} calls of {len(late.calls)} paths were made"
    )
