"""Secrets of projects, sealed. Nobody reads here what they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from headrace.store.db import Tx


@dataclass(frozen=True, slots=True)
class SecretName:
    """What people see of a secret."""

    name: str
    updated_at: datetime


_PUT = """
INSERT INTO secrets (project, name, sealed) VALUES ($1, $2, $3)
ON CONFLICT (project, name) DO UPDATE SET sealed = excluded.sealed, updated_at = clock_timestamp()
RETURNING name, updated_at
"""


async def put(tx: Tx, project: str, name: str, sealed: bytes) -> SecretName:
    """Keeps a secret, in the place of an earlier one of this name."""
    row = await tx.row(_PUT, project, name, sealed)
    assert row is not None
    return SecretName(row.name, row.updated_at)


async def names(tx: Tx, project: str) -> list[SecretName]:
    """By name."""
    statement = "SELECT name, updated_at FROM secrets WHERE project = $1 ORDER BY name"
    return [SecretName(row.name, row.updated_at) for row in await tx.fetch(statement, project)]


async def delete(tx: Tx, project: str, name: str) -> bool:
    """False when there is none."""
    statement = "DELETE FROM secrets WHERE project = $1 AND name = $2 RETURNING name"
    return bool(await tx.fetch(statement, project, name))


_SEALED = """
SELECT s.project, s.name, s.sealed FROM secrets s
JOIN unnest($1::text[], $2::text[]) AS w(project, name) ON w.project = s.project AND w.name = s.name
"""


async def sealed(tx: Tx, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
    """Those of the secrets that are there, by project and name."""
    pairs = sorted(set(wanted))
    rows = await tx.fetch(_SEALED, [project for project, _ in pairs], [name for _, name in pairs])
    return {(row.project, row.name): row.sealed for row in rows}
