"""Runs: start, lock, count down, end. What people read of them is in `headrace.store.run_reading`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.project import DEFAULT_PROJECT
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store.codec import dump_optional, load
from headrace.store.db import Record, Tx
from headrace.store.guards import run_may_become


class ProgramKey(NamedTuple):
    """What a run executes: a version, or the body of one of its nodes.

    body: ids of nodes with bodies, outermost first, joined by `/`; '' for the whole workflow.
    """

    workflow_id: UUID
    version: int
    body: str = ""


@dataclass(frozen=True, slots=True)
class Parent:
    """The task that a run is started for. index: its place among that task's children.

    body: the path of the nodes whose body it runs, '' for a whole workflow. depth: of the parent's run.
    """

    task: TaskId
    index: int
    body: str
    depth: int


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to insert. open: tasks that must end before its compensations and `finally` nodes.

    timeout: seconds that it may take, None for ever. origin: what started it, for people and for reruns.
    pins: hashes of the stored activities that it uses, by name; None for none.
    """

    id: UUID
    workflow_id: UUID
    version: int
    input: JsonValue
    open: int
    total: int
    status: RunStatus = RunStatus.RUNNING
    priority: int = 5
    timeout: float | None = None
    origin: JsonValue = None
    mocks: JsonValue = None
    debug: JsonValue = None
    concurrency_key: str | None = None
    body: str = ""
    parent: Parent | None = None
    pins: Mapping[str, str] | None = None
    project: str = DEFAULT_PROJECT


_INSERT = """
INSERT INTO workflow_runs (id, workflow_id, version, input, open, total, status, priority, deadline_at,
                           origin, mocks, debug, concurrency_key, parent_run_id, parent_position, child_index,
                           body, depth, pins, project)
VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, now() + make_interval(secs => $9),
        $10::text::jsonb, $11::text::jsonb, $12::text::jsonb, $13, $14, $15, $16, $17, $18,
        $19::text::jsonb, $20)
"""


async def insert(tx: Tx, run: NewRun) -> None:
    """Adds a run; it is `running` (or what its status says) when this commits."""
    parent = run.parent
    await tx.fetch(
        _INSERT,
        run.id,
        run.workflow_id,
        run.version,
        dump_optional(run.input),
        run.open,
        run.total,
        run.status.value,
        run.priority,
        run.timeout,
        dump_optional(run.origin),
        dump_optional(run.mocks),
        dump_optional(run.debug),
        run.concurrency_key,
        parent and parent.task.run_id,
        parent and parent.task.position,
        parent and parent.index,
        parent.body if parent else run.body,
        parent.depth + 1 if parent else 0,
        dump_optional(dict(run.pins) if run.pins else None),
        run.project,
    )


@dataclass(frozen=True, slots=True)
class LockedRun:
    """A run whose row this transaction holds.

    open: tasks of its phase that had not ended when it was locked.
    """

    id: UUID
    workflow_id: UUID
    version: int
    body: str
    status: RunStatus
    verdict: RunStatus | None
    phase: str
    parent: TaskId | None
    depth: int
    debug: JsonValue
    open: int

    @property
    def program(self) -> ProgramKey:
        return ProgramKey(self.workflow_id, self.version, self.body)


_LOCK = """
SELECT id, workflow_id, version, body, status, verdict, phase, parent_run_id, parent_position, depth, debug,
       open
FROM workflow_runs
WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE
"""


async def lock(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, LockedRun]:
    """Locks runs in the order of their ids. Always before their tasks, never after."""
    rows = await tx.fetch(_LOCK, sorted(set(run_ids)))
    return {row.id: _locked(row) for row in rows}


def _locked(row: Record) -> LockedRun:
    verdict = None if row.verdict is None else RunStatus(row.verdict)
    return LockedRun(
        id=row.id,
        workflow_id=row.workflow_id,
        version=row.version,
        body=row.body,
        status=RunStatus(row.status),
        verdict=verdict,
        phase=row.phase,
        parent=None if row.parent_run_id is None else TaskId(row.parent_run_id, row.parent_position),
        depth=row.depth,
        debug=load(row.debug),
        open=row.open,
    )


_COUNTED = (
    TaskStatus.COMPLETED,
    TaskStatus.FAILED,
    TaskStatus.SKIPPED,
    TaskStatus.UPSTREAM_FAILED,
    TaskStatus.CANCELLED,
)

_COUNT = """
UPDATE workflow_runs r
SET completed = r.completed + c.completed, failed = r.failed + c.failed, skipped = r.skipped + c.skipped,
    upstream_failed = r.upstream_failed + c.upstream_failed, cancelled = r.cancelled + c.cancelled,
    open = r.open - c.completed - c.failed - c.skipped - c.upstream_failed - c.cancelled, updated_at = now()
FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::int[], $6::int[])
     AS c(id, completed, failed, skipped, upstream_failed, cancelled)
WHERE r.id = c.id
RETURNING r.id, r.open
"""


async def count_down(tx: Tx, ended: Mapping[UUID, Mapping[TaskStatus, int]]) -> dict[UUID, int]:
    """Counts ended tasks by status; returns how many are still open, by run. The runs must be locked."""
    columns = [[counts.get(status, 0) for counts in ended.values()] for status in _COUNTED]
    rows = await tx.fetch(_COUNT, list(ended), *columns)
    return {row.id: row.open for row in rows}


_CLOSE = """
UPDATE workflow_runs
SET completed = completed + $2, failed = failed + $3, skipped = skipped + $4,
    upstream_failed = upstream_failed + $5, cancelled = cancelled + $6, open = 0
WHERE id = $1
"""


async def close(tx: Tx, run_id: UUID, ended: Mapping[TaskStatus, int]) -> None:
    """Counts the last tasks of a run that is abandoned, those of both its phases. The run must be locked."""
    await tx.fetch(_CLOSE, run_id, *(ended.get(status, 0) for status in _COUNTED))


async def set_verdict(tx: Tx, run_id: UUID, verdict: RunStatus, reason: str) -> None:
    """Decides early how a run will end. The run must be locked."""
    await tx.fetch(
        "UPDATE workflow_runs SET verdict = $2, reason = $3, updated_at = now() WHERE id = $1",
        run_id,
        verdict.value,
        reason,
    )


async def open_phase(tx: Tx, run_id: UUID, phase: str, count: int) -> None:
    """Lets the next phase begin, with so many tasks. The run must be locked."""
    await tx.fetch(
        "UPDATE workflow_runs SET phase = $2, open = $3, updated_at = now() WHERE id = $1",
        run_id,
        phase,
        count,
    )


_FINISH = """
UPDATE workflow_runs SET status = $2, finished_at = now(), updated_at = now(), reason = coalesce($3, reason)
WHERE id = $1 AND status = ANY($4)
"""


async def finish(tx: Tx, run_id: UUID, status: RunStatus, reason: str | None = None) -> None:
    """Ends a run: succeeded | failed | cancelled. The run must be locked."""
    await tx.fetch(_FINISH, run_id, status.value, reason, run_may_become(status))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a run's end. early: decided before its tasks ended. failed: how many tasks did."""

    early: RunStatus | None
    reason: str | None
    failed: int


async def verdict(tx: Tx, run_id: UUID) -> Verdict:
    """What this transaction knows of how the run ends. The run must be locked."""
    row = await tx.row("SELECT verdict, reason, failed FROM workflow_runs WHERE id = $1", run_id)
    assert row is not None
    return Verdict(None if row.verdict is None else RunStatus(row.verdict), row.reason, row.failed)


_FAILURES = """
SELECT position, node_id, outcomes, attempt, error FROM workflow_tasks
WHERE run_id = $1 AND status = 'failed' ORDER BY position
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed task. outcomes: of its out-edges."""

    position: int
    node_id: str
    outcomes: str
    attempt: int
    error: JsonValue


async def failures(tx: Tx, run_id: UUID) -> list[Failure]:
    """The failed tasks of a run. Reads the whole run: only for runs that end with failures."""
    return [
        Failure(row.position, row.node_id, row.outcomes, row.attempt, load(row.error))
        for row in await tx.fetch(_FAILURES, run_id)
    ]


async def met_joins(tx: Tx, run_id: UUID, positions: Sequence[int]) -> frozenset[int]:
    """Those of the given tasks that were released."""
    rows = await tx.fetch(
        "SELECT position FROM workflow_tasks"
        " WHERE run_id = $1 AND position = ANY($2) AND released_by IS NOT NULL",
        run_id,
        positions,
    )
    return frozenset(row.position for row in rows)


_TURN = """
UPDATE workflow_runs SET status = $2, reason = $3, updated_at = now() WHERE id = $1 AND status = ANY($4)
"""


async def turn(tx: Tx, run_id: UUID, status: RunStatus, reason: str | None = None) -> None:
    """running <-> paused, or queued -> running. The run must be locked."""
    await tx.fetch(_TURN, run_id, status.value, reason, run_may_become(status))


_SET_DEBUG = """
UPDATE workflow_runs r SET debug = n.debug::jsonb, updated_at = now()
FROM unnest($1::uuid[], $2::text[]) AS n(id, debug) WHERE r.id = n.id
"""


async def set_debug(tx: Tx, debugs: Mapping[UUID, JsonObject | None]) -> None:
    """How runs are debugged from now on. They must be locked."""
    await tx.fetch(_SET_DEBUG, list(debugs), [dump_optional(debug) for debug in debugs.values()])


async def has_active(tx: Tx, workflow_id: UUID) -> bool:
    """Whether a run of the workflow has not ended."""
    row = await tx.row(
        "SELECT 1 FROM workflow_runs WHERE workflow_id = $1 AND finished_at IS NULL LIMIT 1", workflow_id
    )
    return row is not None
