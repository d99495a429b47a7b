from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from headrace.queues.connection import connect
from support.redis_process import RedisProcess, redis_process


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    with redis_process(tmp_path, keep_data=True) as process:
        yield process


@pytest.fixture
def connection(server: RedisProcess) -> Iterator[Redis]:
    with connect(server.url) as client:
        yield client
