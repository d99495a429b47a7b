"""Executions, collected in the process and written to Redis by a thread: nodes do not wait for it."""

from __future__ import annotations

import json
import threading
import time

from redis import Redis

SPANS = "bench:spans"

_FLUSH_SECONDS = 0.02


class Recorder:
    """Of one worker process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._spans: list[tuple[int, int, float, float]] = []
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(self, run: int, number: int, start: float) -> None:
        """Records an execution that ends now."""
        with self._lock:
            self._spans.append((run, number, start, time.monotonic()))
            if self._thread is None:
                self._thread = threading.Thread(target=self._flush_for_ever, daemon=True)
                self._thread.start()

    def _flush_for_ever(self) -> None:
        while True:
            time.sleep(_FLUSH_SECONDS)
            with self._lock:
                spans, self._spans = self._spans, []
            if spans:
                self._redis.rpush(SPANS, *(json.dumps(span) for span in spans))


def recorded(redis: Redis, count: int) -> list[tuple[int, int, float, float]] | None:
    """The recorded executions, or None while there are fewer than `count`."""
    if redis.llen(SPANS) < count:
        return None
    return [tuple(json.loads(text)) for text in redis.lrange(SPANS, 0, -1)]
