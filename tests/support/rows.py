"""Plain SQL in tests: to look at rows, and to move time by moving timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from headrace.store.db import Database, Record


async def sql(db: Database, statement: str, *args: object) -> Sequence[Record]:
    """One statement in a transaction of its own."""
    async with db.transaction() as tx:
        return await tx.fetch(statement, *args)


async def end_waits(db: Database) -> None:
    """Lets every wait be over."""
    await sql(db, "UPDATE workflow_tasks SET wake_at = now() - interval '1 ms' WHERE status = 'waiting'")


async def expire_leases(db: Database) -> None:
    """Lets every lease have run out a while ago."""
    await sql(
        db,
        "UPDATE workflow_tasks SET lease_until = now() - interval '1 second' WHERE status = 'running'",
    )


async def age(db: Database, seconds: float) -> None:
    """Lets what happened to tasks have happened earlier."""
    await sql(
        db,
        "UPDATE workflow_tasks SET queued_at = queued_at - make_interval(secs => $1),"
        " finished_at = finished_at - make_interval(secs => $1)",
        seconds,
    )


async def add_run(db: Database, run_id: UUID, tasks: int = 1) -> None:
    """A run's row with a workflow of its own; the tasks are up to the caller."""
    async with db.transaction() as tx:
        await tx.fetch("INSERT INTO workflows (id, name, version) VALUES ($1, 'w', 1)", run_id)
        await tx.fetch(
            "INSERT INTO workflow_versions (workflow_id, version, definition) VALUES ($1, 1, '{}')", run_id
        )
        await tx.fetch(
            "INSERT INTO workflow_runs (id, workflow_id, version, status, open, total)"
            " VALUES ($1, $1, 1, 'running', $2, $2)",
            run_id,
            tasks,
        )
