"""What the machine and the servers can do at best, measured in the same run."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Awaitable, Callable

import asyncpg
from redis.asyncio import Redis

from benchmarks.processes import say
from benchmarks.sample import Figures, quantile
from benchmarks.servers import Servers

_TIMES = 300


async def run_floors(where: Servers, figures: Figures) -> None:
    """Adds the p50 of a one-row commit, a select, a Redis PING and an fdatasync, in ms."""
    url = await where.new_database(migrated=False)
    database = await asyncpg.connect(url)
    redis = Redis.from_url(where.redis_url)
    try:
        await database.execute(
            "CREATE TABLE floor (id int PRIMARY KEY, value int); INSERT INTO floor VALUES (1, 0)"
        )
        await _add(
            figures, "commit", "PostgreSQL", lambda: database.execute("UPDATE floor SET value = value + 1")
        )
        await _add(figures, "select", "PostgreSQL", lambda: database.fetchval("SELECT value FROM floor"))
        await _add(figures, "ping", "Redis", redis.ping)
    finally:
        await database.close()
        await redis.aclose()
    figures.add("floor fdatasync p50 ms", "disk", _fdatasync_p50())


async def _add(figures: Figures, what: str, who: str, call: Callable[[], Awaitable[object]]) -> None:
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        await call()
        times.append((time.perf_counter() - began) * 1_000)
    figures.add(f"floor {what} p50 ms", who, quantile(times, 0.5))
    say(f"  {who:16} {what} p50 {quantile(times, 0.5):.3f} ms")


def _fdatasync_p50() -> float:
    # Where there is no fdatasync (macOS), fsync is what databases use too.
    sync = getattr(os, "fdatasync", os.fsync)
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(_TIMES // 3):
            file.write(b"x" * 512)
            file.flush()
            began = time.perf_counter()
            sync(file.fileno())
            times.append((time.perf_counter() - began) * 1_000)
    return quantile(times, 0.5)
