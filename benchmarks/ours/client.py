"""Starts runs as the API does, and waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from redis import Redis

from benchmarks.processes import TooSlow
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.graph.json_types import JsonValue
from headrace.nodes.builtin import builtin
from headrace.queues.broker import Broker
from headrace.queues.connection import connect
from headrace.store.db import Database

RUN_INPUT: JsonValue = {"from": "the benchmark"}

_STARTERS = 8
_LOOK_SECONDS = 0.002
_ACTIVE = "SELECT count(*) FROM workflow_runs WHERE workflow_id = $1 AND finished_at IS NULL"
_BUSY = """
SELECT extract(epoch FROM max(r.finished_at) - (
  SELECT min(started_at) FROM workflow_tasks WHERE run_id = ANY($1::uuid[])
))::float8 FROM workflow_runs r WHERE r.id = ANY($1::uuid[])
"""


@dataclass
class Client:
    """Of one database and one Redis database. look: a connection of its own, for checks."""

    engine: Engine
    broker: Broker
    redis: Redis
    look: asyncpg.Connection
    database_url: str
    redis_url: str

    async def save(self, document: JsonValue) -> UUID:
        return await create_workflow(self.engine, document)

    async def start(self, workflow_id: UUID, count: int = 1) -> list[UUID]:
        """Starts runs, up to eight at a time; returns once their first jobs are in Redis."""
        left = iter(range(count))
        runs: list[UUID] = []

        async def some() -> None:
            for _ in left:
                started = await start_run(self.engine, StartRequest(workflow_id, RUN_INPUT))
                await self.broker.push_async(started.dispatches)
                runs.append(started.run_id)

        await asyncio.gather(*(some() for _ in range(min(_STARTERS, count))))
        return runs

    async def until_ended(self, workflow_id: UUID, seconds: float) -> float:
        """Waits for all runs of a workflow; returns the moment on the monotonic clock. Raises TooSlow."""
        deadline = time.monotonic() + seconds
        while active := await self.look.fetchval(_ACTIVE, workflow_id):
            if time.monotonic() > deadline:
                raise TooSlow(f"{active} runs have not ended within {seconds:g} s")
            await asyncio.sleep(_LOOK_SECONDS)
        return time.monotonic()

    async def busy_seconds(self, runs: Sequence[UUID]) -> float:
        """From the first node's start to the last run's end, on the database's clock."""
        seconds: float = await self.look.fetchval(_BUSY, runs)
        return seconds

    async def starts_of(self, run_id: UUID) -> Sequence[float]:
        """When the nodes of a run started: seconds on the database's clock, in order."""
        rows = await self.look.fetch(
            "SELECT extract(epoch FROM started_at)::float8 AS at FROM workflow_tasks"
            " WHERE run_id = $1 ORDER BY started_at",
            run_id,
        )
        return [row["at"] for row in rows]


@asynccontextmanager
async def client(database_url: str, redis_url: str) -> AsyncIterator[Client]:
    """Opens a client, on a Redis database that is emptied first."""
    db, redis = Database(database_url), connect(redis_url)
    redis.flushdb()
    look = await asyncpg.connect(database_url)
    try:
        yield Client(Engine.over(db, builtin()), Broker(redis), redis, look, database_url, redis_url)
    finally:
        await look.close()
        await db.close()
        redis.close()
