"""Runs that run for a task: adding them, and what they answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.graph.project import DEFAULT_PROJECT
from headrace.graph.states import RunStatus
from headrace.store import pins
from headrace.store.codec import dump_optional, load
from headrace.store.db import Tx
from headrace.store.runs import ProgramKey


@dataclass(frozen=True, slots=True)
class ParentFacts:
    """What a child gets from its parent. root_id: the run above all others. depth: of the parent's run.

    pins: hashes of the stored activities that the parent's run uses, by name. debug, project: of its run.
    """

    program: ProgramKey
    priority: int
    depth: int
    root_id: UUID
    pins: Mapping[str, str]
    debug: JsonValue = None
    project: str = DEFAULT_PROJECT


_PARENTS = """
WITH RECURSIVE up AS (
  SELECT r.id AS run_id, r.id, r.parent_run_id FROM workflow_runs r WHERE r.id = ANY($1)
  UNION
  SELECT up.run_id, r.id, r.parent_run_id FROM up JOIN workflow_runs r ON r.id = up.parent_run_id
)
SELECT t.run_id, t.position, t.priority, r.workflow_id, r.version, r.body, r.depth, r.pins, r.debug,
       r.project, up.id AS root_id
FROM unnest($1::uuid[], $2::int[]) AS n(run_id, position)
JOIN workflow_tasks t USING (run_id, position)
JOIN workflow_runs r ON r.id = t.run_id
JOIN up ON up.run_id = t.run_id
WHERE NOT EXISTS (SELECT 1 FROM workflow_runs p WHERE p.id = up.parent_run_id)
"""


async def parents(tx: Tx, tasks: Sequence[TaskId]) -> dict[TaskId, ParentFacts]:
    """The facts of tasks that spawn. They never change, so nothing is locked."""
    return {
        TaskId(row.run_id, row.position): ParentFacts(
            program=ProgramKey(row.workflow_id, row.version, row.body),
            priority=row.priority,
            depth=row.depth,
            root_id=row.root_id,
            pins=pins.read(row.pins),
            debug=load(row.debug),
            project=row.project,
        )
        for row in await tx.fetch(_PARENTS, *_columns(tasks))
    }


_COUNT_TASKS = """
INSERT INTO run_trees (root_id, tasks)
SELECT n.root_id, n.tasks FROM unnest($1::uuid[], $2::int[]) AS n(root_id, tasks) ORDER BY n.root_id
ON CONFLICT (root_id) DO UPDATE SET tasks = run_trees.tasks + excluded.tasks
RETURNING root_id, tasks
"""


_KEYS_ABOVE = """
WITH RECURSIVE up AS (
  SELECT parent_run_id, concurrency_key FROM workflow_runs WHERE id = $1
  UNION ALL
  SELECT r.parent_run_id, r.concurrency_key FROM up JOIN workflow_runs r ON r.id = up.parent_run_id
)
SELECT concurrency_key FROM up WHERE concurrency_key IS NOT NULL
"""


async def keys_above(tx: Tx, run_id: UUID) -> frozenset[str]:
    """The concurrency keys of a run and of all runs that it runs for."""
    return frozenset(row.concurrency_key for row in await tx.fetch(_KEYS_ABOVE, run_id))


async def count_tasks(tx: Tx, new: Mapping[UUID, int]) -> dict[UUID, int]:
    """Counts tasks that are made below root runs; returns how many that are by now."""
    rows = await tx.fetch(_COUNT_TASKS, list(new), list(new.values()))
    return {row.root_id: row.tasks for row in rows}


@dataclass(frozen=True, slots=True)
class NewChild:
    """A run to insert for a task. input: JSON text. open, total, timeout: as of `runs.NewRun`.

    is_queued: it waits for its turn, among its siblings or behind the key of its workflow.
    """

    id: UUID
    index: int
    program: ProgramKey
    input: str | None
    open: int
    total: int
    timeout: float | None
    is_queued: bool
    concurrency_key: str | None = None
    project: str = DEFAULT_PROJECT


@dataclass(frozen=True, slots=True)
class Given:
    """What children are given alike. mocks: answers of nodes that are not run. debug: breakpoints."""

    mocks: JsonValue = None
    debug: JsonValue = None


NOTHING_GIVEN = Given()

_INSERT = """
INSERT INTO workflow_runs (id, workflow_id, version, body, input, open, total, status, priority, deadline_at,
                           mocks, parent_run_id, parent_position, child_index, depth, concurrency_key,
                           pins, debug, project)
SELECT n.id, n.workflow_id, n.version, n.body, n.input::jsonb, n.open, n.total,
       CASE WHEN n.is_queued THEN 'queued' ELSE 'running' END, $3,
       CASE WHEN NOT n.is_queued OR n.concurrency_key IS NOT NULL
            THEN now() + make_interval(secs => n.timeout) END,
       $5::text::jsonb, $1, $2, n.child_index, $4, n.concurrency_key, $17::text::jsonb,
       $18::text::jsonb, n.project
FROM unnest($6::uuid[], $7::int[], $8::uuid[], $9::int[], $10::text[], $11::text[], $12::int[], $13::int[],
            $14::float8[], $15::bool[], $16::text[], $19::text[])
     AS n(id, child_index, workflow_id, version, body, input, open, total, timeout, is_queued,
          concurrency_key, project)
"""


async def insert(
    tx: Tx, task: TaskId, parent: ParentFacts, new: Sequence[NewChild], given: Given = NOTHING_GIVEN
) -> None:
    """Adds runs for a task."""
    await tx.fetch(
        _INSERT,
        task.run_id,
        task.position,
        parent.priority,
        parent.depth + 1,
        dump_optional(given.mocks),
        [one.id for one in new],
        [one.index for one in new],
        [one.program.workflow_id for one in new],
        [one.program.version for one in new],
        [one.program.body for one in new],
        [one.input for one in new],
        [one.open for one in new],
        [one.total for one in new],
        [one.timeout for one in new],
        [one.is_queued for one in new],
        [one.concurrency_key for one in new],
        dump_optional(dict(parent.pins) or None),
        dump_optional(given.debug),
        [one.project for one in new],
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """How one child of a task's present batch ended. index: its place among the task's children."""

    task: TaskId
    run_id: UUID
    index: int
    program: ProgramKey
    status: RunStatus
    reason: str | None
    input: JsonValue


# After a retry there are several with the same index: the newest counts.
_ANSWERS = """
SELECT DISTINCT ON (r.parent_run_id, r.parent_position, r.child_index)
       r.parent_run_id, r.parent_position, r.child_index, r.id, r.workflow_id, r.version, r.body, r.status,
       r.reason, r.input
FROM task_children c
JOIN unnest($1::uuid[], $2::int[]) AS n(run_id, position) USING (run_id, position)
JOIN workflow_runs r ON r.parent_run_id = c.run_id AND r.parent_position = c.position
 AND r.parent_run_id IS NOT NULL
 AND r.child_index >= c.first_index AND r.child_index < c.first_index + c.total
ORDER BY r.parent_run_id, r.parent_position, r.child_index, r.id DESC
"""


async def answers(tx: Tx, tasks: Sequence[TaskId]) -> list[Answer]:
    """The present batches of tasks, ordered by task and index."""
    return [
        Answer(
            task=TaskId(row.parent_run_id, row.parent_position),
            run_id=row.id,
            index=row.child_index,
            program=ProgramKey(row.workflow_id, row.version, row.body),
            status=RunStatus(row.status),
            reason=row.reason,
            input=load(row.input),
        )
        for row in await tx.fetch(_ANSWERS, *_columns(tasks))
    ]


def _columns(tasks: Sequence[TaskId]) -> tuple[list[UUID], list[int]]:
    return [task.run_id for task in tasks], [task.position for task in tasks]
