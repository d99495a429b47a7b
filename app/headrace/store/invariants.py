"""What must hold in a database at any moment, as queries for what breaks it. They only read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.states import ENDED, TaskStatus
from headrace.store.db import Database, Record, Tx
from headrace.store.guards import ENDED_LIST
from headrace.store.limits import KEY
from headrace.store.recovery import CHILDREN
from headrace.store.runs import ProgramKey


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must never be. count: how often it is. example: where it is, once."""

    name: str
    description: str
    count: int
    example: str


GIVEN_UP = "EngineError"
"""How the reason of a run begins that ended without its plan: all its tasks were ended as they stood."""

PATIENCE_SECONDS = 60
"""How long the sweep may take to repair what got lost before it counts as a finding."""

_RUN_IS_SOUND = f"(r.reason IS NULL OR r.reason NOT LIKE '{GIVEN_UP}%')"
_LATE = f"clock_timestamp() - interval '{PATIENCE_SECONDS} seconds'"
_ENDINGS = ", ".join(f"'task.{status}'" for status in sorted(ENDED))
_IS_END = f"type IN ({_ENDINGS})"
_TASK = "t.run_id || '-' || t.position"

_BROKEN = {
    "one_task_a_node": (
        "A run has two tasks for one node",
        "SELECT min(run_id || ' ' || node_id) AS example FROM workflow_tasks"
        " GROUP BY run_id, node_id HAVING count(*) > 1",
    ),
    "ended_run_has_ended_tasks": (
        "A run has ended although one of its tasks has not",
        "SELECT r.id::text AS example FROM workflow_runs r WHERE r.finished_at IS NOT NULL AND EXISTS"
        " (SELECT 1 FROM workflow_tasks t WHERE t.run_id = r.id AND t.finished_at IS NULL)",
    ),
    "run_ends_with_its_tasks": (
        "A run goes on although all its tasks have ended and were followed up",
        "SELECT r.id::text AS example FROM workflow_runs r"
        " WHERE r.finished_at IS NULL AND r.status NOT IN ('queued', 'paused') AND NOT EXISTS"
        " (SELECT 1 FROM workflow_tasks t WHERE t.run_id = r.id AND NOT t.propagated)",
    ),
    "counters_are_counts": (
        "A run's counters differ from what its tasks say",
        f"""
        SELECT r.id::text AS example FROM workflow_runs r JOIN (
          SELECT run_id, count(*) AS total, count(*) FILTER (WHERE propagated) AS ended,
            count(*) FILTER (WHERE propagated AND status = 'completed') AS completed,
            count(*) FILTER (WHERE propagated AND status = 'failed') AS failed,
            count(*) FILTER (WHERE propagated AND status = 'skipped') AS skipped,
            count(*) FILTER (WHERE propagated AND status = 'upstream_failed') AS upstream_failed,
            count(*) FILTER (WHERE propagated AND status = 'cancelled') AS cancelled
          FROM workflow_tasks GROUP BY run_id
        ) t ON t.run_id = r.id
        WHERE {_RUN_IS_SOUND} AND (
          (r.total, r.completed, r.failed, r.skipped, r.upstream_failed, r.cancelled)
            <> (t.total, t.completed, t.failed, t.skipped, t.upstream_failed, t.cancelled)
          OR r.open > t.total - t.ended OR (r.finished_at IS NOT NULL AND r.open <> 0))
        """,
    ),
    "queued_has_a_delivery": (
        "A task is queued without the number of a delivery",
        f"SELECT {_TASK} AS example FROM workflow_tasks t WHERE t.status = 'queued'"
        " AND (t.delivery = 0 OR t.attempt = 0 OR t.queued_at IS NULL)",
    ),
    "open_task_in_open_run": (
        "A task can still run although its run has ended",
        f"SELECT {_TASK} AS example FROM workflow_tasks t JOIN workflow_runs r ON r.id = t.run_id"
        " WHERE t.status IN ('queued', 'running', 'waiting') AND r.finished_at IS NOT NULL",
    ),
    "lost_workers_are_noticed": (
        "A task is held by a lease that ran out long ago",
        f"SELECT {_TASK} AS example FROM workflow_tasks t"
        f" WHERE t.status = 'running' AND t.lease_until < {_LATE}",
    ),
    "waits_end": (
        "A task waits although its time came long ago",
        f"SELECT {_TASK} AS example FROM workflow_tasks t"
        f" WHERE t.status = 'waiting' AND t.wake_at < {_LATE} AND NOT t.is_paused",
    ),
    "ends_are_followed_up": (
        "A task ended long ago and its successors were not told",
        f"SELECT {_TASK} AS example FROM workflow_tasks t"
        f" WHERE t.finished_at IS NOT NULL AND NOT t.propagated AND t.finished_at < {_LATE}",
    ),
    "keys_are_held": (
        "A task has waited long for a key that nobody holds",
        f"""
        SELECT {_TASK} AS example FROM workflow_tasks t
        WHERE t.status = 'waiting' AND t.held_for LIKE '{KEY}%' AND NOT t.is_paused AND t.started_at < {_LATE}
          AND NOT EXISTS (
            SELECT 1 FROM concurrency_slots s JOIN workflow_tasks h
              ON h.run_id = s.run_id AND h.position = s.position AND h.token = s.token
            WHERE s.key = substr(t.held_for, {len(KEY) + 1}))
        """,
    ),
    "children_go_on": (
        "A task waits for children, and none of them can still tell it anything",
        f"""
        SELECT {_TASK} AS example FROM workflow_tasks t
        WHERE t.status = 'waiting' AND t.waits_for = '{CHILDREN}' AND t.wake IS NULL AND NOT t.is_paused
          AND NOT EXISTS (
            SELECT 1 FROM task_children c JOIN workflow_runs r
              ON r.parent_run_id = c.run_id AND r.parent_position = c.position
            WHERE c.run_id = t.run_id AND c.position = t.position
              AND NOT r.is_reported AND (r.status <> 'queued' OR r.concurrency_key IS NOT NULL))
        """,
    ),
    "children_at_once": (
        "More children of a task run than may run together",
        """
        SELECT c.run_id || '-' || c.position AS example FROM task_children c JOIN workflow_runs r
          ON r.parent_run_id = c.run_id AND r.parent_position = c.position
        WHERE NOT r.is_reported AND r.status IN ('running', 'paused')
          AND c.total > 0  -- else its task runs again, and these are an earlier attempt's that are to stop
        GROUP BY c.run_id, c.position, c.at_once HAVING count(*) > c.at_once
        """,
    ),
    "children_end_with_their_parent": (
        "A child goes on although its task ended long ago and has not abandoned it",
        f"""
        SELECT r.id::text AS example FROM workflow_runs r JOIN workflow_tasks t
          ON t.run_id = r.parent_run_id AND t.position = r.parent_position
        WHERE r.finished_at IS NULL AND r.verdict IS NULL AND NOT r.is_reported AND t.finished_at < {_LATE}
          AND NOT EXISTS (SELECT 1 FROM task_children c
                          WHERE c.run_id = t.run_id AND c.position = t.position AND c.abandons)
        """,
    ),
    "signals_are_taken": (
        "A task has waited long for a signal that is there",
        f"""
        SELECT {_TASK} AS example FROM workflow_tasks t JOIN workflow_signals s
          ON s.run_id = t.run_id AND s.name = t.signal AND (s.node_id IS NULL OR s.node_id = t.node_id)
        WHERE t.status = 'waiting' AND s.position IS NULL AND s.refused IS NULL AND s.sent_at < {_LATE}
          AND NOT EXISTS (SELECT 1 FROM workflow_events e
                          WHERE e.run_id = t.run_id AND e.position = t.position
                            AND e.type = 'task.waiting' AND e.at >= {_LATE})
        """,
    ),
    "taken_signals_have_takers": (
        "A signal was taken by a task that is not there, or never began",
        """
        SELECT s.run_id || ' ' || s.id AS example FROM workflow_signals s
        WHERE s.position IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM workflow_tasks t
          WHERE t.run_id = s.run_id AND t.position = s.position AND t.attempt > 0
            AND (s.node_id IS NULL OR s.node_id = t.node_id))
        """,
    ),
    "each_end_is_told_once": (
        "A task's end does not stand in the history exactly once",
        f"""
        SELECT {_TASK} AS example FROM workflow_tasks t LEFT JOIN (
          SELECT run_id, position, (array_agg(type ORDER BY id DESC) FILTER (WHERE {_IS_END}))[1] AS type,
            count(*) FILTER (WHERE {_IS_END}) - count(*) FILTER (WHERE NOT {_IS_END}) AS ends
          FROM workflow_events WHERE {_IS_END} OR type = 'task.reopened' GROUP BY run_id, position
        ) e ON e.run_id = t.run_id AND e.position = t.position
        WHERE t.status IN {ENDED_LIST}
          AND (e.ends IS DISTINCT FROM 1 OR e.type <> 'task.' || t.status)
        """,
    ),
    "each_run_ends_once": (
        "A run's end does not stand in the history exactly once",
        "SELECT r.id::text AS example FROM workflow_runs r WHERE r.finished_at IS NOT NULL AND"
        " (SELECT count(*) FILTER (WHERE e.type <> 'run.reopened')"
        "   - count(*) FILTER (WHERE e.type = 'run.reopened') FROM workflow_events e WHERE e.run_id = r.id"
        "  AND e.type IN ('run.succeeded', 'run.failed', 'run.cancelled', 'run.reopened')) <> 1",
    ),
}


async def findings(db: Database) -> list[Finding]:
    """What is broken. One query each, in a transaction that cannot write; reads whole tables."""
    found = []
    async with db.transaction() as tx:
        await tx.fetch("SET TRANSACTION READ ONLY")
        # The hot statements go by index; these read whole tables.
        for option in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
            await tx.fetch(f"SET LOCAL {option} = on")
        for name, (description, query) in _BROKEN.items():
            row = await tx.row(f"SELECT count(*) AS n, min(example) AS example FROM ({query}) AS broken")
            if row is not None and row.n:
                found.append(Finding(name, description, row.n, row.example))
    return found


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What is stored of how a task was decided. counted: unresolved, taken, failed, cancelled in-edges.

    decided, reopened: where in the history stand the first line after its join was decided the last time, and
    the last retry in place that ran it again; 0 for nowhere, and in runs that were never retried.
    """

    status: TaskStatus
    propagated: bool
    outcomes: str | None
    released_by: tuple[int, ...] | None
    counted: tuple[int, int, int, int]
    decided: int
    reopened: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run with its tasks by position, as of one moment."""

    id: UUID
    program: ProgramKey
    phase: str
    tasks: Mapping[int, TaskFacts]


_RUNS = f"""
SELECT r.id, r.workflow_id, r.version, r.body, r.phase FROM workflow_runs r
WHERE {_RUN_IS_SOUND} AND r.total > 0 AND EXISTS (SELECT 1 FROM workflow_tasks t WHERE t.run_id = r.id)
ORDER BY r.id DESC LIMIT $1
"""

_TASKS = """
SELECT run_id, position, status, propagated, outcomes, released_by, edges_unresolved, edges_taken,
       edges_failed, edges_cancelled
FROM workflow_tasks WHERE run_id = ANY($1)
"""

_RETRIES = """
WITH reopened AS (
  SELECT run_id, position, max(id) AS at FROM workflow_events
  WHERE run_id = ANY($1) AND type = 'task.reopened' GROUP BY run_id, position
), decided AS (
  SELECT e.run_id, e.position, min(e.id) AS at
  FROM workflow_events e LEFT JOIN reopened r ON r.run_id = e.run_id AND r.position = e.position
  WHERE e.run_id IN (SELECT run_id FROM reopened) AND e.id > coalesce(r.at, 0)
    AND e.type LIKE 'task.%' AND e.type <> 'task.counted_again'
  GROUP BY e.run_id, e.position
)
SELECT run_id, position, coalesce(d.at, 0) AS decided, coalesce(r.at, 0) AS reopened
FROM decided d FULL JOIN reopened r USING (run_id, position)
"""


async def latest_runs(tx: Tx, limit: int) -> list[RunFacts]:
    """The newest runs, all as of one moment: the first statement of the transaction must be this one's."""
    await tx.fetch("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    runs = await tx.fetch(_RUNS, limit)
    tasks: dict[UUID, dict[int, TaskFacts]] = {run.id: {} for run in runs}
    retries = {(row.run_id, row.position): row for row in await tx.fetch(_RETRIES, list(tasks))}
    for row in await tx.fetch(_TASKS, list(tasks)):
        tasks[row.run_id][row.position] = _facts(row, retries.get((row.run_id, row.position)))
    return [
        RunFacts(run.id, ProgramKey(run.workflow_id, run.version, run.body), run.phase, tasks[run.id])
        for run in runs
    ]


def _facts(row: Record, retry: Record | None) -> TaskFacts:
    return TaskFacts(
        TaskStatus(row.status),
        row.propagated,
        row.outcomes,
        None if row.released_by is None else tuple(row.released_by),
        (row.edges_unresolved, row.edges_taken, row.edges_failed, row.edges_cancelled),
        decided=retry.decided if retry else 0,
        reopened=retry.reopened if retry else 0,
    )
