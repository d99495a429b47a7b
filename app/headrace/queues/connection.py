"""The one place that opens connections to Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from headrace.errors import QueueUnavailable

ANSWER_SECONDS = 5.0
"""How long Redis may take to answer. Commands that block must ask for less."""

_HEALTH_CHECK_SECONDS = 30
_RETRIES = 2


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=0.05, cap=0.5)


def connect(redis_url: str) -> redis.Redis:
    """A client with a pool, safe to share between threads. Connects on its first command.

    A command whose connection breaks is sent again, so what is sent must bear being done twice.
    """
    return redis.Redis.from_url(
        redis_url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        socket_keepalive=True,
        health_check_interval=_HEALTH_CHECK_SECONDS,
        retry=Retry(_backoff(), _RETRIES),
    )


def connect_async(redis_url: str) -> redis.asyncio.Redis:
    """The same for the running loop; to be closed with `aclose()`."""
    return redis.asyncio.Redis.from_url(
        redis_url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        socket_keepalive=True,
        health_check_interval=_HEALTH_CHECK_SECONDS,
        retry=AsyncRetry(_backoff(), _RETRIES),
    )


@contextmanager
def answering() -> Iterator[None]:
    """Turns whatever goes wrong with Redis inside the block into QueueUnavailable."""
    try:
        yield
    except RedisError as error:
        raise QueueUnavailable(f"Redis does not answer: {error}") from error
