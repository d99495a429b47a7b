"""The slots of schedules: one row each, so that each is started once, whoever acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.graph.overlap import Overlap
from headrace.store.db import Record, Tx


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot and what came of it. origin: clock, trigger or backfill."""

    slot: datetime
    origin: str
    overlap: Overlap
    state: str
    run_id: UUID | None
    reason: str | None


_ADD = """
INSERT INTO schedule_slots AS s (schedule_id, slot, origin, overlap, state)
SELECT $1, moment, $3, $4, 'waiting' FROM unnest($2::timestamptz[]) AS moment
ON CONFLICT (schedule_id, slot) DO UPDATE
SET origin = excluded.origin, overlap = excluded.overlap, state = 'waiting', reason = NULL
WHERE excluded.origin = 'backfill' AND s.state IN ('skipped', 'missed', 'failed')
RETURNING slot
"""


async def add(
    tx: Tx, schedule_id: UUID, moments: Sequence[datetime], origin: str, overlap: Overlap
) -> list[datetime]:
    """Adds those slots that are not there yet, as waiting ones; returns which these are.

    A backfill also takes those again that have started nothing.
    """
    rows = await tx.fetch(_ADD, schedule_id, moments, origin, overlap.value)
    return sorted(row.slot for row in rows)


_MISS = """
INSERT INTO schedule_slots (schedule_id, slot, origin, overlap, state, reason)
VALUES ($1, $2, 'clock', $3, 'missed', $4) ON CONFLICT DO NOTHING
"""


async def miss(tx: Tx, schedule_id: UUID, slot: datetime, overlap: Overlap, reason: str) -> None:
    """Notes that nobody acted on a slot in time."""
    await tx.fetch(_MISS, schedule_id, slot, overlap.value, reason)


# Not a join: in an empty database PostgreSQL would plan it over all runs that have not ended.
_GOES_ON = "(SELECT r.finished_at IS NULL FROM workflow_runs r WHERE r.id = a.run_id)"
_STARTABLE = f"""
SELECT w.schedule_id
FROM (SELECT DISTINCT schedule_id FROM schedule_slots WHERE state = 'waiting') w
WHERE EXISTS (
  SELECT 1 FROM workflow_schedules s JOIN schedule_slots x ON x.schedule_id = s.id AND x.state = 'waiting'
  WHERE s.id = w.schedule_id AND (NOT s.is_paused OR x.origin <> 'clock')
    AND (x.overlap IN ('allow', 'cancel_other') OR NOT (
      SELECT coalesce(bool_or({_GOES_ON}), false) FROM schedule_slots a
      WHERE a.schedule_id = s.id AND a.state = 'started')))
LIMIT $1
"""


async def startable(tx: Tx, limit: int) -> list[UUID]:
    """The schedules that have slots waiting for nothing any more."""
    return [row.schedule_id for row in await tx.fetch(_STARTABLE, limit)]


_WAITING = """
SELECT slot, origin, overlap, state, run_id, reason FROM schedule_slots
WHERE schedule_id = $1 AND state = 'waiting' AND (NOT $2 OR origin <> 'clock') ORDER BY slot LIMIT $3
"""


async def waiting(tx: Tx, schedule_id: UUID, is_paused: bool, limit: int) -> list[Slot]:
    """A schedule's waiting slots, oldest first; of a paused one those that somebody asked for."""
    return [_slot(row) for row in await tx.fetch(_WAITING, schedule_id, is_paused, limit)]


async def count_waiting(tx: Tx, schedule_id: UUID) -> int:
    row = await tx.row(
        "SELECT count(*) AS number FROM schedule_slots WHERE schedule_id = $1 AND state = 'waiting'",
        schedule_id,
    )
    return 0 if row is None else int(row.number)


_NOTE_ENDS = f"""
UPDATE schedule_slots a SET state = 'ended'
WHERE a.schedule_id = $1 AND a.state = 'started' AND NOT coalesce({_GOES_ON}, false)
"""
_RUNNING = "SELECT run_id FROM schedule_slots WHERE schedule_id = $1 AND state = 'started' ORDER BY run_id"


async def running(tx: Tx, schedule_id: UUID) -> list[UUID]:
    """The schedule's runs that have not ended. The schedule must be locked."""
    await tx.fetch(_NOTE_ENDS, schedule_id)
    return [row.run_id for row in await tx.fetch(_RUNNING, schedule_id)]


_START = """
UPDATE schedule_slots SET state = 'started', run_id = $3
WHERE schedule_id = $1 AND slot = $2 AND state = 'waiting'
"""


async def start(tx: Tx, schedule_id: UUID, slot: datetime, run_id: UUID) -> None:
    await tx.fetch(_START, schedule_id, slot, run_id)


_DROP = """
UPDATE schedule_slots s SET state = $2, reason = d.reason
FROM unnest($3::timestamptz[], $4::text[]) AS d(slot, reason)
WHERE s.schedule_id = $1 AND s.slot = d.slot AND s.state = 'waiting'
"""


async def drop(tx: Tx, schedule_id: UUID, state: str, reasons: Mapping[datetime, str]) -> None:
    """Ends the wait of slots that start nothing: `skipped` or `failed`."""
    await tx.fetch(_DROP, schedule_id, state, list(reasons), list(reasons.values()))


_FORGET = """
DELETE FROM schedule_slots
WHERE schedule_id = $1 AND slot < $2 AND state NOT IN ('waiting', 'started')
"""


async def forget(tx: Tx, schedule_id: UUID, before: datetime) -> None:
    """Deletes the slots of long ago."""
    await tx.fetch(_FORGET, schedule_id, before)


_GET = """
SELECT slot, origin, overlap, state, run_id, reason FROM schedule_slots WHERE schedule_id = $1 AND slot = $2
"""
_HISTORY = """
SELECT slot, origin, overlap, state, run_id, reason FROM schedule_slots
WHERE schedule_id = $1 ORDER BY slot DESC LIMIT $2 OFFSET $3
"""


async def get(tx: Tx, schedule_id: UUID, slot: datetime) -> Slot | None:
    row = await tx.row(_GET, schedule_id, slot)
    return None if row is None else _slot(row)


async def history(tx: Tx, schedule_id: UUID, limit: int, offset: int) -> list[Slot]:
    """A schedule's slots, newest first."""
    return [_slot(row) for row in await tx.fetch(_HISTORY, schedule_id, limit, offset)]


def _slot(row: Record) -> Slot:
    return Slot(row.slot, row.origin, Overlap(row.overlap), row.state, row.run_id, row.reason)
