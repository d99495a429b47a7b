"""Counting attempts in memory; every few seconds one statement tells the database."""

from __future__ import annotations

import asyncio
import itertools
from functools import partial

from headrace.engine.prepare import Execution
from headrace.errors import StoreUnavailable
from headrace.graph.outcome import Failed, Outcome
from headrace.graph.statistics import DIED, End, Key, Stretch, Tally, counted_name
from headrace.log import Log
from headrace.store import statistics
from headrace.store.db import Database

FLUSH_SECONDS = 5.0
"""What a killed process loses of its figures at most."""

_FORGET_EVERY = 720
"""Flushes between two looks at what is old: an hour."""

_log = Log("headrace.worker")


class Counting:
    """What this process counted and has not told yet."""

    def __init__(self) -> None:
        self._news: dict[Key, Tally] = {}

    def add(self, execution: Execution, seconds: float, outcome: Outcome, end: End) -> None:
        """Counts one stretch of a node's code."""
        node = execution.node
        key = Key(execution.program.project, counted_name(node.type, node.config))
        died = isinstance(outcome, Failed) and outcome.kind in DIED
        tally = self._news.get(key) or self._news.setdefault(key, Tally())
        tally.add(Stretch(seconds, execution.claim.waited, end, died))

    async def tell(self, db: Database) -> None:
        """Adds the news to the database; when that fails, they are told the next time.

        Raises StoreUnavailable. If PostgreSQL goes away between a commit and its answer, news count twice.
        """
        if not self._news:
            return
        news, self._news = self._news, {}
        try:
            await db.transact(partial(statistics.add, news=news))
        except BaseException:
            for key, tally in news.items():
                self._news[key] = tally.merged(self._news.get(key, Tally()))
            raise

    async def tell_for_ever(self, db: Database) -> None:
        """Tells every few seconds until it is cancelled; now and then it clears away what is old."""
        for number in itertools.count():
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.tell(db)
                if number % _FORGET_EVERY == 0:
                    await db.transact(statistics.forget_old)
            except StoreUnavailable as error:
                _log.debug("statistics_not_told", str(error))
            except Exception:  # figures must never stop a worker
                _log.exception("statistics_refused")
