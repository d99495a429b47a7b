"""Signals for one node of a run; the keys of signed links."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("workflow_signals", sa.Column("node_id", sa.Text(), nullable=True))
    op.create_index(
        "workflow_signals_untaken_idx",
        "workflow_signals",
        ["run_id", "name", "sent_at"],
        postgresql_where=sa.text("position IS NULL AND refused IS NULL"),
    )
    op.create_table(
        "signing_keys",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("signing_keys_pkey")),
    )


def downgrade() -> None:
    op.drop_table("signing_keys")
    op.drop_index("workflow_signals_untaken_idx", table_name="workflow_signals")
    op.drop_column("workflow_signals", "node_id")
