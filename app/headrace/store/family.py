"""A run with all that is below it: the runs of its maps, loops and sub-workflows. Only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.graph.states import RunStatus
from headrace.store.codec import load
from headrace.store.db import Tx
from headrace.store.runs import ProgramKey

_DESCENDANTS = """
WITH RECURSIVE below AS (
  SELECT id FROM workflow_runs WHERE parent_run_id = $1 AND parent_run_id IS NOT NULL
  UNION ALL
  SELECT r.id FROM below JOIN workflow_runs r ON r.parent_run_id = below.id AND r.parent_run_id IS NOT NULL
)
SELECT id FROM below
"""


async def descendants(tx: Tx, run_id: UUID) -> list[UUID]:
    """All runs below a run, however deep."""
    return [row.id for row in await tx.fetch(_DESCENDANTS, run_id)]


@dataclass(frozen=True, slots=True)
class Above:
    """A task that a run runs for, directly or not. has_ended: the run that it is a task of."""

    task: TaskId
    node_id: str
    has_ended: bool


_ABOVE = """
WITH RECURSIVE up AS (
  SELECT parent_run_id AS run_id, parent_position AS position, 1 AS level
  FROM workflow_runs WHERE id = $1 AND parent_run_id IS NOT NULL
  UNION ALL
  SELECT r.parent_run_id, r.parent_position, up.level + 1
  FROM up JOIN workflow_runs r ON r.id = up.run_id WHERE r.parent_run_id IS NOT NULL
)
SELECT up.run_id, up.position, t.node_id, r.finished_at IS NOT NULL AS has_ended
FROM up JOIN workflow_runs r ON r.id = up.run_id
JOIN workflow_tasks t ON t.run_id = up.run_id AND t.position = up.position
ORDER BY up.level
"""


async def above(tx: Tx, run_id: UUID) -> list[Above]:
    """The tasks that a run runs for, the next one first; none for a run that somebody started."""
    return [
        Above(TaskId(row.run_id, row.position), row.node_id, row.has_ended)
        for row in await tx.fetch(_ABOVE, run_id)
    ]


@dataclass(frozen=True, slots=True)
class Below:
    """A run that runs for another, which has not ended. node_id: of the task that it runs for."""

    id: UUID
    parent_id: UUID
    node_id: str
    index: int


_OPEN_BELOW = """
WITH RECURSIVE below AS (
  SELECT id, parent_run_id, parent_position, child_index, depth FROM workflow_runs
  WHERE parent_run_id = $1 AND parent_run_id IS NOT NULL AND finished_at IS NULL
  UNION ALL
  SELECT r.id, r.parent_run_id, r.parent_position, r.child_index, r.depth FROM below
  JOIN workflow_runs r ON r.parent_run_id = below.id AND r.parent_run_id IS NOT NULL
  WHERE r.finished_at IS NULL
)
SELECT below.id, below.parent_run_id, below.child_index, t.node_id FROM below
JOIN workflow_tasks t ON t.run_id = below.parent_run_id AND t.position = below.parent_position
ORDER BY below.depth, below.parent_run_id, below.parent_position, below.child_index
"""


async def open_below(tx: Tx, run_id: UUID) -> list[Below]:
    """The runs below a run that have not ended, each after the one that it runs for."""
    return [
        Below(row.id, row.parent_run_id, row.node_id, row.child_index)
        for row in await tx.fetch(_OPEN_BELOW, run_id)
    ]


_STOPPED_CHILDREN = """
SELECT r.id FROM workflow_runs r
JOIN task_children c ON c.run_id = r.parent_run_id AND c.position = r.parent_position AND NOT c.abandons
JOIN workflow_tasks t ON t.run_id = r.parent_run_id AND t.position = r.parent_position
WHERE r.parent_run_id = $1 AND r.parent_run_id IS NOT NULL AND r.finished_at IS NULL
  AND r.status <> 'queued' AND r.verdict IS NULL AND t.status = 'cancelled'
ORDER BY r.id
"""


async def of_cancelled(tx: Tx, run_id: UUID) -> list[UUID]:
    """The children that run for cancelled tasks of a run, unless these abandon them."""
    return [row.id for row in await tx.fetch(_STOPPED_CHILDREN, run_id)]


async def has_node(tx: Tx, run_id: UUID, node_id: str) -> bool:
    """Whether a run has a task for this node. One that waits for its turn has none yet."""
    found = await tx.row("SELECT FROM workflow_tasks WHERE run_id = $1 AND node_id = $2", run_id, node_id)
    return found is not None


@dataclass(frozen=True, slots=True)
class ChildRun:
    """A run that a task has started and waits for."""

    id: UUID
    position: int
    index: int
    status: RunStatus


# After a retry there may be several with the same index: the newest counts.
_CHILD_RUNS = """
SELECT DISTINCT ON (parent_position, child_index) id, parent_position, child_index, status
FROM workflow_runs WHERE parent_run_id = $1 AND parent_run_id IS NOT NULL
ORDER BY parent_position, child_index, id DESC LIMIT $2
"""


async def child_runs(tx: Tx, run_id: UUID, limit: int) -> dict[int, list[ChildRun]]:
    """The first children of a run's tasks, by position, in order."""
    found: dict[int, list[ChildRun]] = {}
    for row in await tx.fetch(_CHILD_RUNS, run_id, limit):
        one = ChildRun(row.id, row.parent_position, row.child_index, RunStatus(row.status))
        found.setdefault(one.position, []).append(one)
    return found


# After a retry there may be several with the same index: the newest counts.
_CHILDREN_AT = """
SELECT DISTINCT ON (r.child_index) r.id FROM workflow_runs r
JOIN workflow_tasks t ON t.run_id = r.parent_run_id AND t.position = r.parent_position
WHERE r.parent_run_id = $1 AND r.parent_run_id IS NOT NULL AND t.node_id = $2
  AND CASE WHEN $3::int IS NULL THEN r.finished_at IS NULL ELSE r.child_index = $3 END
ORDER BY r.child_index, r.id DESC LIMIT 2
"""


async def children_at(tx: Tx, run_id: UUID, node_id: str, index: int | None) -> list[UUID]:
    """The child of a node with this index; without one, those (at most two of them) that have not ended."""
    return [row.id for row in await tx.fetch(_CHILDREN_AT, run_id, node_id, index)]


async def any_active(tx: Tx, run_ids: Sequence[UUID]) -> bool:
    """Whether one of the runs has not ended."""
    query = "SELECT 1 FROM workflow_runs WHERE id = ANY($1) AND finished_at IS NULL LIMIT 1"
    return await tx.row(query, run_ids) is not None


_COUNTS = """
SELECT parent_position AS position, status, count(*)::int AS runs FROM workflow_runs
WHERE parent_run_id = $1 AND parent_run_id IS NOT NULL GROUP BY parent_position, status
ORDER BY parent_position, status
"""


async def counts(tx: Tx, run_id: UUID) -> dict[int, dict[str, int]]:
    """How many children a run's tasks have, by position and status."""
    found: dict[int, dict[str, int]] = {}
    for row in await tx.fetch(_COUNTS, run_id):
        found.setdefault(row.position, {})[row.status] = row.runs
    return found


@dataclass(frozen=True, slots=True)
class BodyRun:
    """A run of a body. key: its place as people see it, as `map[3]/` or `outer[0]/inner[2]/`.

    total: how many tasks it has.
    """

    id: UUID
    key: str
    total: int
    program: ProgramKey
    input: JsonValue


# After a retry there are several with the same index: the newest counts.
_BODIES = """
SELECT DISTINCT ON (r.parent_run_id, r.parent_position, r.child_index)
       r.id, r.parent_run_id, t.node_id, r.child_index, r.workflow_id, r.version, r.body,
       r.total, r.input
FROM workflow_runs r JOIN workflow_tasks t ON t.run_id = r.parent_run_id AND t.position = r.parent_position
WHERE r.parent_run_id = ANY($1) AND r.parent_run_id IS NOT NULL AND r.body <> '' AND r.status <> 'queued'
ORDER BY r.parent_run_id, r.parent_position, r.child_index, r.id DESC
LIMIT $2
"""


async def body_runs(tx: Tx, keys: dict[UUID, str], limit: int) -> list[BodyRun]:
    """The runs of bodies right below the given runs, that have begun. keys: of those, '' for the first."""
    return [
        BodyRun(
            id=row.id,
            key=f"{keys[row.parent_run_id]}{row.node_id}[{row.child_index}]/",
            total=row.total,
            program=ProgramKey(row.workflow_id, row.version, row.body),
            input=load(row.input),
        )
        for row in await tx.fetch(_BODIES, list(keys), limit)
    ]
