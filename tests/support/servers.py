"""Real servers for tests: embedded ones, or those that the environment names.

The embedded ones are on leashes: they end with the test process, however that ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from headrace.local.postgres import EmbeddedPostgres
from headrace.local.redis import EmbeddedRedis


@contextmanager
def passable_folder(prefix: str = "headrace-test-") -> Iterator[Path]:
    """A temporary folder that any user can pass through (pytest's own are for their owner alone)."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL on which tests may create databases, as its administrator."""
    given = os.environ.get("HEADRACE_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with passable_folder() as folder, EmbeddedPostgres(folder / "postgres", durable=False) as server:
        yield server.url("postgres")


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a Redis whose databases 1 to 15 tests may empty."""
    given = os.environ.get("HEADRACE_TEST_REDIS_URL")
    if given:
        yield given
        return
    with passable_folder() as folder, EmbeddedRedis(folder / "redis", durable=False) as server:
        yield server.url()


def on_path(url: str, path: str | int) -> str:
    """The same server's URL with another database: `on_path(url, "app")`, `on_path(redis_url, 3)`."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))
