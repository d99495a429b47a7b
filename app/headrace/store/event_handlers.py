"""Event handlers, and the events with ids that were handled."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.codec import dump, dump_optional, load
from headrace.store.db import Record, Tx

HOURS_REMEMBERED: Final = 24


@dataclass(frozen=True, slots=True)
class Rule:
    """What people choose."""

    name: str
    pattern: str
    condition: JsonValue
    action: JsonObject
    is_active: bool


@dataclass(frozen=True, slots=True)
class Handler:
    """A stored handler."""

    id: UUID
    rule: Rule
    created_at: datetime
    updated_at: datetime


_CHOSEN = "name, pattern, condition, action, is_active"
_COLUMNS = f"id, {_CHOSEN}, created_at, updated_at"
_INSERT = f"""
INSERT INTO event_handlers (id, {_CHOSEN}) VALUES ($1, $2, $3, $4::text::jsonb, $5::text::jsonb, $6)
ON CONFLICT (name) DO NOTHING RETURNING id
"""
_UPDATE = f"""
UPDATE event_handlers SET ({_CHOSEN}, updated_at)
  = ($2, $3, $4::text::jsonb, $5::text::jsonb, $6, clock_timestamp())
WHERE id = $1
"""


async def add(tx: Tx, handler_id: UUID, rule: Rule) -> bool:
    """False when another handler has the name."""
    return bool(await tx.fetch(_INSERT, handler_id, *_values(rule)))


async def replace(tx: Tx, handler_id: UUID, rule: Rule) -> None:
    """Overwrites what was chosen. The handler must be locked; its name stays as it is."""
    await tx.fetch(_UPDATE, handler_id, *_values(rule))


async def delete(tx: Tx, handler_id: UUID) -> bool:
    return bool(await tx.fetch("DELETE FROM event_handlers WHERE id = $1 RETURNING id", handler_id))


async def get(tx: Tx, handler_id: UUID) -> Handler | None:
    row = await tx.row(f"SELECT {_COLUMNS} FROM event_handlers WHERE id = $1", handler_id)
    return None if row is None else _handler(row)


async def lock(tx: Tx, handler_id: UUID) -> Handler | None:
    row = await tx.row(f"SELECT {_COLUMNS} FROM event_handlers WHERE id = $1 FOR NO KEY UPDATE", handler_id)
    return None if row is None else _handler(row)


async def find(tx: Tx, limit: int, offset: int) -> list[Handler]:
    """Handlers by name."""
    statement = f"SELECT {_COLUMNS} FROM event_handlers ORDER BY name LIMIT $1 OFFSET $2"
    return [_handler(row) for row in await tx.fetch(statement, limit, offset)]


async def active(tx: Tx) -> list[Handler]:
    """All that act, by name."""
    statement = f"SELECT {_COLUMNS} FROM event_handlers WHERE is_active ORDER BY name"
    return [_handler(row) for row in await tx.fetch(statement)]


_FORGET = f"""
DELETE FROM received_events WHERE received_at < now() - interval '{HOURS_REMEMBERED} hours'
"""
_REMEMBER = """
INSERT INTO received_events (name, id, answer)
VALUES ($1, $2, jsonb_build_object('digest', $3::text, 'results', '[]'::jsonb))
ON CONFLICT DO NOTHING RETURNING id
"""
_KNOWN = """
SELECT answer->>'digest' AS digest, answer->'results' AS results
FROM received_events WHERE name = $1 AND id = $2
"""
_NOTE = """
UPDATE received_events SET answer = jsonb_set(answer, '{results}', $3::text::jsonb)
WHERE name = $1 AND id = $2
"""


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """An earlier event with the same id. digest: of its data. results: what it has done."""

    digest: str
    results: list[JsonObject]


async def remember(tx: Tx, name: str, event_id: str, digest: str) -> KnownEvent | None:
    """Takes an event's id, or returns the first one with it. Two at once: one waits."""
    await tx.fetch(_FORGET)
    if await tx.row(_REMEMBER, name, event_id, digest):
        return None
    row = await tx.row(_KNOWN, name, event_id)
    return None if row is None else KnownEvent(row.digest, cast(list[JsonObject], load(row.results)))


async def note(tx: Tx, name: str, event_id: str, results: list[JsonObject]) -> None:
    """Keeps what an event did."""
    await tx.fetch(_NOTE, name, event_id, dump(cast(JsonValue, results)))


def _values(rule: Rule) -> list[object]:
    values = {field.name: getattr(rule, field.name) for field in fields(rule)}
    written = {"condition": dump_optional(rule.condition), "action": dump(rule.action)}
    return list((values | written).values())


def _handler(row: Record) -> Handler:
    action = cast(JsonObject, load(row.action))
    rule = Rule(row.name, row.pattern, load(row.condition), action, row.is_active)
    return Handler(row.id, rule, row.created_at, row.updated_at)
