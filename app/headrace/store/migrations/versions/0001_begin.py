"""The tables of workflows, runs, tasks, events and workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "api_templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("api_templates_pkey")),
    )
    op.create_table(
        "payloads",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("payloads_pkey")),
    )
    op.create_index(op.f("payloads_created_at_idx"), "payloads", ["created_at"], unique=False)
    op.create_table(
        "sweeps",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("sweeps_pkey")),
    )
    op.create_table(
        "worker_targets",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("worker_targets_pkey")),
    )
    op.create_table(
        "workflow_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("node_id", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("data", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "xid",
            sa.BigInteger(),
            server_default=sa.text("pg_current_xact_id()::text::bigint"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("workflow_events_pkey")),
    )
    op.create_index(op.f("workflow_events_run_id_id_idx"), "workflow_events", ["run_id", "id"], unique=False)
    op.create_table(
        "workflow_workers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("queues", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "last_heartbeat", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("running", sa.Integer(), server_default="0", nullable=False),
        sa.Column("completed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "state IN ('starting', 'running', 'stopping', 'stopped', 'failed')",
            name=op.f("workflow_workers_state_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("workflow_workers_pkey")),
    )
    op.create_table(
        "workflows",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("workflows_pkey")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workflow_id"],
            ["workflows.id"],
            name=op.f("idempotency_keys_workflow_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workflow_id", "key", name=op.f("idempotency_keys_pkey")),
    )
    op.create_index(op.f("idempotency_keys_created_at_idx"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "workflow_versions",
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workflow_id"],
            ["workflows.id"],
            name=op.f("workflow_versions_workflow_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workflow_id", "version", name=op.f("workflow_versions_pkey")),
    )
    op.create_table(
        "workflow_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("phase", sa.Text(), server_default="main", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("input", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("skipped", sa.Integer(), server_default="0", nullable=False),
        sa.Column("upstream_failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancelled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status IN ('cancelled', 'failed', 'succeeded')) = (finished_at IS NOT NULL)",
            name=op.f("workflow_runs_finished_when_ended_check"),
        ),
        sa.CheckConstraint("phase IN ('main', 'finally')", name=op.f("workflow_runs_phase_check")),
        sa.CheckConstraint(
            "status IN ('cancelled', 'failed', 'running', 'succeeded')",
            name=op.f("workflow_runs_status_check"),
        ),
        sa.CheckConstraint(
            "verdict IS NULL OR verdict IN ('cancelled', 'failed', 'succeeded')",
            name=op.f("workflow_runs_verdict_check"),
        ),
        sa.CheckConstraint("open >= 0", name=op.f("workflow_runs_open_check")),
        sa.ForeignKeyConstraint(
            ["workflow_id", "version"],
            ["workflow_versions.workflow_id", "workflow_versions.version"],
            name=op.f("workflow_runs_workflow_id_version_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("workflow_runs_pkey")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "workflow_runs_active_idx",
        "workflow_runs",
        ["workflow_id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        op.f("workflow_runs_workflow_id_id_idx"), "workflow_runs", ["workflow_id", "id"], unique=False
    )
    op.create_table(
        "workflow_tasks",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("node_type", sa.Text(), nullable=False),
        sa.Column("attempt_timeout", sa.Float(), nullable=False),
        sa.Column("max_lost", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("delivery", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lost", sa.Integer(), server_default="0", nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker_id", sa.Uuid(), nullable=True),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waits_for", sa.Text(), nullable=True),
        sa.Column("edges_unresolved", sa.Integer(), nullable=False),
        sa.Column("edges_taken", sa.Integer(), server_default="0", nullable=False),
        sa.Column("edges_failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("edges_cancelled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("released_by", sa.ARRAY(sa.Integer()), nullable=True),
        sa.Column("outcomes", sa.Text(), nullable=True),
        sa.Column("propagated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("input", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("output", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("output_ref", sa.LargeBinary(), nullable=True),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("caused_by", sa.Text(), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'running') = (lease_until IS NOT NULL)",
            name=op.f("workflow_tasks_lease_when_running_check"),
        ),
        sa.CheckConstraint(
            "(status = 'running') = (token IS NOT NULL)", name=op.f("workflow_tasks_token_when_running_check")
        ),
        sa.CheckConstraint(
            "(status = 'waiting') = (wake_at IS NOT NULL)",
            name=op.f("workflow_tasks_wakes_when_waiting_check"),
        ),
        sa.CheckConstraint(
            "(status IN ('cancelled', 'completed', 'failed', 'skipped', 'upstream_failed')) = (finished_at IS NOT NULL)",
            name=op.f("workflow_tasks_finished_when_ended_check"),
        ),
        sa.CheckConstraint(
            "status IN ('cancelled', 'completed', 'failed', 'pending', 'queued', 'running', 'skipped', 'upstream_failed', 'waiting')",
            name=op.f("workflow_tasks_status_check"),
        ),
        sa.CheckConstraint("edges_unresolved >= 0", name=op.f("workflow_tasks_edges_unresolved_check")),
        sa.CheckConstraint(
            "finished_at IS NULL OR outcomes IS NOT NULL",
            name=op.f("workflow_tasks_outcomes_when_ended_check"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["workflow_runs.id"], name=op.f("workflow_tasks_run_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["output_ref"], ["payloads.hash"], name=op.f("workflow_tasks_output_ref_fkey")
        ),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("workflow_tasks_pkey")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "workflow_tasks_payload_idx",
        "workflow_tasks",
        ["output_ref"],
        unique=False,
        postgresql_where=sa.text("output_ref IS NOT NULL"),
    )
    op.create_index(
        "workflow_tasks_queued_idx",
        "workflow_tasks",
        ["queued_at"],
        unique=False,
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "workflow_tasks_running_idx",
        "workflow_tasks",
        ["worker_id"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "workflow_tasks_unpropagated_idx",
        "workflow_tasks",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NOT NULL AND NOT propagated"),
    )
    op.create_index(
        "workflow_tasks_waiting_idx",
        "workflow_tasks",
        ["wake_at"],
        unique=False,
        postgresql_where=sa.text("status = 'waiting'"),
    )


def downgrade() -> None:
    op.drop_index(
        "workflow_tasks_waiting_idx",
        table_name="workflow_tasks",
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.drop_index(
        "workflow_tasks_unpropagated_idx",
        table_name="workflow_tasks",
        postgresql_where=sa.text("finished_at IS NOT NULL AND NOT propagated"),
    )
    op.drop_index(
        "workflow_tasks_running_idx",
        table_name="workflow_tasks",
        postgresql_where=sa.text("status = 'running'"),
    )
    op.drop_index(
        "workflow_tasks_queued_idx",
        table_name="workflow_tasks",
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.drop_index(
        "workflow_tasks_payload_idx",
        table_name="workflow_tasks",
        postgresql_where=sa.text("output_ref IS NOT NULL"),
    )
    op.drop_table("workflow_tasks")
    op.drop_index(op.f("workflow_runs_workflow_id_id_idx"), table_name="workflow_runs")
    op.drop_index(
        "workflow_runs_active_idx",
        table_name="workflow_runs",
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.drop_table("workflow_runs")
    op.drop_table("workflow_versions")
    op.drop_index(op.f("idempotency_keys_created_at_idx"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("workflows")
    op.drop_table("workflow_workers")
    op.drop_index(op.f("workflow_events_run_id_id_idx"), table_name="workflow_events")
    op.drop_table("workflow_events")
    op.drop_table("worker_targets")
    op.drop_table("sweeps")
    op.drop_index(op.f("payloads_created_at_idx"), table_name="payloads")
    op.drop_table("payloads")
    op.drop_table("api_templates")
