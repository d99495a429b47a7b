"""Tasks in the hands of a process: claim, settle, renew, hand back.

Each move is one guarded statement. It first takes its rows in the order of their ids, so that two batches
cannot deadlock, and what it decided is read from RETURNING, never from an earlier read. Only running tasks
have a token (a CHECK), so whoever names the token need not name the state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store import payloads
from headrace.store.codec import dump_optional, load
from headrace.store.db import Record, Tx
from headrace.store.guards import ENDED_LIST, may_become
from headrace.store.tasks import QUEUED_COLUMNS, Queued, queued


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a job carries: which delivery of which attempt of which task."""

    task: TaskId
    attempt: int
    delivery: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that this process now holds.

    released_by: stored by early joins only. waits_for: what it waited for when it is resumed, else None;
    memory: what its node wanted to know again, wake: what woke it (None: its time had come). waited: seconds
    in the queue.
    """

    task: TaskId
    node_id: str
    attempt: int
    delivery: int
    token: int
    released_by: tuple[int, ...] | None
    waits_for: str | None
    priority: int
    memory: JsonValue = None
    wake: JsonValue = None
    waited: float = 0.0


_WAITED = "coalesce(extract(epoch FROM t.started_at - t.queued_at), 0)::float8 AS waited"

_CLAIM = f"""
WITH wanted AS (
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[])
    AS w(run_id, position, attempt, delivery)
), taken AS (
  SELECT t.run_id, t.position FROM workflow_tasks t JOIN wanted w USING (run_id, position)
  WHERE t.status = ANY($8) AND t.attempt = w.attempt AND t.delivery = w.delivery
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t
), claimed AS (
  UPDATE workflow_tasks t
  SET status = 'running', token = $5, worker_id = $6, started_at = clock_timestamp(),
      lease_until = clock_timestamp() + make_interval(secs => $7)
  FROM taken WHERE t.run_id = taken.run_id AND t.position = taken.position
  RETURNING t.run_id, t.position, t.node_id, t.attempt, t.delivery, t.token, t.released_by, t.waits_for,
            t.priority, t.memory, t.wake, {_WAITED}
), history AS (
  INSERT INTO workflow_events (run_id, position, node_id, type, data)
  SELECT run_id, position, node_id, 'task.running',
         jsonb_build_object('attempt', attempt, 'delivery', delivery)
  FROM claimed ORDER BY run_id, position
)
SELECT * FROM claimed
"""


async def claim(
    tx: Tx, deliveries: Sequence[Delivery], token: int, worker_id: UUID, lease_seconds: float
) -> list[Claim]:
    """queued -> running by compare-and-set. What does not come back was delivered twice or cancelled."""
    rows = await tx.fetch(
        _CLAIM,
        [delivery.task.run_id for delivery in deliveries],
        [delivery.task.position for delivery in deliveries],
        [delivery.attempt for delivery in deliveries],
        [delivery.delivery for delivery in deliveries],
        token,
        worker_id,
        lease_seconds,
        may_become(TaskStatus.RUNNING),
    )
    return [_claimed(row) for row in rows]


_HELD = f"""
SELECT t.run_id, t.position, t.node_id, t.attempt, t.delivery, t.token, t.released_by, t.waits_for,
            t.priority, t.memory, t.wake, {_WAITED}
FROM workflow_tasks t
JOIN unnest($1::uuid[], $2::int[], $3::bigint[]) AS h(run_id, position, token)
  ON h.run_id = t.run_id AND h.position = t.position AND h.token = t.token
"""


async def held(tx: Tx, tokens: Mapping[TaskId, int]) -> list[Claim]:
    """Those of the given tasks that are still held with the given tokens."""
    rows = await tx.fetch(
        _HELD, [task.run_id for task in tokens], [task.position for task in tokens], list(tokens.values())
    )
    return [_claimed(row) for row in rows]


def _claimed(row: Record) -> Claim:
    return Claim(
        TaskId(row.run_id, row.position),
        row.node_id,
        row.attempt,
        row.delivery,
        row.token,
        None if row.released_by is None else tuple(row.released_by),
        row.waits_for,
        row.priority,
        load(row.memory),
        load(row.wake),
        row.waited,
    )


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an execution ended: completed, failed, or waiting for `wake_seconds`.

    outcomes: of its out-edges, once it ended. output: JSON text. input: for those who handle a failure.
    signal, memory: of one that waits. ends_run: how its node ends the run.
    held_for: the limit that it waits behind.
    """

    task: TaskId
    token: int
    status: TaskStatus
    outcomes: str | None = None
    output: str | None = None
    error: JsonValue = None
    input: JsonValue = None
    reason: str | None = None
    wake_seconds: float | None = None
    waits_for: str | None = None
    signal: str | None = None
    memory: JsonValue = None
    ends_run: RunStatus | None = None
    held_for: str | None = None


_SETTLE = f"""
WITH given AS (
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                       $8::text[], $9::text[], $10::float8[], $11::text[], $13::bytea[],
                       $14::text[], $15::text[], $16::text[], $17::text[])
    AS g(run_id, position, token, status, outcomes, output, error, input, reason, wake_seconds, waits_for,
         output_ref, signal, memory, ends_run, held_for)
), taken AS (
  SELECT g.* FROM workflow_tasks t JOIN given g ON g.run_id = t.run_id AND g.position = t.position
  WHERE t.status = ANY($12) AND t.token = g.token
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t
)
UPDATE workflow_tasks t
SET status = s.status, outcomes = s.outcomes, output = s.output::jsonb, output_ref = s.output_ref,
    error = s.error::jsonb,
    input = s.input::jsonb, reason = s.reason, waits_for = s.waits_for,
    signal = s.signal, memory = s.memory::jsonb, wake = NULL, ends_run = s.ends_run, held_for = s.held_for,
    wake_at = clock_timestamp() + make_interval(secs => s.wake_seconds),
    finished_at = CASE WHEN s.status IN {ENDED_LIST} THEN clock_timestamp() END,
    token = NULL, lease_until = NULL, worker_id = NULL
FROM taken s WHERE t.run_id = s.run_id AND t.position = s.position
RETURNING t.run_id, t.position
"""


async def settle(tx: Tx, settlements: Sequence[Settlement]) -> set[TaskId]:
    """running -> completed | failed | waiting, by token. What does not come back is a late result."""
    kept = await payloads.keep(tx, [one.output for one in settlements])
    rows = await tx.fetch(
        _SETTLE,
        [one.task.run_id for one in settlements],
        [one.task.position for one in settlements],
        [one.token for one in settlements],
        [one.status.value for one in settlements],
        [one.outcomes for one in settlements],
        kept.texts,
        [dump_optional(one.error) for one in settlements],
        [dump_optional(one.input) for one in settlements],
        [one.reason for one in settlements],
        [one.wake_seconds for one in settlements],
        [one.waits_for for one in settlements],
        may_become(TaskStatus.COMPLETED),
        kept.references,
        [one.signal for one in settlements],
        [dump_optional(one.memory) for one in settlements],
        [one.ends_run for one in settlements],
        [one.held_for for one in settlements],
    )
    return {TaskId(row.run_id, row.position) for row in rows}


_RENEW = """
WITH held AS (
  SELECT t.run_id, t.position FROM workflow_tasks t
  JOIN unnest($1::uuid[], $2::int[], $3::bigint[]) AS h(run_id, position, token)
    ON h.run_id = t.run_id AND h.position = t.position AND h.token = t.token
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t SKIP LOCKED
)
UPDATE workflow_tasks t SET lease_until = clock_timestamp() + make_interval(secs => $4)
FROM held WHERE t.run_id = held.run_id AND t.position = held.position
"""


async def renew(tx: Tx, tokens: Mapping[TaskId, int], lease_seconds: float) -> set[TaskId]:
    """Prolongs the leases of tasks by their tokens; returns those that are still held.

    A task that is locked right now is not renewed but still held: whoever locks it is moving it on.
    """
    await tx.fetch(
        _RENEW,
        [task.run_id for task in tokens],
        [task.position for task in tokens],
        list(tokens.values()),
        lease_seconds,
    )
    return {one.task for one in await held(tx, tokens)}


_HAND_BACK = f"""
WITH held AS (
  SELECT t.run_id, t.position FROM workflow_tasks t
  JOIN unnest($1::uuid[], $2::int[], $3::bigint[]) AS h(run_id, position, token)
    ON h.run_id = t.run_id AND h.position = t.position AND h.token = t.token
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t
)
UPDATE workflow_tasks t
SET status = 'queued', delivery = t.delivery + 1, queued_at = now(),
    token = NULL, lease_until = NULL, worker_id = NULL
FROM held WHERE t.run_id = held.run_id AND t.position = held.position
RETURNING {QUEUED_COLUMNS}
"""


async def hand_back(tx: Tx, tokens: Mapping[TaskId, int]) -> list[Queued]:
    """running -> queued, by token: a worker that shuts down gives away what it could not finish."""
    rows = await tx.fetch(
        _HAND_BACK,
        [task.run_id for task in tokens],
        [task.position for task in tokens],
        list(tokens.values()),
    )
    return [queued(row) for row in rows]
