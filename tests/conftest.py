"""Fixtures for all tests. The machinery is in `support.servers`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest
import redis
from hypothesis import settings

from support import servers

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


# Here: the fixture that copies a migrated template database for each test.
