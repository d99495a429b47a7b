"""The servers, for the commands that need no API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace.config import Settings
from headrace.errors import InvalidSettings
from headrace.local.stack import read_running
from headrace.store.db import Database


@dataclass(frozen=True, slots=True)
class ServerUrls:
    """Where PostgreSQL and Redis are."""

    database: str
    redis: str


def on_data_dir(settings: Settings, data_dir: Path | None) -> Settings:
    """The settings for this data folder, if one is given."""
    return settings if data_dir is None else settings.model_copy(update={"data_dir": data_dir})


def server_urls(settings: Settings) -> ServerUrls:
    """The servers of the settings, else those of the stack that runs on the data folder.

    Raises InvalidSettings when neither says where one is.
    """
    running = read_running(settings.data_dir)
    urls = ServerUrls(
        settings.postgres_url or (running.database_url if running else ""),
        settings.redis_url or (running.redis_url if running else ""),
    )
    for name, url in (("DATABASE_URL", urls.database), ("REDIS_URL", urls.redis)):
        if not url:
            raise InvalidSettings(f"{name} is not set, and no stack runs here: `headrace up` starts one")
    return urls


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The database of `server_urls`, which says what it raises."""
    db = Database(server_urls(settings).database, pool_size=2)
    try:
        yield db
    finally:
        await db.close()
