"""What Alembic runs: on the connection that `headrace.store.schema` gives it."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from headrace.store.all_tables import ALL_TABLES

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_server_default=True,
)
assert ALL_TABLES  # importing them has filled the metadata

with context.begin_transaction():
    context.run_migrations()
