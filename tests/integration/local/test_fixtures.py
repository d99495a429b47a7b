"""The servers that all other tests stand on."""

from __future__ import annotations

import asyncpg
import pytest
import redis

pytestmark = pytest.mark.anyio


async def test_the_test_postgres_is_version_18_and_ours_to_administer(admin_dsn: str) -> None:
    connection = await asyncpg.connect(admin_dsn)
    try:
        assert (await connection.fetchval("SHOW server_version")).startswith("18.")
        assert await connection.fetchval("SELECT rolcreatedb FROM pg_roles WHERE rolname = current_user")
    finally:
        await connection.close()


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_test_has_an_empty_redis(redis_url: str, turn: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left behind by turn", turn)
