"""Workers: who runs, and how many there should be."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from headrace.api.deps import PlainJson, Shared
from headrace.api.schemas import Body, Model
from headrace.engine import reading
from headrace.store.workers import Worker, set_target

router = APIRouter(prefix="/workers", tags=["workers"])

MOST_WORKERS = 1000


class WorkerOut(Model):
    """A worker process. state: starting, running, stopping, stopped or failed. running: nodes right now."""

    id: UUID
    name: str
    pid: int
    host: str
    state: str
    project: str
    queues: list[str]
    concurrency: int
    started_at: datetime
    last_heartbeat: datetime
    stopped_at: datetime | None
    running: int
    completed: int
    failed: int

    @classmethod
    def of(cls, worker: Worker) -> WorkerOut:
        return cls(
            id=worker.id,
            name=worker.name,
            pid=worker.pid,
            host=worker.host,
            state=worker.state,
            project=worker.project,
            queues=list(worker.queues),
            concurrency=worker.concurrency,
            started_at=worker.started_at,
            last_heartbeat=worker.last_heartbeat,
            stopped_at=worker.stopped_at,
            running=worker.running,
            completed=worker.completed,
            failed=worker.failed,
        )


class Workers(Model):
    """workers: projects with a running worker; count: how many those are. desired: null when nobody said."""

    workers: list[str]
    count: int
    desired: int | None
    items: list[WorkerOut]


class Desired(Body):
    """How many worker processes there should be."""

    count: int = Field(ge=0, le=MOST_WORKERS, strict=True)


@router.get("")
async def list_workers(
    house: Shared, ended: Annotated[bool, Query(description="Also those that ended today.")] = False
) -> Workers:
    """The worker processes, one item each."""
    crew = await reading.crew(house.engine, include_ended=ended)
    projects = sorted({worker.project for worker in crew.workers if worker.state == "running"})
    items = [WorkerOut.of(worker) for worker in crew.workers]
    return Workers(workers=projects, count=len(projects), desired=crew.desired, items=items)


@router.put("/desired", dependencies=[PlainJson])
async def set_desired(wanted: Desired, house: Shared) -> Desired:
    """Says how many worker processes there should be; whoever supervises them follows."""
    async with house.engine.db.transaction() as tx:
        await set_target(tx, wanted.count)
    return wanted
