"""Databases for tests: empty, migrated, and nobody else's for a while.

They stay on the server, because to empty one takes milliseconds and to make one takes half a second. Who uses
one holds a lock, which PostgreSQL takes back when its process ends, however that happens.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from headrace.store.all_tables import ALL_TABLES
from headrace.store.db import Database, Tx
from headrace.store.schema import migrate

PREFIX = "headrace_testing"
"""How the names of these databases begin."""

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS is_ours"
_EXISTS = "SELECT 1 FROM pg_database WHERE datname = $1"
_IS_MIGRATED = "SELECT to_regclass('alembic_version') IS NOT NULL AS is_so"
_EMPTIED = [f"emptied_{table.name} AS (DELETE FROM {table.name})" for table in ALL_TABLES]
_EMPTY = f"WITH {', '.join(_EMPTIED)} SELECT 1"


@asynccontextmanager
async def borrowed(server_url: str) -> AsyncIterator[Database]:
    """An empty database on the server that the URL leads to; the database that it names is not touched.

    The user of the URL must be allowed to create databases. Raises StoreUnavailable.
    """
    admin, held = Database(server_url, pool_size=1), AsyncExitStack()
    try:
        # Not `async with`: what the caller's block raises is none of this connection's business.
        db = await _take(await held.enter_async_context(admin.connection()), server_url)
        try:
            yield db
        finally:
            await db.close()
    finally:
        await held.aclose()
        await admin.close()


async def _take(tx: Tx, server_url: str) -> Database:
    """The first of these databases that nobody uses; locked as long as the connection lives."""
    name = await _lock_one(tx)
    if await tx.row(_EXISTS, name) is None:
        await tx.fetch(f'CREATE DATABASE "{name}"')
    db = Database(urlunsplit(urlsplit(server_url)._replace(path=f"/{name}")), is_relaxed=True)
    try:
        await _make_ready(db)
    except BaseException:
        await db.close()
        raise
    return db


async def _lock_one(tx: Tx) -> str:
    for number in count(1):
        name = f"{PREFIX}_{_schema()}_{number}"
        row = await tx.row(_LOCK, name)
        if row is not None and row.is_ours:
            return name
    raise AssertionError


async def _make_ready(db: Database) -> None:
    async with db.connection() as tx:
        known = await tx.row(_IS_MIGRATED)
        is_migrated = known is not None and known.is_so
        if is_migrated:
            await tx.fetch(_EMPTY)
    if not is_migrated:
        await migrate(db)


@cache
def _schema() -> str:
    """Tells a schema from another version's: a digest of all migrations."""
    folder = Path(__file__).parent / "migrations" / "versions"
    text = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    return hashlib.sha256(text).hexdigest()[:12]
