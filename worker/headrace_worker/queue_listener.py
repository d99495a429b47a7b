"""Waits for a queue to hold a job, without taking it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from redis import Redis
from redis.exceptions import RedisError

_LISTEN_SECONDS = 2.0


class QueueListener:
    """Blocked connections, one a queue, each in a thread of its own: no command waits for several lists.

    connection: its socket timeout is longer than 2 s.

    on_wake: called on the loop when a queue holds a job, and otherwise after 2 s, so that somebody looks
    whether Redis still knows the worker; also when Redis is away, which the claim that follows finds out.
    """

    def __init__(self, connection: Redis, queue_keys: Sequence[str], on_wake: Callable[[], None]) -> None:
        self._connection = connection
        self._keys = queue_keys
        self._on_wake = on_wake
        self._threads = ThreadPoolExecutor(len(queue_keys), thread_name_prefix="rq-listen")
        self._listening: dict[str, asyncio.Future[bool]] = {}
        self._client_ids: dict[str, int] = {}
        self._closed = False

    def listen(self) -> None:
        """Begins to wait, unless it does already. Call it on the loop."""
        for key in self._keys:
            if key not in self._listening:
                self._listen_to(key)

    async def close(self) -> None:
        """Ends the waiting at once."""
        self._closed = True
        for key in list(self._listening):
            with suppress(RedisError, KeyError):
                await asyncio.to_thread(self._connection.client_unblock, self._client_ids[key])
        if self._listening:
            await asyncio.wait(self._listening.values(), timeout=2 * _LISTEN_SECONDS)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _listen_to(self, key: str) -> None:
        listening = asyncio.get_running_loop().run_in_executor(self._threads, self._block, key)
        self._listening[key] = listening
        listening.add_done_callback(partial(self._heard, key))

    def _block(self, key: str) -> bool:
        # Moves the list's head onto its own place: it blocks until there is a job and takes none, so no id
        # can get lost on its way to the claim, and no intermediate list needs repair.
        with self._connection.client() as client:  # type: ignore[no-untyped-call]
            self._client_ids[key] = client.client_id()
            return client.blmove(key, key, _LISTEN_SECONDS, "LEFT", "LEFT") is not None

    def _heard(self, key: str, listening: asyncio.Future[bool]) -> None:
        del self._listening[key]
        failed = listening.cancelled() or listening.exception() is not None
        # One queue's silence is enough to look after the worker every 2 s.
        if failed or listening.result() or key == self._keys[0]:
            self._on_wake()
        elif not self._closed:
            self._listen_to(key)
