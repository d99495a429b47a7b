"""Buffers that PostgreSQL touched for a run, over its nodes: work that no noise of the machine can hide."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from benchmarks import servers
from benchmarks.graphs import Graph
from benchmarks.ours import check
from benchmarks.ours.client import client
from benchmarks.ours.fleet import fleet
from benchmarks.processes import TooSlow
from benchmarks.servers import Servers

_LEFT_SECONDS = 15.0
_RUN_SECONDS = 120.0
_LOOK_SECONDS = 0.05

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
_TOUCHED = "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = $1"
_CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
_ACTIVE = "SELECT 1 FROM workflow_runs WHERE workflow_id = $1 AND finished_at IS NULL LIMIT 1"


async def without_autovacuum(where: Servers) -> str:
    """A new database's URL. Vacuum's buffers would count, whenever it comes."""
    url = await where.new_database()
    connection = await asyncpg.connect(url)
    try:
        for row in await connection.fetch(_TABLES):
            await connection.execute(f"ALTER TABLE {row['tablename']} SET (autovacuum_enabled = off)")
    finally:
        await connection.close()
    return url


async def buffers_a_node(where: Servers, url: str, graph: Graph) -> float:
    """Buffers of one run, from its start to its end, over the graph's nodes.

    Sessions report what they touched when they end, so this compares two whole lives of a worker: the one
    with more runs touched more. Raises TooSlow, also for a wrong run.
    """
    few, many = (3, 23) if graph.size < 1_000 else (1, 3)
    touched = [await _touched_by(where, url, graph, count) for count in (few, many)]
    return (touched[1] - touched[0]) / ((many - few) * graph.size)


async def _touched_by(where: Servers, url: str, graph: Graph, runs: int) -> int:
    before = await _touched(where, url)
    started = []
    async with (
        client(url, where.redis(servers.OURS_IN_REDIS)) as ours,
        fleet(ours, where.folder) as workers,
    ):
        await workers.start(1)
        workflow = await ours.save(graph.document("buffers"))
        for _ in range(runs):
            started += await ours.start(workflow)
            await _until_ended(ours.look, workflow)
    touched = await _touched(where, url) - before
    await _check(url, graph, started)
    return touched


async def _check(url: str, graph: Graph, runs: Sequence[UUID]) -> None:
    look = await asyncpg.connect(url)
    try:
        wrong = await check.wrongs(look, graph, runs)
    finally:
        await look.close()
    if wrong:
        raise TooSlow(wrong)


async def _until_ended(look: asyncpg.Connection, workflow: UUID) -> None:
    """As `Client.until_ended`, with few looks: they touch buffers too."""
    deadline = time.monotonic() + _RUN_SECONDS
    while await look.fetchval(_ACTIVE, workflow):
        if time.monotonic() > deadline:
            raise TooSlow(f"a run has not ended within {_RUN_SECONDS:g} s")
        await asyncio.sleep(_LOOK_SECONDS)


async def _touched(where: Servers, url: str) -> int:
    """Buffers touched in a database so far, once nobody is connected to it any more. Raises TooSlow."""
    name = urlsplit(url).path.lstrip("/")
    connection = await asyncpg.connect(where.admin_url)
    try:
        deadline = time.monotonic() + _LEFT_SECONDS
        while await connection.fetchval(_CONNECTED, name):
            if time.monotonic() > deadline:
                raise TooSlow(f"sessions of {name} do not end")
            await asyncio.sleep(_LOOK_SECONDS)
        touched: int = await connection.fetchval(_TOUCHED, name)
        return touched
    finally:
        await connection.close()
