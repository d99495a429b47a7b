"""Settle, release and claim in one statement: one commit and one round trip for a hop, or for several.

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

    token: what it is held by; None for one that ran ahead, which stands after all its parents in the batch.
    targets: positions that its out-edges lead to. kept: those of them that the caller claims if ready.
    ended_ago, begun_ago: seconds since its code ended; and, of one that ran ahead, since it began.
    """

    task: TaskId
    token: int | None
    outcomes: str
    output: str | None
    targets: Sequence[int]
    log: Sequence[Event]
    kept: Set[int] = frozenset()
    ended_ago: float = 0.0
    begun_ago: float = 0.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who claims. token: for the tasks that this statement claims."""

    worker_id: UUID
    token: int
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch. settled: recorded, but not released. ran: ahead, and recorded.

    What is in none of the three came too late, or ran ahead for nothing.

    outputs: short outputs of the batch as they are stored, when successors were to be claimed.
    """

    released: Sequence[TaskId]
    settled: Sequence[TaskId]
    ran: Sequence[Queued]
    queued: Sequence[Queued]
    claimed: Sequence[Claim]
    outputs: Mapping[TaskId, str | None]


_LATER = 1_000_000
"""Where in the history of a batch stand the events of what it releases: after all that it completes."""

# The locks come first: `done` joins `locked`, and everything else follows from `done`. Rows that another
# transaction changed while this one waited for a lock are looked at again by each UPDATE, so every decision
# is made on their newest version.
#
# What ran ahead counts only in runs that are `whole`: plain ones, where every parent in the batch was still
# held, and where what ran ahead was never tried before. `(...) IN (...) IS TRUE` is looked up in a hash; a
# join of two lists of the batch would compare each with each.
_COMPLETE = f"""
WITH given AS (
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::float8[])
    AS g(run_id, position, token, outcomes, output, output_ref, ended_ago)
), further AS (
  SELECT * FROM unnest($8::uuid[], $9::int[], $10::text[], $11::text[], $12::float8[], $13::float8[])
    WITH ORDINALITY AS f(run_id, position, outcomes, output, ended_ago, begun_ago, n)
), locked AS MATERIALIZED (
  SELECT id, failed = 0 AND verdict IS NULL AND status = 'running' AND parent_run_id IS NULL AND debug IS NULL
         AND concurrency_key IS NULL AS is_plain
  FROM workflow_runs
  WHERE id = ANY($14) ORDER BY id FOR NO KEY UPDATE
), done AS (
  UPDATE workflow_tasks t
  SET status = 'completed', outcomes = g.outcomes, output = g.output::jsonb, output_ref = g.output_ref,
      error = NULL, reason = NULL, waits_for = NULL, memory = NULL, wake = NULL,
      finished_at = statement_timestamp() - make_interval(secs => g.ended_ago), propagated = l.is_plain,
      token = NULL, lease_until = NULL, worker_id = NULL
  FROM given g JOIN locked l ON l.id = g.run_id
  WHERE t.run_id = g.run_id AND t.position = g.position AND t.token = g.token
    AND t.status = ANY($15)
  RETURNING {QUEUED_COLUMNS}, t.propagated, CASE WHEN $16 THEN t.output END AS output
), whole AS (
  SELECT id FROM locked WHERE is_plain
    AND (id IN (SELECT run_id FROM given WHERE
                ((run_id, position) IN (SELECT run_id, position FROM done)) IS NOT TRUE)) IS NOT TRUE
    AND (id IN (SELECT f.run_id FROM further f
                LEFT JOIN workflow_tasks t ON t.run_id = f.run_id AND t.position = f.position
                WHERE (t.status = 'pending' AND t.attempt = 0 AND t.delivery = 0) IS NOT TRUE)) IS NOT TRUE
), ahead AS (
  UPDATE workflow_tasks t
  SET status = 'completed', outcomes = f.outcomes, output = f.output::jsonb, attempt = 1, delivery = 1,
      edges_unresolved = 0, edges_taken = t.edges_unresolved, propagated = true,
      started_at = statement_timestamp() - make_interval(secs => f.begun_ago),
      finished_at = statement_timestamp() - make_interval(secs => f.ended_ago)
  FROM further f
  WHERE (f.run_id IN (SELECT id FROM whole)) IS TRUE
    AND t.run_id = f.run_id AND t.position = f.position AND t.status = 'pending'
  RETURNING {QUEUED_COLUMNS}, f.n
), over AS (
  SELECT run_id, position FROM done WHERE propagated UNION ALL SELECT run_id, position FROM ahead
), edges AS (
  SELECT e.run_id, e.target, count(*)::int AS resolved, bool_or(e.is_kept) AS is_kept
  FROM unnest($17::uuid[], $18::int[], $19::int[], $20::bool[]) AS e(run_id, source, target, is_kept)
  WHERE ((e.run_id, e.source) IN (SELECT run_id, position FROM over)) IS TRUE
    AND ((e.run_id, e.target) IN (SELECT run_id, position FROM ahead)) IS NOT TRUE
  GROUP BY e.run_id, e.target
), released AS (
  UPDATE workflow_tasks t
  SET edges_unresolved = t.edges_unresolved - e.resolved, edges_taken = t.edges_taken + e.resolved,
      status = CASE WHEN t.edges_unresolved > e.resolved THEN t.status
                    WHEN e.is_kept THEN 'running' ELSE 'queued' END,
      attempt = t.attempt + (t.edges_unresolved = e.resolved)::int,
      delivery = t.delivery + (t.edges_unresolved = e.resolved)::int,
      queued_at = CASE WHEN t.edges_unresolved = e.resolved THEN clock_timestamp() END,
      started_at = CASE WHEN t.edges_unresolved = e.resolved AND e.is_kept THEN clock_timestamp() END,
      token = CASE WHEN t.edges_unresolved = e.resolved AND e.is_kept THEN $21::bigint END,
      worker_id = CASE WHEN t.edges_unresolved = e.resolved AND e.is_kept THEN $22::uuid END,
      lease_until = CASE WHEN t.edges_unresolved = e.resolved AND e.is_kept
                         THEN clock_timestamp() + make_interval(secs => $23) END
  FROM edges e WHERE t.run_id = e.run_id AND t.position = e.target AND t.status = 'pending'
  RETURNING {QUEUED_COLUMNS}, t.status
), counted AS (
  UPDATE workflow_runs r
  SET completed = r.completed + c.tasks, open = r.open - c.tasks, updated_at = now(),
      status = CASE WHEN r.open = c.tasks THEN 'succeeded' ELSE r.status END,
      finished_at = CASE WHEN r.open = c.tasks THEN now() END
  FROM (SELECT run_id, count(*)::int AS tasks FROM over GROUP BY run_id) c
  WHERE r.id = c.run_id
  RETURNING r.id, r.status
), history AS (
  INSERT INTO workflow_events (run_id, position, node_id, type, message, data)
  SELECT run_id, position, node_id, type, message, data FROM (
    SELECT l.run_id, l.position, l.node_id, l.type, l.message, l.data::jsonb, l.place, l.n
    FROM unnest($24::uuid[], $25::int[], $26::text[], $27::text[], $28::text[], $29::text[], $30::int[])
         WITH ORDINALITY AS l(run_id, position, node_id, type, message, data, place, n)
    WHERE ((l.run_id, l.position) IN (SELECT run_id, position FROM done
                                      UNION ALL SELECT run_id, position FROM ahead)) IS TRUE
    UNION ALL
    SELECT run_id, position, node_id, 'task.completed', NULL, jsonb_build_object('attempt', attempt), 1, 0
    FROM done
    UNION ALL
    SELECT run_id, position, node_id, 'task.running', NULL,
           jsonb_build_object('attempt', attempt, 'delivery', delivery), 3 * n, 0
    FROM ahead
    UNION ALL
    SELECT run_id, position, node_id, 'task.completed', NULL, jsonb_build_object('attempt', attempt),
           3 * n + 2, 0
    FROM ahead
    UNION ALL
    SELECT run_id, position, node_id, 'task.' || status, NULL,
           jsonb_build_object('attempt', attempt, 'delivery', delivery), {_LATER}, 0
    FROM released WHERE status <> 'pending'
    UNION ALL
    SELECT id, NULL, NULL, 'run.succeeded', NULL,
           jsonb_build_object('status', 'succeeded', 'reason', NULL), {_LATER + 1}, 0
    FROM counted WHERE status = 'succeeded'
    UNION ALL
    SELECT id, NULL, NULL, '{LOG}', 'Workflow run succeeded', jsonb_build_object('type', 'system'),
           {_LATER + 2}, 0
    FROM counted WHERE status = 'succeeded'
  ) AS lines ORDER BY place, n, run_id, position
)
SELECT run_id, position, node_id, attempt, delivery, attempt_timeout, priority, project,
       CASE WHEN propagated THEN 'released' ELSE 'settled' END AS status, output FROM done
UNION ALL
SELECT run_id, position, node_id, attempt, delivery, attempt_timeout, priority, project, 'ahead', NULL
FROM ahead
UNION ALL
SELECT *, NULL FROM released WHERE status <> 'pending'
"""


async def complete(tx: Tx, completions: Sequence[Completion], holder: Holder) -> Outcome:
    """running -> completed by token; pending -> queued or running for those whose last edge this was.

    pending -> completed for those that ran ahead. Their outputs are short enough to stand in their rows.
    """
    held = [one for one in completions if one.token is not None]
    further = [one for one in completions if one.token is None]
    kept = await payloads.keep(tx, [one.output for one in held])
    edges = [(one, target) for one in completions for target in one.targets]
    log = [event for one in (*held, *further) for event in one.log]
    rows = await tx.fetch(
        _COMPLETE,
        [one.task.run_id for one in held],
        [one.task.position for one in held],
        [one.token for one in held],
        [one.outcomes for one in held],
        kept.texts,
        kept.references,
        [one.ended_ago for one in held],
        [one.task.run_id for one in further],
        [one.task.position for one in further],
        [one.outcomes for one in further],
        [one.output for one in further],
        [one.ended_ago for one in further],
        [one.begun_ago for one in further],
        sorted({one.task.run_id for one in held}),
        may_become(TaskStatus.COMPLETED),
        any(one.kept for one in completions),
        [one.task.run_id for one, _ in edges],
        [one.task.position for one, _ in edges],
        [target for _, target in edges],
        [target in one.kept for one, target in edges],
        holder.token,
        holder.worker_id,
        holder.lease_seconds,
        *columns(log),
        _places(held, further),
    )
    by_status: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        by_status[row.status].append(row)
    released = {_task(row): row.output for row in by_status["released"]}
    long = {one.task for one, reference in zip(held, kept.references, strict=True) if reference}
    return Outcome(
        released=list(released),
        settled=[_task(row) for row in by_status["settled"]],
        ran=[queued(row) for row in by_status["ahead"]],
        queued=[queued(row) for row in by_status[TaskStatus.QUEUED]],
        claimed=[_claim(row, holder.token) for row in by_status[TaskStatus.RUNNING]],
        outputs={task: output for task, output in released.items() if task not in long},
    )


def _places(held: Sequence[Completion], further: Sequence[Completion]) -> list[int]:
    """Where in the history each log line stands: before the end of its task, and after its beginning."""
    first = [0 for one in held for _ in one.log]
    return first + [3 * number + 1 for number, one in enumerate(further, 1) for _ in one.log]


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
