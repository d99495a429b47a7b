"""An RQ worker that runs many jobs at once on one asyncio loop and keeps RQ's data model truthful."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from functools import partial
from typing import TypeVar

from redis import Redis
from redis.exceptions import RedisError
from rq.suspension import is_suspended
from rq.utils import now
from rq.worker import WorkerStatus

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.log import Log
from headrace.queues.records import JobRecord
from headrace_worker.queue_listener import QueueListener
from headrace_worker.rota import Rota
from headrace_worker.rq_claim import ClaimedJob, Keys, renew
from headrace_worker.rq_exchange import Answer, Exchange, Request
from headrace_worker.rq_finish import Ended, record
from headrace_worker.rq_worker import RegisteredWorker
from headrace_worker.running_jobs import Lane, RunningJobs

__all__ = ["ConcurrentWorker", "Lane"]

_SUSPENDED_SECONDS = 0.01
_COMPANY_SECONDS = 0.005
_MOST_HELD = 16
"""Times as many jobs as slots may be held at once, most of them ended and about to be recorded."""

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 3.0
_MAINTENANCE_SECONDS = 60.0
_RECORDERS = 4
_LAST_WORDS_SECONDS = 3.0

T = TypeVar("T")

_log = Log(__name__)


class ConcurrentWorker(RegisteredWorker):
    """Runs up to `slots` jobs at once: the lane's in the lane, any others as RQ would.

    queues: while one holds jobs, none is taken from those after it. others: those of other projects, which
    take turns with them; nobody listens on these, so `look_again` must be called when one was filled.
    connection: its socket timeout must be longer than 2 s. threads: for synchronous functions outside it.
    grace: seconds that running jobs have left to end after `request_stop`.
    """

    heartbeat_seconds = 30.0
    sign_seconds = 3.0
    """Redis hears of the worker at least so often: `queues.inspect` takes one that is silent for dead."""

    def __init__(
        self,
        queues: Sequence[str],
        *,
        connection: Redis,
        lane: Lane,
        slots: int,
        threads: int,
        name: str | None = None,
        grace: float = 10.0,
        others: Iterable[Sequence[str]] = (),
    ) -> None:
        rota = Rota(queues, *others)
        super().__init__(rota.queues, connection, name, self._heard_command)
        self._slots, self._grace = slots, grace
        self._lane = lane
        self._running = RunningJobs(lane, threads, self._on_end)
        self._adopted: list[ClaimedJob] = []  # begun here without a queue, for the next exchange
        self._ended: list[Ended] = []  # plain successes, for the next exchange
        self._recorded: dict[str, ClaimedJob] = {}  # all other ends, while a thread records them
        self._recording: set[asyncio.Task[None]] = set()
        self._exchange = Exchange(connection, Keys(rota, self.name))
        # RQ's and redis-py's calls block, so none is made on the loop.
        self._redis = ThreadPoolExecutor(1, thread_name_prefix="rq-redis")
        self._listener = QueueListener(connection, self.queue_keys()[: len(queues)], self._be_ready)
        self._recorders = ThreadPoolExecutor(_RECORDERS, thread_name_prefix="rq-record")
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()  # a queue may hold jobs, or it is time to go
        self._ready = True  # a queue may hold jobs
        self._heard_at = float("-inf")  # when the last claim said that this worker lives
        self._held = False  # by `rq suspend`
        self._promised = 0  # slots for jobs that go past the queue
        self._unsaid = False  # Redis does not know what this worker does now
        self._in_doubt = False  # the answer to a claim may have got lost
        self._resuming: asyncio.Task[None] | None = None  # looks whether `rq resume` was said
        self._pause = _FIRST_PAUSE

    @property
    def running(self) -> int:
        """Jobs that were claimed and have not ended."""
        return len(self._running)

    def promise_slots(self, most: int) -> int:
        """Keeps up to `most` free slots for jobs that go past the queue; returns how many.

        None while a queue may hold jobs: they come first. A negative number gives slots back.
        """
        may_pass = not (self._ready or self._held or self._stop_requested)
        count = most if most < 0 else min(most, self._free) if may_pass else 0
        self._promised += count
        return count

    def slots_freed(self) -> None:
        """The lane's `settling` has grown: there is room for more jobs before those have ended."""
        if self._ready:
            self._wake.set()

    def adopt(self, job: JobRecord, future: asyncio.Future[JsonValue]) -> None:
        """Takes a job that was made in this process and is being run here, without a way through the queue.

        It counts, is shown and ends like any other. The future of one that has ended holds its result.
        """
        claimed = self._exchange.adopt(job)
        self._adopted.append(claimed)
        if future.done():
            self._ended.append(Ended(claimed, now(), future.result()))
        else:
            self._running.follow(claimed, future)
        self._wake.set()

    async def serve_also(self, queues: Sequence[str]) -> None:
        """Takes jobs of one more project, whose queues are like `others`. Raises RedisError."""
        await self._in(self._redis, self.join, queues)
        await self._in(self._redis, self._exchange.keys.rota.add, queues)
        self._be_ready()

    def look_again(self) -> None:
        """A queue may hold jobs. Call it on the loop."""
        self._be_ready()

    def request_stop(self, _signum: object = None, _frame: object = None) -> None:
        """Claims nothing more; `serve` returns when the running jobs have ended. Call it on the loop."""
        self._stop_requested = True
        self._wake.set()
        self._hurry.set()

    async def serve(self) -> None:
        """Works until `request_stop`, then for up to `grace` seconds until the running jobs have ended.

        What still runs then is cancelled and recorded in RQ as failed by ShutDown; the engine's tasks behind
        those jobs are the caller's to hand back. Raises ValueError if a worker of this name lives.
        """
        self._loop = asyncio.get_running_loop()
        try:
            await self._insist(self.arrive)
            async with asyncio.TaskGroup() as group:
                chores = [
                    group.create_task(chore)
                    for chore in (self._keep_alive(), self._show_life(), self._maintain())
                ]
                while not self._stop_requested:
                    await self._turn()
                await self._drain()
                for chore in chores:
                    chore.cancel()
        finally:
            await self._close()

    async def _turn(self) -> None:
        self._wake.clear()
        if self._wanted() or self._unsaid:
            await self._trade(self._wanted())
        elif self._ended or self._adopted:
            await self._wait_for_company()
            await self._trade(self._wanted())
        else:
            self._listen()
            await self._wake.wait()

    def _wanted(self) -> int:
        return 0 if self._stop_requested or not self._ready else self._free

    async def _wait_for_company(self) -> None:
        """Lets news for Redis gather while all queues are empty: nobody waits for them, and each costs."""
        self._listen()
        with suppress(TimeoutError):
            async with asyncio.timeout(_COMPANY_SECONDS):
                await self._hurry.wait()

    @property
    def _free(self) -> int:
        held = len(self._running) + len(self._recorded)
        free = self._slots - held - self._promised + self._lane.settling
        return max(0, min(free, _MOST_HELD * self._slots - held))

    async def _trade(self, wanted: int) -> None:
        """One exchange: what has ended goes to Redis, up to `wanted` new jobs come from it."""
        ended, self._ended = self._ended, []
        adopted, self._adopted = self._adopted, []
        self._unsaid = False
        try:
            answer = await self._in(self._redis, self._exchange.run, self._request(adopted, ended, wanted))
        except (RedisError, asyncio.CancelledError) as error:
            self._adopted[:0] = adopted
            self._ended[:0] = ended
            self._in_doubt = True
            if isinstance(error, asyncio.CancelledError):
                raise
            await self._wait_for_redis(error)
            return
        self._pause = _FIRST_PAUSE
        for one in ended:
            if one.claimed.execution_id in answer.not_plain:
                self._record_apart(one)
        self._running.start(answer.jobs)
        if wanted:
            await self._learn(answer, wanted)

    def _request(self, adopted: list[ClaimedJob], ended: list[Ended], wanted: int) -> Request:
        held = [*self._running, *self._recorded.values()]
        known = None
        if self._in_doubt and wanted:
            self._in_doubt = False
            known = {one.entry for one in (*held, *(end.claimed for end in ended))}
        state = WorkerStatus.SUSPENDED if self._held else WorkerStatus.BUSY if held else WorkerStatus.IDLE
        self._state = state.value
        return Request(adopted, ended, wanted, state.value, held[0].id if held else None, known)

    async def _learn(self, answer: Answer, wanted: int) -> None:
        """What the answer to a claim tells beside its jobs."""
        self._heard_at = self._loop.time()
        self._ready = len(answer.jobs) == wanted
        self._hurry.clear()
        if self._held != answer.suspended:
            self._held, self._unsaid = answer.suspended, True
        if self._held and self._resuming is None:
            self._resuming = self._loop.create_task(self._until_resumed())
        if not answer.registered:
            await self._insist(self.arrive_again)
            self._ready = True

    async def _until_resumed(self) -> None:
        """One EXISTS now and then. When Redis is away, the claim that follows finds out."""
        with suppress(RedisError):
            while await self._in(self._redis, is_suspended, self.connection):
                await asyncio.sleep(_SUSPENDED_SECONDS)
        self._resuming = None
        self._be_ready()

    def _be_ready(self) -> None:
        self._ready = True
        self._wake.set()
        self._hurry.set()

    def _on_end(self, ended: Ended) -> None:
        if ended.is_plain:
            self._ended.append(ended)
            self._wake.set()
        else:
            self._record_apart(ended)

    def _record_apart(self, ended: Ended) -> None:
        self._recorded[ended.claimed.execution_id] = ended.claimed
        task = self._loop.create_task(self._record(ended))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _record(self, ended: Ended) -> None:
        try:
            await self._in(self._recorders, record, copy(self), ended, self._closing)
        except Exception:
            _log.exception("record", f"job {ended.claimed.id} could not be recorded")
        finally:
            del self._recorded[ended.claimed.execution_id]
            self._unsaid = True
            self._wake.set()

    def _listen(self) -> None:
        if self._free and not (self._stop_requested or self._held):
            self._listener.listen()

    def _heard_command(self, command: JsonObject) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._obey, command)

    def _obey(self, command: JsonObject) -> None:
        """`kill-horse` and unknown ones are passed over: there is no child process."""
        match command:
            case {"command": "stop-job", "job_id": str(job_id)}:
                self._running.stop(job_id)
            case {"command": "shutdown"}:
                self.request_stop()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_seconds)
            held = [*self._running, *self._recorded.values(), *(one.claimed for one in self._ended)]
            try:
                await self._in(self._redis, self._renew, held)
            except RedisError as error:
                _log.warning("heartbeat", "Redis does not answer", error=str(error))
            self._in_doubt = True  # redis-py repeats a claim whose answer it has not got, and hides that

    async def _show_life(self) -> None:
        """Claims say that the worker lives. One whose slots are all taken for long makes none."""
        while True:
            await asyncio.sleep(self.sign_seconds)
            if self._loop.time() - self._heard_at >= self.sign_seconds:
                with suppress(RedisError):  # others notice that it is away, and say so
                    await self._in(self._redis, renew, self.connection, self._exchange.keys, ())

    def _renew(self, held: Sequence[ClaimedJob]) -> None:
        if not renew(self.connection, self._exchange.keys, held):
            self.arrive_again()

    async def _maintain(self) -> None:
        while True:
            try:
                await self._in(self._recorders, copy(self).maintain)
            except Exception:
                _log.exception("maintain", "cleaning RQ's registries failed, trying again in a minute")
            await asyncio.sleep(_MAINTENANCE_SECONDS)

    async def _drain(self) -> None:
        if self._running:
            self._shutdown_requested_date = now()
            with suppress(RedisError):
                await self._in(self._redis, self.set_shutdown_requested_date)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._grace):
                await self._finish()
            return
        self._running.shut_down()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._finish()

    async def _finish(self) -> None:
        while self._running or self._recorded or self._ended or self._adopted or self._unsaid:
            await self._turn()

    async def _close(self) -> None:
        if self._resuming:
            self._resuming.cancel()
        await self._listener.close()
        await self._in(self._redis, self.leave)
        self._running.close()
        for executor in (self._redis, self._recorders):
            executor.shutdown(wait=False, cancel_futures=True)

    async def _insist(self, call: Callable[[], T]) -> T | None:
        """Calls until Redis answers; None if the worker is to stop before."""
        while not self._stop_requested:
            try:
                return await self._in(self._redis, call)
            except RedisError as error:
                await self._wait_for_redis(error)
        return None

    async def _wait_for_redis(self, error: RedisError) -> None:
        _log.warning("redis", f"Redis does not answer, trying again in {self._pause:.1f} s", error=str(error))
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _in(self, threads: Executor, call: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        return self._loop.run_in_executor(threads, partial(call, *arguments))
