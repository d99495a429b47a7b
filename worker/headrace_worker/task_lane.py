"""The task lane: jobs of the task queues, claimed in batches, run at once, settled in groups."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Protocol

from headrace.engine.execute import (
    Finished,
    hand_back,
    is_instant,
    make_ready,
    perform,
    perform_at_once,
    take,
)
from headrace.engine.handover import Ran, Taker
from headrace.engine.prepare import Execution
from headrace.engine.settle import Settled, settle
from headrace.graph.dispatch import Dispatch, RunTask
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Done, Failed
from headrace.graph.statistics import End
from headrace.queues.names import RUN_TASK
from headrace.store.claims import Delivery
from headrace.store.workers import Load
from headrace_worker.counting import Counting
from headrace_worker.leases import Leases
from headrace_worker.rq_claim import ClaimedJob
from headrace_worker.runtime import Runtime, patiently

DUPLICATE = "duplicate"
"""The result of a job whose task was delivered twice or cancelled: nothing was run."""

_STOPPED = Failed("the job was stopped", kind="Stopped", retryable=False)
_LAST_SETTLEMENT_SECONDS = 2.0
_SETTLEMENTS = 2
"""Settlements at once: while one waits for the disk, the next is under way."""


class Beside(Protocol):
    """What the lane tells RQ of work that went past its queues."""

    def promise_slots(self, most: int) -> int:
        """Keeps up to so many slots free for successors past the queue; a negative number gives them back."""

    def slots_freed(self) -> None:
        """More jobs wait for their settlement and need no slot any more."""

    def began(self, dispatch: RunTask, future: asyncio.Future[JsonValue]) -> None:
        """A task's job was begun here; the future is its end."""

    def released(self, tasks: Sequence[TaskId]) -> None:
        """The successors of these tasks were released here."""


@dataclass(slots=True)
class _Seat:
    """A job in the lane, from its claim to its settlement.

    is_asked: to end its code within its grace. began: when its code did, then seconds: how long that took.
    """

    delivery: Delivery
    future: asyncio.Future[JsonValue]
    code: asyncio.Task[Finished] | None = None
    execution: Execution | None = None
    finished: Finished | None = None
    stopped: bool = False
    is_asked: bool = False
    began: float = 0.0
    seconds: float = 0.0


@dataclass(slots=True)
class _Promised:
    """The slots that one settlement has kept free for the successors that it takes."""

    beside: Beside
    count: int = 0

    def renew(self, most: int) -> int:
        """Gives back what it has, and keeps up to `most`; returns how many."""
        if self.count:
            self.beside.promise_slots(-self.count)
        self.count = self.beside.promise_slots(most) if most else 0
        return self.count


class TaskLane:
    """Runs nodes. All on one loop, but for the renewal of leases."""

    functions = frozenset({RUN_TASK})

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._leases = Leases(
            runtime.urls.database,
            runtime.settings.lease_seconds,
            self._lost_from_thread,
            runtime.lanes.heartbeats,
        )
        self._seats: dict[TaskId, _Seat] = {}
        self._done: list[_Seat] = []
        self._settling: set[asyncio.Task[None]] = set()
        self._in_settlement = 0
        self._background: set[asyncio.Task[None]] = set()
        self._completed = 0
        self._failed = 0
        self._busy = 0.0
        self.counting = Counting()

    def open(self, beside: Beside) -> None:
        """beside: where jobs are shown that no queue saw."""
        self._beside = beside
        self._leases.start()

    @property
    def load(self) -> Load:
        """What the worker's row shows."""
        return Load(len(self._seats), self._completed, self._failed, self._busy)

    @property
    def settling(self) -> int:
        """Jobs whose nodes have ended: they wait for their settlement, or are in one."""
        return len(self._done) + self._in_settlement

    def begin(self, jobs: Sequence[ClaimedJob]) -> Sequence[asyncio.Future[JsonValue]]:
        """Claims the jobs' tasks in one transaction and runs them. A job's result is its task's status."""
        futures: list[asyncio.Future[JsonValue]] = [self._loop.create_future() for _ in jobs]
        seats = []
        for job, future in zip(jobs, futures, strict=True):
            try:
                seats.append(_Seat(delivery_of(job), future))
            except ValueError as error:
                future.set_exception(error)
        self._spawn(self._claim_and_run(seats))
        return futures

    def stop(self, job: ClaimedJob) -> None:
        """Stops one job's node; its task fails."""
        delivery = delivery_of(job)
        seat = self._seats.get(delivery.task)
        if seat is not None and seat.delivery == delivery:
            self._stop(seat)

    def stop_tasks(self, tasks: Iterable[TaskId], grace: float = 0.0) -> None:
        """Stops the code of tasks that are no longer this process's: cancelled, or taken back.

        With a grace, the code is asked first, and stopped after so many seconds.
        """
        for task in tasks:
            seat = self._seats.get(task)
            if seat is None or seat.is_asked:
                continue
            if grace > 0 and seat.execution is not None:
                seat.is_asked = True
                seat.execution.cancelled.set()
                self._loop.call_later(grace, self._stop, seat)
            else:
                self._stop(seat)

    async def hand_back(self) -> None:
        """Gives the tasks that still run back to the queue, stops their code and ends the lane."""
        if self._background:
            await asyncio.wait(self._background, timeout=_LAST_SETTLEMENT_SECONDS)
        for seat in self._seats.values():
            if seat.code is not None:
                seat.code.cancel()
        held = self._leases.held()
        try:
            if held:
                await self._runtime.push(await hand_back(self._runtime.engine, held))
        finally:
            await asyncio.to_thread(self._leases.close)

    async def _claim_and_run(self, seats: Sequence[_Seat]) -> None:
        wanted = [seat.delivery for seat in seats]
        try:
            engine = self._runtime.engine
            claimed = await patiently(partial(take, engine, wanted, self._runtime.worker_id))
            executions = await patiently(partial(make_ready, engine, claimed))
        except Exception as error:
            for seat in seats:
                _answer(seat, error=error)
            return
        by_task = {execution.task: execution for execution in executions}
        for seat in seats:
            execution = by_task.get(seat.delivery.task)
            if execution is None or execution.claim.delivery != seat.delivery.delivery:
                _answer(seat, DUPLICATE)
                continue
            # Another seat of this batch may hold the same delivery.
            del by_task[seat.delivery.task]
            self._run(seat, execution)
        self._settle_soon()

    def _run(self, seat: _Seat, execution: Execution) -> None:
        self._seats[execution.task] = seat
        self._leases.hold(execution.task, execution.claim.token)
        seat.began = perf_counter()
        if is_instant(execution):
            seat.finished = self._at_once(execution)
            seat.seconds = perf_counter() - seat.began
            self._done.append(seat)
            return
        seat.execution = execution
        seat.code = self._loop.create_task(perform(execution, self._runtime.http, self._runtime.lanes))
        seat.code.add_done_callback(partial(self._performed, seat, execution))

    def _at_once(self, execution: Execution) -> Finished:
        return perform_at_once(execution, self._runtime.http)

    def _performed(self, seat: _Seat, execution: Execution, code: asyncio.Task[Finished]) -> None:
        if code.cancelled() and not seat.stopped:
            self._leave(seat, execution)
            seat.future.cancel()
            return
        seat.seconds = perf_counter() - seat.began
        seat.finished = Finished(execution, _STOPPED) if code.cancelled() else code.result()
        self._done.append(seat)
        self._settle_soon()

    def _settle_soon(self) -> None:
        """Whatever ends while settlements are under way is the next group."""
        self._beside.slots_freed()
        if self._done and len(self._settling) < _SETTLEMENTS:
            settling = self._spawn(self._settle_group())
            self._settling.add(settling)
            settling.add_done_callback(self._settled)

    def _settled(self, settling: asyncio.Task[None]) -> None:
        self._settling.discard(settling)
        self._settle_soon()

    async def _settle_group(self) -> None:
        group, self._done = self._done, []
        self._in_settlement += len(group)
        finished = [seat.finished for seat in group if seat.finished is not None]
        promised = _Promised(self._beside)
        try:
            taker = Taker(self._runtime.worker_id, promised.renew, self._at_once)
            settled = await patiently(partial(settle, self._runtime.engine, finished, taker))
            self._deliver(settled.dispatches)
            if settled.dispatches and settled.taken:
                await asyncio.sleep(0)  # others can begin while this process takes its share
            for one in settled.ran:
                self._show(one)
            for execution in settled.taken:
                self._take(execution)
            self._settle_soon()
            self._beside.released(settled.released)
            self._count(group, settled)
            self._end(group, set(settled.late))
        except Exception as error:
            for seat in group:
                _answer(seat, error=error)
        finally:
            promised.renew(0)
            self._in_settlement -= len(group)
            for seat in group:
                if seat.finished is not None:
                    self._leave(seat, seat.finished.execution)

    def _deliver(self, dispatches: Sequence[Dispatch]) -> None:
        if dispatches:
            self._spawn(self._runtime.push(dispatches))

    def _take(self, execution: Execution) -> None:
        """Runs a successor that was claimed as its parent was settled."""
        claimed = execution.claim
        seat = _Seat(Delivery(claimed.task, claimed.attempt, claimed.delivery), self._loop.create_future())
        node = execution.node
        self._beside.began(
            RunTask(
                claimed.task,
                claimed.attempt,
                claimed.delivery,
                node.id,
                node.attempt_timeout,
                claimed.priority,
                execution.program.project,
            ),
            seat.future,
        )
        self._run(seat, execution)

    def _show(self, ran: Ran) -> None:
        """A successor that ran ahead and is recorded: its job began here and has ended."""
        future: asyncio.Future[JsonValue] = self._loop.create_future()
        future.set_result("ok")
        self._beside.began(ran.dispatch, future)
        self._completed += 1
        self._busy += ran.seconds
        self.counting.add(ran.execution, ran.seconds, Done(None), End.SUCCESS)

    def _count(self, group: Sequence[_Seat], settled: Settled) -> None:
        """For the statistics and the worker's row: what was recorded, each task once."""
        counted = set(settled.late)
        for seat in group:
            done = seat.finished
            if done is None or done.execution.task in counted:
                continue
            counted.add(done.execution.task)
            end = settled.ends.get(done.execution.task, End.SUCCESS)
            self.counting.add(done.execution, seat.seconds, done.outcome, end)
            self._busy += seat.seconds
            self._completed += end is End.SUCCESS
            self._failed += end in (End.FAILURE, End.RETRY)

    def _end(self, group: Sequence[_Seat], late: set[TaskId]) -> None:
        for seat in group:
            failed = seat.finished is not None and isinstance(seat.finished.outcome, Failed)
            if seat.stopped:
                seat.future.cancel()
            else:
                _answer(seat, "late" if seat.delivery.task in late else "failed" if failed else "ok")

    def _leave(self, seat: _Seat, execution: Execution) -> None:
        self._leases.drop(execution.task, execution.claim.token)
        if self._seats.get(execution.task) is seat:
            del self._seats[execution.task]

    def _stop(self, seat: _Seat) -> None:
        """Its code only: an end that is about to be recorded, or just was, looks lost to a renewal."""
        if seat.finished is None and seat.code is not None:
            seat.stopped = True
            seat.code.cancel()

    def _lost_from_thread(self, tasks: set[TaskId]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nothing runs any more
            self._loop.call_soon_threadsafe(self.stop_tasks, tasks)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


def delivery_of(job: ClaimedJob) -> Delivery:
    """What a job of a task queue carries; raises ValueError when it carries something else."""
    match job.args:
        case [str(task), int(attempt), int(delivery)]:
            return Delivery(TaskId.parse(task), attempt, delivery)
    raise ValueError(f"job {job.id} is no delivery of a task")


def _answer(seat: _Seat, result: JsonValue = None, error: Exception | None = None) -> None:
    if seat.future.done():
        return  # RQ's timeout or the shutdown was first
    if error is not None:
        seat.future.set_exception(error)
    else:
        seat.future.set_result(result)
