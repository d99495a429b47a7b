"""Workflows and their frozen versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from headrace.graph.json_types import JsonObject
from headrace.graph.project import DEFAULT_PROJECT
from headrace.store import events
from headrace.store.codec import dump, load
from headrace.store.db import Record, Tx


@dataclass(frozen=True, slots=True)
class StoredWorkflow:
    """A workflow with one of its versions. definition: in the wire form."""

    id: UUID
    name: str
    project: str
    version: int
    definition: JsonObject
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class WorkflowLine:
    """A workflow in a list. version: the current one."""

    id: UUID
    name: str
    project: str
    version: int
    updated_at: datetime


# A statement of its own: the next one must see what the save before this one has left.
_LOCK_FOR_SAVE = "SELECT 1 FROM workflows WHERE id = $1 FOR NO KEY UPDATE"
_UPDATE_WORKFLOW = """
UPDATE workflows
SET name = $2, updated_at = clock_timestamp(),
    version = 1 + (SELECT max(version) FROM workflow_versions WHERE workflow_id = $1)
WHERE id = $1 RETURNING version
"""
_INSERT_VERSION = """
INSERT INTO workflow_versions (workflow_id, version, definition) VALUES ($1, $2, $3::text::jsonb)
"""


async def add(
    tx: Tx, workflow_id: UUID, name: str, definition: JsonObject, project: str = DEFAULT_PROJECT
) -> None:
    """Stores a new workflow as its version 1. Its project never changes."""
    await tx.fetch(
        "INSERT INTO workflows (id, name, version, project) VALUES ($1, $2, 1, $3)",
        workflow_id,
        name,
        project,
    )
    await tx.fetch(_INSERT_VERSION, workflow_id, 1, dump(definition))


async def add_version(tx: Tx, workflow_id: UUID, name: str, definition: JsonObject) -> bool:
    """Freezes a next version and makes it the current one; False when there is no such workflow."""
    await tx.fetch(_LOCK_FOR_SAVE, workflow_id)
    row = await tx.row(_UPDATE_WORKFLOW, workflow_id, name)
    if row is not None:
        await tx.fetch(_INSERT_VERSION, workflow_id, row.version, dump(definition))
    return row is not None


_GET = """
SELECT w.id, w.name, w.project, v.version, v.definition, w.created_at, w.updated_at
FROM workflows w JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = coalesce($2, w.version)
WHERE w.id = $1
"""


async def get(tx: Tx, workflow_id: UUID, version: int | None = None) -> StoredWorkflow | None:
    """A workflow with the given version, or with its current one."""
    row = await tx.row(_GET, workflow_id, version)
    return None if row is None else _stored(row)


async def current_version(tx: Tx, workflow_id: UUID) -> int | None:
    """The number of the current version; None when there is no such workflow.

    Until the transaction ends, the workflow cannot be deleted; it can still get a next version.
    """
    row = await tx.row("SELECT version FROM workflows WHERE id = $1 FOR KEY SHARE", workflow_id)
    return None if row is None else row.version


_LINES = """
SELECT id, name, project, version, updated_at FROM workflows WHERE $3::text IS NULL OR project = $3
ORDER BY updated_at DESC, id LIMIT $1 OFFSET $2
"""


async def lines(tx: Tx, limit: int, offset: int, project: str | None = None) -> list[WorkflowLine]:
    """Workflows, last changed first; of one project, or of all."""
    rows = await tx.fetch(_LINES, limit, offset, project)
    return [WorkflowLine(row.id, row.name, row.project, row.version, row.updated_at) for row in rows]


async def project(tx: Tx, workflow_id: UUID) -> str | None:
    """Whose it is; None when there is no such workflow."""
    row = await tx.row("SELECT project FROM workflows WHERE id = $1", workflow_id)
    return None if row is None else row.project


async def by_name(tx: Tx, name: str, project: str) -> list[UUID]:
    """The ids of a project's workflows with this name."""
    statement = "SELECT id FROM workflows WHERE name = $1 AND project = $2 ORDER BY id"
    return [row.id for row in await tx.fetch(statement, name, project)]


_NAMED = """
SELECT id FROM workflows WHERE (name = $1 AND project = $2) OR id::text = $1 ORDER BY id
"""


async def named(tx: Tx, name: str, project: str) -> list[UUID]:
    """The ids of a project's workflows with this name, or the one with this id in any project."""
    rows = await tx.fetch(_NAMED, name, project)
    return [row.id for row in rows]


async def is_empty(tx: Tx) -> bool:
    """Whether no workflow was stored yet."""
    return await tx.row("SELECT 1 FROM workflows LIMIT 1") is None


async def delete(tx: Tx, workflow_id: UUID) -> bool:
    """Deletes a workflow with its versions, runs and their history; False when there is none."""
    await events.delete_of_workflow(tx, workflow_id)
    return bool(await tx.fetch("DELETE FROM workflows WHERE id = $1 RETURNING id", workflow_id))


async def lock(tx: Tx, workflow_id: UUID) -> None:
    """Keeps new runs and versions of a workflow out until the transaction ends."""
    await tx.fetch("SELECT 1 FROM workflows WHERE id = $1 FOR UPDATE", workflow_id)


async def active_runs(tx: Tx, workflow_id: UUID) -> list[UUID]:
    """The runs of a workflow that have not ended, by id."""
    rows = await tx.fetch(
        "SELECT id FROM workflow_runs WHERE workflow_id = $1 AND finished_at IS NULL ORDER BY id", workflow_id
    )
    return [row.id for row in rows]


@dataclass(frozen=True, slots=True)
class Frozen:
    """A version. project: of its workflow."""

    project: str
    definition: JsonObject


_PINNED = """
SELECT v.workflow_id, v.version, v.definition, w.project FROM workflow_versions v
JOIN unnest($1::uuid[], $2::int[]) AS p(workflow_id, version) USING (workflow_id, version)
JOIN workflows w ON w.id = v.workflow_id
"""


async def pinned(tx: Tx, versions: Sequence[tuple[UUID, int]]) -> dict[tuple[UUID, int], Frozen]:
    """Frozen definitions by workflow and version."""
    rows = await tx.fetch(_PINNED, [pair[0] for pair in versions], [pair[1] for pair in versions])
    return {
        (row.workflow_id, row.version): Frozen(row.project, cast(JsonObject, load(row.definition)))
        for row in rows
    }


def _stored(row: Record) -> StoredWorkflow:
    definition = cast(JsonObject, load(row.definition))
    return StoredWorkflow(
        row.id, row.name, row.project, row.version, definition, row.created_at, row.updated_at
    )
