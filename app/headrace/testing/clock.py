"""A clock that skips the time in which nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from headrace.errors import HeadraceError
from headrace.store import time_travel
from headrace.store.db import Database


class DidNotEnd(HeadraceError):
    """The test took too long."""

    code = "DidNotEnd"


class Clock:
    """The time of a bench. `await clock.skip(days=30)` takes milliseconds."""

    def __init__(self, db: Database, settle_down: Callable[[], Awaitable[None]], patience: float) -> None:
        """settle_down: does all that can be done now. patience: seconds of real time that a skip may take."""
        self._db = db
        self._settle_down = settle_down
        self._patience = patience

    async def skip(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Lets so much time pass. All that falls due in it is done at its time, one after the other.

        Raises DidNotEnd, and ValueError for a time that would run backwards.
        """
        left = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        if left < 0:
            raise ValueError("time only goes forward")
        async with within(self._patience):
            await self._settle_down()
            while (due := await self._next_due()) is not None and due <= left:
                await self._pass(due)
                left -= due
            await self._pass(left)

    async def skip_all(self) -> None:
        """Lets time pass until nothing is left that time alone would bring about. Raises DidNotEnd."""
        async with within(self._patience):
            await self._settle_down()
            while (due := await self._next_due()) is not None:
                await self._pass(due)

    async def _next_due(self) -> float | None:
        async with self._db.transaction() as tx:
            return await time_travel.seconds_to_next_due(tx)

    async def _pass(self, seconds: float) -> None:
        async with self._db.transaction() as tx:
            await time_travel.skip(tx, seconds)
        await self._settle_down()


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Raises DidNotEnd when the block takes longer, in real time."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        message = (
            f"there was still something to do after {seconds:g} s: is there a loop or a poll without an end?"
        )
        raise DidNotEnd(message) from error
