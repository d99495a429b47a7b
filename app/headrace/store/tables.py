"""The tables. Statuses are text with CHECKs made from `graph.states`; times carry their zone.

Hot paths have small partial indexes: a task leaves them as soon as it moves on. The store's functions speak
SQL; these classes are what migrations, CHECKs and plain reads are made from.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from headrace.graph.json_types import JsonValue
from headrace.graph.states import ENDED, RUN_ENDED, RunStatus, TaskStatus

NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}
SQLModel.metadata.naming_convention = NAMING


def _one_of(column: str, values: Iterable[str]) -> str:
    listed = ", ".join(f"'{value}'" for value in sorted(values))
    return f"{column} IN ({listed})"


def _instant(*, required: bool = True, default: str | None = None) -> Column[datetime]:
    server_default = text(default) if default else None
    return Column(DateTime(timezone=True), nullable=not required, server_default=server_default)


def _json(*, required: bool = False) -> Column[JsonValue]:
    return Column(JSONB(none_as_null=True), nullable=not required)


def _count(default: int = 0) -> Column[int]:
    return Column(Integer, nullable=False, server_default=str(default))


class WorkflowRow(SQLModel, table=True):
    """A workflow. version: the current one."""

    __tablename__ = "workflows"

    id: UUID = Field(primary_key=True)
    name: str = Field(max_length=255)
    version: int
    created_at: datetime = Field(sa_column=_instant(default="now()"))
    updated_at: datetime = Field(sa_column=_instant(default="now()"))


class VersionRow(SQLModel, table=True):
    """A frozen definition, in the wire form."""

    __tablename__ = "workflow_versions"

    workflow_id: UUID = Field(
        sa_column=Column(ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    version: int = Field(primary_key=True)
    definition: JsonValue = Field(sa_column=_json(required=True))
    created_at: datetime = Field(sa_column=_instant(default="now()"))


class RunRow(SQLModel, table=True):
    """One execution of a version.

    open: tasks of the present phase that have not ended. phase: main, then finally. verdict: how it will end
    whatever the tasks say, once that is decided early.
    """

    __tablename__ = "workflow_runs"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workflow_id", "version"],
            ["workflow_versions.workflow_id", "workflow_versions.version"],
            ondelete="CASCADE",
        ),
        CheckConstraint(_one_of("status", RunStatus), name="status"),
        CheckConstraint(
            f"({_one_of('status', RUN_ENDED)}) = (finished_at IS NOT NULL)", name="finished_when_ended"
        ),
        CheckConstraint(f"verdict IS NULL OR {_one_of('verdict', RUN_ENDED)}", name="verdict"),
        CheckConstraint("phase IN ('main', 'finally')", name="phase"),
        CheckConstraint("open >= 0", name="open"),
        Index(None, "workflow_id", "id"),
        Index("workflow_runs_active_idx", "workflow_id", postgresql_where=text("finished_at IS NULL")),
        {"postgresql_with": {"fillfactor": 70}},
    )

    id: UUID = Field(primary_key=True)
    workflow_id: UUID
    version: int
    status: str = Field(sa_column=Column(Text, nullable=False))
    verdict: str | None = Field(sa_column=Column(Text))
    phase: str = Field(sa_column=Column(Text, nullable=False, server_default="main"))
    reason: str | None = Field(sa_column=Column(Text))
    input: JsonValue = Field(sa_column=_json())
    open: int
    total: int
    completed: int = Field(sa_column=_count())
    failed: int = Field(sa_column=_count())
    skipped: int = Field(sa_column=_count())
    upstream_failed: int = Field(sa_column=_count())
    cancelled: int = Field(sa_column=_count())
    started_at: datetime = Field(sa_column=_instant(default="now()"))
    updated_at: datetime = Field(sa_column=_instant(default="now()"))
    finished_at: datetime | None = Field(sa_column=_instant(required=False))


class TaskRow(SQLModel, table=True):
    """One node in one run.

    position: its place in the plan's order. attempt_timeout: seconds. delivery: rises with each job made for
    it. lost: attempts whose worker vanished. edges_*: how its in-edges resolved. outcomes: how its out-edges
    did, a letter each. released_by: the in-edges that its input comes from. input: kept for failed tasks
    that somebody handles. propagated: its successors were told. output_ref: of a long output, instead.
    """

    __tablename__ = "workflow_tasks"
    __table_args__ = (
        CheckConstraint(_one_of("status", TaskStatus), name="status"),
        CheckConstraint(
            f"({_one_of('status', ENDED)}) = (finished_at IS NOT NULL)", name="finished_when_ended"
        ),
        CheckConstraint("(status = 'running') = (token IS NOT NULL)", name="token_when_running"),
        CheckConstraint("(status = 'running') = (lease_until IS NOT NULL)", name="lease_when_running"),
        CheckConstraint("(status = 'waiting') = (wake_at IS NOT NULL)", name="wakes_when_waiting"),
        CheckConstraint("finished_at IS NULL OR outcomes IS NOT NULL", name="outcomes_when_ended"),
        CheckConstraint("edges_unresolved >= 0", name="edges_unresolved"),
        Index("workflow_tasks_queued_idx", "queued_at", postgresql_where=text("status = 'queued'")),
        Index("workflow_tasks_running_idx", "worker_id", postgresql_where=text("status = 'running'")),
        Index("workflow_tasks_waiting_idx", "wake_at", postgresql_where=text("status = 'waiting'")),
        Index(
            "workflow_tasks_unpropagated_idx",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL AND NOT propagated"),
        ),
        Index("workflow_tasks_payload_idx", "output_ref", postgresql_where=text("output_ref IS NOT NULL")),
        {"postgresql_with": {"fillfactor": 70}},
    )

    run_id: UUID = Field(
        sa_column=Column(ForeignKey("workflow_runs.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    position: int = Field(primary_key=True)
    node_id: str = Field(sa_column=Column(Text, nullable=False))
    node_type: str = Field(sa_column=Column(Text, nullable=False))
    attempt_timeout: float
    max_lost: int
    status: str = Field(sa_column=Column(Text, nullable=False))
    attempt: int = Field(sa_column=_count())
    delivery: int = Field(sa_column=_count())
    lost: int = Field(sa_column=_count())
    token: int | None = Field(sa_column=Column(BigInteger))
    lease_until: datetime | None = Field(sa_column=_instant(required=False))
    worker_id: UUID | None
    wake_at: datetime | None = Field(sa_column=_instant(required=False))
    waits_for: str | None = Field(sa_column=Column(Text))
    edges_unresolved: int
    edges_taken: int = Field(sa_column=_count())
    edges_failed: int = Field(sa_column=_count())
    edges_cancelled: int = Field(sa_column=_count())
    released_by: list[int] | None = Field(sa_column=Column(ARRAY(Integer)))
    outcomes: str | None = Field(sa_column=Column(Text))
    propagated: bool = Field(sa_column_kwargs={"server_default": text("false")})
    input: JsonValue = Field(sa_column=_json())
    output: JsonValue = Field(sa_column=_json())
    output_ref: bytes | None = Field(sa_column=Column(LargeBinary, ForeignKey("payloads.hash")))
    error: JsonValue = Field(sa_column=_json())
    reason: str | None = Field(sa_column=Column(Text))
    caused_by: str | None = Field(sa_column=Column(Text))
    queued_at: datetime | None = Field(sa_column=_instant(required=False))
    started_at: datetime | None = Field(sa_column=_instant(required=False))
    finished_at: datetime | None = Field(sa_column=_instant(required=False))


class PayloadRow(SQLModel, table=True):
    """An output that is too long for a task's row. hash: SHA-256 of its JSON text."""

    __tablename__ = "payloads"
    __table_args__ = (Index(None, "created_at"),)

    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    body: JsonValue = Field(sa_column=_json(required=True))
    created_at: datetime = Field(sa_column=_instant(default="now()"))


class EventRow(SQLModel, table=True):
    """One line of a run's history. No foreign key: it would lock the run's row with each line.

    xid: the transaction that wrote it, so that readers can follow in the order of commits.
    """

    __tablename__ = "workflow_events"
    __table_args__ = (Index(None, "run_id", "id"),)

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    run_id: UUID
    position: int | None
    node_id: str | None = Field(sa_column=Column(Text))
    type: str = Field(sa_column=Column(Text, nullable=False))
    message: str | None = Field(sa_column=Column(Text))
    data: JsonValue = Field(sa_column=_json())
    at: datetime = Field(sa_column=_instant(default="clock_timestamp()"))
    xid: int = Field(
        sa_column=Column(
            BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")
        )
    )


class IdempotencyRow(SQLModel, table=True):
    """A start that was made with an Idempotency-Key. digest: of its body."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    workflow_id: UUID = Field(
        sa_column=Column(ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    key: str = Field(primary_key=True)
    digest: str
    run_id: UUID
    created_at: datetime = Field(sa_column=_instant(default="now()"))


class WorkerRow(SQLModel, table=True):
    """A worker process. `workflow_workers` is where operators look."""

    __tablename__ = "workflow_workers"
    __table_args__ = (
        CheckConstraint(
            "state IN ('starting', 'running', 'stopping', 'stopped', 'failed')",
            name="state",
        ),
    )

    id: UUID = Field(primary_key=True)
    name: str
    host: str
    pid: int
    state: str = Field(sa_column=Column(Text, nullable=False))
    project: str
    queues: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    concurrency: int
    started_at: datetime = Field(sa_column=_instant(default="now()"))
    last_heartbeat: datetime = Field(sa_column=_instant(default="now()"))
    stopped_at: datetime | None = Field(sa_column=_instant(required=False))
    running: int = Field(sa_column=_count())
    completed: int = Field(sa_column=_count())
    failed: int = Field(sa_column=_count())


class WorkerTargetRow(SQLModel, table=True):
    """How many worker processes a project should have; the supervisor follows it."""

    __tablename__ = "worker_targets"

    project: str = Field(primary_key=True)
    wanted: int
    updated_at: datetime = Field(sa_column=_instant(default="now()"))


class SweepRow(SQLModel, table=True):
    """When the sweep ran last, and since when it has run without a gap."""

    __tablename__ = "sweeps"

    name: str = Field(primary_key=True)
    last_at: datetime = Field(sa_column=_instant())
    since: datetime = Field(sa_column=_instant())


class ApiTemplateRow(SQLModel, table=True):
    """A prepared API call for the editor. body: the template as it goes over the wire."""

    __tablename__ = "api_templates"

    id: UUID = Field(primary_key=True)
    provider: str
    category: str
    name: str
    body: JsonValue = Field(sa_column=_json(required=True))
    is_active: bool = Field(sa_column_kwargs={"server_default": text("true")})
    created_at: datetime = Field(sa_column=_instant(default="now()"))
    updated_at: datetime = Field(sa_column=_instant(default="now()"))
