"""What tasks left: for the inputs of others, and for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.inputs import Result
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.states import TaskStatus
from headrace.store.codec import load, size_of
from headrace.store.db import Record, Tx

# The payload is looked up only where the row has no output itself.
_OUTPUT = "coalesce(t.output, (SELECT p.body FROM payloads p WHERE p.hash = t.output_ref)) AS output"

_RESULTS = f"""
SELECT t.run_id, t.position, t.status, {_OUTPUT}, t.error, t.input, t.outcomes
FROM workflow_tasks t JOIN unnest($1::uuid[], $2::int[]) AS n(run_id, position) USING (run_id, position)
"""


async def results(tx: Tx, tasks: Sequence[TaskId]) -> dict[TaskId, Result]:
    """The results of ended tasks."""
    if not tasks:
        return {}
    rows = await tx.fetch(_RESULTS, [task.run_id for task in tasks], [task.position for task in tasks])
    return {TaskId(row.run_id, row.position): _result(row) for row in rows}


_RESULTS_OF_RUN = f"""
SELECT t.position, t.status, {_OUTPUT}, t.error, t.input, t.outcomes
FROM workflow_tasks t WHERE t.run_id = $1
"""


async def results_of_run(tx: Tx, run_id: UUID) -> dict[int, Result]:
    """The results of all tasks of a run, by position."""
    rows = await tx.fetch(_RESULTS_OF_RUN, run_id)
    return {row.position: _result(row) for row in rows}


def _result(row: Record) -> Result:
    return Result(
        status=TaskStatus(row.status),
        output=load(row.output),
        error=cast("JsonObject | None", load(row.error)),
        input=load(row.input),
        size=size_of(row.output or ""),
        outcomes=row.outcomes or "",
    )


@dataclass(frozen=True, slots=True)
class Task:
    """A task as people see it.

    outcomes: of its out-edges, a letter each. input: kept of failed tasks that somebody handles. size: bytes
    of its output. held_for: what keeps it from
    going on beside what it waits for: a breakpoint, a limit, a resume.
    """

    id: TaskId
    node_id: str
    node_type: str
    status: TaskStatus
    attempt: int
    lost: int
    waits_for: str | None
    held_for: str | None
    wake_at: datetime | None
    released_by: tuple[int, ...] | None
    outcomes: str
    input: JsonValue
    output: JsonValue
    size: int
    error: JsonObject | None
    reason: str | None
    caused_by: str | None
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None

    def result(self) -> Result:
        """What it left, as the inputs of others are made from."""
        return Result(self.status, self.output, self.error, self.input, self.size, self.outcomes)


_TASKS = f"""
SELECT run_id, position, node_id, node_type, status, attempt, lost, waits_for, held_for, is_paused, wake_at,
       released_by, outcomes, input, {_OUTPUT}, error, reason, caused_by, queued_at, started_at, finished_at
FROM workflow_tasks t WHERE run_id = ANY($1) ORDER BY run_id, position
"""


async def tasks_of_run(tx: Tx, run_id: UUID) -> list[Task]:
    """The tasks of a run in the plan's order."""
    return await tasks_of_runs(tx, [run_id])


async def tasks_of_runs(tx: Tx, run_ids: Sequence[UUID]) -> list[Task]:
    """The tasks of several runs, one run after the other."""
    return [_task(row) for row in await tx.fetch(_TASKS, run_ids)]


_ACTIVE = (TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.WAITING)


async def count_active(tx: Tx) -> dict[str, int]:
    """How many tasks are queued, running and waiting: each by an index that holds only those."""
    counts = {}
    for status in _ACTIVE:
        row = await tx.row(f"SELECT count(*) AS number FROM workflow_tasks WHERE status = '{status}'")
        counts[status.value] = row.number if row else 0
    return counts


def _task(row: Record) -> Task:
    return Task(
        id=TaskId(row.run_id, row.position),
        node_id=row.node_id,
        node_type=row.node_type,
        status=TaskStatus(row.status),
        attempt=row.attempt,
        lost=row.lost,
        waits_for=row.waits_for,
        held_for="resume" if row.is_paused else row.held_for,
        wake_at=row.wake_at,
        released_by=None if row.released_by is None else tuple(row.released_by),
        outcomes=row.outcomes or "",
        input=load(row.input),
        output=load(row.output),
        size=size_of(row.output or ""),
        error=cast("JsonObject | None", load(row.error)),
        reason=row.reason,
        caused_by=row.caused_by,
        queued_at=row.queued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
