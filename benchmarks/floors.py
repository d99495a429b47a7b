"""What the machine and the servers can do at best, measured in the same run."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable

import asyncpg
from redis.asyncio import Redis

from benchmarks.floor_postgres import find_pgbench, postgres_floors
from benchmarks.floor_redis import find_redis_benchmark, redis_floors
from benchmarks.options import Options
from benchmarks.processes import say
from benchmarks.sample import Figures, Floor, quantile
from benchmarks.servers import Servers

_TIMES = 300
_QUICK_SECONDS, _QUICK_DIVISOR = 1.0, 10


async def run_floors(options: Options, where: Servers, figures: Figures) -> None:
    """Adds what the servers do for our own clients, and for their own benchmark programs where those are.

    Ours are p50s in ms: a one-row commit, a select, a Redis PING and an fdatasync.
    """
    url = await where.new_database(migrated=False)
    await _for_our_clients(url, where.redis_url, figures)
    figures.add("floor fdatasync p50 ms", "disk", _fdatasync_p50())
    quick = {"seconds": _QUICK_SECONDS} if options.quick else {}
    for one in await postgres_floors(await where.new_database(migrated=False), find_pgbench(), **quick):
        _take(one, figures)
    program, divisor = find_redis_benchmark(), _QUICK_DIVISOR if options.quick else 1
    for one in await asyncio.to_thread(redis_floors, where.redis_url, program, divisor):
        _take(one, figures)


def _take(floor: Floor, figures: Figures) -> None:
    figures.floors.append(floor)
    say(f"  {floor.title}: mean {floor.mean_ms:.3f} ms, {floor.rate:,.0f}/s")


async def _for_our_clients(url: str, redis_url: str, figures: Figures) -> None:
    database = await asyncpg.connect(url)
    redis = Redis.from_url(redis_url)
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
