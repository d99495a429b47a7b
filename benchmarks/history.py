"""A database with 1,000,000 finished tasks beside an empty one: speed, and buffers touched a completion."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from benchmarks import servers
from benchmarks.buffers import buffers_a_node, without_autovacuum
from benchmarks.graphs import Graph, fan
from benchmarks.growth import KINDS, LARGEST
from benchmarks.options import Options
from benchmarks.ours.client import client
from benchmarks.ours.fleet import Fleet, fleet
from benchmarks.ours.run import run_graph
from benchmarks.processes import TooSlow, say
from benchmarks.sample import OURS, Figures
from benchmarks.servers import Servers

SMALL = 100
SIZES = (SMALL, LARGEST)
OLD_RUNS = 10_000
OLD_SIZE = 100

_REPEATS = {SMALL: 10, LARGEST: 1}

_COLUMNS = """
SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
WHERE table_name = $1 AND table_schema = 'public' AND column_name <> $2 AND is_identity = 'NO'
"""
_KEYS = {"workflow_runs": "id", "workflow_tasks": "run_id", "workflow_events": "run_id"}


async def run_history(options: Options, where: Servers, figures: Figures) -> None:
    """Adds nodes/s and buffers a completion for every kind of graph, in an empty database and a full one."""
    if not options.wants("growth") or options.quick:
        return
    full = await without_autovacuum(where)
    await _fill(where, full, OLD_RUNS)
    for _ in range(options.rounds):
        # A round leaves 60,000 tasks behind, so that each has an empty one of its own.
        for name, url in (("empty", await without_autovacuum(where)), ("full", full)):
            await _counting(name, figures, _speed(options, where, url, name, figures))
    for size in SIZES:
        for name, url in (("empty", await without_autovacuum(where)), ("full", full)):
            await _counting(name, figures, _buffers(where, url, name, size, figures))


async def _counting(name: str, figures: Figures, part: Awaitable[None]) -> None:
    """One wrong run spoils all figures of its kind of database."""
    try:
        await part
    except TooSlow as error:
        figures.wrong[name, OURS] = str(error)
        say(f"  {OURS:16} {name} database: WRONG: {error}")


async def _speed(options: Options, where: Servers, url: str, name: str, figures: Figures) -> None:
    async with _workers(where, url, options.processes) as workers:
        for size in SIZES:
            for kind, make in KINDS.items():
                rate = statistics.median(await _rates(workers, make(size)))
                figures.add(f"{name} {kind} {size} nodes/s", OURS, rate)
                say(f"  {OURS:16} {name} database, {kind} of {size}: {rate:.0f} nodes/s")


async def _buffers(where: Servers, url: str, name: str, size: int, figures: Figures) -> None:
    for kind, make in KINDS.items():
        buffers = await buffers_a_node(where, url, make(size))
        figures.add(f"{name} {kind} {size} buffers", OURS, buffers)
        say(f"  {OURS:16} {name} database, {kind} of {size}: {buffers:.1f} buffers a completion")


async def _rates(workers: Fleet, graph: Graph) -> list[float]:
    """Nodes/s of some runs, one after the other, after a warm-up. Raises TooSlow also for a wrong run."""
    workflow = await workers.client.save(graph.document("history"))
    rates = []
    for _ in range(1 + _REPEATS[graph.size]):
        course = await run_graph(workers, graph, workflow)
        if course.wrong:
            raise TooSlow(course.wrong)
        rates.append(graph.size / course.busy_seconds)
    return rates[1:]


@asynccontextmanager
async def _workers(where: Servers, url: str, count: int) -> AsyncIterator[Fleet]:
    async with (
        client(url, where.redis(servers.OURS_IN_REDIS)) as ours,
        fleet(ours, where.folder) as workers,
    ):
        await workers.start(count)
        yield workers


async def _fill(where: Servers, url: str, runs: int) -> None:
    """Makes old runs of 100 finished tasks each, with their events: copies of one that really ran."""
    async with _workers(where, url, 1) as workers:
        workflow = await workers.client.save(fan(OLD_SIZE).document("old"))
        course = await run_graph(workers, fan(OLD_SIZE), workflow)
    began = time.monotonic()
    connection = await asyncpg.connect(url)
    try:
        await _copy(connection, course.runs[0], runs)
    finally:
        await connection.close()
    say(f"  filled with {runs * OLD_SIZE:,} finished tasks in {time.monotonic() - began:.0f} s")


async def _copy(connection: asyncpg.Connection, original: UUID, runs: int) -> None:
    # Copies of sound rows need no foreign keys checked; ids of version 7 sort by time, and these are old.
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(
        "CREATE TEMP TABLE old_runs AS SELECT uuidv7(make_interval(days => -30, secs => n)) AS new_id"
        f" FROM generate_series(1, {runs}) n"
    )
    for table, key in _KEYS.items():
        columns = await connection.fetchval(_COLUMNS, table, key)
        await connection.execute(
            f"INSERT INTO {table} ({key}, {columns}) SELECT new_id, {columns}"
            f" FROM old_runs CROSS JOIN {table} WHERE {key} = '{original}' ORDER BY new_id"
        )
    await connection.execute("VACUUM ANALYZE")
