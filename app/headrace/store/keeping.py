"""Children that a task keeps when it runs again in place. The task's batch must be locked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.states import RunStatus
from headrace.store.db import Tx
from headrace.store.runs import ProgramKey


@dataclass(frozen=True, slots=True)
class Earlier:
    """A child of an earlier attempt that has ended. has_begun: it has tasks."""

    index: int
    run_id: UUID
    program: ProgramKey
    status: RunStatus
    has_begun: bool


# A run that was cancelled before its turn came counts all its tasks as open: it never had any.
_EARLIER = """
SELECT * FROM (
  SELECT DISTINCT ON (r.child_index) r.child_index, r.id, r.workflow_id, r.version, r.body, r.status,
         r.open = 0 AS has_begun, r.finished_at IS NOT NULL AS has_ended,
         r.input IS NOT DISTINCT FROM n.input::jsonb AS is_same
  FROM workflow_runs r JOIN unnest($3::int[], $4::text[]) AS n(child_index, input)
    ON n.child_index = r.child_index
  WHERE r.parent_run_id = $1 AND r.parent_position = $2 AND r.parent_run_id IS NOT NULL
  ORDER BY r.child_index, r.id DESC
) newest WHERE has_ended AND is_same
"""


async def earlier(tx: Tx, task: TaskId, inputs: Mapping[int, str | None]) -> list[Earlier]:
    """The newest child at each place that has ended, where its input is the given JSON text."""
    rows = await tx.fetch(_EARLIER, task.run_id, task.position, list(inputs), list(inputs.values()))
    return [
        Earlier(
            index=row.child_index,
            run_id=row.id,
            program=ProgramKey(row.workflow_id, row.version, row.body),
            status=RunStatus(row.status),
            has_begun=row.has_begun,
        )
        for row in rows
    ]


_KEEP = """
WITH kept AS (
  SELECT id, id = ANY($2) AS runs_again FROM workflow_runs
  WHERE id = ANY($1 || $2) ORDER BY id FOR NO KEY UPDATE
)
UPDATE workflow_runs r
SET is_reported = false, status = CASE WHEN kept.runs_again THEN 'queued' ELSE r.status END,
    finished_at = CASE WHEN kept.runs_again THEN NULL ELSE r.finished_at END,
    verdict = CASE WHEN kept.runs_again THEN NULL ELSE r.verdict END,
    reason = CASE WHEN kept.runs_again THEN NULL ELSE r.reason END, deadline_at = NULL, updated_at = now()
FROM kept WHERE r.id = kept.id
"""


async def keep(tx: Tx, ended: Sequence[UUID], again: Sequence[UUID]) -> None:
    """Lets children wait for their turn once more: the ended ones to be counted, the others to run again."""
    if ended or again:
        await tx.fetch(_KEEP, list(ended), list(again))


_TAKE_BACK = """
UPDATE task_children c SET ended = c.ended - 1, failed = c.failed - 1
FROM workflow_runs r
WHERE r.id = $1 AND r.is_reported AND c.run_id = r.parent_run_id AND c.position = r.parent_position
"""


async def take_back(tx: Tx, run_id: UUID) -> None:
    """Counts a child that failed and runs again as one that has not ended. The batch must be locked."""
    await tx.fetch(_TAKE_BACK, run_id)


_IS_COUNTED = """
SELECT 1 FROM workflow_runs r
JOIN task_children c ON c.run_id = r.parent_run_id AND c.position = r.parent_position
WHERE r.id = $1 AND r.child_index >= c.first_index AND r.child_index < c.first_index + c.started
  AND NOT EXISTS (
    SELECT FROM workflow_runs n
    WHERE n.parent_run_id = r.parent_run_id AND n.parent_position = r.parent_position
      AND n.parent_run_id IS NOT NULL AND n.child_index = r.child_index AND n.id > r.id)
"""


async def is_counted(tx: Tx, run_id: UUID) -> bool:
    """Whether the run is one of those that its task's present batch has started."""
    return await tx.row(_IS_COUNTED, run_id) is not None


_HAS_ROOM = """
SELECT 1 FROM workflow_runs r
JOIN task_children c ON c.run_id = r.parent_run_id AND c.position = r.parent_position
WHERE r.id = $1 AND c.started - c.ended - (NOT r.is_reported)::int < c.at_once
"""


async def has_room(tx: Tx, run_id: UUID) -> bool:
    """Whether fewer of the run's siblings run than may run together. The batch must be locked."""
    return await tx.row(_HAS_ROOM, run_id) is not None
