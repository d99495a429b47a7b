"""Bringing a database's schema up to date."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.store.db import Database

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('headrace migrations'))"


async def migrate(db: Database) -> None:
    """Applies what is missing. Safe to call from several processes at once."""
    async with db.connection() as connection:
        await connection.execute(text(_LOCK))
        await connection.run_sync(_upgrade)


async def is_current(db: Database) -> bool:
    """Whether the schema is the one that this version of the code expects."""
    async with db.connection() as connection:
        return await _revision(connection) == ScriptDirectory(str(_MIGRATIONS)).get_current_head()


async def _revision(connection: AsyncConnection) -> str | None:
    return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
