"""Deleting runs with all that is stored of them, and what must be known before.

What outlives a run on purpose: Idempotency-Keys, deliveries of webhooks and slots of schedules, so that
nothing starts a second time because its run is gone; results that others use again, which are copies; and
payloads, until the sweep finds that no task refers to them any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.states import RunStatus
from headrace.store.db import Tx

AT_ONCE = 100
"""Runs that one statement deletes: a run may have thousands of tasks."""


@dataclass(frozen=True, slots=True)
class Kin:
    """A run that is asked to go. is_news: the task that it ran for was not told of its end.

    above: one that it runs for, directly or not, and that has not ended. below: one that runs for it and has
    not. family: the run with all that are below it.
    """

    status: RunStatus
    is_news: bool
    above: UUID | None
    below: UUID | None
    family: Sequence[UUID]


async def lock(tx: Tx, run_ids: Sequence[UUID]) -> None:
    """Nobody retries these runs, or copies from them, until the transaction ends."""
    await tx.fetch("SELECT id FROM workflow_runs WHERE id = ANY($1) ORDER BY id FOR UPDATE", list(run_ids))


_KIN = """
WITH RECURSIVE above AS (
  SELECT id AS asked, id, parent_run_id, false AS is_open FROM workflow_runs WHERE id = ANY($1)
  UNION ALL
  SELECT above.asked, r.id, r.parent_run_id, r.finished_at IS NULL
  FROM above JOIN workflow_runs r ON r.id = above.parent_run_id
), below AS (
  SELECT id AS asked, id, false AS is_open FROM workflow_runs WHERE id = ANY($1)
  UNION ALL
  SELECT below.asked, r.id, r.finished_at IS NULL
  FROM below JOIN workflow_runs r ON r.parent_run_id = below.id AND r.parent_run_id IS NOT NULL
)
SELECT r.id, r.status, r.parent_run_id IS NOT NULL AND NOT r.is_reported AS is_news, f.family,
       (SELECT id FROM above WHERE asked = r.id AND is_open LIMIT 1) AS above,
       (SELECT id FROM below WHERE asked = r.id AND is_open LIMIT 1) AS below
FROM workflow_runs r
JOIN (SELECT asked, array_agg(id) AS family FROM below GROUP BY asked) f ON f.asked = r.id
"""


async def kin(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, Kin]:
    """Those of the runs that are there. They must be locked."""
    return {
        row.id: Kin(RunStatus(row.status), row.is_news, row.above, row.below, row.family)
        for row in await tx.fetch(_KIN, list(run_ids))
    }


# Tasks go with their runs, and with these what belongs to them: counts of children, slots, heartbeats.
_DELETE = """
WITH runs AS (DELETE FROM workflow_runs WHERE id = ANY($1)),
  history AS (DELETE FROM workflow_events WHERE run_id = ANY($1))
DELETE FROM workflow_variables WHERE scope = 'run' AND owner = ANY($2)
"""


async def delete(tx: Tx, run_ids: Sequence[UUID]) -> None:
    """Deletes runs, their tasks, history and variables. None may run for another that stays."""
    for first in range(0, len(run_ids), AT_ONCE):
        some = run_ids[first : first + AT_ONCE]
        await tx.fetch(_DELETE, some, [str(run_id) for run_id in some])
