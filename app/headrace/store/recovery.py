"""Tasks that somebody must look after: due waits, lost workers, lost deliveries, forgotten successors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.states import TaskStatus
from headrace.store.db import Tx
from headrace.store.guards import may_become
from headrace.store.tasks import QUEUED_COLUMNS, Queued, queued

RETRY = "retry"
"""What a task waits for between two attempts."""

CHILDREN = "children"
"""What a task waits for while its children run."""

_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('headrace ' || $1)) AS is_ours"


async def try_lead(tx: Tx, what: str) -> bool:
    """Whether this transaction may act for all processes. Until its end, no other may.

    The transaction is short and is ended by PostgreSQL if this process freezes in it.
    """
    await tx.fetch("SET LOCAL idle_in_transaction_session_timeout = '5s'")
    row = await tx.row(_TRY_LOCK, what)
    return row is not None and bool(row.is_ours)


_WAKE = (
    """
WITH due AS (
  SELECT run_id, position FROM workflow_tasks
  WHERE status = 'waiting' AND NOT is_paused AND wake_at <= clock_timestamp()
  ORDER BY wake_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
), paused AS (
  UPDATE workflow_tasks t SET is_paused = true
  FROM due WHERE t.run_id = due.run_id AND t.position = due.position
    AND (SELECT r.status FROM workflow_runs r WHERE r.id = due.run_id) = 'paused'
  RETURNING t.run_id, t.position
)
UPDATE workflow_tasks t
SET status = 'queued', attempt = t.attempt + (t.waits_for IS NOT DISTINCT FROM $2)::int,
    waits_for = nullif(t.waits_for, $2), delivery = t.delivery + 1, queued_at = now(), wake_at = NULL,
    signal = NULL, held_for = NULL
FROM due LEFT JOIN paused p ON p.run_id = due.run_id AND p.position = due.position
WHERE t.run_id = due.run_id AND t.position = due.position AND p.run_id IS NULL
RETURNING """
    + QUEUED_COLUMNS
)


async def wake(tx: Tx, limit: int) -> list[Queued]:
    """waiting -> queued for those whose time has come; after a back-off with the next attempt number.

    Those of a paused run, which began to wait during the pause, are held until it is resumed.
    """
    return [queued(row) for row in await tx.fetch(_WAKE, limit, RETRY)]


async def seconds_to_next_wake(tx: Tx) -> float | None:
    """How long until the earliest wait is over; None when nothing waits."""
    row = await tx.row(
        "SELECT extract(epoch FROM min(wake_at) - clock_timestamp())::float8 AS seconds"
        " FROM workflow_tasks WHERE status = 'waiting' AND NOT is_paused"
    )
    return None if row is None else row.seconds


@dataclass(frozen=True, slots=True)
class Lost:
    """A running task whose worker is gone. lost: how often that happened before."""

    task: TaskId
    token: int
    lost: int
    max_lost: int


_LOST = """
SELECT run_id, position, token, lost, max_lost FROM workflow_tasks
WHERE status = 'running' AND {condition}
ORDER BY run_id, position LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
_EXPIRED = _LOST.format(condition="lease_until < clock_timestamp() - make_interval(secs => $1)")
_HELD_BY = _LOST.format(condition="worker_id = $1")


async def expired(tx: Tx, limit: int) -> list[Lost]:
    """Locks running tasks whose leases ran out."""
    return [_lost(row) for row in await tx.fetch(_EXPIRED, 0.0, limit)]


async def held_by(tx: Tx, worker_id: UUID, limit: int) -> list[Lost]:
    """Locks running tasks of a worker that is known to be dead."""
    return [_lost(row) for row in await tx.fetch(_HELD_BY, worker_id, limit)]


def _lost(row: object) -> Lost:
    run_id, position, token, lost, max_lost = row  # type: ignore[misc]
    return Lost(TaskId(run_id, position), token, lost, max_lost)  # type: ignore[has-type]


_REQUEUE = f"""
UPDATE workflow_tasks t
SET status = 'queued', lost = t.lost + 1, delivery = t.delivery + 1, queued_at = now(),
    token = NULL, lease_until = NULL, worker_id = NULL
FROM unnest($1::uuid[], $2::int[], $3::bigint[]) AS l(run_id, position, token)
WHERE t.run_id = l.run_id AND t.position = l.position AND t.token = l.token
  AND t.status = ANY($4)
RETURNING {QUEUED_COLUMNS}
"""


async def requeue(tx: Tx, lost: Sequence[Lost]) -> list[Queued]:
    """running -> queued for tasks that this transaction has locked."""
    rows = await tx.fetch(
        _REQUEUE,
        [one.task.run_id for one in lost],
        [one.task.position for one in lost],
        [one.token for one in lost],
        may_become(TaskStatus.QUEUED),
    )
    return [queued(row) for row in rows]


_OVERDUE = f"""
SELECT {QUEUED_COLUMNS} FROM workflow_tasks t
WHERE t.status = 'queued' AND t.queued_at < clock_timestamp() - make_interval(secs => $1)
ORDER BY t.queued_at LIMIT $2
"""


async def overdue(tx: Tx, seconds: float, limit: int) -> list[Queued]:
    """Tasks that have stood as `queued` for longer: their jobs wait in the queue, or got lost."""
    return [queued(row) for row in await tx.fetch(_OVERDUE, seconds, limit)]


_REDELIVER = f"""
WITH lost AS (
  SELECT t.run_id, t.position FROM workflow_tasks t
  JOIN unnest($1::uuid[], $2::int[], $3::int[]) AS l(run_id, position, delivery)
    ON l.run_id = t.run_id AND l.position = t.position AND l.delivery = t.delivery
  WHERE t.status = ANY($4) ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t SKIP LOCKED
)
UPDATE workflow_tasks t SET delivery = t.delivery + 1, queued_at = now()
FROM lost WHERE t.run_id = lost.run_id AND t.position = lost.position
RETURNING {QUEUED_COLUMNS}
"""


async def redeliver(tx: Tx, lost: Sequence[Queued]) -> list[Queued]:
    """queued -> queued with the next delivery; what was claimed meanwhile stays as it is."""
    rows = await tx.fetch(
        _REDELIVER,
        [one.task.run_id for one in lost],
        [one.task.position for one in lost],
        [one.delivery for one in lost],
        [TaskStatus.QUEUED.value],
    )
    return [queued(row) for row in rows]


_FORGOTTEN = """
SELECT run_id, position FROM workflow_tasks
WHERE finished_at IS NOT NULL AND NOT propagated
  AND finished_at < clock_timestamp() - make_interval(secs => $1)
ORDER BY finished_at LIMIT $2
"""


async def unpropagated(tx: Tx, seconds: float, limit: int) -> list[TaskId]:
    """Tasks that ended longer ago and whose successors were not told."""
    return [TaskId(row.run_id, row.position) for row in await tx.fetch(_FORGOTTEN, seconds, limit)]


_TURN = """
INSERT INTO sweeps (name, last_at, since) VALUES ($1, clock_timestamp(), clock_timestamp())
ON CONFLICT (name) DO UPDATE SET
  last_at = clock_timestamp(),
  since = CASE WHEN sweeps.last_at < clock_timestamp() - make_interval(secs => $3)
          THEN clock_timestamp() ELSE sweeps.since END
WHERE sweeps.last_at < clock_timestamp() - make_interval(secs => $2)
RETURNING extract(epoch FROM clock_timestamp() - since)::float8 AS steady
"""


async def take_turn(tx: Tx, name: str, every: float, gap: float) -> float | None:
    """Takes the next turn of a periodic work if it is due.

    every: seconds between two turns. gap: after a pause longer than this, steadiness starts anew.
    Returns for how many seconds turns have come without a gap, or None when it is not yet time.
    """
    row = await tx.row(_TURN, name, every, gap)
    return None if row is None else row.steady
