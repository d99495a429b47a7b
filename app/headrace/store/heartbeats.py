"""The last heartbeats of running tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.store.codec import dump_optional, load
from headrace.store.db import Tx


@dataclass(frozen=True, slots=True)
class HeldBeat:
    """What the node of a task says that is held with this token."""

    task: TaskId
    token: int
    progress: float | None
    details: JsonValue


@dataclass(frozen=True, slots=True)
class Beat:
    """What the node of a running task said last, and when."""

    task: TaskId
    node_id: str
    progress: float | None
    details: JsonValue
    at: datetime


_WRITE = """
INSERT INTO task_heartbeats (run_id, position, token, progress, details)
SELECT t.run_id, t.position, t.token, g.progress, g.details::jsonb
FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::float8[], $5::text[])
  AS g(run_id, position, token, progress, details)
JOIN workflow_tasks t ON t.run_id = g.run_id AND t.position = g.position AND t.token = g.token
ORDER BY t.run_id, t.position
ON CONFLICT (run_id, position) DO UPDATE
SET token = EXCLUDED.token, progress = EXCLUDED.progress, details = EXCLUDED.details,
    beat_at = clock_timestamp()
"""


async def write(tx: Tx, beats: Sequence[HeldBeat]) -> None:
    """Instead of earlier ones; nothing for tasks that are no longer held so."""
    await tx.fetch(
        _WRITE,
        [one.task.run_id for one in beats],
        [one.task.position for one in beats],
        [one.token for one in beats],
        [one.progress for one in beats],
        [dump_optional(one.details) for one in beats],
    )


_OF_RUNS = """
SELECT h.run_id, h.position, t.node_id, h.progress, h.details, h.beat_at
FROM task_heartbeats h JOIN workflow_tasks t USING (run_id, position)
WHERE h.run_id = ANY($1) AND t.status = 'running' AND t.token = h.token
  AND ($2::timestamptz IS NULL OR h.beat_at > $2)
ORDER BY h.beat_at, h.run_id, h.position
"""


async def of_runs(tx: Tx, run_ids: Sequence[UUID], after: datetime | None = None) -> list[Beat]:
    """Those of the runs' running tasks; of these the ones that came after a time."""
    return [
        Beat(TaskId(row.run_id, row.position), row.node_id, row.progress, load(row.details), row.beat_at)
        for row in await tx.fetch(_OF_RUNS, list(run_ids), after)
    ]
