"""Runs as people and executions see them. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.graph.states import RunStatus
from headrace.store import pins
from headrace.store.codec import load
from headrace.store.db import Record, Tx
from headrace.store.runs import ProgramKey


@dataclass(frozen=True, slots=True)
class Run:
    """A run as people see it. pins: hashes of the stored activities that it uses, by name."""

    id: UUID
    workflow_id: UUID
    project: str
    version: int
    status: RunStatus
    verdict: RunStatus | None
    reason: str | None
    body: str
    priority: int
    parent: TaskId | None
    child_index: int | None
    origin: JsonValue
    concurrency_key: str | None
    pins: dict[str, str]
    deadline_at: datetime | None
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

    @property
    def program(self) -> ProgramKey:
        return ProgramKey(self.workflow_id, self.version, self.body)


_COLUMNS = """
id, workflow_id, project, version, status, verdict, reason, body, priority, parent_run_id, parent_position,
child_index, origin, concurrency_key, pins, deadline_at, input, total, completed, failed, skipped,
upstream_failed, cancelled, started_at, updated_at, finished_at
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
  AND ($5::text IS NULL OR project = $5) AND (parent_run_id IS NULL OR body = '')
ORDER BY id DESC LIMIT $3 OFFSET $4
"""


async def find(
    tx: Tx,
    workflow_id: UUID | None,
    status: RunStatus | None,
    page: tuple[int, int],
    project: str | None = None,
) -> list[Run]:
    """Runs, newest first; without those of bodies, which are parts of other runs. page: limit and offset."""
    rows = await tx.fetch(_LIST, workflow_id, status and status.value, *page, project)
    return [_run(row) for row in rows]


_CHILDREN = f"""
SELECT {_COLUMNS} FROM workflow_runs
WHERE parent_run_id = $1 AND parent_run_id IS NOT NULL AND ($2::text IS NULL OR status = $2)
ORDER BY parent_position, child_index, id LIMIT $3 OFFSET $4
"""


async def children(tx: Tx, run_id: UUID, status: RunStatus | None, limit: int, offset: int) -> list[Run]:
    """The runs that a run's tasks started and wait for, in the order of tasks and items."""
    rows = await tx.fetch(_CHILDREN, run_id, status and status.value, limit, offset)
    return [_run(row) for row in rows]


async def paused_among(tx: Tx, run_ids: Sequence[UUID]) -> frozenset[UUID]:
    """Those of the given runs that are paused."""
    rows = await tx.fetch(
        "SELECT id FROM workflow_runs WHERE id = ANY($1) AND status = 'paused'", list(run_ids)
    )
    return frozenset(row.id for row in rows)


# That they have not ended is not asked: in an empty database PostgreSQL would plan it over all that have not.
_ACTIVE_BELOW = """
WITH RECURSIVE below AS (
  SELECT id, status, depth FROM workflow_runs
  WHERE parent_run_id = $1 AND parent_run_id IS NOT NULL AND NOT is_reported
  UNION ALL
  SELECT r.id, r.status, r.depth
  FROM below JOIN workflow_runs r ON r.parent_run_id = below.id AND r.parent_run_id IS NOT NULL
  WHERE NOT r.is_reported
)
SELECT id FROM below WHERE status = $2 ORDER BY depth, id
"""


async def active_below(tx: Tx, run_id: UUID, status: RunStatus) -> list[UUID]:
    """The runs that stand so and for which a task of this run waits, directly or not; upper ones first."""
    return [row.id for row in await tx.fetch(_ACTIVE_BELOW, run_id, status.value)]


_MATCHING = """
SELECT id FROM workflow_runs
WHERE parent_run_id IS NULL AND ($1::uuid IS NULL OR workflow_id = $1) AND ($2::text IS NULL OR status = $2)
  AND ($3::timestamptz IS NULL OR started_at >= $3) AND ($4::timestamptz IS NULL OR started_at < $4)
ORDER BY id LIMIT $5
"""


async def matching(
    tx: Tx,
    workflow_id: UUID | None,
    status: RunStatus | None,
    started: tuple[datetime | None, datetime | None],
    limit: int,
) -> list[UUID]:
    """The ids of runs, oldest first; of those that started in [from, until)."""
    rows = await tx.fetch(_MATCHING, workflow_id, status and status.value, *started, limit)
    return [row.id for row in rows]


async def count_by_status(tx: Tx) -> dict[str, int]:
    """How many runs stand where. Reads all of them."""
    counts = dict.fromkeys((status.value for status in RunStatus), 0)
    rows = await tx.fetch("SELECT status, count(*) AS number FROM workflow_runs GROUP BY status")
    return counts | {row.status: row.number for row in rows}


_OUTERMOST = """
WITH RECURSIVE up AS (
  SELECT id AS body_run, id, body, parent_run_id FROM workflow_runs WHERE id = ANY($1)
  UNION ALL
  SELECT up.body_run, r.id, r.body, r.parent_run_id
  FROM up JOIN workflow_runs r ON r.id = up.parent_run_id WHERE up.body <> ''
)
SELECT body_run, id FROM up WHERE body = '' OR parent_run_id IS NULL
"""


async def outermost(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The run of a whole workflow in whose bodies these runs are."""
    return {row.body_run: row.id for row in await tx.fetch(_OUTERMOST, list(run_ids))}


_CONTEXT = """
SELECT id, workflow_id, version, body, input, mocks, pins, parent_run_id, started_at
FROM workflow_runs WHERE id = ANY($1)
"""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What executions need of their run. input_size: characters of its input as JSON.

    mocks: answers of nodes that are not run, by node id. pins: hashes of stored activities, by name.
    """

    id: UUID
    workflow_id: UUID
    version: int
    body: str
    input: JsonValue
    input_size: int
    mocks: JsonValue
    pins: dict[str, str]
    parent_run_id: UUID | None
    started_at: datetime

    @property
    def program(self) -> ProgramKey:
        return ProgramKey(self.workflow_id, self.version, self.body)


async def contexts(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, RunContext]:
    """The contexts of runs, read without a lock: they never change."""
    rows = await tx.fetch(_CONTEXT, sorted(set(run_ids)))
    return {
        row.id: RunContext(
            id=row.id,
            workflow_id=row.workflow_id,
            version=row.version,
            body=row.body,
            input=load(row.input),
            input_size=len(row.input or ""),
            mocks=load(row.mocks),
            pins=pins.read(row.pins),
            parent_run_id=row.parent_run_id,
            started_at=row.started_at,
        )
        for row in rows
    }


def _run(row: Record) -> Run:
    return Run(
        id=row.id,
        workflow_id=row.workflow_id,
        project=row.project,
        version=row.version,
        status=RunStatus(row.status),
        verdict=None if row.verdict is None else RunStatus(row.verdict),
        reason=row.reason,
        body=row.body,
        priority=row.priority,
        parent=None if row.parent_run_id is None else TaskId(row.parent_run_id, row.parent_position),
        child_index=row.child_index,
        origin=load(row.origin),
        concurrency_key=row.concurrency_key,
        pins=pins.read(row.pins),
        deadline_at=row.deadline_at,
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
