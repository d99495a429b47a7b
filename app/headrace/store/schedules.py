"""Schedules: what they say and when they are due. `store.slots` has what came of each of their moments."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import cast
from uuid import UUID

from headrace.graph.json_types import JsonObject
from headrace.graph.overlap import Overlap
from headrace.store.codec import dump, load
from headrace.store.db import Record, Tx


@dataclass(frozen=True, slots=True)
class Timing:
    """What people choose. jitter, catch_up: seconds."""

    workflow_id: UUID
    name: str
    cron: str
    time_zone: str
    input: JsonObject
    overlap: Overlap
    jitter: float
    catch_up: float
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Due:
    """The first slot that nobody has looked at, and when to look at it."""

    slot: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    """A stored schedule. due: None when it never comes again."""

    id: UUID
    timing: Timing
    due: Due | None
    created_at: datetime
    updated_at: datetime


_CHOSEN = "workflow_id, name, cron, time_zone, input, overlap, jitter, catch_up, is_paused"
_COLUMNS = f"id, {_CHOSEN}, next_slot, due_at, created_at, updated_at"
_INSERT = f"""
INSERT INTO workflow_schedules (id, {_CHOSEN}, next_slot, due_at)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9, $10, $11, $12)
"""
_UPDATE = f"""
UPDATE workflow_schedules
SET ({_CHOSEN}, next_slot, due_at, updated_at)
  = ($2, $3, $4, $5, $6::text::jsonb, $7, $8, $9, $10, $11, $12, clock_timestamp())
WHERE id = $1
"""


async def add(tx: Tx, schedule_id: UUID, timing: Timing, due: Due | None) -> None:
    await tx.fetch(_INSERT, schedule_id, *_values(timing), *_moments(due))


async def replace(tx: Tx, schedule_id: UUID, timing: Timing, due: Due | None) -> None:
    """Overwrites what was chosen and when it is due. The schedule must be locked."""
    await tx.fetch(_UPDATE, schedule_id, *_values(timing), *_moments(due))


async def advance(tx: Tx, schedule_id: UUID, due: Due | None) -> None:
    """Sets the next slot. The schedule must be locked."""
    await tx.fetch(
        "UPDATE workflow_schedules SET next_slot = $2, due_at = $3 WHERE id = $1", schedule_id, *_moments(due)
    )


async def delete(tx: Tx, schedule_id: UUID) -> bool:
    """Deletes a schedule with its slots; its runs stay."""
    return bool(await tx.fetch("DELETE FROM workflow_schedules WHERE id = $1 RETURNING id", schedule_id))


async def get(tx: Tx, schedule_id: UUID) -> Schedule | None:
    row = await tx.row(f"SELECT {_COLUMNS} FROM workflow_schedules WHERE id = $1", schedule_id)
    return None if row is None else _schedule(row)


_LOCK_WORKFLOW = """
SELECT 1 FROM workflows WHERE id = (SELECT workflow_id FROM workflow_schedules WHERE id = $1) FOR KEY SHARE
"""


async def lock(tx: Tx, schedule_id: UUID) -> Schedule | None:
    """Locks a schedule: until the transaction ends, nobody else decides on its slots.

    Its workflow comes first, as for whoever deletes the workflow with all that hangs on it.
    """
    await tx.fetch(_LOCK_WORKFLOW, schedule_id)
    statement = f"SELECT {_COLUMNS} FROM workflow_schedules WHERE id = $1 FOR NO KEY UPDATE"
    row = await tx.row(statement, schedule_id)
    return None if row is None else _schedule(row)


_FIND = f"""
SELECT {_COLUMNS} FROM workflow_schedules WHERE ($1::uuid IS NULL OR workflow_id = $1)
  AND ($4::text IS NULL OR workflow_id IN (SELECT w.id FROM workflows w WHERE w.project = $4))
ORDER BY id DESC LIMIT $2 OFFSET $3
"""


async def find(
    tx: Tx, workflow_id: UUID | None, limit: int, offset: int, project: str | None = None
) -> list[Schedule]:
    """Schedules, newest first."""
    return [_schedule(row) for row in await tx.fetch(_FIND, workflow_id, limit, offset, project)]


async def now(tx: Tx) -> datetime:
    """The database's clock, which all processes go by."""
    row = await tx.row("SELECT clock_timestamp() AS now")
    assert row is not None
    return cast(datetime, row.now)


_LOOK = """
SELECT m.now,
  EXISTS (SELECT 1 FROM workflow_schedules WHERE NOT is_paused AND due_at <= m.now)
  OR EXISTS (SELECT 1 FROM schedule_slots WHERE state = 'waiting') AS is_pending
FROM (SELECT coalesce($1, clock_timestamp()) AS now) m
"""


@dataclass(frozen=True, slots=True)
class Look:
    """now: the database's clock. is_pending: a schedule is due, or a slot waits."""

    now: datetime
    is_pending: bool


async def look(tx: Tx, moment: datetime | None) -> Look:
    """Whether there may be something to do at a moment, or now: two looks at small indexes."""
    row = await tx.row(_LOOK, moment)
    assert row is not None
    return Look(row.now, row.is_pending)


_DUE = """
SELECT id FROM workflow_schedules WHERE NOT is_paused AND due_at <= $1 ORDER BY due_at LIMIT $2
"""


async def due(tx: Tx, moment: datetime, limit: int) -> list[UUID]:
    """The schedules whose next slot's time has come, the longest due first."""
    return [row.id for row in await tx.fetch(_DUE, moment, limit)]


def _values(timing: Timing) -> list[object]:
    values = {field.name: getattr(timing, field.name) for field in fields(timing)}
    return list((values | {"input": dump(timing.input), "overlap": timing.overlap.value}).values())


def _moments(due: Due | None) -> tuple[datetime | None, datetime | None]:
    return (None, None) if due is None else (due.slot, due.at)


def _schedule(row: Record) -> Schedule:
    timing = Timing(
        workflow_id=row.workflow_id,
        name=row.name,
        cron=row.cron,
        time_zone=row.time_zone,
        input=cast(JsonObject, load(row.input)),
        overlap=Overlap(row.overlap),
        jitter=row.jitter,
        catch_up=row.catch_up,
        is_paused=row.is_paused,
    )
    due = None if row.next_slot is None else Due(row.next_slot, row.due_at)
    return Schedule(row.id, timing, due, row.created_at, row.updated_at)
