"""Skipping time in a database of a test: what happened moves into the past, so what is to come comes nearer.

No clock is replaced: the engine goes on asking PostgreSQL what time it is, as it does in production.
"""

from __future__ import annotations

from sqlalchemy import DateTime, Table

from headrace.store.activities_seen import LACK
from headrace.store.all_tables import ALL_TABLES
from headrace.store.db import Tx

# The slots of a schedule and the hours of statistics are those of a calendar: moved, they would be no times
# of it any more. Workers and the sweep tell of processes, which live in real time.
_UNMOVED = {
    "workflow_schedules",
    "schedule_slots",
    "attempt_statistics",
    "workflow_workers",
    "activities_seen",
    "worker_targets",
    "sweeps",
}


def _times(table: Table) -> list[str]:
    return [column.name for column in table.columns if isinstance(column.type, DateTime)]


def _update(table: Table) -> str:
    changes = ", ".join(f"{name} = {name} - make_interval(secs => $1)" for name in _times(table))
    return f"moved_{table.name} AS (UPDATE {table.name} SET {changes})"


_MOVED = [_update(table) for table in ALL_TABLES if table.name not in _UNMOVED and _times(table)]
_SKIP = f"WITH {', '.join(_MOVED)} SELECT 1"


async def skip(tx: Tx, seconds: float) -> None:
    """Lets everything that the database knows have happened so many seconds earlier.

    Only for a database that no other process works with. Schedules stay where they are in the calendar.
    """
    await tx.fetch(_SKIP, seconds)


# Who waits for a worker that has an activity waits for no time.
_NEXT_DUE = f"""
SELECT extract(epoch FROM min(due.at) - clock_timestamp())::float8 AS seconds FROM (
  SELECT min(wake_at) AS at FROM workflow_tasks
  WHERE status = 'waiting' AND NOT is_paused AND (held_for IS NULL OR NOT starts_with(held_for, '{LACK}'))
  UNION ALL
  SELECT min(deadline_at) FROM workflow_runs
  WHERE deadline_at IS NOT NULL AND finished_at IS NULL AND verdict IS NULL AND status <> 'paused'
  UNION ALL
  SELECT min(ready_at + make_interval(secs => total_timeout)) FROM workflow_tasks
  WHERE finished_at IS NULL AND (queue_timeout IS NOT NULL OR total_timeout IS NOT NULL)
    AND ready_at IS NOT NULL AND NOT is_paused
    AND (SELECT r.status FROM workflow_runs r WHERE r.id = run_id) <> 'paused'
) due
"""


async def seconds_to_next_due(tx: Tx) -> float | None:
    """How long until a wait is over or a clock runs out, never below 0; None when nothing waits for time."""
    row = await tx.row(_NEXT_DUE)
    return None if row is None or row.seconds is None else max(0.0, row.seconds)
