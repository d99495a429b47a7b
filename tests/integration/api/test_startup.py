"""What a fresh database gets."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from headrace.api.startup import load_samples_and_templates
from headrace.engine.program import Engine
from headrace.nodes.builtin import builtin
from headrace.samples import load_samples
from headrace.store.db import Database
from support.api import saved, serving, settings_for
from support.build import chain

pytestmark = pytest.mark.anyio


async def names(client: httpx.AsyncClient) -> list[str]:
    return [line["name"] for line in (await client.get("/workflows")).json()]


async def when_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(10):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.02)


async def test_an_empty_database_gets_the_samples_and_templates(database_url: str, redis_url: str) -> None:
    async with serving(settings_for(database_url, redis_url, HEADRACE_SAMPLES=True)) as client:
        await when_ready(client)
        assert await names(client) == [sample.name for sample in load_samples()]
        assert len((await client.get("/api-templates")).json()) == 9


async def test_samples_can_be_left_out(database_url: str, redis_url: str) -> None:
    async with serving(settings_for(database_url, redis_url)) as client:
        await when_ready(client)
        assert await names(client) == []
        assert len((await client.get("/api-templates")).json()) == 9


async def test_many_processes_load_once(client: httpx.AsyncClient, db: Database) -> None:
    engines = [Engine.over(db, builtin()) for _ in range(5)]
    await asyncio.gather(*(load_samples_and_templates(engine) for engine in engines))
    assert len(await names(client)) == len(load_samples())
    assert len((await client.get("/api-templates")).json()) == 9


async def test_what_a_user_has_done_stays_so(client: httpx.AsyncClient, engine: Engine) -> None:
    await saved(client, chain(1))
    await load_samples_and_templates(engine)
    assert await names(client) == ["test"]
    template = (await client.get("/api-templates")).json()[0]
    await client.delete(f"/api-templates/{template['id']}")
    await load_samples_and_templates(engine)
    assert len((await client.get("/api-templates")).json()) == 8
