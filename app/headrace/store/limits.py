"""Concurrency keys. They live in the database, so that a crash of a process gives back what it held.

A slot counts as long as its task is held with the token that took it: a task that was parked, requeued or
ended has lost the token, and so the slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.store.db import Tx
from headrace.store.runs import ProgramKey
from headrace.store.tasks import QUEUED_COLUMNS, Queued, queued

KEY = "key "
"""Before a concurrency key in `held_for`."""

RATE = "rate "
"""Before a rate limit's key in `held_for`."""


async def lock(tx: Tx, keys: Sequence[str]) -> None:
    """Nobody else changes what counts against these keys until the end of the transaction."""
    await tx.fetch(
        "SELECT pg_advisory_xact_lock(hashtextextended(k, 17))"
        " FROM (SELECT DISTINCT k FROM unnest($1::text[]) AS k ORDER BY k) AS sorted",
        list(keys),
    )


_FREE_STALE = """
DELETE FROM concurrency_slots s WHERE s.key = $1 AND NOT EXISTS (
  SELECT 1 FROM workflow_tasks t
  WHERE t.run_id = s.run_id AND t.position = s.position AND t.token = s.token)
"""

_TAKE = """
INSERT INTO concurrency_slots (key, run_id, position, token) VALUES ($1, $2, $3, $4)
ON CONFLICT (key, run_id, position) DO UPDATE SET token = EXCLUDED.token
"""


async def taken(tx: Tx, key: str) -> int:
    """How many executions count against a key now. The key must be locked."""
    await tx.fetch(_FREE_STALE, key)
    row = await tx.row("SELECT count(*) AS number FROM concurrency_slots WHERE key = $1", key)
    return 0 if row is None else row.number


async def take(tx: Tx, key: str, task: TaskId, token: int) -> None:
    """Counts an execution against a key. The key must be locked."""
    await tx.fetch(_TAKE, key, task.run_id, task.position, token)


_FORGET_STALE = """
DELETE FROM concurrency_slots s USING (
  SELECT s.key, s.run_id, s.position, s.token FROM concurrency_slots s
  WHERE NOT EXISTS (
    SELECT 1 FROM workflow_tasks t
    WHERE t.run_id = s.run_id AND t.position = s.position AND t.token = s.token)
  LIMIT $1
) AS stale
WHERE s.key = stale.key AND s.run_id = stale.run_id AND s.position = stale.position AND s.token = stale.token
"""


async def forget_stale(tx: Tx, limit: int) -> None:
    """Deletes some slots that count no more, of keys that nobody has asked for since."""
    await tx.fetch(_FORGET_STALE, limit)


@dataclass(frozen=True, slots=True)
class Line:
    """Those who wait for a key. limit: how many executions may count at once. most: how many may go now."""

    key: str
    limit: int
    most: int


# Not the key's lock but SKIP LOCKED: two who give a place back at once let two different tasks go. One who
# goes too early finds the key full, and is parked again.
_LET_NEXT = f"""
WITH room AS (
  SELECT '{KEY}' || g.key AS held_for, least(g.most, g.at_once - (
    SELECT count(*)::int FROM concurrency_slots s JOIN workflow_tasks t
      ON t.run_id = s.run_id AND t.position = s.position AND t.token = s.token
    WHERE s.key = g.key)) AS free
  FROM unnest($1::text[], $2::int[], $3::int[]) AS g(key, at_once, most)
), next AS MATERIALIZED (
  SELECT n.run_id, n.position, room.held_for FROM room CROSS JOIN LATERAL (
    SELECT t.run_id, t.position FROM workflow_tasks t
    WHERE t.status = 'waiting' AND t.held_for = room.held_for AND NOT t.is_paused
    ORDER BY t.priority DESC, t.ready_at, t.run_id, t.position
    LIMIT greatest(room.free, 0) FOR NO KEY UPDATE SKIP LOCKED
  ) AS n
)
UPDATE workflow_tasks t
SET status = 'queued', delivery = t.delivery + 1, queued_at = now(), wake_at = NULL, held_for = NULL
FROM next WHERE t.run_id = next.run_id AND t.position = next.position
RETURNING {QUEUED_COLUMNS}, next.held_for AS was_held_for
"""


@dataclass(frozen=True, slots=True)
class Called:
    """One who goes next. key: behind which it stood."""

    key: str
    queued: Queued


async def let_next(tx: Tx, lines: Sequence[Line]) -> list[Called]:
    """waiting -> queued for those who come next, as far as their keys have room.

    By priority, then the oldest.
    """
    rows = await tx.fetch(
        _LET_NEXT,
        [line.key for line in lines],
        [line.limit for line in lines],
        [line.most for line in lines],
    )
    return [Called(row.was_held_for.removeprefix(KEY), queued(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Head:
    """The first of those who wait for one limit. held_for: which, as in the task's row."""

    held_for: str
    task: TaskId
    program: ProgramKey


# From one value of the index to the next, however many tasks wait for each.
_HEADS = """
WITH RECURSIVE limited AS (
  SELECT min(held_for) AS held_for FROM workflow_tasks WHERE held_for IS NOT NULL
  UNION ALL
  SELECT (SELECT min(t.held_for) FROM workflow_tasks t WHERE t.held_for > limited.held_for)
  FROM limited WHERE limited.held_for IS NOT NULL
)
SELECT limited.held_for, head.run_id, head.position, r.workflow_id, r.version, r.body
FROM limited CROSS JOIN LATERAL (
  SELECT t.run_id, t.position FROM workflow_tasks t
  WHERE t.status = 'waiting' AND t.held_for = limited.held_for AND NOT t.is_paused
  ORDER BY t.priority DESC, t.ready_at, t.run_id, t.position LIMIT 1
) AS head
JOIN workflow_runs r ON r.id = head.run_id
"""


async def heads(tx: Tx) -> list[Head]:
    """Who is first behind each key, rate and breakpoint."""
    return [
        Head(
            row.held_for,
            TaskId(row.run_id, row.position),
            ProgramKey(row.workflow_id, row.version, row.body),
        )
        for row in await tx.fetch(_HEADS)
    ]


_ACTIVE_RUNS = """
SELECT id FROM workflow_runs
WHERE concurrency_key = $1 AND finished_at IS NULL AND status <> 'queued' ORDER BY id
"""

# Without open tasks it is a child that waits to run again: its task begins it.
_NEXT_RUNS = """
SELECT id FROM workflow_runs
WHERE concurrency_key = $1 AND finished_at IS NULL AND status = 'queued' AND verdict IS NULL AND open > 0
ORDER BY priority DESC, id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""


async def active_runs(tx: Tx, key: str) -> list[UUID]:
    """Runs that count against a key, oldest first. The key must be locked."""
    return [row.id for row in await tx.fetch(_ACTIVE_RUNS, key)]


async def next_runs(tx: Tx, key: str, limit: int) -> list[UUID]:
    """Locks the queued runs that come next: by priority, then the oldest. The key must be locked."""
    return [row.id for row in await tx.fetch(_NEXT_RUNS, key, limit)] if limit > 0 else []


_CROWDS = """
SELECT concurrency_key AS key, array_agg(id ORDER BY id) AS ids FROM workflow_runs
WHERE concurrency_key IS NOT NULL AND finished_at IS NULL AND status <> 'queued' AND verdict IS NULL
GROUP BY concurrency_key HAVING count(*) > 1 ORDER BY concurrency_key
"""


async def crowds(tx: Tx) -> list[list[UUID]]:
    """The runs, oldest first, of each key against which more than one counts that nobody stops."""
    return [list(row.ids) for row in await tx.fetch(_CROWDS)]


async def keys_of_queued_runs(tx: Tx) -> list[str]:
    """The concurrency keys behind which runs stand."""
    rows = await tx.fetch(
        "SELECT DISTINCT concurrency_key AS key FROM workflow_runs"
        " WHERE concurrency_key IS NOT NULL AND finished_at IS NULL AND status = 'queued' ORDER BY key"
    )
    return [row.key for row in rows]
