"""Children: those that ended and are not reported are found at once; how many tasks a tree of runs has."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_UNREPORTED = "parent_run_id IS NOT NULL AND NOT is_reported"


def _index(condition: str) -> None:
    op.drop_index("workflow_runs_unreported_idx", table_name="workflow_runs")
    op.create_index(
        "workflow_runs_unreported_idx",
        "workflow_runs",
        ["parent_run_id", "parent_position"],
        postgresql_where=sa.text(condition),
    )


def upgrade() -> None:
    _index(f"{_UNREPORTED} AND finished_at IS NOT NULL")
    op.create_table(
        "run_trees",
        sa.Column("root_id", sa.Uuid(), nullable=False),
        sa.Column("tasks", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["root_id"], ["workflow_runs.id"], name=op.f("run_trees_root_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("root_id", name=op.f("run_trees_pkey")),
    )


def downgrade() -> None:
    op.drop_table("run_trees")
    _index(_UNREPORTED)
