"""The API over real servers, called in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import httpx
import pytest

from headrace.api.main import create_app
from headrace.config import Settings

Opener: TypeAlias = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@asynccontextmanager
async def opened(
    settings: Settings, headers: dict[str, str] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that serves with these settings. Crashes are answered, not raised."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost:3000", headers=headers) as client,
    ):
        yield client


def settings_for(database_url: str, redis_url: str, **more: str) -> Settings:
    """Settings from nothing but what is given, by the names in the environment."""
    return Settings(_env_file=None, DATABASE_URL=database_url, REDIS_URL=redis_url, **more)


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return settings_for(database_url, redis_url)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(settings) as client:
        yield client
