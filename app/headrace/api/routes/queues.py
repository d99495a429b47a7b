"""The queues in Redis, as RQ sees them."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from headrace.api.deps import Shared
from headrace.api.schemas import Model
from headrace.queues.inspect import QueueDepth, RqWorker

router = APIRouter(tags=["queues"])


class Queue(Model):
    """How many jobs stand where. started: by workers that live. finished and failed: those RQ still keeps."""

    name: str
    queued: int
    started: int
    finished: int
    failed: int
    deferred: int

    @classmethod
    def of(cls, depth: QueueDepth) -> Queue:
        return cls(
            name=depth.name,
            queued=depth.queued,
            started=depth.started,
            finished=depth.finished,
            failed=depth.failed,
            deferred=depth.deferred,
        )


class QueueWorker(Model):
    """A worker as RQ knows it; a worker process of Headrace has one for each of its lanes.

    state: of RQ's (busy, idle, ...), or `lost` when it gives no sign of life. current_job: one that it runs.
    """

    name: str
    queues: list[str]
    state: str
    current_job: str | None
    pid: int | None
    host: str
    last_heartbeat: str
    succeeded: int
    failed: int

    @classmethod
    def of(cls, worker: RqWorker) -> QueueWorker:
        return cls(
            name=worker.name,
            queues=list(worker.queues),
            state=worker.state,
            current_job=worker.current_job,
            pid=worker.pid,
            host=worker.host,
            last_heartbeat=worker.last_heartbeat,
            succeeded=worker.succeeded,
            failed=worker.failed,
        )


class Queues(Model):
    items: list[Queue]
    workers: list[QueueWorker]


@router.get("/queues")
async def list_queues(house: Shared) -> Queues:
    """The depth of each queue, and RQ's workers; 503 when Redis does not answer."""
    depths = await asyncio.to_thread(house.depths)
    listening = await asyncio.to_thread(house.rq_workers)
    return Queues(items=[Queue.of(one) for one in depths], workers=[QueueWorker.of(one) for one in listening])
