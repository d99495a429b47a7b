"""Tasks under their run's lock: what a release, a cancel or a met join writes.

The caller has locked the runs (`headrace.store.runs.lock`), and only such callers change counters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.graph.decide import Ended, TaskView
from headrace.graph.ids import TaskId
from headrace.graph.join import Tally
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store.db import Tx
from headrace.store.guards import ENDED_LIST, NOT_ENDED_LIST, may_become
from headrace.store.tasks import QUEUED_COLUMNS, Queued, queued


@dataclass(frozen=True, slots=True)
class Propagated:
    """An ended task whose successors are told in this transaction. ends_run: how its node ends the run."""

    task: TaskId
    node_id: str
    status: TaskStatus
    outcomes: str
    ends_run: RunStatus | None
    reason: str | None


_PROPAGATE = f"""
WITH taken AS (
  SELECT t.run_id, t.position FROM workflow_tasks t
  JOIN unnest($1::uuid[], $2::int[]) AS n(run_id, position) USING (run_id, position)
  WHERE NOT t.propagated AND t.status IN {ENDED_LIST}
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t
)
UPDATE workflow_tasks t SET propagated = true
FROM taken WHERE t.run_id = taken.run_id AND t.position = taken.position
RETURNING t.run_id, t.position, t.node_id, t.status, t.outcomes, t.ends_run, t.reason
"""


async def propagate(tx: Tx, tasks: Sequence[TaskId]) -> list[Propagated]:
    """Marks ended tasks as propagated; returns those that were not yet. The runs must be locked."""
    rows = await tx.fetch(_PROPAGATE, [task.run_id for task in tasks], [task.position for task in tasks])
    return [
        Propagated(
            TaskId(row.run_id, row.position),
            row.node_id,
            TaskStatus(row.status),
            row.outcomes,
            None if row.ends_run is None else RunStatus(row.ends_run),
            row.reason,
        )
        for row in rows
    ]


_VIEWS = """
SELECT t.run_id, t.position, t.status, t.edges_unresolved, t.edges_taken, t.edges_failed, t.edges_cancelled
FROM workflow_tasks t JOIN unnest($1::uuid[], $2::int[]) AS n(run_id, position) USING (run_id, position)
"""


async def views(tx: Tx, in_degrees: Mapping[TaskId, int]) -> dict[TaskId, TaskView]:
    """Status and counters of tasks. The runs must be locked: only releases change counters."""
    tasks = list(in_degrees)
    rows = await tx.fetch(_VIEWS, [task.run_id for task in tasks], [task.position for task in tasks])
    found = {}
    for row in rows:
        task = TaskId(row.run_id, row.position)
        tally = Tally(
            in_degrees[task], row.edges_unresolved, row.edges_taken, row.edges_failed, row.edges_cancelled
        )
        found[task] = TaskView(TaskStatus(row.status), tally)
    return found


_OUTCOMES = """
SELECT t.run_id, t.position, t.outcomes
FROM workflow_tasks t JOIN unnest($1::uuid[], $2::int[]) AS n(run_id, position) USING (run_id, position)
WHERE t.propagated
"""


async def outcomes(tx: Tx, tasks: Sequence[TaskId]) -> dict[TaskId, str]:
    """The edge outcomes of those tasks that are propagated."""
    rows = await tx.fetch(_OUTCOMES, [task.run_id for task in tasks], [task.position for task in tasks])
    return {TaskId(row.run_id, row.position): row.outcomes for row in rows}


_COMPLETED = """
SELECT position FROM workflow_tasks WHERE run_id = $1 AND position = ANY($2) AND status = 'completed'
ORDER BY finished_at DESC, position DESC
"""


async def completed_last_first(tx: Tx, run_id: UUID, positions: Collection[int]) -> list[int]:
    """Those of the given tasks that completed, in reverse order of their completion."""
    return [row.position for row in await tx.fetch(_COMPLETED, run_id, list(positions))]


async def pending_among(tx: Tx, run_id: UUID, positions: Collection[int]) -> frozenset[int]:
    """Those of the given tasks that are pending; none while another of them is under way."""
    rows = await tx.fetch(
        "SELECT position, status FROM workflow_tasks WHERE run_id = $1 AND position = ANY($2)",
        run_id,
        list(positions),
    )
    by_status = {row.position: TaskStatus(row.status) for row in rows}
    if set(by_status.values()) & _UNDER_WAY:
        return frozenset()
    return frozenset(at for at, status in by_status.items() if status is TaskStatus.PENDING)


_UNDER_WAY = {TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.WAITING}


@dataclass(frozen=True, slots=True)
class Move:
    """What a release writes into one task: its counters and, when it leaves `pending`, where it goes."""

    task: TaskId
    tally: Tally | None = None
    released_by: tuple[int, ...] | None = None
    ended: Ended | None = None


_MOVE = f"""
WITH given AS (
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::int[], $6::int[], $7::text[],
                       $8::text[], $9::text[], $10::text[], $11::text[])
    AS g(run_id, position, unresolved, taken, failed, cancelled, status,
         released_by, outcomes, reason, caused_by)
), locked AS (
  SELECT t.run_id, t.position FROM workflow_tasks t
  JOIN given g ON g.run_id = t.run_id AND g.position = t.position
  WHERE t.status = 'pending'
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t
)
UPDATE workflow_tasks t
SET edges_unresolved = coalesce(g.unresolved, t.edges_unresolved),
    edges_taken = coalesce(g.taken, t.edges_taken), edges_failed = coalesce(g.failed, t.edges_failed),
    edges_cancelled = coalesce(g.cancelled, t.edges_cancelled),
    status = coalesce(g.status, t.status),
    released_by = coalesce(g.released_by::int[], t.released_by),
    outcomes = coalesce(g.outcomes, t.outcomes),
    reason = coalesce(g.reason, t.reason), caused_by = coalesce(g.caused_by, t.caused_by),
    attempt = t.attempt + (g.status IS NOT DISTINCT FROM 'queued')::int,
    delivery = t.delivery + (g.status IS NOT DISTINCT FROM 'queued')::int,
    queued_at = CASE WHEN g.status = 'queued' THEN now() ELSE t.queued_at END,
    ready_at = CASE WHEN g.status = 'queued' THEN now() ELSE t.ready_at END,
    finished_at = CASE WHEN g.status IN {ENDED_LIST} THEN now() ELSE t.finished_at END,
    propagated = t.propagated OR (g.status IS NOT NULL AND g.status IN {ENDED_LIST})
FROM given g JOIN locked l ON l.run_id = g.run_id AND l.position = g.position
WHERE t.run_id = g.run_id AND t.position = g.position
RETURNING {QUEUED_COLUMNS}, g.status
"""


async def move(tx: Tx, moves: Sequence[Move]) -> list[Queued]:
    """Writes counters; pending -> queued | skipped | upstream_failed | cancelled. Returns what was queued."""
    if not moves:
        return []
    rows = await tx.fetch(
        _MOVE,
        [one.task.run_id for one in moves],
        [one.task.position for one in moves],
        [one.tally and one.tally.unresolved for one in moves],
        [one.tally and one.tally.taken for one in moves],
        [one.tally and one.tally.failed for one in moves],
        [one.tally and one.tally.cancelled for one in moves],
        [_target(one) for one in moves],
        [
            None if one.released_by is None else "{" + ",".join(map(str, one.released_by)) + "}"
            for one in moves
        ],
        [one.ended and one.ended.outcomes for one in moves],
        [one.ended and one.ended.reason for one in moves],
        [one.ended and one.ended.caused_by for one in moves],
    )
    return [queued(row) for row in rows if row.status == TaskStatus.QUEUED]


def _target(move: Move) -> str | None:
    if move.ended is not None:
        return move.ended.status.value
    return None if move.released_by is None else TaskStatus.QUEUED.value


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A task that was cancelled. was: the state that it left. started_at: None when it never ran.

    waited_for: what it waited for, as `children`.
    """

    task: TaskId
    node_id: str
    was: TaskStatus
    attempt: int
    delivery: int
    started_at: datetime | None
    waited_for: str | None


_CANCEL = """
WITH given AS (
  SELECT * FROM unnest($2::int[], $3::text[]) AS g(position, outcomes)
), old AS (
  SELECT t.position, t.status, t.waits_for, g.outcomes FROM workflow_tasks t JOIN given g USING (position)
  WHERE t.run_id = $1 AND t.status = ANY($6)
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t
)
UPDATE workflow_tasks t
SET status = 'cancelled', outcomes = old.outcomes, reason = $4, caused_by = $5, propagated = true,
    finished_at = now(), token = NULL, lease_until = NULL, worker_id = NULL, wake_at = NULL, waits_for = NULL,
    signal = NULL, held_for = NULL, is_paused = false
FROM old WHERE t.run_id = $1 AND t.position = old.position
RETURNING t.run_id, t.position, t.node_id, old.status AS was, t.attempt, t.delivery, t.started_at,
          old.waits_for
"""


async def cancel(
    tx: Tx, run_id: UUID, outcomes: Mapping[int, str], reason: str, caused_by: str | None = None
) -> list[Cancelled]:
    """Cancels those of the given tasks that have not ended. outcomes: of their out-edges, by position."""
    rows = await tx.fetch(
        _CANCEL,
        run_id,
        list(outcomes),
        list(outcomes.values()),
        reason,
        caused_by,
        may_become(TaskStatus.CANCELLED),
    )
    return [
        Cancelled(
            TaskId(row.run_id, row.position),
            row.node_id,
            TaskStatus(row.was),
            row.attempt,
            row.delivery,
            row.started_at,
            row.waits_for,
        )
        for row in rows
    ]


_ABANDON = f"""
WITH old AS (
  SELECT t.position, t.status, t.status IN {NOT_ENDED_LIST} AS is_open FROM workflow_tasks t
  WHERE t.run_id = $1 AND NOT t.propagated ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t
)
UPDATE workflow_tasks t
SET status = CASE WHEN old.is_open THEN 'cancelled' ELSE t.status END,
    outcomes = coalesce(t.outcomes, ''), reason = CASE WHEN old.is_open THEN $2 ELSE t.reason END,
    finished_at = coalesce(t.finished_at, now()), propagated = true,
    token = NULL, lease_until = NULL, worker_id = NULL, wake_at = NULL, waits_for = NULL,
    signal = NULL, held_for = NULL, is_paused = false
FROM old WHERE t.run_id = $1 AND t.position = old.position
RETURNING t.run_id, t.position, t.node_id, t.status, old.status AS was
"""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A task of a run that was given up. was: how it stood; the same as `status` when it had ended."""

    task: TaskId
    node_id: str
    status: TaskStatus
    was: TaskStatus


async def abandon(tx: Tx, run_id: UUID, reason: str) -> list[Abandoned]:
    """Ends all that is open of a run, without its plan; returns that and what had ended uncounted."""
    return [
        Abandoned(TaskId(row.run_id, row.position), row.node_id, TaskStatus(row.status), TaskStatus(row.was))
        for row in await tx.fetch(_ABANDON, run_id, reason)
    ]
