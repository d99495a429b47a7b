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
from headrace.graph.json_types import JsonValue
from headrace.graph.project import DEFAULT_PROJECT, EVERY_PROJECT, PROJECT_PATTERN
from headrace.store.worker_targets import set_target, targets
from headrace.store.workers import GENERATION, Worker

router = APIRouter(prefix="/workers", tags=["workers"])

MOST_WORKERS = 1000
_SANDBOX = "sandbox"
_INTERNAL = {_SANDBOX, GENERATION}


class SandboxOut(Model):
    """What a worker's machine has for code that nobody vouches for.

    safe: such code can be run there. missing: what the kernel lacks for it. landlock: the version of its
    interface, 0 for none.
    """

    safe: bool
    missing: list[str]
    landlock: int
    seccomp: bool
    javascript: bool


class WorkerOut(Model):
    """A worker process.

    state: starting, running, stopping, stopped, failed, or unhealthy while nobody hears of it. healthy: it
    has not ended, and its last heartbeat is less than a minute old. running: tasks in its hands now. project:
    the first of its projects.
    """

    id: UUID
    name: str
    pid: int
    host: str
    state: str
    healthy: bool
    project: str
    projects: list[str]
    queues: list[str]
    concurrency: int
    started_at: datetime
    last_heartbeat: datetime
    stopped_at: datetime | None
    running: int
    completed: int = Field(description="Attempts, since it started.")
    failed: int = Field(description="Attempts, since it started.")
    average_ms: float | None = Field(description="How long the code of an attempt ran.")
    cpu_percent: float | None = Field(description="Of one core, between its last heartbeats.")
    memory_mb: float | None = Field(description="Resident memory in MiB.")
    versions: JsonValue = Field(description="Of its programs.")
    sandbox: SandboxOut | None = Field(description="Null of a worker that has not said it yet.")

    @classmethod
    def of(cls, worker: Worker) -> WorkerOut:
        return cls(
            id=worker.id,
            name=worker.name,
            pid=worker.pid,
            host=worker.host,
            state=worker.state,
            healthy=worker.is_healthy,
            project=worker.projects[0],
            projects=list(worker.projects),
            queues=list(worker.queues),
            concurrency=worker.concurrency,
            started_at=worker.started_at,
            last_heartbeat=worker.last_heartbeat,
            stopped_at=worker.stopped_at,
            running=worker.running,
            completed=worker.completed,
            failed=worker.failed,
            average_ms=None if worker.average_seconds is None else round(worker.average_seconds * 1000, 3),
            cpu_percent=worker.cpu_percent,
            memory_mb=worker.memory_mb,
            versions={name: one for name, one in worker.versions.items() if name not in _INTERNAL},
            sandbox=SandboxOut.model_validate(found) if (found := worker.versions.get(_SANDBOX)) else None,
        )


class Workers(Model):
    """workers: projects with a running worker; count: how many those are. desired: null when nobody said."""

    workers: list[str]
    count: int
    desired: int | None
    items: list[WorkerOut]


class Desired(Body):
    """How many worker processes a project should have."""

    count: int = Field(ge=0, le=MOST_WORKERS, strict=True)
    project: str = Field(DEFAULT_PROJECT, pattern=PROJECT_PATTERN)


class Wishes(Model):
    """How many worker processes each project should have, where somebody said it."""

    projects: dict[str, int]


@router.get("")
async def list_workers(
    house: Shared, ended: Annotated[bool, Query(description="Also those that ended today.")] = False
) -> Workers:
    """The worker processes, one item each."""
    crew = await reading.crew(house.engine, include_ended=ended)
    alive = [worker for worker in crew.workers if worker.state == "running" and worker.is_healthy]
    projects = sorted({project for worker in alive for project in worker.projects} - {EVERY_PROJECT})
    items = [WorkerOut.of(worker) for worker in crew.workers]
    return Workers(workers=projects, count=len(projects), desired=crew.desired, items=items)


@router.get("/desired")
async def desired(house: Shared) -> Wishes:
    """How many worker processes each project should have: for whoever starts and stops them."""
    async with house.engine.db.transaction() as tx:
        found = await targets(tx)
    return Wishes(projects={project: found[project].wanted for project in sorted(found)})


@router.put("/desired", dependencies=[PlainJson])
async def set_desired(wanted: Desired, house: Shared) -> Desired:
    """Says how many worker processes there should be; whoever supervises them follows."""
    async with house.engine.db.transaction() as tx:
        await set_target(tx, wanted.count, wanted.project)
    return wanted
