"""Waits for a queue to hold a job, without taking it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from redis import Redis
from redis.exceptions import RedisError

_LISTEN_SECONDS = 2.0


class QueueListener:
    """One blocked connection, in a thread of its own. connection: its socket timeout is longer than 2 s.

    on_wake: called on the loop when the queue holds a job, and otherwise after 2 s, so that somebody looks
    whether Redis still knows the worker; also when Redis is away, which the claim that follows finds out.
    """

    def __init__(self, connection: Redis, queue_key: str, on_wake: Callable[[], None]) -> None:
        self._connection = connection
        self._key = queue_key
        self._on_wake = on_wake
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rq-listen")
        self._listening: asyncio.Future[None] | None = None
        self._client_id = 0

    def listen(self) -> None:
        """Begins to wait, unless it does already. Call it on the loop."""
        if self._listening is None:
            self._listening = asyncio.get_running_loop().run_in_executor(self._thread, self._block)
            self._listening.add_done_callback(self._heard)

    async def close(self) -> None:
        """Ends the waiting at once."""
        if self._listening is not None:
            with suppress(RedisError):
                await asyncio.to_thread(self._connection.client_unblock, self._client_id)
        if self._listening is not None:
            await asyncio.wait([self._listening], timeout=2 * _LISTEN_SECONDS)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _block(self) -> None:
        # Moves the list's head onto its own place: it blocks until there is a job and takes none, so no id
        # can get lost on its way to the claim, and no intermediate list needs repair.
        with self._connection.client() as client:  # type: ignore[no-untyped-call]
            self._client_id = client.client_id()
            client.blmove(self._key, self._key, _LISTEN_SECONDS, "LEFT", "LEFT")

    def _heard(self, listening: asyncio.Future[None]) -> None:
        self._listening = None
        if not listening.cancelled():
            listening.exception()
        self._on_wake()
