"""The tables. Statuses are text with CHECKs made from `graph.states`; times carry their zone.

Hot paths have small partial indexes: a task leaves them as soon as it moves on. The store's functions speak
SQL; these classes are what migrations, CHECKs and plain reads are made from.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    text,
)
from sqlmodel import Field, SQLModel

from headrace.graph.json_types import JsonValue
from headrace.graph.project import DEFAULT_PROJECT
from headrace.graph.states import ENDED, RUN_ENDED, RunStatus, TaskStatus
from headrace.store.columns import count, instant, json, one_of


class WorkflowRow(SQLModel, table=True):
    """A workflow. version: the current one. project: never changes."""

    __tablename__ = "workflows"
    __table_args__ = (Index(None, "project"),)

    id: UUID = Field(primary_key=True)
    name: str = Field(max_length=255)
    version: int
    project: str = Field(sa_column=Column(Text, nullable=False, server_default=DEFAULT_PROJECT))
    created_at: datetime = Field(sa_column=instant(default="now()"))
    updated_at: datetime = Field(sa_column=instant(default="now()"))


class VersionRow(SQLModel, table=True):
    """A frozen definition, in the wire form."""

    __tablename__ = "workflow_versions"

    workflow_id: UUID = Field(
        sa_column=Column(ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    version: int = Field(primary_key=True)
    definition: JsonValue = Field(sa_column=json(required=True))
    created_at: datetime = Field(sa_column=instant(default="now()"))


class RunRow(SQLModel, table=True):
    """One execution of a version.

    open: tasks of the present phase that have not ended. phase: main, then compensating, then finally.
    verdict: how it will end whatever the tasks say, once that is decided early. parent_*: the task that it
    runs for, child_index its place among that task's children, body the path of nodes whose body it runs.
    is_reported: that task was told of its end. deadline_at: when its time is up. origin: what started it.
    debug: breakpoints and steps. mocks: answers of nodes that are not run. concurrency_key: of the workflow.
    pins: hashes of the stored activities that it uses, by name.
    """

    __tablename__ = "workflow_runs"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workflow_id", "version"],
            ["workflow_versions.workflow_id", "workflow_versions.version"],
            ondelete="CASCADE",
        ),
        CheckConstraint(one_of("status", RunStatus), name="status"),
        CheckConstraint(
            f"({one_of('status', RUN_ENDED)}) = (finished_at IS NOT NULL)", name="finished_when_ended"
        ),
        CheckConstraint(f"verdict IS NULL OR {one_of('verdict', RUN_ENDED)}", name="verdict"),
        CheckConstraint("phase IN ('main', 'compensating', 'finally')", name="phase"),
        CheckConstraint("open >= 0", name="open"),
        CheckConstraint("(parent_run_id IS NULL) = (parent_position IS NULL)", name="parent"),
        Index(None, "workflow_id", "id"),
        Index("workflow_runs_active_idx", "workflow_id", postgresql_where=text("finished_at IS NULL")),
        Index(
            "workflow_runs_children_idx",
            "parent_run_id",
            "parent_position",
            "child_index",
            postgresql_where=text("parent_run_id IS NOT NULL"),
        ),
        Index(
            "workflow_runs_unreported_idx",
            "parent_run_id",
            "parent_position",
            postgresql_where=text(
                "parent_run_id IS NOT NULL AND NOT is_reported AND finished_at IS NOT NULL"
            ),
        ),
        Index(
            "workflow_runs_deadline_idx",
            "deadline_at",
            postgresql_where=text("deadline_at IS NOT NULL AND finished_at IS NULL"),
        ),
        Index(
            "workflow_runs_concurrency_idx",
            "concurrency_key",
            "id",
            postgresql_where=text("concurrency_key IS NOT NULL AND finished_at IS NULL"),
        ),
        Index(
            "workflow_runs_pinned_idx",
            "id",
            postgresql_where=text("pins IS NOT NULL AND finished_at IS NULL"),
        ),
        {"postgresql_with": {"fillfactor": 70}},
    )

    id: UUID = Field(primary_key=True)
    workflow_id: UUID
    version: int
    status: str = Field(sa_column=Column(Text, nullable=False))
    verdict: str | None = Field(sa_column=Column(Text))
    phase: str = Field(sa_column=Column(Text, nullable=False, server_default="main"))
    reason: str | None = Field(sa_column=Column(Text))
    input: JsonValue = Field(sa_column=json())
    open: int
    total: int
    completed: int = Field(sa_column=count())
    failed: int = Field(sa_column=count())
    skipped: int = Field(sa_column=count())
    upstream_failed: int = Field(sa_column=count())
    cancelled: int = Field(sa_column=count())
    priority: int = Field(sa_column=count(5))
    parent_run_id: UUID | None
    parent_position: int | None
    child_index: int | None
    body: str = Field(sa_column=Column(Text, nullable=False, server_default=""))
    depth: int = Field(sa_column=count())
    is_reported: bool = Field(sa_column_kwargs={"server_default": text("false")})
    deadline_at: datetime | None = Field(sa_column=instant(required=False))
    origin: JsonValue = Field(sa_column=json())
    debug: JsonValue = Field(sa_column=json())
    mocks: JsonValue = Field(sa_column=json())
    concurrency_key: str | None = Field(sa_column=Column(Text))
    pins: JsonValue = Field(sa_column=json())
    project: str = Field(sa_column=Column(Text, nullable=False, server_default=DEFAULT_PROJECT))
    started_at: datetime = Field(sa_column=instant(default="now()"))
    updated_at: datetime = Field(sa_column=instant(default="now()"))
    finished_at: datetime | None = Field(sa_column=instant(required=False))


class TaskRow(SQLModel, table=True):
    """One node in one run.

    position: its place in the plan's order. attempt_timeout: seconds. delivery: rises with each job made for
    it. lost: attempts whose worker vanished. edges_*: how its in-edges resolved. outcomes: how its out-edges
    did, a letter each. released_by: the in-edges that its input comes from. input: kept for failed tasks
    that somebody handles. propagated: its successors were told. output_ref: of a long output, instead.
    signal: the name of the signal that it waits for. memory: what its node wants to know when it goes on;
    wake: what woke it. is_paused: it waits because its run is paused, and maybe for more; held_for: because
    of a limit or a breakpoint. ends_run: its node ends the run so. ready_at: when it was queued first.
    project: of its run, for its job's queue; null for the default one, because then it takes no room.
    """

    __tablename__ = "workflow_tasks"
    __table_args__ = (
        CheckConstraint(one_of("status", TaskStatus), name="status"),
        CheckConstraint(
            f"({one_of('status', ENDED)}) = (finished_at IS NOT NULL)", name="finished_when_ended"
        ),
        CheckConstraint("(status = 'running') = (token IS NOT NULL)", name="token_when_running"),
        CheckConstraint("(status = 'running') = (lease_until IS NOT NULL)", name="lease_when_running"),
        CheckConstraint(
            "status = 'waiting' OR (wake_at IS NULL AND signal IS NULL AND held_for IS NULL"
            " AND NOT is_paused)",
            name="waits_when_waiting",
        ),
        CheckConstraint(
            "status <> 'waiting' OR wake_at IS NOT NULL OR signal IS NOT NULL OR held_for IS NOT NULL"
            " OR is_paused OR coalesce(waits_for, '') = 'children'",
            name="wakes_when_waiting",
        ),
        CheckConstraint("finished_at IS NULL OR outcomes IS NOT NULL", name="outcomes_when_ended"),
        CheckConstraint("edges_unresolved >= 0", name="edges_unresolved"),
        Index("workflow_tasks_queued_idx", "queued_at", postgresql_where=text("status = 'queued'")),
        Index("workflow_tasks_running_idx", "worker_id", postgresql_where=text("status = 'running'")),
        Index(
            "workflow_tasks_waiting_idx",
            "wake_at",
            postgresql_where=text("status = 'waiting' AND NOT is_paused"),
        ),
        Index("workflow_tasks_signal_idx", "run_id", "signal", postgresql_where=text("signal IS NOT NULL")),
        Index("workflow_tasks_held_idx", "held_for", postgresql_where=text("held_for IS NOT NULL")),
        Index(
            "workflow_tasks_clocks_idx",
            "ready_at",
            postgresql_where=text(
                "finished_at IS NULL AND (queue_timeout IS NOT NULL OR total_timeout IS NOT NULL)"
            ),
        ),
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
    queue_timeout: float | None
    total_timeout: float | None
    max_lost: int
    priority: int = Field(sa_column=count(5))
    status: str = Field(sa_column=Column(Text, nullable=False))
    attempt: int = Field(sa_column=count())
    delivery: int = Field(sa_column=count())
    lost: int = Field(sa_column=count())
    token: int | None = Field(sa_column=Column(BigInteger))
    lease_until: datetime | None = Field(sa_column=instant(required=False))
    worker_id: UUID | None
    wake_at: datetime | None = Field(sa_column=instant(required=False))
    waits_for: str | None = Field(sa_column=Column(Text))
    signal: str | None = Field(sa_column=Column(Text))
    memory: JsonValue = Field(sa_column=json())
    wake: JsonValue = Field(sa_column=json())
    is_paused: bool = Field(sa_column_kwargs={"server_default": text("false")})
    held_for: str | None = Field(sa_column=Column(Text))
    ends_run: str | None = Field(sa_column=Column(Text))
    project: str | None = Field(sa_column=Column(Text))
    edges_unresolved: int
    edges_taken: int = Field(sa_column=count())
    edges_failed: int = Field(sa_column=count())
    edges_cancelled: int = Field(sa_column=count())
    released_by: list[int] | None = Field(sa_column=Column(ARRAY(Integer)))
    outcomes: str | None = Field(sa_column=Column(Text))
    propagated: bool = Field(sa_column_kwargs={"server_default": text("false")})
    input: JsonValue = Field(sa_column=json())
    output: JsonValue = Field(sa_column=json())
    output_ref: bytes | None = Field(sa_column=Column(LargeBinary, ForeignKey("payloads.hash")))
    error: JsonValue = Field(sa_column=json())
    reason: str | None = Field(sa_column=Column(Text))
    caused_by: str | None = Field(sa_column=Column(Text))
    ready_at: datetime | None = Field(sa_column=instant(required=False))
    queued_at: datetime | None = Field(sa_column=instant(required=False))
    started_at: datetime | None = Field(sa_column=instant(required=False))
    finished_at: datetime | None = Field(sa_column=instant(required=False))


class PayloadRow(SQLModel, table=True):
    """An output that is too long for a task's row. hash: SHA-256 of its JSON text."""

    __tablename__ = "payloads"
    __table_args__ = (Index(None, "created_at"),)

    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    body: JsonValue = Field(sa_column=json(required=True))
    created_at: datetime = Field(sa_column=instant(default="now()"))


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
    data: JsonValue = Field(sa_column=json())
    at: datetime = Field(sa_column=instant(default="clock_timestamp()"))
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
    created_at: datetime = Field(sa_column=instant(default="now()"))


class WorkerRow(SQLModel, table=True):
    """A worker process. `workflow_workers` is where operators look.

    project: the first of its projects. busy: microseconds that code of nodes ran. cpu_percent: of one core,
    since the last heartbeat; memory_mb: resident.
    """

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
    projects: list[str] = Field(
        sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{default}'"))
    )
    queues: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    concurrency: int
    started_at: datetime = Field(sa_column=instant(default="now()"))
    last_heartbeat: datetime = Field(sa_column=instant(default="now()"))
    stopped_at: datetime | None = Field(sa_column=instant(required=False))
    running: int = Field(sa_column=count())
    completed: int = Field(sa_column=count())
    failed: int = Field(sa_column=count())
    versions: JsonValue = Field(sa_column=json())
    busy: int = Field(sa_column=Column(BigInteger, nullable=False, server_default="0"))
    cpu_percent: float | None
    memory_mb: float | None


class WorkerTargetRow(SQLModel, table=True):
    """How many worker processes a project should have; the supervisor follows it.

    generation: rises with each restart; processes of an earlier one are replaced.
    """

    __tablename__ = "worker_targets"

    project: str = Field(primary_key=True)
    wanted: int
    generation: int = Field(sa_column=count())
    updated_at: datetime = Field(sa_column=instant(default="now()"))


class SweepRow(SQLModel, table=True):
    """When the sweep ran last, and since when it has run without a gap."""

    __tablename__ = "sweeps"

    name: str = Field(primary_key=True)
    last_at: datetime = Field(sa_column=instant())
    since: datetime = Field(sa_column=instant())


class ApiTemplateRow(SQLModel, table=True):
    """A prepared API call for the editor. body: the template as it goes over the wire."""

    __tablename__ = "api_templates"

    id: UUID = Field(primary_key=True)
    provider: str
    category: str
    name: str
    body: JsonValue = Field(sa_column=json(required=True))
    is_active: bool = Field(sa_column_kwargs={"server_default": text("true")})
    created_at: datetime = Field(sa_column=instant(default="now()"))
    updated_at: datetime = Field(sa_column=instant(default="now()"))
