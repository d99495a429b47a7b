"""Real servers for a benchmark's time: durable, on loopback, with their data in a temporary folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from headrace.local.postgres import EmbeddedPostgres
from headrace.local.redis import EmbeddedRedis
from headrace.store.db import Database
from headrace.store.schema import migrate

OURS_IN_REDIS = 0
RQ_IN_REDIS = 1
CELERY_IN_REDIS = 2
DRAMATIQ_IN_REDIS = 3
BULLMQ_IN_REDIS = 4
DBOS_IN_REDIS = 5


@dataclass(frozen=True)
class Servers:
    """Where the servers are. folder: for logs. databases: numbers for new ones."""

    admin_url: str
    redis_url: str
    folder: Path
    databases: Iterator[int]

    def redis(self, number: int) -> str:
        return _on_path(self.redis_url, str(number))

    async def new_database(self, migrated: bool = True) -> str:
        """Creates a database and returns its URL."""
        name = f"bench_{next(self.databases)}"
        connection = await asyncpg.connect(self.admin_url)
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        url = _on_path(self.admin_url, name)
        if migrated:
            db = Database(url, pool_size=1)
            await migrate(db)
            await db.close()
        return url


@contextmanager
def servers() -> Iterator[Servers]:
    """PostgreSQL with fsync and synchronous_commit on, Redis with an append-only file synced each second."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    folder.chmod(0o711)  # PostgreSQL is another user's process when we are root
    try:
        with EmbeddedPostgres(folder / "postgres") as postgres, EmbeddedRedis(folder / "redis") as redis:
            yield Servers(postgres.url("postgres"), redis.url(), folder, count(1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _on_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))
