"""One API process."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.http import connection
from benchmarks.ours.client import Client
from benchmarks.processes import Processes, TooSlow
from headrace.local.paths import free_port

_READY_SECONDS = 30.0
_LOOK_SECONDS = 0.05


@asynccontextmanager
async def api(client: Client, folder: Path) -> AsyncIterator[int]:
    """Starts the API on a client's database and Redis; yields its port once it answers. Raises TooSlow."""
    port = free_port()
    env = {
        "DATABASE_URL": client.database_url,
        "REDIS_URL": client.redis_url,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "HEADRACE_SAMPLES": "off",
    }
    with Processes(env, folder / "api.log", cwd=folder) as processes:
        processes.start((sys.executable, "-m", "headrace.cli", "api"))
        try:
            await _until_ready(processes, port)
            yield port
        finally:
            await asyncio.to_thread(processes.stop)


async def _until_ready(processes: Processes, port: int) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not await _answers(port):
        processes.require_alive()
        if time.monotonic() > deadline:
            raise TooSlow(f"the API is not ready: {processes.log_end()}")
        await asyncio.sleep(_LOOK_SECONDS)


async def _answers(port: int) -> bool:
    try:
        async with connection(port) as one:
            status, _ = await one.ask("GET", "/healthz")
    except OSError:
        return False
    return status == 200
