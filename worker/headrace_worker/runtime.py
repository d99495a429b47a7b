"""What one worker process works with, wired from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID, uuid4

import anyio
from redis import Redis

from headrace.config import Settings
from headrace.engine.program import Engine
from headrace.engine.sealing import Seal
from headrace.errors import InvalidSettings, QueueUnavailable, StoreUnavailable
from headrace.graph.dispatch import Dispatch
from headrace.local.stack import read_running
from headrace.log import Log
from headrace.nodes.builtin import builtin
from headrace.nodes.guard import Guard
from headrace.nodes.http import GuardedHttp
from headrace.queues.broker import Broker
from headrace.queues.connection import connect
from headrace.store.db import Database
from headrace_worker.discovery import LoadProblem, discover, offer_only
from headrace_worker.lanes import WorkerLanes

T = TypeVar("T")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0

_log = Log("headrace.worker")


@dataclass(frozen=True, slots=True)
class Urls:
    """Where PostgreSQL and Redis are."""

    database: str
    redis: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """One process's connections. worker_id: stands at the tasks that it holds.

    load_problems: modules with activities that could not be imported.
    """

    settings: Settings
    urls: Urls
    worker_id: UUID
    engine: Engine
    redis: Redis
    broker: Broker
    http: GuardedHttp
    lanes: WorkerLanes
    load_problems: Sequence[LoadProblem]

    async def push(self, dispatches: Sequence[Dispatch]) -> None:
        """Delivers; what Redis does not take now, the sweep delivers later."""
        try:
            await self.broker.push_async(dispatches)
        except QueueUnavailable as error:
            _log.warning("push_failed", str(error), dispatches=len(dispatches))


def find_urls(settings: Settings) -> Urls:
    """The servers of the settings, else those of the embedded stack that runs here.

    Raises InvalidSettings when neither says where a server is.
    """
    running = read_running(settings.data_dir)
    urls = Urls(
        settings.postgres_url or (running.database_url if running else ""),
        settings.redis_url or (running.redis_url if running else ""),
    )
    missing = [name for name, url in (("DATABASE_URL", urls.database), ("REDIS_URL", urls.redis)) if not url]
    if missing:
        raise InvalidSettings(
            f"{' and '.join(missing)} not set, and no stack runs here: `headrace up` starts one"
        )
    return urls


@asynccontextmanager
async def open_runtime(settings: Settings, pool_size: int = 10) -> AsyncIterator[Runtime]:
    """Connects, and closes at the end. Raises InvalidSettings when a server's address is unknown."""
    urls, seal = find_urls(settings), Seal(settings.secret_key)
    load_problems = discover(settings.task_module_names, settings.task_folders)
    offer_only(settings.activity_names)
    db = Database(urls.database, pool_size)
    relaxed = Database(urls.database, pool_size, is_relaxed=True)
    redis = connect(urls.redis)
    http = GuardedHttp(Guard(settings.http_allow, settings.own_api))
    lanes = WorkerLanes.of(settings)
    worker_id = UUID(settings.worker_id) if settings.worker_id else uuid4()
    try:
        yield Runtime(
            settings=settings,
            urls=urls,
            worker_id=worker_id,
            engine=replace(Engine.over(db, builtin(), settings.lease_seconds, relaxed), seal=seal),
            redis=redis,
            broker=Broker(redis),
            http=http,
            lanes=lanes,
            load_problems=load_problems,
        )
    finally:
        await lanes.close()
        await http.aclose()
        await db.close()
        await relaxed.close()
        redis.close()


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Calls until PostgreSQL answers: nothing that was done may be lost because it was away."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return await call()
        except StoreUnavailable:
            _log.warning("store_away", f"PostgreSQL does not answer, trying again in {pause:.1f} s")
            await anyio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
