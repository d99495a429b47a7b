"""A migrated database for each test, copied from a template."""

from __future__ import annotations

from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from headrace.store.db import Database
from headrace.store.schema import migrate
from support.servers import on_path


async def make_template(admin_url: str) -> str:
    """Creates a database, migrates it and returns its name."""
    name = f"headrace_template_{uuid4().hex[:12]}"
    await _admin(admin_url, f'CREATE DATABASE "{name}"')
    db = Database(on_path(admin_url, name), pool_size=1)
    await migrate(db)
    await db.close()
    return name


async def copy(admin_url: str, template: str) -> str:
    """Creates a database from a template and returns its URL."""
    name = f"headrace_test_{uuid4().hex[:12]}"
    await _admin(admin_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    return on_path(admin_url, name)


async def drop(admin_url: str, url: str) -> None:
    """Drops a database, whoever is still connected."""
    name = urlsplit(url).path.lstrip("/")
    await _admin(admin_url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _admin(admin_url: str, statement: str) -> None:
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
