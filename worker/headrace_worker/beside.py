"""Shows RQ the jobs that were handed over inside this process: begun and ended like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from headrace.graph.dispatch import Release, RunTask
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.queues.records import record_of
from headrace_worker.concurrent_worker import ConcurrentWorker


class BesideTheQueues:
    """Adopts jobs into the workers of both queues."""

    def __init__(self, tasks: ConcurrentWorker, dependencies: ConcurrentWorker) -> None:
        self._tasks = tasks
        self._dependencies = dependencies

    def promise_slots(self, most: int) -> int:
        """Keeps up to so many slots free for successors past the queue; a negative number gives them back."""
        return self._tasks.promise_slots(most)

    def slots_freed(self) -> None:
        """More jobs wait for their settlement and need no slot any more."""
        self._tasks.slots_freed()

    def began(self, dispatch: RunTask, future: asyncio.Future[JsonValue]) -> None:
        """A task's job was begun here; the future is its end."""
        self._tasks.adopt(record_of(dispatch), future)

    def released(self, tasks: Sequence[TaskId]) -> None:
        """The successors of these tasks were released here: their dependency job has run."""
        if tasks:
            future: asyncio.Future[JsonValue] = asyncio.get_running_loop().create_future()
            future.set_result(len(tasks))
            self._dependencies.adopt(record_of(Release(tuple(tasks))), future)
