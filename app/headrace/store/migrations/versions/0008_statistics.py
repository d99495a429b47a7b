"""Statistics of attempts by hour; what workers measure of themselves; restarts of a project's workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


def _totals(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _buckets(name: str) -> sa.Column[list[int]]:
    return sa.Column(name, postgresql.ARRAY(sa.Integer()), nullable=False)


def upgrade() -> None:
    op.create_table(
        "attempt_statistics",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        *_totals("success", "failure", "retries", "died", "busy"),
        _buckets("execution"),
        *_totals("execution_time"),
        _buckets("wait"),
        *_totals("wait_time"),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("project", "name", "hour", name=op.f("attempt_statistics_pkey")),
    )
    op.create_index("attempt_statistics_hour_idx", "attempt_statistics", ["hour"])
    op.add_column(
        "workflow_workers",
        sa.Column(
            "projects", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{default}'"), nullable=False
        ),
    )
    op.add_column("workflow_workers", sa.Column("versions", postgresql.JSONB(none_as_null=True)))
    op.add_column("workflow_workers", sa.Column("busy", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("workflow_workers", sa.Column("cpu_percent", sa.Float()))
    op.add_column("workflow_workers", sa.Column("memory_mb", sa.Float()))
    op.add_column("worker_targets", sa.Column("generation", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("worker_targets", "generation")
    for column in ("memory_mb", "cpu_percent", "busy", "versions", "projects"):
        op.drop_column("workflow_workers", column)
    op.drop_table("attempt_statistics")
