"""The versions of stored activities that runs are pinned to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class InLine:
    """A run, or one that it runs for. hash: the version of one activity that it is pinned to, if it is."""

    run_id: UUID
    hash: str | None


_LINE = """
WITH RECURSIVE up AS (
  SELECT id, parent_run_id, pins->>$3 AS hash, 0 AS level FROM workflow_runs WHERE id = $1 AND project = $2
  UNION ALL
  SELECT r.id, r.parent_run_id, r.pins->>$3, up.level + 1 FROM up
  JOIN workflow_runs r ON r.id = up.parent_run_id AND r.project = $2
)
SELECT id, hash FROM up ORDER BY level
"""


async def line(tx: Tx, run_id: UUID, project: str, name: str) -> list[InLine]:
    """A run and all that it runs for, the nearest first, as far as they are in its project."""
    return [InLine(row.id, row.hash) for row in await tx.fetch(_LINE, run_id, project, name)]


_IS_ACTIVE = "SELECT FROM stored_activities WHERE project = $1 AND name = $2 AND active IS NOT NULL"
_ADD = """
UPDATE workflow_runs SET pins = coalesce(pins, '{}') || jsonb_build_object($2::text, $3::text)
WHERE id = ANY($1) AND finished_at IS NULL AND (pins ? $2) IS NOT TRUE
"""


async def is_active(tx: Tx, project: str, name: str) -> bool:
    """Whether an activity has an active version just now."""
    return await tx.row(_IS_ACTIVE, project, name) is not None


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
