from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import uuid4

import pytest
from redis import Redis

from headrace.graph.dispatch import Stop
from headrace.graph.ids import TaskId
from headrace.queues.broker import Broker
from headrace.queues.connection import connect_async
from headrace.queues.live import (
    RUNS,
    Connected,
    News,
    RunsChanged,
    TasksStopped,
    publish_runs,
    publish_stops,
    subscribe,
)
from support.redis_process import RedisProcess

pytestmark = pytest.mark.anyio


async def next_of(news: AsyncIterator[News]) -> News:
    async with asyncio.timeout(20):
        return await anext(news)


async def test_news_arrive_in_order(server: RedisProcess, connection: Redis) -> None:
    runs, task = (uuid4(), uuid4()), TaskId(uuid4(), 7)
    async with connect_async(server.url) as listener, aclosing(subscribe(listener)) as news:
        assert await next_of(news) == Connected()
        publish_runs(connection, runs)
        publish_runs(connection, ())
        connection.publish(RUNS, b"\xff no run")
        publish_stops(connection, [task])
        Broker(connection).push([Stop((task, task))])
        assert await next_of(news) == RunsChanged(runs)
        assert await next_of(news) == TasksStopped((task,))
        assert await next_of(news) == TasksStopped((task, task))


async def test_listening_goes_on_after_redis_was_away(server: RedisProcess, connection: Redis) -> None:
    run = uuid4()
    async with connect_async(server.url) as listener, aclosing(subscribe(listener)) as news:
        assert await next_of(news) == Connected()
        server.kill()
        again = asyncio.ensure_future(next_of(news))
        await asyncio.wait([again], timeout=0.3)
        assert not again.done()
        server.start()
        assert await again == Connected()
        publish_runs(connection, [run])
        assert await next_of(news) == RunsChanged((run,))
