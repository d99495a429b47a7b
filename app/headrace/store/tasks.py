"""Tasks: adding them with their run, and what a queued one says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.dispatch import RunTask
from headrace.graph.ids import TaskId
from headrace.graph.project import DEFAULT_PROJECT
from headrace.store.db import Record, Tx


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to insert. in_degree: how many edges must resolve. The timeouts are seconds.

    A task that is queued gets its first attempt. queue_timeout, total_timeout: None for none.
    """

    position: int
    node_id: str
    node_type: str
    in_degree: int
    attempt_timeout: float
    max_lost: int
    is_queued: bool
    priority: int = 5
    queue_timeout: float | None = None
    total_timeout: float | None = None


_INSERT = f"""
INSERT INTO workflow_tasks (run_id, position, node_id, node_type, edges_unresolved, attempt_timeout, max_lost,
                            status, attempt, delivery, queued_at, ready_at,
                            priority, queue_timeout, total_timeout, project)
SELECT r.id, n.position, n.node_id, n.node_type, n.in_degree, n.attempt_timeout, n.max_lost,
       CASE WHEN n.is_queued THEN 'queued' ELSE 'pending' END,
       n.is_queued::int, n.is_queued::int, CASE WHEN n.is_queued THEN now() END,
       CASE WHEN n.is_queued THEN now() END, n.priority, n.queue_timeout, n.total_timeout,
       nullif($12, '{DEFAULT_PROJECT}')
FROM unnest($1::uuid[]) AS r(id)
CROSS JOIN unnest($2::int[], $3::text[], $4::text[], $5::int[], $6::float8[], $7::int[], $8::bool[],
                  $9::int[], $10::float8[], $11::float8[])
     AS n(position, node_id, node_type, in_degree, attempt_timeout, max_lost, is_queued,
          priority, queue_timeout, total_timeout)
"""


async def insert(
    tx: Tx, run_ids: Sequence[UUID], tasks: Sequence[NewTask], project: str = DEFAULT_PROJECT
) -> None:
    """Adds the same tasks to each of the new runs. project: of their workflow."""
    await tx.fetch(
        _INSERT,
        run_ids,
        [task.position for task in tasks],
        [task.node_id for task in tasks],
        [task.node_type for task in tasks],
        [task.in_degree for task in tasks],
        [task.attempt_timeout for task in tasks],
        [task.max_lost for task in tasks],
        [task.is_queued for task in tasks],
        [task.priority for task in tasks],
        [task.queue_timeout for task in tasks],
        [task.total_timeout for task in tasks],
        project,
    )


QUEUED_COLUMNS = (
    "t.run_id, t.position, t.node_id, t.attempt, t.delivery, t.attempt_timeout, t.priority, t.project"
)


@dataclass(frozen=True, slots=True)
class Queued:
    """A task that stands as `queued`: what its job must carry."""

    task: TaskId
    node_id: str
    attempt: int
    delivery: int
    attempt_timeout: float
    priority: int
    project: str = DEFAULT_PROJECT

    def dispatch(self) -> RunTask:
        return RunTask(
            self.task,
            self.attempt,
            self.delivery,
            self.node_id,
            self.attempt_timeout,
            self.priority,
            self.project,
        )


def queued(row: Record) -> Queued:
    """Reads QUEUED_COLUMNS."""
    task = TaskId(row.run_id, row.position)
    project = row.project or DEFAULT_PROJECT
    return Queued(task, row.node_id, row.attempt, row.delivery, row.attempt_timeout, row.priority, project)
