"""What the database knows of a stack's workers: how many are wanted, and which are dead."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Self, TypeAlias
from uuid import UUID

from anyio.from_thread import start_blocking_portal

from headrace.engine.program import Engine
from headrace.engine.sweep import expire_worker
from headrace.local import leash
from headrace.local.places import Wish
from headrace.local.supervisor import WorkerDeath, WorkerStart
from headrace.nodes.builtin import builtin
from headrace.queues.broker import Broker
from headrace.queues.connection import connect
from headrace.store import worker_targets, workers
from headrace.store.db import Database
from headrace.store.schema import migrate
from headrace.store.workers import GENERATION, NewWorker

Load: TypeAlias = Callable[[Engine], Awaitable[None]]
"""Stores what a fresh database gets."""


class Crew:
    """Speaks to the database and the queue for threads that have no event loop."""

    def __init__(self, database_url: str, redis_url: str, lease_seconds: float) -> None:
        self._database_url = database_url
        self._redis_url = redis_url
        self._lease_seconds = lease_seconds
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._portal = opening.enter_context(start_blocking_portal())
            # Two: the supervisor asks and tells one thing at a time.
            db = Database(self._database_url, pool_size=2)
            opening.callback(self._portal.call, db.close)
            redis = connect(self._redis_url)
            opening.callback(redis.close)
            self._engine = Engine.over(db, builtin(), self._lease_seconds)
            self._broker = Broker(redis)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def prepare(self, load: Load, count: int) -> None:
        """Brings the schema up to date, loads what is shipped, and asks for so many workers.

        What workers of this machine hold that died while nobody supervised them goes to the others.
        Raises StoreUnavailable and QueueUnavailable.
        """
        self._portal.call(self._prepare, load, count)

    def adopt(self) -> None:
        """Buries the workers of this machine that died while nobody supervised them. Raises as `prepare`."""
        self._portal.call(self._adopt)

    def wanted(self) -> dict[str, Wish]:
        """How many workers each project wants. Raises StoreUnavailable."""
        return self._portal.call(self._wanted)

    def greet(self, start: WorkerStart) -> None:
        """Shows that a worker starts, until it says itself that it runs. Raises StoreUnavailable."""
        self._portal.call(self._greet, start)

    def bury(self, death: WorkerDeath) -> None:
        """Marks a dead worker as failed and gives its tasks to the others, at once.

        Raises StoreUnavailable and QueueUnavailable; then leases and sweep bring the tasks back later.
        """
        self._portal.call(self._bury, UUID(death.worker_id))

    async def _prepare(self, load: Load, count: int) -> None:
        await migrate(self._engine.db)
        await load(self._engine)
        await self._engine.db.transact(partial(worker_targets.set_target, count=count))
        await self._adopt()

    async def _adopt(self) -> None:
        for worker in await self._engine.db.transact(workers.all_workers):
            if worker.host == socket.gethostname() and not _is_running(worker.pid):
                await self._bury(worker.id)

    async def _wanted(self) -> dict[str, Wish]:
        found = await self._engine.db.transact(worker_targets.targets)
        return {project: Wish(one.wanted, one.generation) for project, one in found.items()}

    async def _greet(self, start: WorkerStart) -> None:
        host = socket.gethostname()
        worker = NewWorker(
            *(UUID(start.worker_id), f"{host}-{start.pid}", host, start.pid),
            queues=(),
            concurrency=0,
            projects=(start.project,),
            versions={GENERATION: start.generation},
        )
        await self._engine.db.transact(partial(workers.announce, worker=worker))

    async def _bury(self, worker_id: UUID) -> None:
        await self._engine.db.transact(partial(workers.mark, worker_id=worker_id, state="failed"))
        await self._broker.push_async(await expire_worker(self._engine, worker_id))


def _is_running(pid: int) -> bool:
    return leash.identity(pid) != ""
