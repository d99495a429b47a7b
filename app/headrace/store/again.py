"""Tasks that run again, and tasks whose results a new run uses again. The run must be locked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from headrace.graph.again import Stored
from headrace.graph.ids import TaskId
from headrace.graph.outcome import Verdict
from headrace.graph.states import REOPENS, RUN_REOPENS, RunStatus, TaskStatus
from headrace.store.db import Tx
from headrace.store.tasks import QUEUED_COLUMNS, Queued, queued

StoredTasks = dict[int, Stored]
"""The tasks of a run by position."""

_STORED = """
SELECT run_id, position, status, outcomes, reason, released_by,
       ends_run IS NOT NULL AS ends_run
FROM workflow_tasks WHERE run_id = ANY($1)
"""


async def stored(tx: Tx, run_id: UUID) -> StoredTasks:
    """How all tasks of a run stand, by position."""
    return (await stored_of(tx, [run_id])).get(run_id, {})


async def stored_of(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, StoredTasks]:
    """The same for several runs; one without tasks is missing."""
    found: dict[UUID, StoredTasks] = {}
    for row in await tx.fetch(_STORED, list(run_ids)):
        edges = None if row.released_by is None else tuple(row.released_by)
        task = Stored(TaskStatus(row.status), row.outcomes or "", row.reason, edges, row.ends_run)
        found.setdefault(row.run_id, {})[row.position] = task
    return found


_ENDINGS = """
SELECT position, node_id, ends_run, reason FROM workflow_tasks
WHERE run_id = $1 AND ends_run IS NOT NULL ORDER BY finished_at, position
"""


async def endings(tx: Tx, run_id: UUID) -> dict[int, Verdict]:
    """How nodes of a run said that it ends, by position; what was said first comes first."""
    return {
        row.position: Verdict(RunStatus(row.ends_run), row.reason or f"node '{row.node_id}' ended the run")
        for row in await tx.fetch(_ENDINGS, run_id)
    }


_KEEP_CHILDREN = """
INSERT INTO task_children (run_id, position, total, at_once, tolerated, abandons)
SELECT $1, n.position, 0, 1, 0, false FROM unnest($2::int[]) AS n(position)
WHERE EXISTS (SELECT FROM workflow_runs r
              WHERE r.parent_run_id = $1 AND r.parent_position = n.position AND r.parent_run_id IS NOT NULL)
ORDER BY n.position
ON CONFLICT (run_id, position) DO UPDATE SET first_index = 0, total = 0, started = 0, ended = 0, failed = 0
"""


async def keep_children(tx: Tx, run_id: UUID, positions: Collection[int]) -> None:
    """Gives those of the tasks that had children an empty batch: their next one takes earlier children over.

    To be called before the tasks run again: it is also why they remember how far they were.
    """
    if positions:
        await tx.fetch(_KEEP_CHILDREN, run_id, sorted(positions))


_BLANK = """
    outcomes = NULL, output = NULL, output_ref = NULL, error = NULL, reason = NULL, caused_by = NULL,
    input = NULL, wake = NULL, waits_for = NULL, lost = 0, finished_at = NULL, propagated = false,
    memory = CASE WHEN EXISTS (SELECT FROM task_children c WHERE c.run_id = t.run_id
                               AND c.position = t.position AND c.total = 0) THEN t.memory END
"""

_QUEUE_AGAIN = f"""
UPDATE workflow_tasks t
SET status = 'queued', attempt = t.attempt + 1, delivery = t.delivery + 1, queued_at = now(),
    ready_at = now(),    {_BLANK}
WHERE t.run_id = $1 AND t.position = ANY($2) AND t.status = ANY($3)
RETURNING {QUEUED_COLUMNS}
"""


async def queue_again(tx: Tx, run_id: UUID, positions: Collection[int]) -> list[Queued]:
    """failed -> queued with the next attempt; also roots that were cancelled before they ran."""
    may = sorted({*_reopened_from(TaskStatus.QUEUED), TaskStatus.CANCELLED.value})
    return [queued(row) for row in await tx.fetch(_QUEUE_AGAIN, run_id, sorted(positions), may)]


_WAIT_AGAIN = f"""
UPDATE workflow_tasks t
SET status = 'pending', edges_unresolved = n.in_degree, edges_taken = 0, edges_failed = 0,
    edges_cancelled = 0, released_by = NULL, queued_at = NULL, {_BLANK}
FROM unnest($2::int[], $3::int[]) AS n(position, in_degree)
WHERE t.run_id = $1 AND t.position = n.position AND t.status = ANY($4)
"""


async def wait_again(tx: Tx, run_id: UUID, in_degrees: Mapping[int, int]) -> None:
    """Ended -> pending, with counters as at the start. in_degrees: by position."""
    # One that is pending still is counted anew too: its parents are told again. Of the failed, `finally`
    # nodes wait again, and those behind others that run again.
    may = [*_reopened_from(TaskStatus.PENDING), TaskStatus.PENDING.value, TaskStatus.FAILED.value]
    await tx.fetch(_WAIT_AGAIN, run_id, list(in_degrees), list(in_degrees.values()), may)


async def forget_effects(tx: Tx, run_id: UUID, positions: Sequence[int]) -> None:
    """What tasks did that run again: variables are changed anew, and signals that they took come back."""
    await tx.fetch(
        "DELETE FROM variable_writes WHERE run_id = $1 AND position = ANY($2)", run_id, list(positions)
    )
    await tx.fetch(
        "UPDATE workflow_signals SET position = NULL WHERE run_id = $1 AND position = ANY($2)",
        run_id,
        list(positions),
    )


async def tell_again(tx: Tx, run_id: UUID, positions: Sequence[int]) -> None:
    """Ended tasks whose out-edges are to be counted once more."""
    await tx.fetch(
        "UPDATE workflow_tasks SET propagated = false WHERE run_id = $1 AND position = ANY($2)",
        run_id,
        list(positions),
    )


_REOPEN = """
UPDATE workflow_runs r
SET status = 'running', verdict = NULL, reason = NULL, phase = 'main', finished_at = NULL, updated_at = now(),
    is_reported = false, deadline_at = now() + make_interval(secs => $3), open = c.open,
    completed = c.completed, failed = c.failed, skipped = c.skipped, upstream_failed = c.upstream_failed,
    cancelled = c.cancelled
FROM (
  SELECT count(*) FILTER (WHERE status = 'completed') AS completed,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'skipped') AS skipped,
    count(*) FILTER (WHERE status = 'upstream_failed') AS upstream_failed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled, $4 - count(*) AS open
  FROM workflow_tasks WHERE run_id = $1 AND propagated
) c
WHERE r.id = $1 AND r.status = ANY($2)
"""


async def reopen_run(tx: Tx, run_id: UUID, main_size: int, timeout: float | None) -> None:
    """failed | cancelled -> running; its counters are made anew from its tasks. timeout: seconds.

    A child whose turn to run again has come is running already.
    """
    may = sorted(status.value for status in (*RUN_REOPENS, RunStatus.RUNNING))
    await tx.fetch(_REOPEN, run_id, may, timeout, main_size)


_COPY = """
UPDATE workflow_tasks t
SET status = o.status, outcomes = o.outcomes, output = o.output, output_ref = o.output_ref, error = o.error,
    input = CASE WHEN t.position = ANY($4) THEN coalesce(o.input, r.input) ELSE o.input END,
    reason = coalesce(o.reason, 'reused'), caused_by = o.caused_by, attempt = o.attempt,
    released_by = o.released_by, edges_unresolved = o.edges_unresolved, edges_taken = o.edges_taken,
    edges_failed = o.edges_failed, edges_cancelled = o.edges_cancelled, queued_at = NULL, ready_at = NULL,
    started_at = o.started_at, finished_at = now(), propagated = false, delivery = 0
FROM workflow_tasks o JOIN workflow_runs r ON r.id = o.run_id
WHERE o.run_id = $1 AND t.run_id = $2 AND t.position = o.position AND t.position = ANY($3)
RETURNING t.position, t.node_id, t.status
"""


async def copy(
    tx: Tx, source: UUID, target: UUID, positions: Collection[int], roots: Collection[int]
) -> list[tuple[TaskId, str, str]]:
    """Gives tasks of a new run the results that another run's had: task, node id and status of each.

    roots: those that got their run's input. They keep it: the new run may have another.
    """
    rows = await tx.fetch(_COPY, source, target, sorted(positions), sorted(roots))
    return [(TaskId(target, row.position), row.node_id, row.status) for row in rows]


def _reopened_from(target: TaskStatus) -> list[str]:
    return sorted(status.value for status, goal in REOPENS.items() if goal is target)
