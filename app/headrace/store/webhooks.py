"""Webhooks, and which deliveries of theirs have started a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.codec import dump, dump_optional, load
from headrace.store.db import Record, Tx

HOURS_REMEMBERED: Final = 24


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What people choose. secret: sealed. tolerance: seconds."""

    path: str
    workflow_id: UUID
    secret: bytes | None
    filters: JsonObject
    mapping: JsonValue
    tolerance: float | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class Webhook:
    """A stored webhook."""

    id: UUID
    endpoint: Endpoint
    created_at: datetime
    updated_at: datetime


_CHOSEN = "path, workflow_id, secret, filters, mapping, tolerance, is_active"
_COLUMNS = f"id, {_CHOSEN}, created_at, updated_at"
_INSERT = f"""
INSERT INTO webhooks (id, {_CHOSEN}) VALUES ($1, $2, $3, $4, $5::text::jsonb, $6::text::jsonb, $7, $8)
ON CONFLICT (path) DO NOTHING RETURNING id
"""
_UPDATE = f"""
UPDATE webhooks SET ({_CHOSEN}, updated_at)
  = ($2, $3, $4, $5::text::jsonb, $6::text::jsonb, $7, $8, clock_timestamp())
WHERE id = $1
"""


async def add(tx: Tx, webhook_id: UUID, endpoint: Endpoint) -> bool:
    """False when another webhook has the path."""
    return bool(await tx.fetch(_INSERT, webhook_id, *_values(endpoint)))


async def replace(tx: Tx, webhook_id: UUID, endpoint: Endpoint) -> None:
    """Overwrites what was chosen. The webhook must be locked; the path stays as it is, or is free."""
    await tx.fetch(_UPDATE, webhook_id, *_values(endpoint))


async def delete(tx: Tx, webhook_id: UUID) -> bool:
    return bool(await tx.fetch("DELETE FROM webhooks WHERE id = $1 RETURNING id", webhook_id))


async def get(tx: Tx, webhook_id: UUID) -> Webhook | None:
    row = await tx.row(f"SELECT {_COLUMNS} FROM webhooks WHERE id = $1", webhook_id)
    return None if row is None else _webhook(row)


async def lock(tx: Tx, webhook_id: UUID) -> Webhook | None:
    row = await tx.row(f"SELECT {_COLUMNS} FROM webhooks WHERE id = $1 FOR NO KEY UPDATE", webhook_id)
    return None if row is None else _webhook(row)


async def at(tx: Tx, path: str) -> Webhook | None:
    """The webhook with this path, active or not."""
    row = await tx.row(f"SELECT {_COLUMNS} FROM webhooks WHERE path = $1", path)
    return None if row is None else _webhook(row)


_FIND = f"""
SELECT {_COLUMNS} FROM webhooks WHERE ($1::uuid IS NULL OR workflow_id = $1)
  AND ($4::text IS NULL OR workflow_id IN (SELECT w.id FROM workflows w WHERE w.project = $4))
ORDER BY id DESC LIMIT $2 OFFSET $3
"""


async def find(
    tx: Tx, workflow_id: UUID | None, limit: int, offset: int, project: str | None = None
) -> list[Webhook]:
    """Webhooks, newest first."""
    return [_webhook(row) for row in await tx.fetch(_FIND, workflow_id, limit, offset, project)]


_FORGET = f"""
DELETE FROM webhook_deliveries
WHERE webhook_id = $1 AND received_at < now() - interval '{HOURS_REMEMBERED} hours'
"""
_REMEMBER = """
INSERT INTO webhook_deliveries (webhook_id, key, run_id) SELECT $1, key, $3 FROM unnest($2::text[]) AS key
ON CONFLICT DO NOTHING RETURNING key
"""
_KNOWN = """
SELECT run_id FROM webhook_deliveries WHERE webhook_id = $1 AND key = ANY($2) AND run_id <> $3 LIMIT 1
"""


async def remember(tx: Tx, webhook_id: UUID, keys: Sequence[str], claim: UUID) -> UUID | None:
    """Takes a delivery's keys, or returns the run that has one of them. Two at once: the second waits.

    claim: stands for the run until `name_run` says which it is, in the same transaction.
    """
    await tx.fetch(_FORGET, webhook_id)
    taken = await tx.fetch(_REMEMBER, webhook_id, sorted(keys), claim)
    if len(taken) == len(keys):
        return None
    row = await tx.row(_KNOWN, webhook_id, keys, claim)
    return None if row is None else cast(UUID, row.run_id)


async def name_run(tx: Tx, webhook_id: UUID, claim: UUID, run_id: UUID) -> None:
    """Says which run a claim stands for."""
    statement = "UPDATE webhook_deliveries SET run_id = $3 WHERE webhook_id = $1 AND run_id = $2"
    await tx.fetch(statement, webhook_id, claim, run_id)


def _values(endpoint: Endpoint) -> list[object]:
    values = {field.name: getattr(endpoint, field.name) for field in fields(endpoint)}
    written = {"filters": dump(endpoint.filters), "mapping": dump_optional(endpoint.mapping)}
    return list((values | written).values())


def _webhook(row: Record) -> Webhook:
    endpoint = Endpoint(
        path=row.path,
        workflow_id=row.workflow_id,
        secret=row.secret,
        filters=cast(JsonObject, load(row.filters)),
        mapping=load(row.mapping),
        tolerance=row.tolerance,
        is_active=row.is_active,
    )
    return Webhook(row.id, endpoint, row.created_at, row.updated_at)
