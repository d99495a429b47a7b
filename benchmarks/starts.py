"""Starts through HTTP: one API process, 16 clients at once, then one alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from uuid import UUID

from benchmarks import servers
from benchmarks.http import connection
from benchmarks.options import Options
from benchmarks.ours import check
from benchmarks.ours.api import api
from benchmarks.ours.client import RUN_INPUT, Client, client
from benchmarks.ours.fleet import fleet
from benchmarks.processes import TooSlow, say
from benchmarks.sample import OURS, Figures, quantile
from benchmarks.servers import Servers
from benchmarks.shapes import S4, SHAPES

CLIENTS = 16

_STARTS = 1_600
_STARTS_ALONE = 200
_QUICK_DIVISOR = 4
_SECONDS = 120.0


async def run_starts(options: Options, where: Servers, figures: Figures) -> None:
    """Adds starts/s of 16 clients and the p50 and p95 of one client's; no workers run meanwhile.

    They come afterwards and end the runs, which are checked.
    """
    if not options.wants("starts"):
        return
    many, alone = (count // (_QUICK_DIVISOR if options.quick else 1) for count in (_STARTS, _STARTS_ALONE))
    url = await where.new_database()
    async with client(url, where.redis(servers.OURS_IN_REDIS)) as ours:
        workflow = await ours.save(SHAPES[S4].graph.document("starts"))
        async with api(ours, where.folder) as port:
            runs = [run for run, _ in await _from_clients(port, workflow, CLIENTS, CLIENTS * 4)]
            for _ in range(options.rounds):
                runs += await _measure(port, workflow, many, alone, figures)
        async with fleet(ours, where.folder) as workers:
            await workers.start(options.processes)
            await _check(ours, workflow, runs, figures)


async def _measure(port: int, workflow: UUID, many: int, alone: int, figures: Figures) -> list[UUID]:
    began = time.monotonic()
    crowd = await _from_clients(port, workflow, CLIENTS, many)
    rate = len(crowd) / (time.monotonic() - began)
    lonely = await _from_clients(port, workflow, 1, alone)
    p50 = quantile((ms for _, ms in lonely), 0.5)
    figures.add("starts 16 clients/s", OURS, rate)
    figures.add("starts one client p50 ms", OURS, p50)
    figures.add("starts one client p95 ms", OURS, quantile((ms for _, ms in lonely), 0.95))
    say(f"  {OURS:16} starts from {CLIENTS} clients {rate:.0f}/s, one client p50 {p50:.2f} ms")
    return [run for run, _ in (*crowd, *lonely)]


async def _from_clients(port: int, workflow: UUID, clients: int, count: int) -> list[tuple[UUID, float]]:
    """Starts runs over kept-alive connections; each run's id and its milliseconds."""
    left = iter(range(count))
    found = await asyncio.gather(*(_one_client(port, workflow, left) for _ in range(clients)))
    return [one for some in found for one in some]


async def _one_client(port: int, workflow: UUID, left: Iterator[int]) -> list[tuple[UUID, float]]:
    found = []
    async with connection(port) as one:
        for _ in left:
            began = time.perf_counter()
            status, answer = await one.ask(
                "POST", f"/workflows/{workflow}/execute-async", {"input": RUN_INPUT}
            )
            took = (time.perf_counter() - began) * 1_000
            assert status == 201, answer
            assert isinstance(answer, dict)
            found.append((UUID(str(answer["runId"])), took))
    return found


async def _check(ours: Client, workflow: UUID, runs: list[UUID], figures: Figures) -> None:
    try:
        await ours.until_ended(workflow, _SECONDS)
        wrong = await check.wrongs(ours.look, SHAPES[S4].graph, runs)
    except TooSlow as error:
        wrong = str(error)
    if wrong:
        figures.wrong["starts", OURS] = wrong
