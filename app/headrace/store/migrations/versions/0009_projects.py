"""Projects: whose a workflow is, and so its runs and the queue of its tasks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0006"


def _project() -> sa.Column[str]:
    return sa.Column("project", sa.Text(), server_default="default", nullable=False)


def upgrade() -> None:
    op.add_column("workflows", _project())
    op.create_index(op.f("workflows_project_idx"), "workflows", ["project"])
    op.add_column("workflow_runs", _project())
    op.add_column("workflow_tasks", sa.Column("project", sa.Text()))


def downgrade() -> None:
    op.drop_column("workflow_tasks", "project")
    op.drop_column("workflow_runs", "project")
    op.drop_index(op.f("workflows_project_idx"), table_name="workflows")
    op.drop_column("workflows", "project")
