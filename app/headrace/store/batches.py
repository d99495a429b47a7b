"""The children that tasks wait for, counted: one row a task, and the moves that concern many runs at once.

Locks are taken in one order: these rows, then the children's runs, then the parents' tasks. Nothing here
locks the run of a parent, so the children of one map do not stand in each other's way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.children import Batch
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store.codec import dump_optional
from headrace.store.db import Record, Tx
from headrace.store.guards import ENDED_LIST
from headrace.store.recovery import CHILDREN, RETRY
from headrace.store.runs import ProgramKey
from headrace.store.tasks import QUEUED_COLUMNS, Queued, queued

NOT_STARTED = "it was not wanted any more when its turn came"


@dataclass(frozen=True, slots=True)
class Locked:
    """A task's batch whose row this transaction holds, with where the task stands.

    is_awaited: the task waits for it. is_paused: as its run is. is_unwanted: the task has ended, or waits for
    its next attempt, which makes children of its own.
    """

    task: TaskId
    first_index: int
    batch: Batch
    abandons: bool
    is_awaited: bool
    is_paused: bool
    is_unwanted: bool

    @property
    def next_index(self) -> int:
        """The child that starts next."""
        return self.first_index + self.batch.started


_LOCK = """
SELECT c.run_id, c.position FROM task_children c
JOIN unnest($1::uuid[], $2::int[]) AS n(run_id, position) USING (run_id, position)
ORDER BY c.run_id, c.position FOR NO KEY UPDATE OF c
"""
# A statement of its own: it must see what those have left whom the lock has waited for.
_READ = f"""
SELECT c.*, t.is_paused OR r.status = 'paused' AS is_paused,
       t.status = 'waiting' AND t.waits_for = '{CHILDREN}' AS is_awaited,
       t.status IN {ENDED_LIST} OR (t.status = 'waiting' AND t.waits_for = '{RETRY}') AS is_unwanted
FROM task_children c
JOIN unnest($1::uuid[], $2::int[]) AS n(run_id, position) USING (run_id, position)
JOIN workflow_tasks t USING (run_id, position)
JOIN workflow_runs r ON r.id = c.run_id
"""


async def lock(tx: Tx, tasks: Sequence[TaskId]) -> list[Locked]:
    """Locks the batches of those of the tasks that have one, in the order of their ids.

    A task may be named more than once, as two of its children may have ended: its batch comes once.
    """
    held = await tx.fetch(_LOCK, *_columns(list(set(tasks))))
    rows = await tx.fetch(_READ, *_columns([_task(row) for row in held])) if held else []
    return [
        Locked(
            task=_task(row),
            first_index=row.first_index,
            batch=Batch(row.total, row.at_once, row.tolerated, row.started, row.ended, row.failed),
            abandons=row.abandons,
            is_awaited=bool(row.is_awaited),
            is_paused=row.is_paused,
            is_unwanted=bool(row.is_unwanted),
        )
        for row in rows
    ]


_WITH_CHILDREN = """
SELECT c.run_id, c.position FROM task_children c
JOIN unnest($1::uuid[], $2::int[]) AS n(run_id, position) USING (run_id, position)
"""


async def with_children(tx: Tx, tasks: Sequence[TaskId]) -> list[TaskId]:
    """Those of the tasks that may have children."""
    return [_task(row) for row in await tx.fetch(_WITH_CHILDREN, *_columns(tasks))]


_PUT = """
INSERT INTO task_children (run_id, position, first_index, total, started, ended, failed, at_once, tolerated,
                           abandons)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (run_id, position) DO UPDATE SET
  first_index = excluded.first_index, total = excluded.total, started = excluded.started,
  ended = excluded.ended, failed = excluded.failed, at_once = excluded.at_once,
  tolerated = excluded.tolerated, abandons = excluded.abandons
"""


async def put(tx: Tx, task: TaskId, first_index: int, batch: Batch, abandons: bool) -> None:
    """Makes this the present batch of a task."""
    counts = (batch.total, batch.started, batch.ended, batch.failed)
    await tx.fetch(
        _PUT, task.run_id, task.position, first_index, *counts, batch.at_once, batch.tolerated, abandons
    )


_DISOWN = """
UPDATE workflow_runs r SET is_reported = true FROM (
  SELECT id FROM workflow_runs
  WHERE parent_run_id = $1 AND parent_position = $2 AND parent_run_id IS NOT NULL AND NOT is_reported
  ORDER BY id FOR NO KEY UPDATE
) old
WHERE r.id = old.id
"""


async def disown(tx: Tx, task: TaskId) -> None:
    """Lets the children of an earlier attempt that are left count for nothing. Reads all of them."""
    await tx.fetch(_DISOWN, task.run_id, task.position)


_REPORT = """
WITH news AS (
  SELECT r.id FROM workflow_runs r
  JOIN unnest($1::uuid[], $2::int[], $3::int[]) AS n(run_id, position, next_index)
    ON r.parent_run_id = n.run_id AND r.parent_position = n.position
  WHERE r.parent_run_id IS NOT NULL AND NOT r.is_reported AND r.finished_at IS NOT NULL
    AND r.child_index < n.next_index
  ORDER BY r.id FOR NO KEY UPDATE OF r
)
UPDATE workflow_runs r SET is_reported = true FROM news WHERE r.id = news.id
RETURNING r.parent_run_id AS run_id, r.parent_position AS position, r.status
"""


async def report(tx: Tx, locked: Sequence[Locked]) -> dict[TaskId, tuple[int, int]]:
    """Marks started children that have ended; how many these are and how many of them ended badly, by task.

    Reads only those that were not reported before.
    """
    tasks = [one.task for one in locked]
    found: dict[TaskId, tuple[int, int]] = {}
    for row in await tx.fetch(_REPORT, *_columns(tasks), [one.next_index for one in locked]):
        ended, failed = found.get(_task(row), (0, 0))
        found[_task(row)] = (ended + 1, failed + (row.status != RunStatus.SUCCEEDED))
    return found


@dataclass(frozen=True, slots=True)
class Begun:
    """A child whose turn has come. It has no tasks yet, unless it runs again. is_debugged: it may stop."""

    id: UUID
    program: ProgramKey
    priority: int
    runs_again: bool
    is_debugged: bool


@dataclass(frozen=True, slots=True)
class Turns:
    """The next children. well: of the others, how many have ended well: an earlier attempt left them."""

    begun: Sequence[Begun]
    well: int


_BEGIN = """
WITH next AS (
  SELECT id, status = 'queued' AS is_queued, open = 0 AS runs_again FROM workflow_runs
  WHERE parent_run_id = $1 AND parent_position = $2 AND child_index >= $3 AND child_index < $4
    AND parent_run_id IS NOT NULL AND NOT is_reported
  ORDER BY id FOR NO KEY UPDATE
)
UPDATE workflow_runs r
SET status = CASE WHEN next.is_queued THEN 'running' ELSE r.status END,
    started_at = CASE WHEN next.is_queued AND NOT next.runs_again THEN now() ELSE r.started_at END,
    is_reported = NOT next.is_queued, updated_at = now()
FROM next WHERE r.id = next.id
RETURNING r.id, r.workflow_id, r.version, r.body, r.priority, r.child_index, r.status,
          r.debug IS NOT NULL AS is_debugged, next.is_queued, next.runs_again
"""


async def begin_next(tx: Tx, locked: Locked, batch: Batch, count: int) -> Turns:
    """queued -> running for the next `count` children; those that are missing were cancelled in the queue, or
    have ended well before.
    """
    first = locked.first_index + batch.started
    rows = await tx.fetch(_BEGIN, locked.task.run_id, locked.task.position, first, first + count)
    begun = [
        Begun(
            id=row.id,
            program=ProgramKey(row.workflow_id, row.version, row.body),
            priority=row.priority,
            runs_again=row.runs_again,
            is_debugged=row.is_debugged,
        )
        for row in sorted(rows, key=lambda row: row.child_index)
        if row.is_queued
    ]
    return Turns(begun, sum(row.status == RunStatus.SUCCEEDED for row in rows))


async def set_deadlines(tx: Tx, run_ids: Sequence[UUID], seconds: float) -> None:
    """Lets the time of runs that have just begun be up after so many seconds."""
    await tx.fetch(
        "UPDATE workflow_runs SET deadline_at = now() + make_interval(secs => $2) WHERE id = ANY($1)",
        run_ids,
        seconds,
    )


_DROP = """
WITH unwanted AS (
  SELECT id, status = 'queued' AS is_queued FROM workflow_runs
  WHERE parent_run_id = $1 AND parent_position = $2 AND child_index >= $3 AND parent_run_id IS NOT NULL
    AND (status = 'queued' OR (finished_at IS NOT NULL AND NOT is_reported))
  ORDER BY id FOR NO KEY UPDATE
)
UPDATE workflow_runs r
SET status = CASE WHEN u.is_queued THEN 'cancelled' ELSE r.status END,
    reason = CASE WHEN u.is_queued THEN $4 ELSE r.reason END,
    finished_at = coalesce(r.finished_at, now()), updated_at = now(), is_reported = true
FROM unwanted u WHERE r.id = u.id
RETURNING r.id, u.is_queued
"""


async def drop(tx: Tx, task: TaskId, from_index: int = 0) -> list[UUID]:
    """queued -> cancelled for all children from this one on; returns them. Those that ended count as told."""
    rows = await tx.fetch(_DROP, task.run_id, task.position, from_index, NOT_STARTED)
    return [row.id for row in rows if row.is_queued]


_ACTIVE = """
SELECT id FROM workflow_runs
WHERE parent_run_id = $1 AND parent_position = $2 AND parent_run_id IS NOT NULL AND finished_at IS NULL
  AND status <> 'queued' AND verdict IS NULL
ORDER BY child_index LIMIT $3
"""


async def active(tx: Tx, task: TaskId, limit: int) -> list[UUID]:
    """Children that run and are not being stopped yet."""
    return [row.id for row in await tx.fetch(_ACTIVE, task.run_id, task.position, limit)]


_SAVE = """
UPDATE task_children c SET started = n.started, ended = n.ended, failed = n.failed
FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::int[])
     AS n(run_id, position, started, ended, failed)
WHERE c.run_id = n.run_id AND c.position = n.position
"""


async def save(tx: Tx, batches: Mapping[TaskId, Batch]) -> None:
    """Writes the counts of locked batches."""
    await tx.fetch(
        _SAVE,
        *_columns(list(batches)),
        [batch.started for batch in batches.values()],
        [batch.ended for batch in batches.values()],
        [batch.failed for batch in batches.values()],
    )


_WAKE = f"""
WITH over AS (
  SELECT t.run_id, t.position, n.wake FROM workflow_tasks t
  JOIN unnest($1::uuid[], $2::int[], $3::text[]) AS n(run_id, position, wake)
    ON n.run_id = t.run_id AND n.position = t.position
  WHERE t.status = ANY($4) AND t.waits_for = '{CHILDREN}' AND t.wake IS NULL
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t
)
UPDATE workflow_tasks t
SET wake = over.wake::jsonb, wake_at = CASE WHEN t.is_paused THEN now() END,
    status = CASE WHEN t.is_paused THEN t.status ELSE 'queued' END,
    delivery = t.delivery + (NOT t.is_paused)::int,
    queued_at = CASE WHEN t.is_paused THEN t.queued_at ELSE now() END
FROM over WHERE t.run_id = over.run_id AND t.position = over.position
RETURNING {QUEUED_COLUMNS}, t.status
"""


async def wake(tx: Tx, over: Mapping[TaskId, Batch]) -> list[Queued]:
    """waiting -> queued for tasks whose children have all ended; a paused one is due when it is resumed."""
    if not over:
        return []
    news = [dump_optional(_counts(batch)) for batch in over.values()]
    rows = await tx.fetch(_WAKE, *_columns(list(over)), news, [TaskStatus.WAITING.value])
    return [queued(row) for row in rows if row.status == TaskStatus.QUEUED]


def _counts(batch: Batch) -> JsonValue:
    return {"children": {"total": batch.total, "failed": batch.failed}}


_FORGET = """
DELETE FROM task_children c USING unnest($1::uuid[], $2::int[]) AS n(run_id, position)
WHERE c.run_id = n.run_id AND c.position = n.position
"""


async def forget(tx: Tx, tasks: Sequence[TaskId]) -> None:
    """Removes the rows of tasks that want nothing of their children any more. They must be locked."""
    await tx.fetch(_FORGET, *_columns(tasks))


_OVERLOOKED = f"""
SELECT run_id, position FROM (
  SELECT DISTINCT parent_run_id AS run_id, parent_position AS position FROM workflow_runs
  WHERE parent_run_id IS NOT NULL AND NOT is_reported AND finished_at IS NOT NULL
    AND finished_at < clock_timestamp() - make_interval(secs => $1)
) news WHERE EXISTS
  (SELECT 1 FROM task_children c WHERE c.run_id = news.run_id AND c.position = news.position)
UNION
SELECT c.run_id, c.position FROM task_children c JOIN workflow_tasks t USING (run_id, position)
WHERE NOT c.abandons AND (
  (t.propagated AND t.finished_at < clock_timestamp() - make_interval(secs => $1))
  OR (t.status = 'waiting' AND t.waits_for = '{RETRY}'))
UNION
SELECT c.run_id, c.position FROM task_children c JOIN workflow_tasks t USING (run_id, position)
WHERE (c.started < c.total AND c.started - c.ended < c.at_once
       OR c.failed > c.tolerated AND c.ended < c.started)
  AND t.status = 'waiting' AND t.waits_for = '{CHILDREN}' AND NOT t.is_paused
LIMIT $2
"""


async def overlooked(tx: Tx, seconds: float, limit: int) -> list[TaskId]:
    """Tasks that were not told of a child's end, and ended ones whose children may not have been told."""
    return [_task(row) for row in await tx.fetch(_OVERLOOKED, seconds, limit)]


_FORGET_LATE = """
UPDATE workflow_runs r SET is_reported = true FROM (
  SELECT id FROM workflow_runs
  WHERE parent_run_id IS NOT NULL AND NOT is_reported AND finished_at IS NOT NULL
    AND finished_at < clock_timestamp() - interval '10 seconds'
    AND NOT EXISTS (SELECT 1 FROM task_children c
                    WHERE c.run_id = parent_run_id AND c.position = parent_position)
  ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
) late
WHERE r.id = late.id
"""


async def forget_late(tx: Tx, limit: int) -> None:
    """Takes children that ended when nobody waited for them any more out of the list of news."""
    await tx.fetch(_FORGET_LATE, limit)


def _columns(tasks: Sequence[TaskId]) -> tuple[list[UUID], list[int]]:
    return [task.run_id for task in tasks], [task.position for task in tasks]


def _task(row: Record) -> TaskId:
    return TaskId(row.run_id, row.position)
