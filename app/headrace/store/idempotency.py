"""Starts that were made with an Idempotency-Key: remembered for 24 hours, for each workflow apart."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from headrace.store.db import Tx

_REMEMBER = """
INSERT INTO idempotency_keys (workflow_id, key, digest, run_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (workflow_id, key) DO UPDATE
SET digest = excluded.digest, run_id = excluded.run_id, created_at = now()
WHERE idempotency_keys.created_at < now() - interval '24 hours'
RETURNING run_id
"""


@dataclass(frozen=True, slots=True)
class Known:
    """An earlier start with the same key. digest: of its body."""

    run_id: UUID
    digest: str


async def remember(tx: Tx, workflow_id: UUID, key: str, digest: str, run_id: UUID) -> Known | None:
    """Takes the key for this start, or returns the start that has it. Two at once: the second waits."""
    if await tx.row(_REMEMBER, workflow_id, key, digest, run_id):
        return None
    row = await tx.row(
        "SELECT run_id, digest FROM idempotency_keys WHERE workflow_id = $1 AND key = $2", workflow_id, key
    )
    assert row is not None
    return Known(row.run_id, row.digest)


async def forget_old(tx: Tx) -> None:
    """Deletes keys that are older than 24 hours."""
    await tx.fetch("DELETE FROM idempotency_keys WHERE created_at < now() - interval '24 hours'")
