"""Worker processes: who they are, whether they live, how many there should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.store.db import Record, Tx

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class NewWorker:
    """A worker process that starts. concurrency: nodes that it runs at once."""

    id: UUID
    name: str
    host: str
    pid: int
    queues: Sequence[str]
    concurrency: int
    project: str = DEFAULT_PROJECT


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process. running: nodes at its last heartbeat.

    state: starting, running, stopping, stopped or failed.
    """

    id: UUID
    name: str
    host: str
    pid: int
    state: str
    project: str
    queues: tuple[str, ...]
    concurrency: int
    started_at: datetime
    last_heartbeat: datetime
    stopped_at: datetime | None
    running: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker counts: nodes running now, completed and failed since its start."""

    running: int
    completed: int
    failed: int


_REGISTER = """
INSERT INTO workflow_workers (id, name, host, pid, state, project, queues, concurrency)
VALUES ($1, $2, $3, $4, 'running', $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET state = 'running', last_heartbeat = now(), stopped_at = NULL
"""


async def register(tx: Tx, worker: NewWorker) -> None:
    """Adds a worker that is ready to work."""
    await tx.fetch(
        _REGISTER,
        worker.id,
        worker.name,
        worker.host,
        worker.pid,
        worker.project,
        list(worker.queues),
        worker.concurrency,
    )


async def heartbeat(tx: Tx, worker_id: UUID, load: Load) -> None:
    """Says that a worker lives. One that was taken for dead is running again."""
    await tx.fetch(
        "UPDATE workflow_workers SET last_heartbeat = now(), running = $2, completed = $3, failed = $4,"
        " state = CASE state WHEN 'failed' THEN 'running' ELSE state END,"
        " stopped_at = CASE state WHEN 'failed' THEN NULL ELSE stopped_at END WHERE id = $1",
        worker_id,
        load.running,
        load.completed,
        load.failed,
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


_COLUMNS = """
id, name, host, pid, state, project, queues, concurrency, started_at, last_heartbeat, stopped_at,
running, completed, failed
"""


async def all_workers(tx: Tx, include_ended: bool = False) -> list[Worker]:
    """Workers by start; those that ended only when asked for."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM workflow_workers WHERE $1 OR stopped_at IS NULL ORDER BY started_at, id",
        include_ended,
    )
    return [_worker(row) for row in rows]


async def target(tx: Tx, project: str = DEFAULT_PROJECT) -> int | None:
    """How many worker processes there should be; None when nobody said."""
    row = await tx.row("SELECT wanted FROM worker_targets WHERE project = $1", project)
    return None if row is None else row.wanted


_SET_TARGET = """
INSERT INTO worker_targets (project, wanted) VALUES ($1, $2)
ON CONFLICT (project) DO UPDATE SET wanted = $2, updated_at = now()
"""


async def set_target(tx: Tx, count: int, project: str = DEFAULT_PROJECT) -> None:
    """Says how many worker processes there should be."""
    await tx.fetch(_SET_TARGET, project, count)


def _worker(row: Record) -> Worker:
    return Worker(**{**dict(row), "queues": tuple(row.queues)})
