"""Fixtures for all tests. The machinery is in `support.servers`."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
import redis
from hypothesis import settings

from headrace.engine.program import Engine
from headrace.nodes.builtin import builtin
from headrace.store.db import Database
from support import databases, servers

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

_redis_databases = itertools.cycle(range(1, 16))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The administrator's URL of one PostgreSQL for the whole session."""
    with servers.postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of one Redis for the whole session."""
    with servers.redis_server() as url:
        yield url


@pytest.fixture
def admin_dsn(postgres_server: str) -> str:
    """Where to create and drop databases: `servers.on_path(admin_dsn, name)` is another database's URL."""
    return postgres_server


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """An empty Redis database; the next test gets another, whatever this one leaves behind."""
    url = servers.on_path(redis_server, next(_redis_databases))
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="session")
def template_database(postgres_server: str) -> str:
    """The name of a migrated database that tests copy."""
    return anyio.run(databases.make_template, postgres_server)


@pytest.fixture
def database_url(postgres_server: str, template_database: str) -> Iterator[str]:
    """A migrated, empty database of the test's own."""
    url = anyio.run(databases.copy, postgres_server, template_database)
    yield url
    anyio.run(databases.drop, postgres_server, url)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """The test's database, open."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types, on the test's database."""
    return Engine.over(db, builtin())
