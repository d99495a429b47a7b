"""Concurrency keys and rate limits. Both live here, so that a crash of a process gives back what it held.

A slot counts as long as its task is held with the token that took it: a task that was parked, requeued or
ended has lost the token, and so the slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.store.db import Tx

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


_ALLOW = """
INSERT INTO rate_limits AS r (key, free_at) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (key) DO UPDATE
SET free_at = greatest(r.free_at, clock_timestamp()) + make_interval(secs => $2)
WHERE greatest(r.free_at, clock_timestamp()) + make_interval(secs => $2 - $3) <= clock_timestamp()
RETURNING 1
"""

_WAIT = """
SELECT extract(epoch FROM free_at - clock_timestamp())::float8 + $2 - $3 AS seconds
FROM rate_limits WHERE key = $1
"""


async def allow(tx: Tx, key: str, count: int, per: float) -> float:
    """Counts one execution against a rate of `count` in `per` seconds.

    Returns 0 when it may begin now, else the seconds until it may; then nothing was counted. It is the
    generic cell rate algorithm: bursts of `count`, then evenly.
    """
    interval = per / count
    if await tx.row(_ALLOW, key, interval, per) is not None:
        return 0.0
    row = await tx.row(_WAIT, key, interval, per)
    return max(0.001, 0.0 if row is None else row.seconds)


_WAITING = """
SELECT run_id, position FROM workflow_tasks
WHERE status = 'waiting' AND held_for = $1 AND NOT is_paused
ORDER BY priority DESC, ready_at, run_id, position LIMIT $2
"""


async def waiting(tx: Tx, key: str, limit: int) -> list[TaskId]:
    """The tasks that come next when a key has room: by priority, then the oldest."""
    return [TaskId(row.run_id, row.position) for row in await tx.fetch(_WAITING, KEY + key, limit)]


async def keys_waited_for(tx: Tx) -> list[str]:
    """The concurrency keys that some task waits for."""
    rows = await tx.fetch(
        "SELECT DISTINCT held_for FROM workflow_tasks WHERE held_for LIKE 'key %' ORDER BY held_for"
    )
    return [row.held_for.removeprefix(KEY) for row in rows]


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """An execution that counts against a key. since: as text, ISO 8601."""

    task: TaskId
    since: str


async def holders(tx: Tx, key: str) -> list[KeyHolder]:
    """Who holds a key, the longest first."""
    rows = await tx.fetch(
        "SELECT s.run_id, s.position,"
        " to_char(s.taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS since"
        " FROM concurrency_slots s JOIN workflow_tasks t USING (run_id, position, token)"
        " WHERE s.key = $1 ORDER BY s.taken_at",
        key,
    )
    return [KeyHolder(TaskId(row.run_id, row.position), row.since) for row in rows]


_ACTIVE_RUNS = """
SELECT id FROM workflow_runs
WHERE concurrency_key = $1 AND finished_at IS NULL AND status <> 'queued' ORDER BY id
"""

_NEXT_RUNS = """
SELECT id FROM workflow_runs
WHERE concurrency_key = $1 AND finished_at IS NULL AND status = 'queued' AND verdict IS NULL
ORDER BY priority DESC, id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""


async def active_runs(tx: Tx, key: str) -> list[UUID]:
    """Runs that count against a key, oldest first. The key must be locked."""
    return [row.id for row in await tx.fetch(_ACTIVE_RUNS, key)]


async def next_runs(tx: Tx, key: str, limit: int) -> list[UUID]:
    """Locks the queued runs that come next: by priority, then the oldest. The key must be locked."""
    return [row.id for row in await tx.fetch(_NEXT_RUNS, key, limit)] if limit > 0 else []


async def keys_of_queued_runs(tx: Tx) -> list[str]:
    """The concurrency keys behind which runs stand."""
    rows = await tx.fetch(
        "SELECT DISTINCT concurrency_key AS key FROM workflow_runs"
        " WHERE concurrency_key IS NOT NULL AND finished_at IS NULL AND status = 'queued' ORDER BY key"
    )
    return [row.key for row in rows]
