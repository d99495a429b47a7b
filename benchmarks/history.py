"""A database with 1,000,000 finished tasks beside an empty one: speed, and buffers touched a completion."""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from benchmarks import servers
from benchmarks.graphs import Graph, chain, fan
from benchmarks.options import Options
from benchmarks.ours.client import Client, TooSlow, client
from benchmarks.ours.fleet import Fleet, fleet
from benchmarks.ours.run import run_graph
from benchmarks.processes import say
from benchmarks.sample import OURS, Figures
from benchmarks.servers import Servers

GRAPHS = {"chain": chain(100), "fan": fan(100)}
OLD_RUNS = 10_000

_REPEATS = 10
_FEW, _MANY = 3, 23
_LEFT_SECONDS = 10.0

_COLUMNS = """
SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
WHERE table_name = $1 AND table_schema = 'public' AND column_name <> $2 AND is_identity = 'NO'
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
_TOUCHED = "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = $1"
_CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"


async def run_history(options: Options, where: Servers, figures: Figures) -> None:
    """Adds nodes/s and buffers a completion for chain and fan, in an empty database and in a full one."""
    if not options.wants("growth") or options.quick:
        return
    for name, runs in (("empty", 0), ("full", OLD_RUNS)):
        url = await where.new_database()
        await _no_autovacuum(url)
        if runs:
            await _fill(where, url, runs)
        await _speed(options, where, url, name, figures)
        for kind, graph in GRAPHS.items():
            buffers = await _buffers(where, url, graph)
            figures.add(f"{name} {kind} 100 buffers", OURS, buffers)
            say(f"  {OURS:16} {name} database, {kind} of 100: {buffers:.1f} buffers a completion")


async def _speed(options: Options, where: Servers, url: str, name: str, figures: Figures) -> None:
    async with AsyncExitStack() as stack:
        workers = await _enter(stack, where, url, options.processes)
        for kind, graph in GRAPHS.items():
            rates = await _rates(workers, graph, _REPEATS)
            figures.add(f"{name} {kind} 100 nodes/s", OURS, statistics.median(rates[1:]))
            say(f"  {OURS:16} {name} database, {kind} of 100: {statistics.median(rates[1:]):.0f} nodes/s")


async def _enter(stack: AsyncExitStack, where: Servers, url: str, processes: int) -> Fleet:
    ours = await stack.enter_async_context(client(url, where.redis(servers.OURS_IN_REDIS)))
    workers = await stack.enter_async_context(fleet(ours, where.folder))
    await workers.start(processes)
    return workers


async def _rates(workers: Fleet, graph: Graph, count: int) -> list[float]:
    """Nodes/s of each of some runs, one after the other. Raises TooSlow also for a wrong run."""
    workflow = await workers.client.save(graph.document("history"))
    rates = []
    for _ in range(count):
        course = await run_graph(workers, graph, workflow)
        if course.wrong:
            raise TooSlow(course.wrong)
        rates.append(graph.size / course.busy_seconds)
    return rates


async def _buffers(where: Servers, url: str, graph: Graph) -> float:
    """Buffers that a run touched, over its nodes; its start is part of it, our own looking around is not.

    Sessions report what they touched when they end, so this compares two whole lives of a worker: the one
    with more runs touched more.
    """
    few, many = [await _touched_by(where, url, graph, count) for count in (_FEW, _MANY)]
    return (many - few) / ((_MANY - _FEW) * graph.size)


async def _touched_by(where: Servers, url: str, graph: Graph, runs: int) -> int:
    before = await _touched(where, url)
    async with AsyncExitStack() as stack:
        workers = await _enter(stack, where, url, processes=1)
        workflow = await workers.client.save(graph.document("history"))
        for _ in range(runs):
            await workers.client.start(workflow)
            await _until_ended_by_redis(workers.client, workflow)
    return await _touched(where, url) - before


async def _until_ended_by_redis(ours: Client, workflow: UUID) -> None:
    """As `until_ended`, with few looks at the database whose buffers are counted."""
    while await ours.look.fetchval(
        "SELECT 1 FROM workflow_runs WHERE workflow_id = $1 AND finished_at IS NULL LIMIT 1", workflow
    ):
        await asyncio.sleep(0.05)


async def _touched(where: Servers, url: str) -> int:
    """Buffers touched in a database so far, once nobody is connected to it any more."""
    name = urlsplit(url).path.lstrip("/")
    connection = await asyncpg.connect(where.admin_url)
    try:
        deadline = time.monotonic() + _LEFT_SECONDS
        while await connection.fetchval(_CONNECTED, name):
            if time.monotonic() > deadline:
                raise TooSlow(f"sessions of {name} do not end")
            await asyncio.sleep(0.02)
        touched: int = await connection.fetchval(_TOUCHED, name)
        return touched
    finally:
        await connection.close()


async def _no_autovacuum(url: str) -> None:
    """Its buffers would count, whenever it comes."""
    connection = await asyncpg.connect(url)
    try:
        for row in await connection.fetch(_TABLES):
            await connection.execute(f"ALTER TABLE {row['tablename']} SET (autovacuum_enabled = off)")
    finally:
        await connection.close()


async def _fill(where: Servers, url: str, runs: int) -> None:
    """Makes old runs of 100 finished tasks each, with their events: copies of one that really ran."""
    async with AsyncExitStack() as stack:
        workers = await _enter(stack, where, url, processes=1)
        workflow = await workers.client.save(GRAPHS["fan"].document("old"))
        course = await run_graph(workers, GRAPHS["fan"], workflow)
    began = time.monotonic()
    connection = await asyncpg.connect(url)
    try:
        # Copies of sound rows need no foreign keys checked; ids of version 7 sort by time, and these are old.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(
            "CREATE TEMP TABLE old_runs AS SELECT uuidv7(make_interval(days => -30, secs => n)) AS new_id"
            f" FROM generate_series(1, {runs}) n"
        )
        for table, key in (
            ("workflow_runs", "id"),
            ("workflow_tasks", "run_id"),
            ("workflow_events", "run_id"),
        ):
            columns = await connection.fetchval(_COLUMNS, table, key)
            await connection.execute(
                f"INSERT INTO {table} ({key}, {columns}) SELECT new_id, {columns}"
                f" FROM old_runs CROSS JOIN {table} WHERE {key} = '{course.runs[0]}' ORDER BY new_id"
            )
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    say(f"  filled with {runs * GRAPHS['fan'].size} finished tasks in {time.monotonic() - began:.0f} s")
