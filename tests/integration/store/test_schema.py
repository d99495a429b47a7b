"""Migrations: they make what the tables say, they can be undone, and PostgreSQL refuses nonsense."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from asyncpg import IntegrityConstraintViolationError
from sqlalchemy import CheckConstraint, Connection, NullPool
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from headrace.store import schema, tables
from headrace.store.db import Database
from support.rows import add_run, sql

pytestmark = pytest.mark.anyio

RUN = UUID(int=1)


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    return list(compare_metadata(context, SQLModel.metadata))


def _downgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(schema._MIGRATIONS))
    config.attributes["connection"] = connection
    command.downgrade(config, "base")


T = TypeVar("T")


async def _through_alembic(url: str, act: Callable[[Connection], T]) -> T:
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    async with engine.begin() as connection:
        return await connection.run_sync(act)


async def test_the_migrations_make_what_the_tables_say(database_url: str) -> None:
    assert tables.TaskRow.__tablename__ == "workflow_tasks"
    assert await _through_alembic(database_url, _differences) == []


_CHECKS = """
SELECT conname AS name FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace
"""


async def test_every_check_of_the_tables_is_in_the_database(db: Database) -> None:
    """Alembic does not compare CHECKs."""
    wanted = {
        str(constraint.name)
        for table in SQLModel.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert {row.name for row in await sql(db, _CHECKS)} == wanted


async def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_it_back(
    db: Database, database_url: str
) -> None:
    assert await schema.is_current(db)
    await _through_alembic(database_url, _downgrade)
    assert not await schema.is_current(db)
    left = await sql(db, "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
    assert [row.name for row in left] == ["alembic_version"]
    await schema.migrate(db)
    await schema.migrate(db)
    assert await schema.is_current(db)
    assert await _through_alembic(database_url, _differences) == []


@pytest.fixture
async def task(db: Database) -> UUID:
    """A run with one pending task."""
    await add_run(db, RUN)
    await sql(
        db,
        "INSERT INTO workflow_tasks (run_id, position, node_id, node_type, attempt_timeout, max_lost, status,"
        " edges_unresolved) VALUES ($1, 0, 'n', 'noop', 300, 3, 'pending', 0)",
        RUN,
    )
    return RUN


NONSENSE = {
    "a task of no known state": "UPDATE workflow_tasks SET status = 'lost'",
    "a task that ended without a time": "UPDATE workflow_tasks SET status = 'completed', outcomes = ''",
    "a task that ended without outcomes": "UPDATE workflow_tasks SET status='completed', finished_at=now()",
    "an open task with an end": "UPDATE workflow_tasks SET finished_at = now(), outcomes = ''",
    "a running task without a token": (
        "UPDATE workflow_tasks SET status = 'running', lease_until = now(), token = NULL"
    ),
    "a running task without a lease": "UPDATE workflow_tasks SET status = 'running', token = 1",
    "a token of nobody": "UPDATE workflow_tasks SET token = 1",
    "a waiting task without an end": "UPDATE workflow_tasks SET status = 'waiting'",
    "an alarm for nobody": "UPDATE workflow_tasks SET wake_at = now()",
    "an edge resolved twice": "UPDATE workflow_tasks SET edges_unresolved = -1",
    "a run of no known state": "UPDATE workflow_runs SET status = 'lost'",
    "a run that ended without a time": "UPDATE workflow_runs SET status = 'succeeded'",
    "an open run with an end": "UPDATE workflow_runs SET finished_at = now()",
    "a verdict that is none": "UPDATE workflow_runs SET verdict = 'running'",
    "a phase that is none": "UPDATE workflow_runs SET phase = 'later'",
    "more ended tasks than there are": "UPDATE workflow_runs SET open = -1",
    "a second task at a place": (
        "INSERT INTO workflow_tasks SELECT (t).* FROM (SELECT t FROM workflow_tasks t) AS rows"
    ),
    "a task without a run": "UPDATE workflow_tasks SET run_id = gen_random_uuid()",
}


async def test_nonsense_is_refused(db: Database, task: UUID) -> None:
    accepted = []
    for name, statement in NONSENSE.items():
        with suppress(IntegrityConstraintViolationError):
            await sql(db, statement)
            accepted.append(name)
    assert accepted == []


async def test_hot_indexes_hold_only_what_is_hot(db: Database) -> None:
    rows = await sql(
        db,
        "SELECT indexname AS name, indexdef LIKE '% WHERE %' AS is_partial FROM pg_indexes"
        " WHERE tablename = 'workflow_tasks'",
    )
    assert {row.name: row.is_partial for row in rows} == {
        "workflow_tasks_pkey": False,
        "workflow_tasks_payload_idx": True,
        "workflow_tasks_queued_idx": True,
        "workflow_tasks_running_idx": True,
        "workflow_tasks_waiting_idx": True,
        "workflow_tasks_unpropagated_idx": True,
        "workflow_tasks_signal_idx": True,
        "workflow_tasks_held_idx": True,
        "workflow_tasks_clocks_idx": True,
    }
