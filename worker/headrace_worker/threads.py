"""The thread lane: synchronous code beside the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar, cast

from headrace.log import Log
from headrace.nodes.lanes import AttemptFailed, failure_of

T = TypeVar("T")

_log = Log("headrace.worker")


class ThreadLane:
    """Runs up to `threads` calls at once, in the order in which they came. Lives on one loop.

    No thread can be killed: the caller of a call that is cancelled goes on at once, but the call keeps its
    place until it returns. The threads are daemons: one that never returns does not hold up a process's end.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._free = asyncio.Semaphore(threads)
        self._resting: list[_Thread] = []
        self._abandoned = 0
        self._closed = False

    @property
    def abandoned(self) -> int:
        """Calls that run on although nobody waits for them."""
        return self._abandoned

    async def run(self, call: Callable[[], T]) -> T:
        """Calls it with the caller's context variables; raises what it raises.

        What is no Exception comes as AttemptFailed: a SystemExit or CancelledError of the code must not end
        the loop or the task that waits for it.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Answer[T]] = loop.create_future()
        try:
            thread = self._resting.pop() if self._resting else _Thread()
        except RuntimeError:  # the system has no more threads
            self._free.release()
            raise

        def report(answer: _Answer[T]) -> None:
            loop.call_soon_threadsafe(self._ended, thread, future, answer)

        thread.calls.put(partial(_call_and_report, partial(copy_context().run, call), report))
        try:
            answer = await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._abandon()
            raise
        return answer.result()

    def close(self) -> None:
        """Ends the threads that rest; the others end as soon as their calls return."""
        self._closed = True
        for thread in self._resting:
            thread.calls.put(None)
        self._resting.clear()

    def _abandon(self) -> None:
        self._abandoned += 1
        _log.warning(
            "thread_abandoned",
            "code in a thread runs on although its attempt is over",
            abandoned=self._abandoned,
            threads=self._threads,
        )

    def _ended(self, thread: _Thread, future: asyncio.Future[_Answer[T]], answer: _Answer[T]) -> None:
        self._free.release()
        if self._closed:
            thread.calls.put(None)
        else:
            self._resting.append(thread)
        if future.cancelled():
            self._abandoned -= 1
        else:
            future.set_result(answer)


@dataclass(frozen=True, slots=True)
class _Answer(Generic[T]):
    """What a call gave or raised: a future holds no StopIteration, and SystemExit would end the loop."""

    value: T | None
    error: BaseException | None = None

    def result(self) -> T:
        if self.error is None:
            return cast(T, self.value)
        if isinstance(self.error, Exception) and not isinstance(self.error, StopIteration):
            raise self.error
        raise AttemptFailed(failure_of(self.error)) from self.error


class _Thread:
    """Makes the calls that are put into its queue. Ends at None, or when the loop is gone."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._work, name="sync-code", daemon=True).start()

    def _work(self) -> None:
        while call := self.calls.get():
            try:
                call()
            except RuntimeError:  # the loop is closed
                return
            del call  # what it holds may be large


def _call_and_report(call: Callable[[], T], report: Callable[[_Answer[T]], None]) -> None:
    answer: _Answer[T]
    try:
        answer = _Answer(call())
    except BaseException as error:
        answer = _Answer(None, error)
    report(answer)
