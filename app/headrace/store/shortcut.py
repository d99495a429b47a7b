"""Settle, release and claim in one statement: one commit and one round trip for a hop.

For tasks that `headrace.graph.shortcut` admits, in runs that nobody else looks at: without a failure, a
verdict, a pause, a debugger, a parent or a concurrency key. The others of a batch are settled only, and
released the ordinary way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.states import TaskStatus
from headrace.store import payloads
from headrace.store.claims import Claim
from headrace.store.db import Record, Tx
from headrace.store.events import LOG, Event, columns
from headrace.store.guards import may_become
from headrace.store.tasks import QUEUED_COLUMNS, Queued, queued


@dataclass(frozen=True, slots=True)
class Completion:
    """A task that completed. output: JSON text, None for null. log: lines that its node wrote.

    targets: positions that its out-edges lead to. kept: those of them that the caller claims if ready.
    """

    task: TaskId
    token: int
    outcomes: str
    output: str | None
    targets: Sequence[int]
    log: Sequence[Event]
    kept: Set[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Holder:
    """Who claims. token: for the tasks that this statement claims."""

    worker_id: UUID
    token: int
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch. settled: recorded, but not released. What is in neither came too late.

    outputs: short outputs of the batch as they are stored, when successors were to be claimed.
    """

    released: Sequence[TaskId]
    settled: Sequence[TaskId]
    queued: Sequence[Queued]
    claimed: Sequence[Claim]
    outputs: Mapping[TaskId, str | None]


# The locks come first: `done` joins `locked`, and everything else follows from `done`. Rows that another
# transaction changed while this one waited for a lock are looked at again by each UPDATE, so every decision
# is made on their newest version.
_COMPLETE = f"""
WITH given AS (
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::text[], $5::text[], $21::bytea[])
    AS g(run_id, position, token, outcomes, output, output_ref)
), locked AS MATERIALIZED (
  SELECT id, failed = 0 AND verdict IS NULL AND status = 'running' AND parent_run_id IS NULL AND debug IS NULL
         AND concurrency_key IS NULL AS is_plain
  FROM workflow_runs
  WHERE id = ANY($6) ORDER BY id FOR NO KEY UPDATE
), done AS (
  UPDATE workflow_tasks t
  SET status = 'completed', outcomes = g.outcomes, output = g.output::jsonb, output_ref = g.output_ref,
      error = NULL, reason = NULL, waits_for = NULL, memory = NULL, wake = NULL,
      finished_at = clock_timestamp(), propagated = l.is_plain,
      token = NULL, lease_until = NULL, worker_id = NULL
  FROM given g JOIN locked l ON l.id = g.run_id
  WHERE t.run_id = g.run_id AND t.position = g.position AND t.token = g.token
    AND t.status = ANY($20)
  RETURNING {QUEUED_COLUMNS}, t.propagated, CASE WHEN $22 THEN t.output END AS output
), edges AS (
  SELECT e.run_id, e.target, count(*)::int AS resolved, bool_or(e.is_kept) AS is_kept
  FROM unnest($7::uuid[], $8::int[], $9::int[], $10::bool[]) AS e(run_id, source, target, is_kept)
  JOIN done d ON d.run_id = e.run_id AND d.position = e.source
  WHERE d.propagated GROUP BY e.run_id, e.target
), released AS (
  UPDATE workflow_tasks t
  SET edges_unresolved = t.edges_unresolved - e.resolved, edges_taken = t.edges_taken + e.resolved,
      status = CASE WHEN t.edges_unresolved > e.resolved THEN t.status
                    WHEN e.is_kept THEN 'running' ELSE 'queued' END,
      attempt = t.attempt + (t.edges_unresolved = e.resolved)::int,
      delivery = t.delivery + (t.edges_unresolved = e.resolved)::int,
      queued_at = CASE WHEN t.edges_unresolved = e.resolved THEN clock_timestamp() END,
      started_at = CASE WHEN t.edges_unresolved = e.resolved AND e.is_kept THEN clock_timestamp() END,
      token = CASE WHEN t.edges_unresolved = e.resolved AND e.is_kept THEN $11::bigint END,
      worker_id = CASE WHEN t.edges_unresolved = e.resolved AND e.is_kept THEN $12::uuid END,
      lease_until = CASE WHEN t.edges_unresolved = e.resolved AND e.is_kept
                         THEN clock_timestamp() + make_interval(secs => $13) END
  FROM edges e WHERE t.run_id = e.run_id AND t.position = e.target AND t.status = 'pending'
  RETURNING {QUEUED_COLUMNS}, t.status
), counted AS (
  UPDATE workflow_runs r
  SET completed = r.completed + c.tasks, open = r.open - c.tasks, updated_at = now(),
      status = CASE WHEN r.open = c.tasks THEN 'succeeded' ELSE r.status END,
      finished_at = CASE WHEN r.open = c.tasks THEN now() END
  FROM (SELECT run_id, count(*)::int AS tasks FROM done WHERE propagated GROUP BY run_id) c
  WHERE r.id = c.run_id
  RETURNING r.id, r.status
), history AS (
  INSERT INTO workflow_events (run_id, position, node_id, type, message, data)
  SELECT run_id, position, node_id, type, message, data FROM (
    SELECT l.run_id, l.position, l.node_id, l.type, l.message, l.data::jsonb, 1 AS step, l.n
    FROM unnest($14::uuid[], $15::int[], $16::text[], $17::text[], $18::text[], $19::text[])
         WITH ORDINALITY AS l(run_id, position, node_id, type, message, data, n)
    JOIN done d ON d.run_id = l.run_id AND d.position = l.position
    UNION ALL
    SELECT run_id, position, node_id, 'task.completed', NULL, jsonb_build_object('attempt', attempt), 2, 0
    FROM done
    UNION ALL
    SELECT run_id, position, node_id, 'task.' || status, NULL,
           jsonb_build_object('attempt', attempt, 'delivery', delivery), 3, 0
    FROM released WHERE status <> 'pending'
    UNION ALL
    SELECT id, NULL, NULL, 'run.succeeded', NULL,
           jsonb_build_object('status', 'succeeded', 'reason', NULL), 4, 0
    FROM counted WHERE status = 'succeeded'
    UNION ALL
    SELECT id, NULL, NULL, '{LOG}', 'Workflow run succeeded', jsonb_build_object('type', 'system'), 5, 0
    FROM counted WHERE status = 'succeeded'
  ) AS lines ORDER BY step, n, run_id, position
)
SELECT run_id, position, node_id, attempt, delivery, attempt_timeout, priority,
       CASE WHEN propagated THEN 'released' ELSE 'settled' END AS status, output FROM done
UNION ALL
SELECT *, NULL FROM released WHERE status <> 'pending'
"""


async def complete(tx: Tx, completions: Sequence[Completion], holder: Holder) -> Outcome:
    """running -> completed by token; pending -> queued or running for those whose last edge this was."""
    kept = await payloads.keep(tx, [one.output for one in completions])
    edges = [(one, target) for one in completions for target in one.targets]
    rows = await tx.fetch(
        _COMPLETE,
        [one.task.run_id for one in completions],
        [one.task.position for one in completions],
        [one.token for one in completions],
        [one.outcomes for one in completions],
        kept.texts,
        sorted({one.task.run_id for one in completions}),
        [one.task.run_id for one, _ in edges],
        [one.task.position for one, _ in edges],
        [target for _, target in edges],
        [target in one.kept for one, target in edges],
        holder.token,
        holder.worker_id,
        holder.lease_seconds,
        *columns([event for one in completions for event in one.log]),
        may_become(TaskStatus.COMPLETED),
        kept.references,
        any(one.kept for one in completions),
    )
    by_status: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        by_status[row.status].append(row)
    released = {_task(row): row.output for row in by_status["released"]}
    long = {one.task for one, reference in zip(completions, kept.references, strict=True) if reference}
    return Outcome(
        released=list(released),
        settled=[_task(row) for row in by_status["settled"]],
        queued=[queued(row) for row in by_status[TaskStatus.QUEUED]],
        claimed=[_claim(row, holder.token) for row in by_status[TaskStatus.RUNNING]],
        outputs={task: output for task, output in released.items() if task not in long},
    )


def _task(row: Record) -> TaskId:
    return TaskId(row.run_id, row.position)


def _claim(row: Record, token: int) -> Claim:
    return Claim(
        task=_task(row),
        node_id=row.node_id,
        attempt=row.attempt,
        delivery=row.delivery,
        token=token,
        released_by=None,
        waits_for=None,
        priority=row.priority,
    )
