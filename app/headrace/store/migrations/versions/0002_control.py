"""The control flow: waits, signals, children, variables, limits, the cache; paused and queued runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_RUN_CHECKS = {
    "status": (
        "status IN ('cancelled', 'failed', 'running', 'succeeded')",
        "status IN ('cancelled', 'failed', 'paused', 'queued', 'running', 'succeeded')",
    ),
    "phase": ("phase IN ('main', 'finally')", "phase IN ('main', 'compensating', 'finally')"),
}
_WAITS = "status = 'waiting' OR (wake_at IS NULL AND signal IS NULL AND held_for IS NULL AND NOT is_paused)"

_WAKES = (
    "status <> 'waiting' OR wake_at IS NOT NULL OR signal IS NOT NULL OR held_for IS NOT NULL"
    " OR is_paused OR coalesce(waits_for, '') = 'children'"
)


def _check(table: str, name: str, condition: str) -> None:
    op.create_check_constraint(op.f(f"{table}_{name}_check"), table, condition)


def _uncheck(table: str, name: str) -> None:
    op.drop_constraint(op.f(f"{table}_{name}_check"), table, type_="check")


def _waiting_index(condition: str) -> None:
    op.drop_index("workflow_tasks_waiting_idx", table_name="workflow_tasks")
    op.create_index(
        "workflow_tasks_waiting_idx", "workflow_tasks", ["wake_at"], postgresql_where=sa.text(condition)
    )


def upgrade() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("rate_limits_pkey")),
    )
    op.create_table(
        "step_cache",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("output", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("branches", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("step_cache_pkey")),
    )
    op.create_index(op.f("step_cache_expires_at_idx"), "step_cache", ["expires_at"], unique=False)
    op.create_table(
        "workflow_variables",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "scope IN ('project', 'run', 'workflow')", name=op.f("workflow_variables_scope_check")
        ),
        sa.PrimaryKeyConstraint("scope", "owner", "name", name=op.f("workflow_variables_pkey")),
    )
    op.create_table(
        "workflow_signals",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column(
            "sent_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("refused", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"], ["workflow_runs.id"], name=op.f("workflow_signals_run_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "id", name=op.f("workflow_signals_pkey")),
    )
    op.create_table(
        "concurrency_slots",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column(
            "taken_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["run_id", "position"],
            ["workflow_tasks.run_id", "workflow_tasks.position"],
            name=op.f("concurrency_slots_run_id_position_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key", "run_id", "position", name=op.f("concurrency_slots_pkey")),
    )
    op.create_index(
        op.f("concurrency_slots_run_id_position_idx"),
        "concurrency_slots",
        ["run_id", "position"],
        unique=False,
    )
    op.create_table(
        "task_children",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("first_index", sa.Integer(), server_default="0", nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("started", sa.Integer(), server_default="0", nullable=False),
        sa.Column("ended", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("at_once", sa.Integer(), nullable=False),
        sa.Column("tolerated", sa.Integer(), nullable=False),
        sa.Column("abandons", sa.Boolean(), nullable=False),
        sa.CheckConstraint("ended <= started", name=op.f("task_children_ended_check")),
        sa.ForeignKeyConstraint(
            ["run_id", "position"],
            ["workflow_tasks.run_id", "workflow_tasks.position"],
            name=op.f("task_children_run_id_position_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("task_children_pkey")),
    )
    op.create_table(
        "variable_writes",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id", "position"],
            ["workflow_tasks.run_id", "workflow_tasks.position"],
            name=op.f("variable_writes_run_id_position_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("variable_writes_pkey")),
    )
    op.add_column("workflow_runs", sa.Column("priority", sa.Integer(), server_default="5", nullable=False))
    op.add_column("workflow_runs", sa.Column("parent_run_id", sa.Uuid(), nullable=True))
    op.add_column("workflow_runs", sa.Column("parent_position", sa.Integer(), nullable=True))
    op.add_column("workflow_runs", sa.Column("child_index", sa.Integer(), nullable=True))
    op.add_column("workflow_runs", sa.Column("body", sa.Text(), server_default="", nullable=False))
    op.add_column("workflow_runs", sa.Column("depth", sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "workflow_runs",
        sa.Column("is_reported", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("workflow_runs", sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "workflow_runs",
        sa.Column("origin", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column(
        "workflow_runs",
        sa.Column("debug", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column(
        "workflow_runs",
        sa.Column("mocks", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column("workflow_runs", sa.Column("concurrency_key", sa.Text(), nullable=True))
    op.create_index(
        "workflow_runs_children_idx",
        "workflow_runs",
        ["parent_run_id", "parent_position", "child_index"],
        unique=False,
        postgresql_where=sa.text("parent_run_id IS NOT NULL"),
    )
    op.create_index(
        "workflow_runs_concurrency_idx",
        "workflow_runs",
        ["concurrency_key", "id"],
        unique=False,
        postgresql_where=sa.text("concurrency_key IS NOT NULL AND finished_at IS NULL"),
    )
    op.create_index(
        "workflow_runs_deadline_idx",
        "workflow_runs",
        ["deadline_at"],
        unique=False,
        postgresql_where=sa.text("deadline_at IS NOT NULL AND finished_at IS NULL"),
    )
    op.create_index(
        "workflow_runs_unreported_idx",
        "workflow_runs",
        ["parent_run_id", "parent_position"],
        unique=False,
        postgresql_where=sa.text("parent_run_id IS NOT NULL AND NOT is_reported"),
    )
    op.add_column("workflow_tasks", sa.Column("queue_timeout", sa.Float(), nullable=True))
    op.add_column("workflow_tasks", sa.Column("total_timeout", sa.Float(), nullable=True))
    op.add_column("workflow_tasks", sa.Column("priority", sa.Integer(), server_default="5", nullable=False))
    op.add_column("workflow_tasks", sa.Column("signal", sa.Text(), nullable=True))
    op.add_column(
        "workflow_tasks",
        sa.Column("memory", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column(
        "workflow_tasks",
        sa.Column("wake", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column(
        "workflow_tasks",
        sa.Column("is_paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("workflow_tasks", sa.Column("held_for", sa.Text(), nullable=True))
    op.add_column("workflow_tasks", sa.Column("ends_run", sa.Text(), nullable=True))
    op.add_column("workflow_tasks", sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "workflow_tasks_clocks_idx",
        "workflow_tasks",
        ["ready_at"],
        unique=False,
        postgresql_where=sa.text(
            "finished_at IS NULL AND (queue_timeout IS NOT NULL OR total_timeout IS NOT NULL)"
        ),
    )
    op.create_index(
        "workflow_tasks_held_idx",
        "workflow_tasks",
        ["held_for"],
        unique=False,
        postgresql_where=sa.text("held_for IS NOT NULL"),
    )
    op.create_index(
        "workflow_tasks_signal_idx",
        "workflow_tasks",
        ["run_id", "signal"],
        unique=False,
        postgresql_where=sa.text("signal IS NOT NULL"),
    )
    _check("workflow_runs", "parent", "(parent_run_id IS NULL) = (parent_position IS NULL)")
    for name, (_, after) in _RUN_CHECKS.items():
        _uncheck("workflow_runs", name)
        _check("workflow_runs", name, after)
    _uncheck("workflow_tasks", "wakes_when_waiting")
    _check("workflow_tasks", "waits_when_waiting", _WAITS)
    _check("workflow_tasks", "wakes_when_waiting", _WAKES)
    _waiting_index("status = 'waiting' AND NOT is_paused")


def downgrade() -> None:
    _waiting_index("status = 'waiting'")
    _uncheck("workflow_tasks", "waits_when_waiting")
    _uncheck("workflow_tasks", "wakes_when_waiting")
    _check("workflow_tasks", "wakes_when_waiting", "(status = 'waiting') = (wake_at IS NOT NULL)")
    for name, (before, _) in _RUN_CHECKS.items():
        _uncheck("workflow_runs", name)
        _check("workflow_runs", name, before)
    _uncheck("workflow_runs", "parent")
    op.drop_index(
        "workflow_tasks_signal_idx",
        table_name="workflow_tasks",
        postgresql_where=sa.text("signal IS NOT NULL"),
    )
    op.drop_index(
        "workflow_tasks_held_idx",
        table_name="workflow_tasks",
        postgresql_where=sa.text("held_for IS NOT NULL"),
    )
    op.drop_index(
        "workflow_tasks_clocks_idx",
        table_name="workflow_tasks",
        postgresql_where=sa.text(
            "finished_at IS NULL AND (queue_timeout IS NOT NULL OR total_timeout IS NOT NULL)"
        ),
    )
    op.drop_column("workflow_tasks", "ready_at")
    op.drop_column("workflow_tasks", "ends_run")
    op.drop_column("workflow_tasks", "held_for")
    op.drop_column("workflow_tasks", "is_paused")
    op.drop_column("workflow_tasks", "wake")
    op.drop_column("workflow_tasks", "memory")
    op.drop_column("workflow_tasks", "signal")
    op.drop_column("workflow_tasks", "priority")
    op.drop_column("workflow_tasks", "total_timeout")
    op.drop_column("workflow_tasks", "queue_timeout")
    op.drop_index(
        "workflow_runs_unreported_idx",
        table_name="workflow_runs",
        postgresql_where=sa.text("parent_run_id IS NOT NULL AND NOT is_reported"),
    )
    op.drop_index(
        "workflow_runs_deadline_idx",
        table_name="workflow_runs",
        postgresql_where=sa.text("deadline_at IS NOT NULL AND finished_at IS NULL"),
    )
    op.drop_index(
        "workflow_runs_concurrency_idx",
        table_name="workflow_runs",
        postgresql_where=sa.text("concurrency_key IS NOT NULL AND finished_at IS NULL"),
    )
    op.drop_index(
        "workflow_runs_children_idx",
        table_name="workflow_runs",
        postgresql_where=sa.text("parent_run_id IS NOT NULL"),
    )
    op.drop_column("workflow_runs", "concurrency_key")
    op.drop_column("workflow_runs", "mocks")
    op.drop_column("workflow_runs", "debug")
    op.drop_column("workflow_runs", "origin")
    op.drop_column("workflow_runs", "deadline_at")
    op.drop_column("workflow_runs", "is_reported")
    op.drop_column("workflow_runs", "depth")
    op.drop_column("workflow_runs", "body")
    op.drop_column("workflow_runs", "child_index")
    op.drop_column("workflow_runs", "parent_position")
    op.drop_column("workflow_runs", "parent_run_id")
    op.drop_column("workflow_runs", "priority")
    op.drop_table("variable_writes")
    op.drop_table("task_children")
    op.drop_index(op.f("concurrency_slots_run_id_position_idx"), table_name="concurrency_slots")
    op.drop_table("concurrency_slots")
    op.drop_table("workflow_signals")
    op.drop_table("workflow_variables")
    op.drop_index(op.f("step_cache_expires_at_idx"), table_name="step_cache")
    op.drop_table("step_cache")
    op.drop_table("rate_limits")
