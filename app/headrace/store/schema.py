"""Bringing a database's schema up to date."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from headrace.store.db import Database, translating

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('headrace migrations'))"
_REVISION = """
SELECT version_num FROM alembic_version
"""


async def migrate(db: Database) -> None:
    """Applies what is missing. Safe to call from several processes at once."""
    async with _connect(db.url) as connection:
        await connection.execute(text(_LOCK))
        await connection.run_sync(_upgrade)


async def is_current(db: Database) -> bool:
    """Whether the schema is the one that this version of the code expects."""
    async with db.connection() as tx:
        known = await tx.row("SELECT to_regclass('alembic_version') IS NOT NULL AS exists")
        revision = await tx.row(_REVISION) if known is not None and known.exists else None
    return revision is not None and revision.version_num == _scripts().get_current_head()


@asynccontextmanager
async def _connect(url: str) -> AsyncIterator[AsyncConnection]:
    target = make_url(url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(target, poolclass=NullPool)
    try:
        with translating():
            async with engine.begin() as connection:
                yield connection
    finally:
        await engine.dispose()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_MIGRATIONS))


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
