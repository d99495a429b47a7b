"""What Alembic runs: on the connection that `headrace.store.schema` gives it."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from headrace.store import control_tables, tables, trigger_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_server_default=True,
)
assert tables.TaskRow.__table__ is not None  # type: ignore[attr-defined]
assert control_tables.SignalRow.__table__ is not None  # type: ignore[attr-defined]
assert trigger_tables.ScheduleRow.__table__ is not None  # type: ignore[attr-defined]

with context.begin_transaction():
    context.run_migrations()
