"""The versions of stored activities that runs are pinned to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast
from uuid import UUID

from headrace.store.codec import load
from headrace.store.db import Tx

_ACTIVE = """
SELECT name, active FROM stored_activities
WHERE project = $1 AND name = ANY($2) AND active IS NOT NULL ORDER BY name FOR SHARE
"""


async def active(tx: Tx, project: str, names: Sequence[str]) -> dict[str, str]:
    """The active versions' hashes by name. Until the transaction ends, none of these activities changes."""
    return {row.name: row.active for row in await tx.fetch(_ACTIVE, project, list(names))}


async def of_run(tx: Tx, run_id: UUID) -> dict[str, str]:
    """The hashes that a run is pinned to, by name."""
    row = await tx.row("SELECT pins FROM workflow_runs WHERE id = $1", run_id)
    return {} if row is None else read(row.pins)


_FAMILY = """
WITH RECURSIVE up AS (
  SELECT id, parent_run_id FROM workflow_runs WHERE id = $1 AND project = $2
  UNION ALL
  SELECT r.id, r.parent_run_id FROM up JOIN workflow_runs r ON r.id = up.parent_run_id AND r.project = $2
), family AS (
  SELECT id FROM up WHERE NOT EXISTS (SELECT 1 FROM up above WHERE above.id = up.parent_run_id)
  UNION ALL
  SELECT r.id FROM family f
  JOIN workflow_runs r ON r.parent_run_id = f.id AND r.parent_run_id IS NOT NULL AND r.project = $2
)
SELECT id FROM family
"""


async def family(tx: Tx, run_id: UUID, project: str) -> list[UUID]:
    """A run with all that it runs for, and all that run for these, as far as they are in its project."""
    return [row.id for row in await tx.fetch(_FAMILY, run_id, project)]


_ANY = "SELECT pins->>$2 AS hash FROM workflow_runs WHERE id = ANY($1) AND pins ? $2 ORDER BY id LIMIT 1"
_ADD = """
UPDATE workflow_runs SET pins = coalesce(pins, '{}') || jsonb_build_object($2::text, $3::text)
WHERE id = ANY($1) AND finished_at IS NULL AND (pins ? $2) IS NOT TRUE
"""


async def of_any(tx: Tx, run_ids: Sequence[UUID], name: str) -> str | None:
    """The hash that the first of the runs is pinned to that has a pin for this activity."""
    row = await tx.row(_ANY, list(run_ids), name)
    return None if row is None else row.hash


async def add(tx: Tx, run_ids: Sequence[UUID], name: str, hash: str) -> None:
    """Pins those of the runs that go on and have no pin for this activity. They must be locked."""
    await tx.fetch(_ADD, list(run_ids), name, hash)


_KEPT = """
SELECT n.name FROM unnest($2::text[], $3::text[]) AS n(name, hash)
JOIN stored_activities a ON a.project = $1 AND a.name = n.name
JOIN activity_versions v ON v.project = $1 AND v.name = n.name AND v.hash = n.hash
ORDER BY a.name FOR SHARE OF a
"""


async def lost(tx: Tx, project: str, pins: Mapping[str, str]) -> list[str]:
    """Names whose pinned version is not kept any more; the others stay until the transaction ends."""
    rows = await tx.fetch(_KEPT, project, list(pins), list(pins.values()))
    return sorted(pins.keys() - {row.name for row in rows})


_TRUSTED = "SELECT activities_trusted FROM project_settings WHERE project = $1"


async def is_trusted(tx: Tx, project: str) -> bool:
    """Whether a project's stored activities run without a sandbox."""
    row = await tx.row(_TRUSTED, project)
    return row is not None and bool(row.activities_trusted)


_SET_TRUSTED = """
INSERT INTO project_settings (project, activities_trusted) VALUES ($1, $2)
ON CONFLICT (project) DO UPDATE SET activities_trusted = $2, updated_at = now()
"""


async def set_trusted(tx: Tx, project: str, trusted: bool) -> None:
    """Decides whether a project's stored activities run without a sandbox."""
    await tx.fetch(_SET_TRUSTED, project, trusted)


def read(column: str | None) -> dict[str, str]:
    """The pins of a run's row."""
    return {} if column is None else cast("dict[str, str]", load(column))
