"""Worker processes on servers of the test's own, and what a client sees of their work."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.errors import QueueUnavailable
from headrace.graph.json_types import JsonValue
from headrace.nodes.builtin import builtin
from headrace.queues.broker import Broker
from headrace.queues.connection import connect
from headrace.store.db import Database

OURS = (sys.executable, "-m", "headrace_worker")


async def eventually(
    condition: Callable[[], Awaitable[bool]], seconds: float, what: str, every: float = 0.05
) -> None:
    """Waits until the condition holds; fails the test when it does not within so many seconds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(every)


@dataclass
class Fleet:
    """Workers, and a client that starts runs as the API does."""

    engine: Engine
    broker: Broker
    env: dict[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, count: int, command: Sequence[str] = OURS) -> None:
        for _ in range(count):
            self.workers.append(subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL))

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """SIGKILL: it gets no chance to say anything."""
        worker.kill()
        worker.wait(10)
        self.workers.remove(worker)

    async def save(self, document: JsonValue) -> UUID:
        return await create_workflow(self.engine, document)

    async def start_runs(self, workflow_id: UUID, count: int, run_input: JsonValue = None) -> list[UUID]:
        """Starts runs; without Redis they are accepted all the same."""
        runs = []
        for _ in range(count):
            started = await start_run(self.engine, StartRequest(workflow_id, run_input))
            with suppress(QueueUnavailable):
                await self.broker.push_async(started.dispatches)
            runs.append(started.run_id)
        return runs

    async def statuses(self) -> dict[str, int]:
        """How many runs stand where."""
        async with self.engine.db.transaction() as tx:
            rows = await tx.fetch("SELECT status, count(*) AS runs FROM workflow_runs GROUP BY status")
        return {row.status: row.runs for row in rows}

    async def count_tasks(self, condition: str) -> int:
        """How many tasks there are of which a SQL condition holds."""
        async with self.engine.db.transaction() as tx:
            row = await tx.row(f"SELECT count(*) AS tasks FROM workflow_tasks WHERE {condition}")
        assert row is not None
        return int(row.tasks)

    async def all_ended(self) -> bool:
        return "running" not in await self.statuses()

    async def until_all_ended(self, seconds: float) -> None:
        await eventually(self.all_ended, seconds, "all runs end")

    async def completions(self) -> dict[tuple[UUID, int], int]:
        """How often each task was recorded as completed."""
        async with self.engine.db.transaction() as tx:
            rows = await tx.fetch(
                "SELECT run_id, position, count(*) AS times FROM workflow_events"
                " WHERE type = 'task.completed' GROUP BY run_id, position"
            )
        return {(row.run_id, row.position): row.times for row in rows}

    async def check_all_well(self, runs: int, tasks: int) -> None:
        """Every run succeeded, every node's result was recorded once, and the database is consistent."""
        assert await self.statuses() == {"succeeded": runs}
        completions = await self.completions()
        assert len(completions) == tasks
        assert set(completions.values()) == {1}

    def stop(self) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait(10)


@asynccontextmanager
async def fleet(database_url: str, redis_url: str, **settings: str) -> AsyncIterator[Fleet]:
    """A fleet without workers yet; those it has at the end are stopped. settings: for their environment."""
    db = Database(database_url)
    redis = connect(redis_url)
    env = os.environ | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "HEADRACE_HTTP_ALLOW": "127.0.0.1",
        "HEADRACE_LOG_LEVEL": "WARNING",
        **settings,
    }
    all_of_it = Fleet(Engine.over(db, builtin()), Broker(redis), env)
    try:
        yield all_of_it
    finally:
        all_of_it.stop()
        await db.close()
        redis.close()
