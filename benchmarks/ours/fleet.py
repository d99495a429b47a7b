"""Our worker processes, as `headrace worker start` runs them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ours.client import Client
from benchmarks.processes import Processes, TooSlow

COMMAND = (sys.executable, "-m", "headrace_worker")

_TASKS = Path(__file__).with_name("tasks")
_READY_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_RUNNING = "SELECT count(*) FROM workflow_workers WHERE state = 'running' AND pid = ANY($1::int[])"


@dataclass
class Fleet:
    """A client, and workers that serve it."""

    client: Client
    processes: Processes

    async def start(self, count: int) -> None:
        """Starts workers and waits until both lanes of each are known to RQ. Raises TooSlow."""
        self.processes.start(COMMAND, count)
        deadline = time.monotonic() + _READY_SECONDS
        while not await self._are_ready():
            self.processes.require_alive()
            if time.monotonic() > deadline:
                raise TooSlow(f"the workers are not ready: {self.processes.log_end()}")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _are_ready(self) -> bool:
        pids = self.processes.pids
        running = await self.client.look.fetchval(_RUNNING, pids)
        return running == len(pids) and self.client.redis.scard("rq:workers") == 2 * len(pids)


@asynccontextmanager
async def fleet(
    client: Client, folder: Path, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Fleet]:
    """A fleet without workers yet, with default settings but for those given."""
    env = {
        "DATABASE_URL": client.database_url,
        "REDIS_URL": client.redis_url,
        "HEADRACE_TASKS": str(_TASKS),
        **(settings or {}),
    }
    # Not in the checkout: a developer's `.env` there is none of the benchmark's settings.
    with Processes(env, folder / "workers.log", cwd=folder) as processes:
        try:
            yield Fleet(client, processes)
        finally:
            await asyncio.to_thread(processes.stop)
