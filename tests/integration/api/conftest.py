"""The API over the test's own database and Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from headrace.config import Settings
from support.api import serving, settings_for


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return settings_for(database_url, redis_url)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings) as client:
        yield client
