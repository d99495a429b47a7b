"""API templates: prepared calls for the editor. Deleting hides a row; it keeps its id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from headrace.graph.json_types import JsonObject
from headrace.store.codec import dump, load
from headrace.store.db import Record, Tx


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """A template to insert. body: all of it, as it goes over the wire, without id and times."""

    id: UUID
    provider: str
    category: str
    name: str
    body: JsonObject


@dataclass(frozen=True, slots=True)
class Template:
    """A stored template."""

    id: UUID
    body: JsonObject
    created_at: datetime
    updated_at: datetime


_INSERT = """
INSERT INTO api_templates (id, provider, category, name, body) VALUES ($1, $2, $3, $4, $5::text::jsonb)
ON CONFLICT (id) DO NOTHING
"""


async def add(tx: Tx, template: NewTemplate) -> None:
    """Adds a template; one whose id is there already, hidden or not, stays as it is."""
    await tx.fetch(
        _INSERT, template.id, template.provider, template.category, template.name, dump(template.body)
    )


_COLUMNS = "id, body, created_at, updated_at"

_FIND = f"""
SELECT {_COLUMNS} FROM api_templates
WHERE is_active AND ($1::text IS NULL OR provider = $1) AND ($2::text IS NULL OR category = $2)
ORDER BY provider, category, name, id
"""


async def find(tx: Tx, provider: str | None, category: str | None) -> list[Template]:
    """Templates by provider, category and name."""
    return [_template(row) for row in await tx.fetch(_FIND, provider, category)]


async def get(tx: Tx, template_id: UUID) -> Template | None:
    row = await tx.row(f"SELECT {_COLUMNS} FROM api_templates WHERE id = $1 AND is_active", template_id)
    return None if row is None else _template(row)


_LOCK = f"SELECT {_COLUMNS} FROM api_templates WHERE id = $1 AND is_active FOR UPDATE"


async def lock(tx: Tx, template_id: UUID) -> Template | None:
    """A template that nobody else changes until the transaction ends."""
    row = await tx.row(_LOCK, template_id)
    return None if row is None else _template(row)


_REPLACE = """
UPDATE api_templates SET provider = $2, category = $3, name = $4, body = $5::text::jsonb,
       updated_at = clock_timestamp()
WHERE id = $1
"""


async def replace(tx: Tx, template: NewTemplate) -> None:
    """Writes a template anew. It must be locked."""
    await tx.fetch(
        _REPLACE, template.id, template.provider, template.category, template.name, dump(template.body)
    )


async def hide(tx: Tx, template_id: UUID) -> bool:
    """Takes a template out of every list; False when there is none."""
    rows = await tx.fetch(
        "UPDATE api_templates SET is_active = false, updated_at = clock_timestamp()"
        " WHERE id = $1 AND is_active RETURNING id",
        template_id,
    )
    return bool(rows)


async def are_loaded(tx: Tx) -> bool:
    """Whether there are templates, hidden ones included: then the first start's loading is done."""
    return await tx.row("SELECT 1 FROM api_templates LIMIT 1") is not None


async def lock_loading(tx: Tx) -> None:
    """Lets one process at a time load what is shipped."""
    await tx.fetch("SELECT pg_advisory_xact_lock(hashtext('headrace loading'))")


def _template(row: Record) -> Template:
    return Template(row.id, cast(JsonObject, load(row.body)), row.created_at, row.updated_at)
