"""What starts runs: schedules with their slots, webhooks with their deliveries, events with their handlers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "event_handlers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("condition", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("action", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("event_handlers_pkey")),
        sa.UniqueConstraint("name", name=op.f("event_handlers_name_key")),
    )
    op.create_table(
        "received_events",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("answer", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", "id", name=op.f("received_events_pkey")),
    )
    op.create_index(op.f("received_events_received_at_idx"), "received_events", ["received_at"], unique=False)
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("filters", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("mapping", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("tolerance", sa.Float(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name=op.f("webhooks_workflow_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhooks_pkey")),
        sa.UniqueConstraint("path", name=op.f("webhooks_path_key")),
    )
    op.create_index(op.f("webhooks_workflow_id_idx"), "webhooks", ["workflow_id"], unique=False)
    op.create_table(
        "workflow_schedules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("input", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("jitter", sa.Float(), nullable=False),
        sa.Column("catch_up", sa.Float(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("next_slot", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "overlap IN ('allow', 'buffer_all', 'buffer_one', 'cancel_other', 'skip')",
            name=op.f("workflow_schedules_overlap_check"),
        ),
        sa.CheckConstraint(
            "(next_slot IS NULL) = (due_at IS NULL)", name=op.f("workflow_schedules_due_check")
        ),
        sa.CheckConstraint("jitter >= 0 AND catch_up >= 0", name=op.f("workflow_schedules_seconds_check")),
        sa.ForeignKeyConstraint(
            ["workflow_id"],
            ["workflows.id"],
            name=op.f("workflow_schedules_workflow_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("workflow_schedules_pkey")),
    )
    op.create_index(
        "workflow_schedules_due_idx",
        "workflow_schedules",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("NOT is_paused"),
    )
    op.create_index(
        op.f("workflow_schedules_workflow_id_idx"), "workflow_schedules", ["workflow_id"], unique=False
    )
    op.create_table(
        "schedule_slots",
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(state IN ('started', 'ended')) = (run_id IS NOT NULL)", name=op.f("schedule_slots_run_check")
        ),
        sa.CheckConstraint(
            "origin IN ('backfill', 'clock', 'trigger')", name=op.f("schedule_slots_origin_check")
        ),
        sa.CheckConstraint(
            "overlap IN ('allow', 'buffer_all', 'buffer_one', 'cancel_other', 'skip')",
            name=op.f("schedule_slots_overlap_check"),
        ),
        sa.CheckConstraint(
            "state IN ('ended', 'failed', 'missed', 'skipped', 'started', 'waiting')",
            name=op.f("schedule_slots_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["workflow_schedules.id"],
            name=op.f("schedule_slots_schedule_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("schedule_id", "slot", name=op.f("schedule_slots_pkey")),
    )
    op.create_index(
        "schedule_slots_started_idx",
        "schedule_slots",
        ["schedule_id"],
        unique=False,
        postgresql_where=sa.text("state = 'started'"),
    )
    op.create_index(
        "schedule_slots_waiting_idx",
        "schedule_slots",
        ["schedule_id", "slot"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name=op.f("webhook_deliveries_webhook_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("webhook_id", "key", name=op.f("webhook_deliveries_pkey")),
    )
    op.create_index(
        op.f("webhook_deliveries_webhook_id_received_at_idx"),
        "webhook_deliveries",
        ["webhook_id", "received_at"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("webhook_deliveries_webhook_id_received_at_idx"), table_name="webhook_deliveries")
    op.drop_table("webhook_deliveries")
    op.drop_index(
        "schedule_slots_waiting_idx",
        table_name="schedule_slots",
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.drop_index(
        "schedule_slots_started_idx",
        table_name="schedule_slots",
        postgresql_where=sa.text("state = 'started'"),
    )
    op.drop_table("schedule_slots")
    op.drop_index(op.f("workflow_schedules_workflow_id_idx"), table_name="workflow_schedules")
    op.drop_index(
        "workflow_schedules_due_idx",
        table_name="workflow_schedules",
        postgresql_where=sa.text("NOT is_paused"),
    )
    op.drop_table("workflow_schedules")
    op.drop_index(op.f("webhooks_workflow_id_idx"), table_name="webhooks")
    op.drop_table("webhooks")
    op.drop_index(op.f("received_events_received_at_idx"), table_name="received_events")
    op.drop_table("received_events")
    op.drop_table("event_handlers")
