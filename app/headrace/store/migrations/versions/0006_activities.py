"""Activities: what workers have declared, what each of them can run; heartbeats of running nodes."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0008"


def _json(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, postgresql.JSONB(none_as_null=True), nullable=nullable)


def _moment(name: str, default: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text(default), nullable=False)


def upgrade() -> None:
    op.create_table(
        "activities_seen",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        _json("declaration"),
        _moment("seen_at", "now()"),
        sa.PrimaryKeyConstraint("project", "name", name=op.f("activities_seen_pkey")),
    )
    op.create_table(
        "worker_activities",
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("names", postgresql.ARRAY(sa.Text()), nullable=False),
        _json("problems"),
        sa.ForeignKeyConstraint(
            ["worker_id"],
            ["workflow_workers.id"],
            name=op.f("worker_activities_worker_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("worker_id", name=op.f("worker_activities_pkey")),
    )
    op.create_table(
        "task_heartbeats",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("progress", sa.Double()),
        _json("details", nullable=True),
        _moment("beat_at", "clock_timestamp()"),
        sa.ForeignKeyConstraint(
            ["run_id", "position"],
            ["workflow_tasks.run_id", "workflow_tasks.position"],
            name=op.f("task_heartbeats_run_id_position_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("task_heartbeats_pkey")),
    )


def downgrade() -> None:
    op.drop_table("task_heartbeats")
    op.drop_table("worker_activities")
    op.drop_table("activities_seen")
