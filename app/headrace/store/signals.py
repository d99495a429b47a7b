"""Signals: kept until a task takes them. Whoever calls these functions holds the run's lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.codec import dump, dump_optional, load
from headrace.store.db import Record, Tx
from headrace.store.tasks import QUEUED_COLUMNS, Queued, queued


@dataclass(frozen=True, slots=True)
class NewSignal:
    """A signal to keep. node_id: of the one node that it is for, None for whichever waits.

    position: of the task that takes it at once, None for one that came early.
    """

    run_id: UUID
    id: str
    name: str
    payload: JsonValue
    node_id: str | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that a run was sent. position: of the task that took it. refused: why none did."""

    id: str
    name: str
    payload: JsonValue
    node_id: str | None
    position: int | None
    refused: str | None
    at: datetime

    def as_wake(self) -> JsonObject:
        """What the task that takes it is told: `{signal: {id, name, payload, at}}`."""
        at = self.at.astimezone(UTC).isoformat()
        return {"signal": {"id": self.id, "name": self.name, "payload": self.payload, "at": at}}


_COLUMNS = "id, name, payload, node_id, position, refused, sent_at"

_INSERT = f"""
INSERT INTO workflow_signals (run_id, id, name, payload, node_id, position)
VALUES ($1, $2, $3, $4::text::jsonb, $5, $6) RETURNING {_COLUMNS}
"""


async def insert(tx: Tx, new: NewSignal) -> Signal:
    """Keeps a signal whose id the run does not know yet."""
    payload = dump_optional(new.payload)
    rows = await tx.fetch(_INSERT, new.run_id, new.id, new.name, payload, new.node_id, new.position)
    return _signal(rows[0])


@dataclass(frozen=True, slots=True)
class KeptSignal:
    """A signal as people see it. taker: id of the node that took it."""

    run_id: UUID
    signal: Signal
    taker: str | None


_OF_RUNS = """
SELECT s.run_id, s.id, s.name, s.payload, s.node_id, s.position, s.refused, s.sent_at, t.node_id AS taker
FROM workflow_signals s LEFT JOIN workflow_tasks t ON t.run_id = s.run_id AND t.position = s.position
WHERE s.run_id = ANY($1) ORDER BY s.sent_at, s.run_id, s.id LIMIT $2 OFFSET $3
"""


async def of_runs(tx: Tx, run_ids: Sequence[UUID], limit: int, offset: int) -> list[KeptSignal]:
    """All signals that these runs were sent, oldest first."""
    rows = await tx.fetch(_OF_RUNS, list(run_ids), limit, offset)
    return [KeptSignal(row.run_id, _signal(row), row.taker) for row in rows]


async def get(tx: Tx, run_id: UUID, id: str) -> Signal | None:
    row = await tx.row(f"SELECT {_COLUMNS} FROM workflow_signals WHERE run_id = $1 AND id = $2", run_id, id)
    return None if row is None else _signal(row)


_OLDEST = f"""
SELECT {_COLUMNS} FROM workflow_signals
WHERE run_id = $1 AND name = $2 AND position IS NULL AND refused IS NULL
  AND (node_id IS NULL OR node_id = $3)
ORDER BY sent_at, id LIMIT 1
"""


async def oldest_buffered(tx: Tx, waiter: Waiter) -> Signal | None:
    """The signal that came first of those that the task may take."""
    row = await tx.row(_OLDEST, waiter.task.run_id, waiter.signal, waiter.node_id)
    return None if row is None else _signal(row)


async def mark_taken(tx: Tx, task: TaskId, id: str) -> None:
    """The task takes a signal that came early."""
    await tx.fetch(
        "UPDATE workflow_signals SET position = $3 WHERE run_id = $1 AND id = $2",
        task.run_id,
        id,
        task.position,
    )


async def mark_refused(tx: Tx, run_id: UUID, id: str, reason: str) -> None:
    """Nobody will take it."""
    await tx.fetch(
        "UPDATE workflow_signals SET refused = $3 WHERE run_id = $1 AND id = $2", run_id, id, reason
    )


@dataclass(frozen=True, slots=True)
class Waiter:
    """A task that waits for a signal; this transaction holds its row."""

    task: TaskId
    node_id: str
    signal: str
    delivery: int
    is_paused: bool


_WAITER_COLUMNS = "t.run_id, t.position, t.node_id, t.signal, t.delivery, t.is_paused"

# `+ 0`: ordered by its index, PostgreSQL would read the whole run by its primary key.
_WAITING = f"""
SELECT {_WAITER_COLUMNS} FROM workflow_tasks t
WHERE t.run_id = $1 AND t.signal = $2 AND t.status = 'waiting' AND ($3::text IS NULL OR t.node_id = $3)
ORDER BY t.position + 0 LIMIT 1 FOR NO KEY UPDATE
"""


async def waiting_for(tx: Tx, run_id: UUID, name: str, node_id: str | None) -> Waiter | None:
    """The first task that waits for a signal of this name; of the named node, if one is named."""
    row = await tx.row(_WAITING, run_id, name, node_id)
    return None if row is None else _waiter(row)


async def waiting_task(tx: Tx, task: TaskId) -> Waiter | None:
    """The task, if it waits for a signal."""
    found = await tx.row(
        f"SELECT {_WAITER_COLUMNS} FROM workflow_tasks t WHERE t.run_id = $1 AND t.position = $2"
        " AND t.signal IS NOT NULL FOR NO KEY UPDATE",
        task.run_id,
        task.position,
    )
    return None if found is None else _waiter(found)


_UNTAKEN = """
EXISTS (
  SELECT FROM workflow_signals s
  WHERE s.run_id = t.run_id AND s.name = t.signal AND s.position IS NULL AND s.refused IS NULL
    AND (s.node_id IS NULL OR s.node_id = t.node_id)
)
"""

_COULD_TAKE = f"""
WITH given AS (
  SELECT {_WAITER_COLUMNS} FROM workflow_tasks t
  JOIN unnest($1::uuid[], $2::int[]) AS g(run_id, position) USING (run_id, position)
  ORDER BY t.run_id, t.position FOR NO KEY UPDATE OF t
)
SELECT {_WAITER_COLUMNS} FROM given t WHERE {_UNTAKEN} ORDER BY t.run_id, t.position
"""


async def could_take(tx: Tx, tasks: Sequence[TaskId]) -> list[Waiter]:
    """Those of the tasks that wait for a signal that is already there."""
    rows = await tx.fetch(_COULD_TAKE, [task.run_id for task in tasks], [task.position for task in tasks])
    return [_waiter(row) for row in rows]


_OVERLOOKED = f"""
SELECT t.run_id, t.position FROM workflow_tasks t
WHERE t.signal IS NOT NULL AND {_UNTAKEN} ORDER BY t.run_id LIMIT $1
"""


async def overlooked(tx: Tx, limit: int) -> list[TaskId]:
    """Tasks that wait for a signal that is already there: a process ended between the two."""
    return [TaskId(row.run_id, row.position) for row in await tx.fetch(_OVERLOOKED, limit)]


_WAKE = f"""
UPDATE workflow_tasks t
SET status = 'queued', delivery = t.delivery + 1, queued_at = now(), wake_at = NULL, signal = NULL,
    wake = $3::text::jsonb
WHERE t.run_id = $1 AND t.position = $2 AND t.status = 'waiting'
RETURNING {QUEUED_COLUMNS}
"""

_WAKE_LATER = """
UPDATE workflow_tasks t
SET is_paused = true, wake_at = now(), signal = NULL, wake = $3::text::jsonb
WHERE t.run_id = $1 AND t.position = $2 AND t.status = 'waiting'
"""


async def wake(tx: Tx, task: TaskId, wake: JsonObject) -> list[Queued]:
    """waiting -> queued for a task that this transaction has locked. wake: what it is told."""
    rows = await tx.fetch(_WAKE, task.run_id, task.position, dump(wake))
    return [queued(row) for row in rows]


async def wake_once_resumed(tx: Tx, task: TaskId, wake: JsonObject) -> None:
    """The same for a task of a paused run: it is due as soon as the run is resumed."""
    await tx.fetch(_WAKE_LATER, task.run_id, task.position, dump(wake))


def _signal(row: Record) -> Signal:
    return Signal(row.id, row.name, load(row.payload), row.node_id, row.position, row.refused, row.sent_at)


def _waiter(row: Record) -> Waiter:
    task = TaskId(row.run_id, row.position)
    return Waiter(task, row.node_id, row.signal, row.delivery, row.is_paused)
