"""Results of nodes that may be used again for the same input."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from headrace.graph.json_types import JsonValue
from headrace.store.codec import dump_optional, load
from headrace.store.db import Tx


@dataclass(frozen=True, slots=True)
class CachedStep:
    """A result, and the run that it comes from."""

    output: JsonValue
    branches: frozenset[str]
    run_id: UUID


async def find(tx: Tx, key: bytes) -> CachedStep | None:
    """The result under a key, unless it has expired."""
    row = await tx.row(
        "SELECT output, branches, run_id FROM step_cache WHERE key = $1 AND expires_at > clock_timestamp()",
        key,
    )
    return None if row is None else CachedStep(load(row.output), frozenset(row.branches), row.run_id)


_KEEP = """
INSERT INTO step_cache (key, output, branches, run_id, expires_at)
VALUES ($1, $2::text::jsonb, $3, $4, clock_timestamp() + make_interval(secs => $5))
ON CONFLICT (key) DO UPDATE
SET output = EXCLUDED.output, branches = EXCLUDED.branches, run_id = EXCLUDED.run_id,
    expires_at = EXCLUDED.expires_at
"""


async def keep(tx: Tx, key: bytes, step: CachedStep, seconds: float) -> None:
    """Keeps a result for a while, instead of an earlier one."""
    await tx.fetch(_KEEP, key, dump_optional(step.output), sorted(step.branches), step.run_id, seconds)


async def forget_old(tx: Tx, limit: int) -> None:
    """Deletes some of what has expired."""
    await tx.fetch(
        "DELETE FROM step_cache WHERE key IN"
        " (SELECT key FROM step_cache WHERE expires_at < now() ORDER BY expires_at LIMIT $1)",
        limit,
    )
