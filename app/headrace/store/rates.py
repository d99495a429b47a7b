"""The states of rate limits. Two rows each: who may begin, and what those who wait were told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.graph.rates import RateState
from headrace.store import limits
from headrace.store.db import Tx
from headrace.store.limits import RATE

_PROMISED = "\n(promised)"
"""After a rate's key: the row with the last time that was promised to one who waits."""

_STATE = """
SELECT clock_timestamp() AS now,
       (SELECT free_at FROM rate_limits WHERE key = $1) AS free_at,
       (SELECT free_at FROM rate_limits WHERE key = $2) AS promised,
       EXISTS (SELECT 1 FROM workflow_tasks
               WHERE status = 'waiting' AND held_for = $3 AND NOT is_paused) AS is_awaited
"""


async def lock(tx: Tx, key: str) -> RateState:
    """A rate's state, which nobody else changes until the end of the transaction."""
    await limits.lock(tx, [RATE + key])
    row = await tx.row(_STATE, key, key + _PROMISED, RATE + key)
    assert row is not None
    return RateState(row.now, row.free_at, row.promised, row.is_awaited)


_SET = """
INSERT INTO rate_limits (key, free_at) VALUES ($1, $2)
ON CONFLICT (key) DO UPDATE SET free_at = EXCLUDED.free_at
"""


async def count(tx: Tx, key: str, free_at: datetime) -> None:
    """Counts an execution that begins. The rate must be locked."""
    await tx.fetch(_SET, key, free_at)


async def promise(tx: Tx, key: str, at: datetime) -> None:
    """Remembers the time at which one who waits asks again. The rate must be locked."""
    await tx.fetch(_SET, key + _PROMISED, at)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a rate lets its line go. interval: between two; slack: how long before `free_at` it opens."""

    key: str
    interval: timedelta
    slack: timedelta


# The times keep their distances. A gap further back is closed when it has come to the front.
_MOVE_UP = f"""
WITH gaps AS (
  SELECT g.key, w.held_for, w.first - greatest(clock_timestamp(), r.free_at - g.slack) AS gap
  FROM unnest($1::text[], $2::interval[], $3::interval[]) AS g(key, pause, slack)
  JOIN rate_limits r ON r.key = g.key
  CROSS JOIN LATERAL (
    SELECT t.held_for, min(t.wake_at) AS first FROM workflow_tasks t
    WHERE t.status = 'waiting' AND t.held_for = '{RATE}' || g.key AND NOT t.is_paused GROUP BY t.held_for
  ) AS w
  WHERE w.first - greatest(clock_timestamp(), r.free_at - g.slack) > g.pause
), told AS (
  UPDATE rate_limits r SET free_at = r.free_at - gaps.gap FROM gaps WHERE r.key = gaps.key || $4
), held AS (
  SELECT t.run_id, t.position, gaps.gap FROM workflow_tasks t JOIN gaps ON gaps.held_for = t.held_for
  WHERE t.status = 'waiting' AND NOT t.is_paused
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t SKIP LOCKED
)
UPDATE workflow_tasks t SET wake_at = t.wake_at - held.gap
FROM held WHERE t.run_id = held.run_id AND t.position = held.position
"""


async def move_up(tx: Tx, paces: Sequence[Pace]) -> None:
    """Brings lines forward whose first wait longer than they must: those before them have given up."""
    await limits.lock(tx, [RATE + one.key for one in paces])
    await tx.fetch(
        _MOVE_UP,
        [one.key for one in paces],
        [one.interval for one in paces],
        [one.slack for one in paces],
        _PROMISED,
    )


async def forget_old(tx: Tx, limit: int) -> None:
    """Deletes some that were free for a day: a rate without a row is free, too."""
    await tx.fetch(
        "DELETE FROM rate_limits WHERE key IN"
        " (SELECT key FROM rate_limits WHERE free_at < now() - interval '1 day' LIMIT $1)",
        limit,
    )
