"""Keeps the leases of running tasks, from a thread of its own: a busy loop must not lose them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic

from headrace.errors import StoreUnavailable
from headrace.graph.ids import TaskId
from headrace.log import Log
from headrace.store import claims, heartbeats
from headrace.store.db import Database
from headrace.store.heartbeats import HeldBeat
from headrace_worker.heartbeats import Heartbeats

_BEAT_SECONDS = 1.0

_log = Log("headrace.worker")


class Leases:
    """The tasks that this process holds, by their tokens.

    Renews after a third of the lease. on_lost: called, in the thread, with tasks that are no longer held:
    cancelled, or taken back by a sweep. heartbeats: written by the same thread, at most once a second.
    """

    def __init__(
        self,
        database_url: str,
        seconds: float,
        on_lost: Callable[[set[TaskId]], None],
        heartbeats: Heartbeats | None = None,
    ) -> None:
        self._url = database_url
        self._seconds = seconds
        self._on_lost = on_lost
        self._heartbeats = heartbeats or Heartbeats()
        self._held: dict[TaskId, int] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stops renewing; what is still held expires unless it is handed back."""
        self._closing.set()
        self._thread.join(timeout=self._seconds)

    def hold(self, task: TaskId, token: int) -> None:
        with self._lock:
            self._held[task] = token

    def drop(self, task: TaskId, token: int) -> None:
        """Lets go, unless the task was claimed anew meanwhile."""
        with self._lock:
            if self._held.get(task) == token:
                del self._held[task]

    def held(self) -> dict[TaskId, int]:
        with self._lock:
            return dict(self._held)

    def _keep(self) -> None:
        asyncio.run(self._renew_for_ever())

    async def _renew_for_ever(self) -> None:
        db = Database(self._url, pool_size=1, answer_seconds=self._seconds / 3)
        try:
            due = monotonic() + self._seconds / 3
            while not await asyncio.to_thread(self._closing.wait, min(_BEAT_SECONDS, due - monotonic())):
                await self._write_heartbeats(db)
                if monotonic() >= due:
                    due = monotonic() + self._seconds / 3
                    await self._renew(db)
        finally:
            await db.close()

    async def _write_heartbeats(self, db: Database) -> None:
        held = self.held()
        beats = {task: beat for task, beat in self._heartbeats.take().items() if task in held}
        if not beats:
            return
        await self._write_beats(
            db, [HeldBeat(task, held[task], beat.progress, beat.details) for task, beat in beats.items()]
        )

    async def _write_beats(self, db: Database, beats: Sequence[HeldBeat]) -> None:
        """In halves when it fails, so that one that cannot be stored stops no other."""
        try:
            await db.transact(partial(heartbeats.write, beats=beats))
        except Exception as error:  # only what people see is older, and this thread must live
            if len(beats) == 1 or isinstance(error, StoreUnavailable):
                _log.warning("heartbeats_lost", f"{type(error).__name__}: {error}", tasks=len(beats))
                return
            half = len(beats) // 2
            await self._write_beats(db, beats[:half])
            await self._write_beats(db, beats[half:])

    async def _renew(self, db: Database) -> None:
        held = self.held()
        if not held:
            return
        try:
            renewed = await db.transact(partial(claims.renew, tokens=held, lease_seconds=self._seconds))
        except Exception as error:  # whatever it was, the next renewal may work, and this thread must live
            _log.warning("renewal_failed", f"{type(error).__name__}: {error}", tasks=len(held))
            return
        lost = held.keys() - renewed
        still = self.held()
        # What was settled while the renewal ran is not lost.
        lost = {task for task in lost if still.get(task) == held[task]}
        if lost:
            self._on_lost(lost)
