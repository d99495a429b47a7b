"""Tasks that are ready but held: by a pause of their run, a breakpoint or a limit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from headrace.graph.holding import Hold
from headrace.graph.ids import TaskId
from headrace.graph.states import TaskStatus
from headrace.store.db import Tx
from headrace.store.recovery import CHILDREN
from headrace.store.tasks import QUEUED_COLUMNS, Queued, queued

_HOLD = """
WITH given AS (
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::bool[], $4::text[])
    AS g(run_id, position, is_paused, held_for)
), ready AS (
  SELECT t.run_id, t.position, g.is_paused, g.held_for
  FROM workflow_tasks t JOIN given g USING (run_id, position)
  WHERE t.status = ANY($5) ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t
)
UPDATE workflow_tasks t
SET status = 'waiting', is_paused = r.is_paused, held_for = r.held_for,
    wake_at = CASE WHEN r.held_for IS NULL THEN now() END
FROM ready r WHERE t.run_id = r.run_id AND t.position = r.position
"""


async def hold(tx: Tx, holds: Mapping[TaskId, Hold]) -> None:
    """queued -> waiting. One that only a pause holds is due at once when the run is resumed."""
    await tx.fetch(
        _HOLD,
        [task.run_id for task in holds],
        [task.position for task in holds],
        [one.is_paused for one in holds.values()],
        [one.held_for for one in holds.values()],
        [TaskStatus.QUEUED.value],
    )


_LET_GO = f"""
WITH held AS (
  SELECT t.run_id, t.position FROM workflow_tasks t
  JOIN unnest($1::uuid[], $2::int[]) AS g(run_id, position) USING (run_id, position)
  WHERE t.status = 'waiting' AND t.held_for IS NOT NULL AND NOT t.is_paused
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t
)
UPDATE workflow_tasks t
SET status = 'queued', delivery = t.delivery + 1, queued_at = now(), wake_at = NULL, held_for = NULL
FROM held WHERE t.run_id = held.run_id AND t.position = held.position
RETURNING {QUEUED_COLUMNS}
"""


async def let_go(tx: Tx, tasks: Sequence[TaskId]) -> list[Queued]:
    """waiting -> queued for those of the given tasks that a breakpoint or a limit held."""
    rows = await tx.fetch(_LET_GO, [task.run_id for task in tasks], [task.position for task in tasks])
    return [queued(row) for row in rows]


_AT_BREAKPOINTS = """
SELECT run_id, position, node_id FROM workflow_tasks
WHERE run_id = ANY($1) AND held_for LIKE 'breakpoint %' ORDER BY run_id, position
"""


async def at_breakpoints(tx: Tx, run_ids: Sequence[UUID]) -> dict[TaskId, str]:
    """The tasks of these runs that breakpoints hold, with their nodes."""
    rows = await tx.fetch(_AT_BREAKPOINTS, list(run_ids))
    return {TaskId(row.run_id, row.position): row.node_id for row in rows}


_TREES = """
WITH RECURSIVE up AS (
  SELECT id, parent_run_id FROM workflow_runs WHERE id = ANY($1)
  UNION
  SELECT r.id, r.parent_run_id FROM up JOIN workflow_runs r ON r.id = up.parent_run_id
), roots AS (
  SELECT id FROM up WHERE NOT EXISTS (SELECT 1 FROM workflow_runs p WHERE p.id = up.parent_run_id) ORDER BY id
)
SELECT {lock}(hashtextextended('breakpoints in ' || id, 17)) FROM roots
"""
_SHARE = _TREES.format(lock="pg_advisory_xact_lock_shared")
_OWN = _TREES.format(lock="pg_advisory_xact_lock")


async def keep_breakpoints(tx: Tx, run_ids: Collection[UUID]) -> None:
    """Until the transaction ends, nobody sets breakpoints in these runs, nor around them.

    To be called before anything is read of what children are to stop at, and before rows are locked.
    """
    await tx.fetch(_SHARE, sorted(run_ids))


async def change_breakpoints(tx: Tx, run_id: UUID) -> None:
    """Until the transaction ends, no run of this one's family gets children that know other breakpoints."""
    await tx.fetch(_OWN, [run_id])


_PAUSE = """
WITH ready AS (
  SELECT t.position, t.status FROM workflow_tasks t
  WHERE t.run_id = $1 AND t.status IN ('queued', 'waiting') ORDER BY t.position FOR NO KEY UPDATE OF t
)
UPDATE workflow_tasks t
SET is_paused = true, status = 'waiting',
    wake_at = CASE WHEN t.status = 'queued' THEN now() ELSE t.wake_at END
FROM ready WHERE t.run_id = $1 AND t.position = ready.position
RETURNING t.run_id, t.position, t.attempt, t.delivery, ready.status AS was
"""


async def pause(tx: Tx, run_id: UUID) -> list[str]:
    """Holds all that is queued or waits; running tasks finish. Returns the ids of jobs that are not needed.

    The run must be locked.
    """
    return [
        f"{TaskId(row.run_id, row.position)}-{row.attempt}-{row.delivery}"
        for row in await tx.fetch(_PAUSE, run_id)
        if row.was == TaskStatus.QUEUED
    ]


# The history knows when the pause began; its index leads to that line from the end.
_RESUME = """
WITH pause AS (
  SELECT coalesce((SELECT e.at FROM workflow_events e
                   WHERE e.run_id = $1 AND e.type = 'run.paused' ORDER BY e.id DESC LIMIT 1),
                  clock_timestamp()) AS at
), run AS (
  UPDATE workflow_runs r
  SET status = 'running', reason = NULL, updated_at = now(),
      deadline_at = r.deadline_at + (clock_timestamp() - p.at)
  FROM pause p WHERE r.id = $1 AND r.status = 'paused'
), held AS (
  SELECT t.position, t.is_paused FROM workflow_tasks t
  WHERE t.run_id = $1 AND t.finished_at IS NULL AND (t.is_paused OR t.total_timeout IS NOT NULL)
  ORDER BY t.position FOR NO KEY UPDATE
)
UPDATE workflow_tasks t
SET is_paused = false, ready_at = t.ready_at + (clock_timestamp() - greatest(t.ready_at, p.at))
FROM held, pause p WHERE t.run_id = $1 AND t.position = held.position
RETURNING t.run_id, t.position, t.waits_for, held.is_paused AS was_paused
"""


async def resume(tx: Tx, run_id: UUID) -> list[TaskId]:
    """Ends the pause of a run: what it held waits for its own time only, and what is due wakes with the next
    tick. The run's clock and those of its tasks go on where they stood.

    Returns the tasks that wait for children: more of those may start now. The run must be locked.
    """
    rows = await tx.fetch(_RESUME, run_id)
    return [TaskId(row.run_id, row.position) for row in rows if row.was_paused and row.waits_for == CHILDREN]
