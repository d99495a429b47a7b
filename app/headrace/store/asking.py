"""Tasks that wait for people, and the key of the links that people are sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject
from headrace.store.codec import load
from headrace.store.db import Record, Tx


@dataclass(frozen=True, slots=True)
class Asked:
    """A task that waits for a person. asked: what its node keeps of it. until: when its time is out.

    delivery: which waiting of the task it is.
    """

    task: TaskId
    workflow_id: UUID
    node_id: str
    delivery: int
    asked: JsonObject
    since: datetime
    until: datetime | None


_COLUMNS = """
t.run_id, t.position, r.workflow_id, t.node_id, t.delivery, t.memory, t.started_at, t.wake_at
FROM workflow_tasks t JOIN workflow_runs r ON r.id = t.run_id
"""

_OPEN = f"""
SELECT {_COLUMNS}
WHERE t.signal IS NOT NULL AND t.waits_for = $1 AND ($2::uuid[] IS NULL OR t.run_id = ANY($2))
ORDER BY t.run_id, t.position LIMIT $3 OFFSET $4
"""


async def open_ones(
    tx: Tx, waits_for: str, run_ids: Sequence[UUID] | None, limit: int, offset: int
) -> list[Asked]:
    """What is asked now, oldest run first; run_ids: of these only."""
    return [_asked(row) for row in await tx.fetch(_OPEN, waits_for, run_ids, limit, offset)]


_ONE = (
    f"SELECT {_COLUMNS} WHERE t.run_id = $1 AND t.position = $2 AND t.signal IS NOT NULL AND t.waits_for = $3"
)


async def open_one(tx: Tx, waits_for: str, task: TaskId) -> Asked | None:
    """What the task asks, if it does so now."""
    row = await tx.row(_ONE, task.run_id, task.position, waits_for)
    return None if row is None else _asked(row)


async def exists(tx: Tx, task: TaskId) -> bool:
    """Whether there is such a task, whatever it does."""
    found = await tx.row(
        "SELECT FROM workflow_tasks WHERE run_id = $1 AND position = $2", task.run_id, task.position
    )
    return found is not None


_KEY = """
INSERT INTO signing_keys (name, key) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING key
"""


async def signing_key(tx: Tx, name: str, fresh: bytes) -> bytes:
    """The key of this name; `fresh` from now on if there was none."""
    rows = await tx.fetch(_KEY, name, fresh)
    return bytes(rows[0].key)


def _asked(row: Record) -> Asked:
    memory = load(row.memory)
    return Asked(
        task=TaskId(row.run_id, row.position),
        workflow_id=row.workflow_id,
        node_id=row.node_id,
        delivery=row.delivery,
        asked=memory if isinstance(memory, dict) else {},
        since=row.started_at,
        until=row.wake_at,
    )
