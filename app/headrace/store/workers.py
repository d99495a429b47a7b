"""Worker processes: who they are, whether they live, how many there should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from uuid import UUID

from headrace.graph.json_types import JsonObject
from headrace.graph.project import DEFAULT_PROJECT
from headrace.store.codec import dump, load
from headrace.store.db import Record, Tx
from headrace.store.worker_targets import Asked

UNHEALTHY_SECONDS = 60.0
"""A worker without a heartbeat for this long is taken for dead."""

UNHEALTHY = "unhealthy"
"""The state that such a worker is shown with. No row has it: it is what a look at the clock says."""

GENERATION = "generation"
"""Among a worker's versions: for which generation of its project's workers a supervisor has started it."""


@dataclass(frozen=True, slots=True)
class NewWorker:
    """A worker process that starts. concurrency: nodes that it runs at once; versions: of its programs."""

    id: UUID
    name: str
    host: str
    pid: int
    queues: Sequence[str]
    concurrency: int
    projects: Sequence[str] = (DEFAULT_PROJECT,)
    versions: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process. running: tasks in its hands now.

    state: starting, running, stopping, stopped, failed, or unhealthy. is_healthy: it has not ended, and its
    heartbeat is not older than a minute. busy: seconds that nodes' code ran. cpu_percent: of one core,
    between its last heartbeats; memory_mb: resident.
    """

    id: UUID
    name: str
    host: str
    pid: int
    state: str
    projects: tuple[str, ...]
    queues: tuple[str, ...]
    concurrency: int
    started_at: datetime
    last_heartbeat: datetime
    stopped_at: datetime | None
    running: int
    completed: int
    failed: int
    versions: JsonObject
    busy: float
    cpu_percent: float | None
    memory_mb: float | None
    is_healthy: bool

    @property
    def average_seconds(self) -> float | None:
        """How long the code of an attempt ran on average; None before the first."""
        ended = self.completed + self.failed
        return self.busy / ended if ended else None


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker counts: nodes running now; attempts completed and failed since its start.

    busy: seconds that their code ran. cpu_percent: of one core, since it was last asked; memory_mb: resident.
    """

    running: int
    completed: int
    failed: int
    busy: float = 0.0
    cpu_percent: float | None = None
    memory_mb: float | None = None


_INSERT = """
INSERT INTO workflow_workers AS w
  (id, name, host, pid, state, project, projects, queues, concurrency, versions)
VALUES ($1, $2, $3, $4, $5, ($6::text[])[1], $6, $7, $8, $9::text::jsonb)
ON CONFLICT (id) DO
"""

_REGISTER = f"""{_INSERT}
UPDATE SET state = excluded.state, name = excluded.name, pid = excluded.pid, project = excluded.project,
           projects = excluded.projects, queues = excluded.queues, concurrency = excluded.concurrency,
           versions = excluded.versions, last_heartbeat = now(), stopped_at = NULL
"""


async def announce(tx: Tx, worker: NewWorker) -> None:
    """Adds a worker that starts and has not said so itself yet."""
    await tx.fetch(f"{_INSERT} NOTHING", *_values(worker, "starting"))


async def register(tx: Tx, worker: NewWorker) -> None:
    """Adds a worker that is ready to work, or says that of one that was announced."""
    await tx.fetch(_REGISTER, *_values(worker, "running"))


def _values(worker: NewWorker, state: str) -> tuple[object, ...]:
    return (
        worker.id,
        worker.name,
        worker.host,
        worker.pid,
        state,
        list(worker.projects),
        list(worker.queues),
        worker.concurrency,
        dump(worker.versions),
    )


async def set_queues(tx: Tx, worker_id: UUID, queues: Sequence[str]) -> None:
    """Says from which queues a worker takes jobs."""
    await tx.fetch("UPDATE workflow_workers SET queues = $2 WHERE id = $1", worker_id, list(queues))


async def heartbeat(tx: Tx, worker_id: UUID, load: Load) -> None:
    """Says that a worker lives. One that was taken for dead is running again."""
    await tx.fetch(
        "UPDATE workflow_workers SET last_heartbeat = now(), running = $2, completed = $3, failed = $4,"
        " busy = $5, cpu_percent = $6, memory_mb = $7,"
        " state = CASE state WHEN 'failed' THEN 'running' ELSE state END,"
        " stopped_at = CASE state WHEN 'failed' THEN NULL ELSE stopped_at END WHERE id = $1",
        worker_id,
        load.running,
        load.completed,
        load.failed,
        round(load.busy * 1_000_000),
        load.cpu_percent,
        load.memory_mb,
    )


async def mark(tx: Tx, worker_id: UUID, state: str) -> None:
    """Sets a worker's state: stopping, stopped or failed."""
    await tx.fetch(
        "UPDATE workflow_workers SET state = $2, running = CASE $2 WHEN 'stopping' THEN running ELSE 0 END,"
        " stopped_at = CASE WHEN $2 IN ('stopped', 'failed') THEN now() END WHERE id = $1",
        worker_id,
        state,
    )


_REAP = """
UPDATE workflow_workers SET state = 'failed', running = 0, stopped_at = now()
WHERE state IN ('starting', 'running', 'stopping') AND last_heartbeat < now() - make_interval(secs => $1)
RETURNING id
"""


async def reap(tx: Tx, seconds: float) -> list[UUID]:
    """Marks workers without a heartbeat for this long as failed; returns their ids."""
    return [row.id for row in await tx.fetch(_REAP, seconds)]


async def forget_old(tx: Tx) -> None:
    """Deletes workers that ended more than a day ago."""
    await tx.fetch("DELETE FROM workflow_workers WHERE stopped_at < now() - interval '1 day'")


_HEALTHY = f"stopped_at IS NULL AND last_heartbeat > now() - interval '{UNHEALTHY_SECONDS} seconds'"

# What a worker says of its running nodes is as old as its heartbeat, and untrue once it is dead: tasks know.
_COLUMNS = f"""
id, name, host, pid,
CASE WHEN {_HEALTHY} OR stopped_at IS NOT NULL THEN state ELSE '{UNHEALTHY}' END AS state,
projects, queues, concurrency, started_at, last_heartbeat, stopped_at,
CASE WHEN {_HEALTHY} THEN (
  SELECT count(*)::int FROM workflow_tasks t WHERE t.status = 'running' AND t.worker_id = workflow_workers.id
) ELSE 0 END AS running,
completed, failed, versions, busy / 1e6 AS busy, cpu_percent, memory_mb, {_HEALTHY} AS is_healthy
"""


async def all_workers(tx: Tx, include_ended: bool = False) -> list[Worker]:
    """Workers by start; those that ended only when asked for."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM workflow_workers WHERE $1 OR stopped_at IS NULL ORDER BY started_at, id",
        include_ended,
    )
    return [_worker(row) for row in rows]


_COUNT_RUNNING = f"""
SELECT count(*)::int AS number FROM workflow_workers
WHERE $1 = ANY(projects) AND state = 'running' AND {_HEALTHY}
"""

_COUNT_NEW = f"""{_COUNT_RUNNING}
  AND CASE WHEN versions ? '{GENERATION}' THEN (versions->>'{GENERATION}')::int >= $2
           ELSE started_at >= $3 END
"""


async def count_running(tx: Tx, project: str) -> int:
    """How many healthy workers serve a project."""
    (row,) = await tx.fetch(_COUNT_RUNNING, project)
    return int(row.number)


async def count_new(tx: Tx, project: str, asked: Asked) -> int:
    """How many of them came because of a restart: of its generation, or, of none, later than it.

    A worker of the generation before may have been on its way when the restart was asked for.
    """
    (row,) = await tx.fetch(_COUNT_NEW, project, asked.generation, asked.at)
    return int(row.number)


_COUNT_ACTIVE = f"""
SELECT count(*)::int AS number FROM workflow_workers WHERE $1 = ANY(projects) AND {_HEALTHY}
"""


async def count_active(tx: Tx, project: str) -> int:
    """How many workers of a project have not ended: those that start and stop too."""
    (row,) = await tx.fetch(_COUNT_ACTIVE, project)
    return int(row.number)


def _worker(row: Record) -> Worker:
    columns = dict(row)
    return Worker(
        **columns
        | {
            "projects": tuple(row.projects),
            "queues": tuple(row.queues),
            "busy": float(row.busy),
            "versions": cast(JsonObject, load(row.versions)),
        }
    )
