"""The tasks that runs failed with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from headrace.graph.culprits import CHILD_FAILED, MOST_OF_A_CHAIN, NODE_FAILED, Culprit
from headrace.graph.json_types import JsonObject
from headrace.store.codec import load
from headrace.store.db import Tx

# A run's reason names the node; one that failed otherwise, as by its timeout, has none.
_CULPRITS = f"""
SELECT t.run_id, t.node_id, t.error ->> 'type' AS kind,
       CASE WHEN length(t.error ->> 'message') <= {MOST_OF_A_CHAIN} THEN t.error ->> 'message'
            ELSE left(t.error ->> 'message', {MOST_OF_A_CHAIN // 2}) || ' ... '
                 || right(t.error ->> 'message', {MOST_OF_A_CHAIN // 2}) END AS message,
       CASE WHEN t.error ->> 'type' = '{CHILD_FAILED}' THEN t.error #> '{{details,root}}' END AS root
FROM workflow_runs r JOIN workflow_tasks t ON t.run_id = r.id
WHERE r.id = ANY($1) AND t.status = 'failed' AND r.reason = format($2, t.node_id)
"""


async def culprits(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, Culprit]:
    """Why those of the runs failed that failed with a node."""
    return {
        row.run_id: Culprit(
            row.run_id,
            row.node_id,
            row.kind or "NodeError",
            row.message or "",
            cast("JsonObject | None", load(row.root)),
        )
        for row in await tx.fetch(_CULPRITS, list(run_ids), NODE_FAILED)
    }
