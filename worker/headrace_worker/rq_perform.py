"""Executes jobs that no lane knows: any function that somebody enqueued with RQ."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass

from rq.job import Job, _job_stack
from rq.queue import Queue
from rq.timeouts import JobTimeoutException

# RQ finds the current job by thread. Coroutines share one, so they are told apart by their context instead.
_execution: ContextVar[object | None] = ContextVar("rq_execution", default=None)
_thread_ident = _job_stack.__ident_func__
_job_stack.__ident_func__ = lambda: _execution.get() or _thread_ident()


class JobTimedOut(JobTimeoutException):
    """A job took longer than its timeout."""

    def __init__(self, seconds: float) -> None:
        # Not RQ's __init__: RQ's death penalty replaces that by one which names the last callback's timeout.
        Exception.__init__(self, f"Task exceeded maximum timeout value ({seconds} seconds)")


@dataclass(frozen=True, slots=True)
class Raised:
    """What a job raised, as a value: a future holds no StopIteration, and SystemExit would end the loop."""

    error: BaseException


class Performer:
    """Runs coroutine functions on the loop, and all others in up to `threads` threads.

    No thread can be killed: when the timeout of a synchronous function passes, its job is failed and its
    result will be dropped, but the function runs on, and so does the process until it ends.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rq-job")
        self._gate = asyncio.Semaphore(threads)

    async def perform(self, job: Job) -> object:
        """The function's result, or Raised. The timeout counts from when the function begins."""
        timeout = timeout_of(job)
        timer = asyncio.timeout(timeout)
        try:
            function = await asyncio.to_thread(getattr, job, "func")  # imports the function's module
            if inspect.iscoroutinefunction(function):
                async with timer:
                    return await _perform_coroutine(job, function)
            async with self._gate, timer:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._pool, _perform_in_thread, job)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            return Raised(JobTimedOut(timeout) if timeout and timer.expired() else error)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def timeout_of(job: Job) -> float | None:
    """Seconds that the job may take; None for no limit, which RQ writes as -1."""
    timeout = job.timeout or Queue.DEFAULT_TIMEOUT
    return timeout if timeout > 0 else None


async def _perform_coroutine(job: Job, function: Callable[..., Awaitable[object]]) -> object:
    """`Job.perform`, which would start a loop of its own."""
    _execution.set(object())
    _job_stack.push(job)  # type: ignore[no-untyped-call]
    try:
        return await function(*job.args, **job.kwargs)
    finally:
        _job_stack.pop()  # type: ignore[no-untyped-call]


def _perform_in_thread(job: Job) -> object:
    try:
        return job.perform()
    except BaseException as error:
        return Raised(error)
