"""Runs: start, lock, count down, end, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.graph.json_types import JsonValue
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store.codec import dump_optional, load
from headrace.store.db import Record, Tx
from headrace.store.guards import run_may_become


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to insert. open: tasks that must end before its `finally` nodes."""

    id: UUID
    workflow_id: UUID
    version: int
    input: JsonValue
    open: int
    total: int


_INSERT = """
INSERT INTO workflow_runs (id, workflow_id, version, status, input, open, total)
VALUES ($1, $2, $3, 'running', $4::text::jsonb, $5, $6)
"""


async def insert(tx: Tx, run: NewRun) -> None:
    """Adds a run; it is `running` when this commits."""
    await tx.fetch(
        _INSERT, run.id, run.workflow_id, run.version, dump_optional(run.input), run.open, run.total
    )


@dataclass(frozen=True, slots=True)
class LockedRun:
    """A run whose row this transaction holds."""

    id: UUID
    workflow_id: UUID
    version: int
    status: RunStatus
    verdict: RunStatus | None
    phase: str


_LOCK = """
SELECT id, workflow_id, version, status, verdict, phase FROM workflow_runs
WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE
"""


async def lock(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, LockedRun]:
    """Locks runs in the order of their ids. Always before their tasks, never after."""
    rows = await tx.fetch(_LOCK, sorted(set(run_ids)))
    return {row.id: _locked(row) for row in rows}


def _locked(row: Record) -> LockedRun:
    verdict = None if row.verdict is None else RunStatus(row.verdict)
    return LockedRun(row.id, row.workflow_id, row.version, RunStatus(row.status), verdict, row.phase)


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


async def open_finals(tx: Tx, run_id: UUID, count: int) -> None:
    """Lets the `finally` nodes begin. The run must be locked."""
    await tx.fetch(
        "UPDATE workflow_runs SET phase = 'finally', open = $2, updated_at = now() WHERE id = $1",
        run_id,
        count,
    )


_FINISH = f"""
UPDATE workflow_runs SET status = $2, finished_at = now(), updated_at = now(), reason = coalesce($3, reason)
WHERE id = $1 AND status IN {run_may_become(RunStatus.SUCCEEDED)}
"""


async def finish(tx: Tx, run_id: UUID, status: RunStatus, reason: str | None = None) -> None:
    """running -> succeeded | failed | cancelled. The run must be locked."""
    await tx.fetch(_FINISH, run_id, status.value, reason)


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
SELECT position, node_id, outcomes FROM workflow_tasks
WHERE run_id = $1 AND status = 'failed' ORDER BY position
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed task. outcomes: of its out-edges."""

    position: int
    node_id: str
    outcomes: str


async def failures(tx: Tx, run_id: UUID) -> list[Failure]:
    """The failed tasks of a run. Reads the whole run: only for runs that end with failures."""
    return [Failure(row.position, row.node_id, row.outcomes) for row in await tx.fetch(_FAILURES, run_id)]


async def met_joins(tx: Tx, run_id: UUID, positions: Sequence[int]) -> frozenset[int]:
    """Those of the given tasks that were released."""
    rows = await tx.fetch(
        "SELECT position FROM workflow_tasks"
        " WHERE run_id = $1 AND position = ANY($2) AND released_by IS NOT NULL",
        run_id,
        positions,
    )
    return frozenset(row.position for row in rows)


@dataclass(frozen=True, slots=True)
class Run:
    """A run as people see it."""

    id: UUID
    workflow_id: UUID
    version: int
    status: RunStatus
    verdict: RunStatus | None
    reason: str | None
    input: JsonValue
    total: int
    completed: int
    failed: int
    skipped: int
    upstream_failed: int
    cancelled: int
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None


_COLUMNS = """
id, workflow_id, version, status, verdict, reason, input, total, completed, failed, skipped, upstream_failed,
cancelled, started_at, updated_at, finished_at
"""


async def get(tx: Tx, run_id: UUID) -> Run | None:
    row = await tx.row(f"SELECT {_COLUMNS} FROM workflow_runs WHERE id = $1", run_id)
    return None if row is None else _run(row)


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands, without its input, which may be large."""

    workflow_id: UUID
    status: RunStatus


async def state(tx: Tx, run_id: UUID) -> RunState | None:
    row = await tx.row("SELECT workflow_id, status FROM workflow_runs WHERE id = $1", run_id)
    return None if row is None else RunState(row.workflow_id, RunStatus(row.status))


_LIST = f"""
SELECT {_COLUMNS} FROM workflow_runs
WHERE ($1::uuid IS NULL OR workflow_id = $1) AND ($2::text IS NULL OR status = $2)
ORDER BY id DESC LIMIT $3 OFFSET $4
"""


async def find(
    tx: Tx, workflow_id: UUID | None, status: RunStatus | None, limit: int, offset: int
) -> list[Run]:
    """Runs, newest first."""
    rows = await tx.fetch(_LIST, workflow_id, status and status.value, limit, offset)
    return [_run(row) for row in rows]


async def count_by_status(tx: Tx) -> dict[str, int]:
    """How many runs stand where. Reads all of them."""
    counts = dict.fromkeys((status.value for status in RunStatus), 0)
    rows = await tx.fetch("SELECT status, count(*) AS number FROM workflow_runs GROUP BY status")
    return counts | {row.status: row.number for row in rows}


async def has_active(tx: Tx, workflow_id: UUID) -> bool:
    """Whether a run of the workflow has not ended."""
    row = await tx.row(
        "SELECT 1 FROM workflow_runs WHERE workflow_id = $1 AND finished_at IS NULL LIMIT 1", workflow_id
    )
    return row is not None


_CONTEXT = "SELECT id, workflow_id, version, input, started_at FROM workflow_runs WHERE id = ANY($1)"


@dataclass(frozen=True, slots=True)
class RunContext:
    """What executions need of their run. input_size: characters of its input as JSON."""

    id: UUID
    workflow_id: UUID
    version: int
    input: JsonValue
    input_size: int
    started_at: datetime


async def contexts(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, RunContext]:
    """The contexts of runs, read without a lock: they never change."""
    rows = await tx.fetch(_CONTEXT, sorted(set(run_ids)))
    return {
        row.id: RunContext(
            row.id, row.workflow_id, row.version, load(row.input), len(row.input or ""), row.started_at
        )
        for row in rows
    }


def _run(row: Record) -> Run:
    return Run(
        id=row.id,
        workflow_id=row.workflow_id,
        version=row.version,
        status=RunStatus(row.status),
        verdict=None if row.verdict is None else RunStatus(row.verdict),
        reason=row.reason,
        input=load(row.input),
        total=row.total,
        completed=row.completed,
        failed=row.failed,
        skipped=row.skipped,
        upstream_failed=row.upstream_failed,
        cancelled=row.cancelled,
        started_at=row.started_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
    )
