"""The jobs that a worker runs now: begun, stopped, timed out, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

from rq.utils import now

from headrace.graph.json_types import JsonValue
from headrace_worker.rq_claim import ClaimedJob
from headrace_worker.rq_finish import Ended
from headrace_worker.rq_perform import JobTimedOut, Performer, Raised

_Future: TypeAlias = "asyncio.Future[JsonValue] | asyncio.Task[object]"


class Lane(Protocol):
    """Runs the jobs of some functions itself, many at once."""

    functions: frozenset[str]
    """Their dotted names."""

    @property
    def settling(self) -> int:
        """Jobs whose code has ended and whose end is being recorded: they need no slot any more."""

    def begin(self, jobs: Sequence[ClaimedJob]) -> Sequence[asyncio.Future[JsonValue]]:
        """Starts jobs that were claimed together and gives one future for each.

        A future's result is the job's return value; an exception fails the job; cancelled, it was stopped.
        """

    def stop(self, job: ClaimedJob) -> None:
        """Stops one of them: its future is to be cancelled soon. A job that has ended is passed over."""


class ShutDown(Exception):
    """The worker was shut down before the job ended."""


@dataclass(eq=False, slots=True)
class _Slot:
    claimed: ClaimedJob
    in_lane: bool
    future: _Future | None = None
    timer: asyncio.TimerHandle | None = None
    stopping: bool = False


class RunningJobs:
    """Jobs from their claim to their end. Lives on one loop. on_end: called once for each of them."""

    def __init__(self, lane: Lane, threads: int, on_end: Callable[[Ended], None]) -> None:
        self._lane = lane
        self._performer = Performer(threads)
        self._on_end = on_end
        self._slots: dict[str, _Slot] = {}  # by execution id: a job that was pushed twice may run twice

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[ClaimedJob]:
        return (slot.claimed for slot in self._slots.values())

    def start(self, jobs: Sequence[ClaimedJob]) -> None:
        """Begins them: the lane's together, any others one by one, and fails those that cannot be read."""
        slots = [_Slot(claimed, self._is_for_lane(claimed)) for claimed in jobs]
        self._slots.update((slot.claimed.execution_id, slot) for slot in slots)
        self._begin_in_lane([slot for slot in slots if slot.in_lane])
        for slot in [slot for slot in slots if not slot.in_lane]:
            if slot.claimed.damage:
                self._end(slot, error=slot.claimed.damage)
            else:
                self._follow(slot, asyncio.create_task(self._performer.perform(slot.claimed.job)))

    def follow(self, claimed: ClaimedJob, future: asyncio.Future[JsonValue]) -> None:
        """Takes over a job of the lane's that is already begun."""
        slot = _Slot(claimed, in_lane=True)
        self._slots[claimed.execution_id] = slot
        self._follow(slot, future)
        self._limit(slot)

    def stop(self, job_id: str) -> None:
        """Stops this job alone, if it runs here. What a synchronous function still does is out of reach."""
        for slot in [slot for slot in self._slots.values() if slot.claimed.id == job_id]:
            slot.stopping = True
            self._interrupt(slot)

    def shut_down(self) -> None:
        """Ends every job with the error ShutDown, and tells it to stop."""
        for slot in list(self._slots.values()):
            self._end(slot, error=ShutDown("The worker was shut down before the job ended."))
            if slot.future:
                slot.future.cancel()

    def close(self) -> None:
        self._performer.close()

    def _is_for_lane(self, claimed: ClaimedJob) -> bool:
        return claimed.function in self._lane.functions

    def _begin_in_lane(self, slots: Sequence[_Slot]) -> None:
        try:
            futures = self._lane.begin([slot.claimed for slot in slots]) if slots else []
            for slot, future in zip(slots, futures, strict=True):
                self._follow(slot, future)
                self._limit(slot)
        except Exception as error:
            for slot in slots:
                self._end(slot, error=error)

    def _follow(self, slot: _Slot, future: _Future) -> None:
        slot.future = future
        future.add_done_callback(partial(self._done, slot))

    def _limit(self, slot: _Slot) -> None:
        timeout = slot.claimed.timeout
        if timeout:
            slot.timer = asyncio.get_running_loop().call_later(timeout, self._expire, slot, timeout)

    def _expire(self, slot: _Slot, timeout: float) -> None:
        self._end(slot, error=JobTimedOut(timeout))
        self._interrupt(slot)

    def _interrupt(self, slot: _Slot) -> None:
        if slot.in_lane:
            self._lane.stop(slot.claimed)
        elif slot.future:
            slot.future.cancel()

    def _done(self, slot: _Slot, future: asyncio.Future[object]) -> None:
        if future.cancelled():
            self._end(slot, stopped=True)
            return
        error = future.exception()
        result = None if error else future.result()
        if isinstance(result, Raised):
            error, result = result.error, None
        self._end(slot, result, error, stopped=slot.stopping and error is not None)

    def _end(
        self, slot: _Slot, result: object = None, error: BaseException | None = None, stopped: bool = False
    ) -> None:
        if self._slots.pop(slot.claimed.execution_id, None) is None:
            return  # what a job answers after its timeout or the shutdown comes too late
        if slot.timer:
            slot.timer.cancel()
        self._on_end(Ended(slot.claimed, now(), result, error, stopped))
