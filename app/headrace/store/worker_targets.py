"""How many worker processes each project should have, and since which restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from headrace.graph.project import DEFAULT_PROJECT
from headrace.store.db import Tx


@dataclass(frozen=True, slots=True)
class Target:
    """How many worker processes a project should have. generation: rises with each restart."""

    wanted: int
    generation: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A wish that was noted. generation: of the workers that fulfil it. at: by the database's clock."""

    generation: int
    at: datetime


async def targets(tx: Tx) -> dict[str, Target]:
    """What every project wants for which somebody said it."""
    rows = await tx.fetch("SELECT project, wanted, generation FROM worker_targets")
    return {row.project: Target(row.wanted, row.generation) for row in rows}


async def target(tx: Tx, project: str = DEFAULT_PROJECT) -> int | None:
    """How many worker processes there should be; None when nobody said."""
    row = await tx.row("SELECT wanted FROM worker_targets WHERE project = $1", project)
    return None if row is None else row.wanted


_SET_TARGET = """
INSERT INTO worker_targets (project, wanted) VALUES ($1, $2)
ON CONFLICT (project) DO UPDATE SET wanted = $2, updated_at = now()
"""


async def set_target(tx: Tx, count: int, project: str = DEFAULT_PROJECT) -> None:
    """Says how many worker processes there should be."""
    await tx.fetch(_SET_TARGET, project, count)


_AT_LEAST_ONE = """
INSERT INTO worker_targets AS t (project, wanted, generation) VALUES ($1, 1, $2)
ON CONFLICT (project) DO UPDATE
SET wanted = greatest(t.wanted, 1), generation = t.generation + $2, updated_at = now()
RETURNING generation, clock_timestamp() AS at
"""


async def want_one(tx: Tx, project: str, is_restart: bool = False) -> Asked:
    """Asks for at least one worker of a project; a restart also for new processes in place of the old."""
    (row,) = await tx.fetch(_AT_LEAST_ONE, project, int(is_restart))
    return Asked(row.generation, row.at)
