"""The frozen versions of a workflow, and which of them is the current one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.store.db import Record, Tx


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A version in a list. name: what the workflow was called in it."""

    version: int
    name: str
    is_current: bool
    created_at: datetime


_COLUMNS = """
SELECT v.version, v.definition->>'name' AS name, v.version = w.version AS is_current, v.created_at
FROM workflow_versions v JOIN workflows w ON w.id = v.workflow_id
"""
_LIST = _COLUMNS + "WHERE v.workflow_id = $1 ORDER BY v.version DESC LIMIT $2 OFFSET $3"


async def lines(tx: Tx, workflow_id: UUID, limit: int, offset: int) -> list[VersionLine]:
    """A workflow's versions, newest first; none when there is no such workflow."""
    return [_line(row) for row in await tx.fetch(_LIST, workflow_id, limit, offset)]


_ACTIVATE = """
UPDATE workflows w SET version = v.version, name = v.definition->>'name', updated_at = clock_timestamp()
FROM workflow_versions v
WHERE w.id = $1 AND v.workflow_id = w.id AND v.version = $2 RETURNING v.version
"""


async def activate(tx: Tx, workflow_id: UUID, version: int) -> bool:
    """Makes a version the current one; False when there is no such version."""
    return bool(await tx.fetch(_ACTIVATE, workflow_id, version))


_UNUSED = """
SELECT v.version FROM workflow_versions v JOIN workflows w ON w.id = v.workflow_id
WHERE v.workflow_id = $1 AND v.version <> w.version
  AND v.version < (SELECT max(version) FROM workflow_versions WHERE workflow_id = $1)
  AND NOT EXISTS (SELECT 1 FROM workflow_runs r WHERE r.workflow_id = $1 AND r.version = v.version)
ORDER BY v.version
"""


async def unused(tx: Tx, workflow_id: UUID) -> list[int]:
    """The versions that are neither current nor in any run.

    The newest is always kept: the next save takes the number after it, and no number is given twice.
    """
    return [row.version for row in await tx.fetch(_UNUSED, workflow_id)]


# Names with placeholders may mean this workflow, too.
_NAMED = """
SELECT DISTINCT (node->'version')::numeric AS version
FROM workflow_versions, jsonb_path_query(
  definition, '$.** ? (@.workflow.type() == "string" && @.version.type() == "number")'
) AS node
WHERE node->>'workflow' = $1::text OR node->>'workflow' LIKE '%{%'
   OR node->>'workflow' = (SELECT name FROM workflows WHERE id = $1::uuid)
"""


async def named(tx: Tx, workflow_id: UUID) -> set[int]:
    """The versions of a workflow that stored definitions name: of sub-workflows that stay with one."""
    return {int(row.version) for row in await tx.fetch(_NAMED, str(workflow_id))}


async def delete(tx: Tx, workflow_id: UUID, numbers: Sequence[int]) -> None:
    """Deletes versions, which no run may have."""
    await tx.fetch(
        "DELETE FROM workflow_versions WHERE workflow_id = $1 AND version = ANY($2)",
        workflow_id,
        list(numbers),
    )


def _line(row: Record) -> VersionLine:
    return VersionLine(row.version, row.name, row.is_current, row.created_at)
