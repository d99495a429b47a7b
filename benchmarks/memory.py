"""What Redis still holds once the results of finished jobs have expired."""

from __future__ import annotations

import asyncio
import time

from redis import Redis

from benchmarks import servers
from benchmarks.options import Options
from benchmarks.ours.client import client
from benchmarks.ours.fleet import fleet
from benchmarks.ours.run import measure
from benchmarks.processes import say
from benchmarks.sample import Figures
from benchmarks.servers import Servers
from benchmarks.shapes import S4, SHAPES

IDLE_AGAIN = 1.1

# Results live for 60 s, and RQ's registries are cleaned once a minute.
_LONGEST_SECONDS = 135.0
_LOOK_SECONDS = 2.0
_MB = 1_048_576


async def run_memory(options: Options, where: Servers, figures: Figures) -> None:
    """Adds Redis's used memory with idle workers, after S4, and idle again or after 135 s."""
    if not options.wants("memory") or options.quick:
        return
    url = await where.new_database()
    with Redis.from_url(where.redis_url) as redis:
        redis.flushall()
        async with (
            client(url, where.redis(servers.OURS_IN_REDIS)) as ours,
            fleet(ours, where.folder) as workers,
        ):
            await workers.start(options.processes)
            idle = _used(redis)
            sample, _ = await measure(workers, SHAPES[S4])
            if sample.wrong:
                figures.wrong["memory", "Redis"] = sample.wrong
                return
            loaded = _used(redis)
            began = time.monotonic()
            while (left := _used(redis)) > idle * IDLE_AGAIN and time.monotonic() - began < _LONGEST_SECONDS:
                await asyncio.sleep(_LOOK_SECONDS)
            took = time.monotonic() - began
    for what, value in (("idle", idle), ("loaded", loaded), ("after", left)):
        figures.add(f"memory Redis {what} MB", "Redis", value / _MB)
    figures.add("memory Redis idle again after s", "Redis", took)
    say(
        f"  Redis holds {idle / _MB:.2f} MB idle, {loaded / _MB:.2f} after S4,"
        f" {left / _MB:.2f} {took:.0f} s later"
    )


def _used(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])
