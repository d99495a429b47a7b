"""A run's history: one row a line, read in the order of commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.graph.json_types import JsonValue
from headrace.store.codec import dump_optional, load
from headrace.store.db import Tx

LOG = "log"
"""The type of events that are lines of the log; `data` is {type, kind, name}."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. type: as `task.completed`. position None: to the run as a whole."""

    run_id: UUID
    type: str
    position: int | None = None
    node_id: str | None = None
    message: str | None = None
    data: JsonValue = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a run's history: of the last event read. As text it is `<transaction>-<event>`."""

    xid: int = 0
    id: int = 0

    def __str__(self) -> str:
        return f"{self.xid}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Reads `str(cursor)` back; raises ValueError for anything else."""
        xid, _, number = text.partition("-")
        return cls(int(xid), int(number))


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its time and place."""

    event: Event
    at: datetime
    cursor: Cursor


_APPEND = """
INSERT INTO workflow_events (run_id, position, node_id, type, message, data)
SELECT e.run_id, e.position, e.node_id, e.type, e.message, e.data::jsonb
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[])
     WITH ORDINALITY AS e(run_id, position, node_id, type, message, data, n)
ORDER BY e.n
"""


async def append(tx: Tx, events: Sequence[Event]) -> None:
    """Adds events in the order given."""
    if events:
        await tx.fetch(_APPEND, *columns(events))


def columns(events: Sequence[Event]) -> tuple[list[object], ...]:
    """Events as columns for unnest: run_id, position, node_id, type, message, data."""
    return (
        [event.run_id for event in events],
        [event.position for event in events],
        [event.node_id for event in events],
        [event.type for event in events],
        [event.message for event in events],
        [dump_optional(event.data) for event in events],
    )


_COLUMNS = "run_id, position, node_id, type, message, data, at, xid, id"

_AFTER = f"""
SELECT {_COLUMNS} FROM workflow_events
WHERE run_id = ANY($1) AND (xid, id) > ($2, $3)
  AND ($5 OR xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
ORDER BY xid, id LIMIT $4
"""


async def after(
    tx: Tx, run_id: UUID, cursor: Cursor, limit: int = 1000, is_complete: bool = False
) -> list[StoredEvent]:
    """The next events in the order of commits. is_complete: nobody writes events of this run any more.

    An event whose transaction is still open, or is younger than one that is, is not seen yet: so none that
    commits late is skipped. Source: PostgreSQL documentation, `pg_current_snapshot`.
    """
    return await after_in(tx, [run_id], cursor, limit, is_complete)


async def after_in(
    tx: Tx, run_ids: Sequence[UUID], cursor: Cursor, limit: int = 1000, is_complete: bool = False
) -> list[StoredEvent]:
    """The same over several runs."""
    rows = await tx.fetch(_AFTER, run_ids, cursor.xid, cursor.id, limit, is_complete)
    return [_stored(row) for row in rows]


_LINES = f"SELECT {_COLUMNS} FROM workflow_events WHERE run_id = ANY($1) AND type = $2 ORDER BY id LIMIT $3"


async def log_lines(tx: Tx, run_ids: Sequence[UUID], limit: int) -> list[StoredEvent]:
    """The log of runs, oldest first."""
    return [_stored(row) for row in await tx.fetch(_LINES, run_ids, LOG, limit)]


async def delete_of_workflow(tx: Tx, workflow_id: UUID) -> None:
    """Deletes the history of all runs of a workflow."""
    await tx.fetch(
        "DELETE FROM workflow_events WHERE run_id IN (SELECT id FROM workflow_runs WHERE workflow_id = $1)",
        workflow_id,
    )


def _stored(row: object) -> StoredEvent:
    run_id, position, node_id, type_, message, data, at, xid, number = row  # type: ignore[misc]
    event = Event(run_id, type_, position, node_id, message, load(data))  # type: ignore[has-type]
    return StoredEvent(event, at, Cursor(xid, number))  # type: ignore[has-type]
