"""Where runs and tasks stand, and what holds them, for explanations. Nothing here changes anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.graph.children import Batch
from headrace.graph.culprits import CHILD_FAILED
from headrace.graph.explain_facts import Holder, RefusedSignal, TaskFacts
from headrace.graph.ids import TaskId
from headrace.graph.project import DEFAULT_PROJECT, EVERY_PROJECT
from headrace.graph.states import RUN_ENDED, RunStatus, TaskStatus
from headrace.store.columns import one_of
from headrace.store.db import Record, Tx
from headrace.store.limits import KEY
from headrace.store.recovery import CHILDREN
from headrace.store.runs import ProgramKey

FEW = 3
"""Children of a task, and holders of a key, that are named."""

FEW_WORDS = 100
"""Characters that are told of what a task asks people, or of why it refused something."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as an explanation sees it. paused_at: since when it is. is_child: of another run's task."""

    id: UUID
    program: ProgramKey
    status: RunStatus
    verdict: RunStatus | None
    reason: str | None
    paused_at: datetime | None
    key: str | None
    is_child: bool
    child_index: int | None


# The pause is among the last lines of a paused run's history.
_RUNS = """
SELECT r.id, r.workflow_id, r.version, r.body, r.status, r.verdict, r.reason, r.concurrency_key,
       r.parent_run_id, r.child_index,
       CASE WHEN r.status = 'paused' THEN (
         SELECT e.at FROM workflow_events e WHERE e.run_id = r.id AND e.type = 'run.paused'
         ORDER BY e.id DESC LIMIT 1) END AS paused_at
FROM workflow_runs r WHERE r.id = ANY($1)
"""


async def runs(tx: Tx, run_ids: Sequence[UUID]) -> list[RunRecord]:
    """Those of the runs that are there."""
    return [
        RunRecord(
            id=row.id,
            program=ProgramKey(row.workflow_id, row.version, row.body),
            status=RunStatus(row.status),
            verdict=None if row.verdict is None else RunStatus(row.verdict),
            reason=row.reason,
            paused_at=row.paused_at,
            key=row.concurrency_key,
            is_child=row.parent_run_id is not None,
            child_index=row.child_index,
        )
        for row in await tx.fetch(_RUNS, list(run_ids))
    ]


# Which task refused a signal, only the history knows. It is asked only where one was refused. With EXISTS
# PostgreSQL would read all signals there are.
_REFUSED = f"""
CASE WHEN t.signal IS NOT NULL AND (
  SELECT true FROM workflow_signals s
  WHERE s.run_id = t.run_id AND s.name = t.signal AND s.refused IS NOT NULL LIMIT 1) THEN (
  SELECT ARRAY[e.data ->> 'id', left(e.data ->> 'reason', {FEW_WORDS})] FROM workflow_events e
  WHERE e.run_id = t.run_id AND e.position = t.position AND e.type = 'signal.refused'
  ORDER BY e.id DESC LIMIT 1) END
"""

# `||`: null without an error. A batch counts only while it is waited for.
_TASKS = f"""
SELECT t.run_id, t.position, t.node_id, t.status, t.attempt, t.waits_for, t.signal, t.held_for, t.is_paused,
       t.wake_at, t.queued_at, t.started_at, t.propagated, t.reason, t.caused_by,
       (t.error ->> 'type') || ': ' || left(t.error ->> 'message', 300) AS error, t.priority, t.project,
       CASE WHEN t.waits_for IN ('approval', 'question')
            THEN left(coalesce(t.memory ->> 'message', t.memory ->> 'question'), {FEW_WORDS}) END AS asks,
       CASE WHEN t.waits_for = 'question' THEN left(t.memory ->> 'actor', {FEW_WORDS}) END AS asks_whom,
       CASE WHEN t.status = 'failed' AND t.error ->> 'type' = '{CHILD_FAILED}' THEN ARRAY(
         SELECT (c ->> 'runId')::uuid
         FROM jsonb_path_query(t.error, '$.details.children[0 to {FEW - 1}]') AS c) END AS failed_children,
       c.total, c.at_once, c.tolerated, c.started, c.ended, c.failed, {_REFUSED} AS refused
FROM workflow_tasks t
LEFT JOIN task_children c ON c.run_id = t.run_id AND c.position = t.position
  AND t.status = 'waiting' AND t.waits_for = '{CHILDREN}'
WHERE t.run_id = ANY($1) AND NOT (t.status = 'completed' AND t.propagated)
"""


async def tasks(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, dict[int, TaskFacts]]:
    """The tasks of runs by position, without those that completed and whose successors were told."""
    found: dict[UUID, dict[int, TaskFacts]] = defaultdict(dict)
    for row in await tx.fetch(_TASKS, list(run_ids)):
        found[row.run_id][row.position] = _task(row)
    return found


def _task(row: Record) -> TaskFacts:
    counts = (row.total, row.at_once, row.tolerated, row.started, row.ended, row.failed)
    return TaskFacts(
        position=row.position,
        node_id=row.node_id,
        status=TaskStatus(row.status),
        attempt=row.attempt,
        waits_for=row.waits_for,
        signal=row.signal,
        held_for=row.held_for,
        is_paused=row.is_paused,
        wake_at=row.wake_at,
        queued_at=row.queued_at,
        started_at=row.started_at,
        is_propagated=row.propagated,
        reason=row.reason,
        caused_by=row.caused_by,
        error=row.error,
        priority=row.priority,
        project=row.project or DEFAULT_PROJECT,
        asks=row.asks or None,
        asks_whom=row.asks_whom or None,
        refused=None if row.refused is None else RefusedSignal(*row.refused),
        failed_children=tuple(row.failed_children or ()),
        batch=None if row.total is None else Batch(*counts),
    )


# By status: asked for runs that are not finished, PostgreSQL would read all of them by their index.
_CHILDREN = f"""
SELECT c.run_id, c.position, r.id FROM task_children c
JOIN unnest($1::uuid[], $2::int[]) AS n(run_id, position) USING (run_id, position)
CROSS JOIN LATERAL (
  SELECT id FROM workflow_runs
  WHERE parent_run_id = c.run_id AND parent_run_id IS NOT NULL AND parent_position = c.position
    AND child_index >= c.first_index AND child_index < c.first_index + c.started
    AND NOT ({one_of("status", RUN_ENDED)})
  ORDER BY child_index, id LIMIT $3
) AS r
"""


async def children(tx: Tx, parents: Sequence[TaskId]) -> dict[TaskId, list[UUID]]:
    """The first few children of tasks that have begun and not ended."""
    found: dict[TaskId, list[UUID]] = defaultdict(list)
    ids, positions = [one.run_id for one in parents], [one.position for one in parents]
    for row in await tx.fetch(_CHILDREN, ids, positions, FEW):
        found[TaskId(row.run_id, row.position)].append(row.id)
    return found


_HOLDERS = """
SELECT k.key, s.run_id, s.node_id, s.taken_at FROM unnest($1::text[]) AS k(key)
CROSS JOIN LATERAL (
  SELECT s.run_id, t.node_id, s.taken_at FROM concurrency_slots s
  JOIN workflow_tasks t ON t.run_id = s.run_id AND t.position = s.position AND t.token = s.token
  WHERE s.key = k.key ORDER BY s.taken_at LIMIT $2
) AS s
"""


async def holders(tx: Tx, held_for: Sequence[str]) -> dict[str, list[Holder]]:
    """Who holds the concurrency keys that tasks wait for, the longest first. held_for: of those tasks."""
    keys = sorted({one.removeprefix(KEY) for one in held_for if one.startswith(KEY)})
    found: dict[str, list[Holder]] = defaultdict(list)
    for row in await tx.fetch(_HOLDERS, keys, FEW) if keys else ():
        found[row.key].append(Holder(row.run_id, row.taken_at, row.node_id))
    return found


_ACTIVE = """
SELECT id, started_at FROM workflow_runs
WHERE concurrency_key = $1 AND finished_at IS NULL AND status <> 'queued' ORDER BY id LIMIT $2
"""

_AHEAD = """
SELECT count(*)::int AS number FROM workflow_runs r JOIN workflow_runs own ON own.id = $2
WHERE r.concurrency_key = $1 AND r.finished_at IS NULL AND r.status = 'queued'
  AND (-r.priority, r.id) < (-own.priority, own.id)
"""


async def turn(tx: Tx, run_id: UUID, key: str) -> tuple[list[Holder], int]:
    """The runs that have the key, the oldest first, and how many queued ones come before this one."""
    active = [Holder(row.id, row.started_at) for row in await tx.fetch(_ACTIVE, key, FEW)]
    ahead = await tx.row(_AHEAD, key, run_id)
    return active, 0 if ahead is None else ahead.number


@dataclass(frozen=True, slots=True)
class Pulse:
    """The database's clock; how many worker processes were heard of lately, and how many listen where.

    Under `*` stand those that listen to the queues of all projects.
    """

    now: datetime
    workers: int
    listeners: Mapping[str, int]


_PULSE = f"""
WITH fresh AS (
  SELECT id, queues || CASE WHEN '{EVERY_PROJECT}' = ANY(projects) THEN ARRAY['{EVERY_PROJECT}'] END AS queues
  FROM workflow_workers
  WHERE state = 'running' AND last_heartbeat > clock_timestamp() - make_interval(secs => $1)
)
SELECT clock_timestamp() AS now, (SELECT count(*)::int FROM fresh) AS workers, q.queue, q.number
FROM (SELECT 1) AS one LEFT JOIN (
  SELECT queue, count(*)::int AS number FROM fresh, unnest(queues) AS queue GROUP BY queue
) AS q ON true
"""


async def pulse(tx: Tx, fresh_seconds: float) -> Pulse:
    """fresh_seconds: how old a heartbeat may be."""
    rows = await tx.fetch(_PULSE, fresh_seconds)
    listeners = {row.queue: row.number for row in rows if row.queue is not None}
    return Pulse(rows[0].now, rows[0].workers, listeners)
