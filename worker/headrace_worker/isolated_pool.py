"""The process lane: code that may crash, eat memory or never end, in a few child processes."""

from __future__ import annotations

import asyncio
from typing import cast

from headrace.activities.notes import Hear
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Failed
from headrace.log import Log
from headrace.nodes.lanes import AttemptFailed
from headrace_worker.isolated_child import Child, ChildDied, Nonsense
from headrace_worker.isolated_wire import Answer, Call, Problem

_IDLE_SECONDS = 60.0

_log = Log("headrace.worker")


class IsolatedPool:
    """Up to `size` children, started when they are needed, one call at a time each. Lives on one loop.

    A child is used again, unless its call failed badly or left something behind. memory_mb: what the code of
    one may use. idle_seconds: after so long without a call a child ends.
    """

    def __init__(self, size: int, memory_mb: int, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._memory = memory_mb << 20
        self._idle_seconds = idle_seconds
        self._free = asyncio.Semaphore(size)
        self._idle: dict[Child, asyncio.TimerHandle] = {}
        self._children: set[Child] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> list[int]:
        """Of the children, busy or not."""
        return [child.pid for child in self._children]

    async def run(self, function: str, payload: JsonValue, hear: Hear | None = None) -> JsonValue:
        """Calls `module:qualname` with the payload; raises AttemptFailed. See `Lanes.run_isolated`."""
        await self._free.acquire()
        child = None
        try:
            child = self._take() or await self._start()
            answer = await child.call(Call(function=function, payload=payload), hear)
        except BaseException as error:
            self._part_with(child)
            if isinstance(error, (ChildDied, Nonsense)):
                raise AttemptFailed(Failed(str(error), kind="ProcessDied")) from error
            raise
        if answer["spent"]:
            self._part_with(child)
        else:
            self._keep(child)
        return _result(function, answer)

    async def close(self) -> None:
        """Kills the children and waits until they are gone; calls that still run fail."""
        for child in list(self._idle):
            self._dismiss(child)
        for child in self._children:
            child.let_go()
        while self._children:
            await asyncio.gather(*(child.gone() for child in self._children), *self._leaving)

    def _take(self) -> Child | None:
        """The child that was used last, if it lives: the others may then end."""
        while self._idle:
            child, timer = self._idle.popitem()
            timer.cancel()
            if child.is_alive:
                return child
            self._leave(child)
        return None

    async def _start(self) -> Child:
        child = await Child.start(self._memory)
        self._children.add(child)
        return child

    def _keep(self, child: Child) -> None:
        self._idle[child] = asyncio.get_running_loop().call_later(self._idle_seconds, self._dismiss, child)
        self._free.release()

    def _dismiss(self, child: Child) -> None:
        self._idle.pop(child).cancel()
        self._leave(child)

    def _part_with(self, child: Child | None) -> None:
        """Has it killed now; its place is free when it is gone."""
        if child is None:
            self._free.release()
        else:
            self._leave(child).add_done_callback(lambda _: self._free.release())

    def _leave(self, child: Child) -> asyncio.Task[None]:
        child.let_go()
        leaving = asyncio.create_task(self._see_off(child))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        return leaving

    async def _see_off(self, child: Child) -> None:
        await child.gone()
        self._children.discard(child)


def _result(function: str, answer: Answer) -> JsonValue:
    problem = answer["problem"]
    if problem is not None:
        raise AttemptFailed(_failed(function, problem))
    return cast(JsonValue, answer["output"])


def _failed(function: str, problem: Problem) -> Failed:
    if problem["traceback"]:
        _log.warning("isolated_code_raised", problem["traceback"], function=function)
    return Failed(
        problem["message"],
        kind=problem["kind"],
        retryable=problem["retryable"],
        details=cast(JsonValue, problem["details"]),
        retry_after=problem["retry_after"],
        asks_again=problem["asks_again"],
    )
