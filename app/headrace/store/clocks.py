"""Tasks and runs whose time is up. Each look is at a small index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.states import TaskStatus
from headrace.store.db import Record, Tx


@dataclass(frozen=True, slots=True)
class Overdue:
    """A task whose time is up. which: attempt, queue or total. seconds: how long it might take.

    status, attempt, delivery: as it stood when it was looked at.
    """

    task: TaskId
    which: str
    seconds: float
    status: TaskStatus
    attempt: int
    delivery: int


_ATTEMPTS = """
SELECT run_id, position, status, attempt, delivery, 'attempt' AS which, attempt_timeout AS seconds
FROM workflow_tasks
WHERE status = 'running' AND started_at + make_interval(secs => attempt_timeout + $1) < clock_timestamp()
ORDER BY run_id, position LIMIT $2
"""

_CLOCKS = """
SELECT run_id, position, status, attempt, delivery,
       CASE WHEN ready_at + make_interval(secs => total_timeout) < clock_timestamp() THEN 'total'
            ELSE 'queue' END AS which,
       CASE WHEN ready_at + make_interval(secs => total_timeout) < clock_timestamp() THEN total_timeout
            ELSE queue_timeout END AS seconds
FROM workflow_tasks
WHERE finished_at IS NULL AND (queue_timeout IS NOT NULL OR total_timeout IS NOT NULL)
  AND ready_at IS NOT NULL AND NOT is_paused
  AND (SELECT r.status FROM workflow_runs r WHERE r.id = run_id) <> 'paused'
  AND (ready_at + make_interval(secs => total_timeout) < clock_timestamp()
       OR (status = 'queued' AND queued_at + make_interval(secs => queue_timeout) < clock_timestamp()))
ORDER BY run_id, position LIMIT $1
"""


async def overdue_attempts(tx: Tx, grace: float, limit: int) -> list[Overdue]:
    """Running tasks whose process should have ended them `grace` seconds ago."""
    return [_overdue(row) for row in await tx.fetch(_ATTEMPTS, grace, limit)]


async def overdue_tasks(tx: Tx, limit: int) -> list[Overdue]:
    """Tasks that stood in the queue, or took with all their attempts, longer than they may.

    A pause of their run stops these clocks.
    """
    return [_overdue(row) for row in await tx.fetch(_CLOCKS, limit)]


def _overdue(row: Record) -> Overdue:
    return Overdue(
        task=TaskId(row.run_id, row.position),
        which=row.which,
        seconds=row.seconds,
        status=TaskStatus(row.status),
        attempt=row.attempt,
        delivery=row.delivery,
    )


_STOP_WAITING = """
WITH late AS (
  SELECT t.run_id, t.position FROM workflow_tasks t
  JOIN unnest($1::uuid[], $2::int[], $3::int[], $4::int[]) AS n(run_id, position, attempt, delivery)
    USING (run_id, position, attempt, delivery)
  WHERE t.status = 'waiting' AND NOT t.is_paused
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t SKIP LOCKED
)
UPDATE workflow_tasks t
SET status = 'queued', wake_at = NULL, signal = NULL, held_for = NULL
FROM late WHERE t.run_id = late.run_id AND t.position = late.position
"""

_QUEUED = TaskStatus.QUEUED.value
"""Where those that waited stand by then."""

_SEIZE = """
WITH late AS (
  SELECT t.run_id, t.position FROM workflow_tasks t
  JOIN unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::text[])
    AS n(run_id, position, attempt, delivery, status) USING (run_id, position, attempt, delivery, status)
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t SKIP LOCKED
)
UPDATE workflow_tasks t
SET status = 'running', token = $6, worker_id = NULL, lease_until = clock_timestamp() + interval '30 s',
    started_at = coalesce(t.started_at, clock_timestamp())
FROM late WHERE t.run_id = late.run_id AND t.position = late.position
RETURNING t.run_id, t.position
"""


async def seize(tx: Tx, overdue: Sequence[Overdue], token: int) -> list[TaskId]:
    """Takes tasks out of whosever hands they are in, to end them: queued, waiting or running -> running.

    What a process still does for one of them comes too late: its token is another's now. One that has moved
    on since it was looked at is left alone.
    """
    delivered = (
        [one.task.run_id for one in overdue],
        [one.task.position for one in overdue],
        [one.attempt for one in overdue],
        [one.delivery for one in overdue],
    )
    await tx.fetch(_STOP_WAITING, *delivered)
    stands = [_QUEUED if one.status is TaskStatus.WAITING else one.status.value for one in overdue]
    rows = await tx.fetch(_SEIZE, *delivered, stands, token)
    return [TaskId(row.run_id, row.position) for row in rows]


_LATE_RUNS = """
SELECT id FROM workflow_runs
WHERE deadline_at IS NOT NULL AND finished_at IS NULL AND deadline_at < clock_timestamp() AND verdict IS NULL
  AND status <> 'paused'
ORDER BY deadline_at LIMIT $1
"""


async def late_runs(tx: Tx, limit: int) -> list[UUID]:
    """Runs that took longer than they may and are not being stopped yet."""
    return [row.id for row in await tx.fetch(_LATE_RUNS, limit)]
