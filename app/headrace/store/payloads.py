"""Large outputs, stored once each: a task refers to the text by its SHA-256.

A node that passes its input on, or a retry that answers the same, adds a reference and no copy. The foreign
key of the reference keeps a payload from being deleted while it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.store.db import Tx

INLINE_LIMIT = 64 * 1024
"""Characters of JSON text that a task's row holds itself."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Outputs as columns: the short ones as text, the long ones as references; None elsewhere."""

    texts: Sequence[str | None]
    references: Sequence[bytes | None]


_ADD = """
INSERT INTO payloads (hash, body) SELECT p.hash, p.body::jsonb
FROM unnest($1::bytea[], $2::text[]) AS p(hash, body) ORDER BY p.hash
ON CONFLICT (hash) DO UPDATE SET created_at = now()
"""


async def keep(tx: Tx, outputs: Sequence[str | None]) -> Kept:
    """Stores what is too long for a row. What is stored already is made young: no sweep takes it now."""
    hashes = {text: _hash(text) for text in outputs if text is not None and len(text) > INLINE_LIMIT}
    if not hashes:
        return Kept(outputs, [None] * len(outputs))
    await tx.fetch(_ADD, list(hashes.values()), list(hashes))
    return Kept(
        [None if text in hashes else text for text in outputs],
        [None if text is None else hashes.get(text) for text in outputs],
    )


_SWEEP = """
DELETE FROM payloads p USING (
  SELECT hash FROM payloads WHERE created_at < now() - interval '1 hour' ORDER BY created_at LIMIT $1
) old
WHERE p.hash = old.hash AND NOT EXISTS (SELECT 1 FROM workflow_tasks t WHERE t.output_ref = p.hash)
RETURNING p.hash
"""


async def forget_unused(tx: Tx, limit: int) -> int:
    """Deletes old payloads that no task refers to any more; returns how many."""
    return len(await tx.fetch(_SWEEP, limit))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
