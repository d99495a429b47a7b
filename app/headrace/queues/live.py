"""News between processes, over Redis pub/sub: what changed, and what must stop.

News may get lost (nobody keeps it), so nothing may depend on it alone: it only makes things happen sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

import redis
import redis.asyncio
from redis.exceptions import RedisError

from headrace.graph.ids import TaskId
from headrace.log import Log
from headrace.queues.connection import answering

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

RUNS = "headrace:runs"
STOPS = "headrace:stops"
FILLED = "headrace:queues"

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 3.0
_LISTEN_SECONDS = 10.0

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class RunsChanged:
    """These runs have new events."""

    runs: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class TasksStopped:
    """Whoever executes one of these tasks stops it, after so many seconds of grace."""

    tasks: tuple[TaskId, ...]
    grace: float = 0.0


@dataclass(frozen=True, slots=True)
class QueueFilled:
    """This queue was empty and holds a job. Not said of the default project's: workers listen on those."""

    queue: str


@dataclass(frozen=True, slots=True)
class Connected:
    """Listening starts here, for the first time or again: what was said before was missed."""


News: TypeAlias = RunsChanged | TasksStopped | QueueFilled | Connected


def publish_runs(connection: redis.Redis, runs: Iterable[UUID]) -> None:
    """Says that these runs have new events; raises QueueUnavailable."""
    _publish(connection, RUNS, runs)


def publish_stops(connection: redis.Redis, tasks: Iterable[TaskId], grace: float = 0.0) -> None:
    """Tells the processes that execute these tasks to stop them; raises QueueUnavailable."""
    _publish(connection, STOPS, tasks, f"{grace:g};" if grace else "")


def _publish(connection: redis.Redis, channel: str, ids: Iterable[UUID | TaskId], before: str = "") -> None:
    text = ",".join(map(str, ids))
    if text:
        with answering():
            connection.publish(channel, before + text)


async def subscribe(
    connection: redis.asyncio.Redis, channels: Sequence[str] = (RUNS, STOPS)
) -> AsyncGenerator[News, None]:
    """Listens for ever, also across restarts of Redis. To stop, close the generator (`aclosing`)."""
    pause = _FIRST_PAUSE
    while True:
        try:
            async with aclosing(connection.pubsub()) as pubsub:
                await pubsub.subscribe(*channels)
                pause = _FIRST_PAUSE
                yield Connected()
                async for news in _received(pubsub):
                    yield news
        except (RedisError, OSError) as error:
            _log.warning("live", f"Redis does not answer, listening again in {pause:.1f} s", error=str(error))
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


async def _received(pubsub: PubSub) -> AsyncIterator[News]:
    while True:
        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=_LISTEN_SECONDS)
        news = _read(message["channel"], message["data"]) if message else None
        if news:
            yield news


def _read(channel: bytes, data: bytes) -> News | None:
    """Anybody may publish on the channel: what is no news of ours is passed over."""
    try:
        if channel.decode() == FILLED:
            return QueueFilled(data.decode())
        grace, _, names = data.decode().rpartition(";")
        ids = names.split(",")
        if channel.decode() == RUNS:
            return RunsChanged(tuple(map(UUID, ids)))
        return TasksStopped(tuple(map(TaskId.parse, ids)), float(grace or 0))
    except ValueError:
        _log.warning("live", "a message that cannot be read", channel=repr(channel))
        return None
