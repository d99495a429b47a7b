"""Stored activities: their versions, the versions that a run is pinned to, whom a project trusts."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0005"

_LANGUAGES = "language IN ('javascript', 'python')"


def _moment(name: str, default: str | None = "now()") -> sa.Column[datetime]:
    server_default = sa.text(default) if default else None
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=server_default, nullable=default is None
    )


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    _add_activities()
    op.create_table(
        "project_settings",
        _text("project"),
        sa.Column("activities_trusted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("project", name=op.f("project_settings_pkey")),
    )
    op.add_column("workflow_runs", sa.Column("pins", postgresql.JSONB(none_as_null=True)))
    op.create_index(
        "workflow_runs_pinned_idx",
        "workflow_runs",
        ["id"],
        postgresql_where=sa.text("pins IS NOT NULL AND finished_at IS NULL"),
    )


def _add_activities() -> None:
    op.create_table(
        "stored_activities",
        _text("project"),
        _text("name"),
        _text("active", nullable=True),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("project", "name", name=op.f("stored_activities_pkey")),
    )
    op.create_table(
        "activity_versions",
        _text("project"),
        _text("name"),
        _text("hash"),
        _text("language"),
        _text("source"),
        _text("entry"),
        sa.Column("exports", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("input_schema", sa.JSON(), nullable=False),
        _text("created_by", nullable=True),
        _moment("created_at", "clock_timestamp()"),
        _moment("activated_at", None),
        sa.CheckConstraint(_LANGUAGES, name=op.f("activity_versions_language_check")),
        sa.ForeignKeyConstraint(
            ["project", "name"],
            ["stored_activities.project", "stored_activities.name"],
            name=op.f("activity_versions_project_name_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project", "name", "hash", name=op.f("activity_versions_pkey")),
    )


def downgrade() -> None:
    op.drop_index("workflow_runs_pinned_idx", table_name="workflow_runs")
    op.drop_column("workflow_runs", "pins")
    op.drop_table("project_settings")
    op.drop_table("activity_versions")
    op.drop_table("stored_activities")
