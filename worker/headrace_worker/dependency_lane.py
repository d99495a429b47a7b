"""The dependency lane: jobs of `workflow-dependencies`. All that wait are released in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from rq.job import Job

from headrace.engine.release import release
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.queues.names import RELEASE
from headrace_worker.runtime import Runtime, patiently


class DependencyLane:
    """Releases the successors of ended tasks. A job's result is how many tasks became ready."""

    functions = frozenset({RELEASE})

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Job, asyncio.Future[JsonValue]]] = []
        self._working: asyncio.Task[None] | None = None

    def begin(self, jobs: Sequence[Job]) -> Sequence[asyncio.Future[JsonValue]]:
        """Takes jobs; they are released together with others that wait."""
        futures: list[asyncio.Future[JsonValue]] = [self._loop.create_future() for _ in jobs]
        self._waiting += zip(jobs, futures, strict=True)
        if self._working is None:
            self._working = self._loop.create_task(self._release_all())
        return futures

    def stop(self, job: Job) -> None:
        """A release is a short transaction and is not interrupted."""

    async def _release_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            tasks = list(dict.fromkeys(task for job, _ in group for task in tasks_of(job)))
            try:
                dispatches = await patiently(partial(release, self._runtime.engine, tasks))
                await self._runtime.push(dispatches)
                for _, future in group:
                    if not future.done():
                        future.set_result(len(dispatches))
            except Exception as error:
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
        self._working = None


def tasks_of(job: Job) -> list[TaskId]:
    """The tasks that a job of `workflow-dependencies` names."""
    (names,) = job.args
    return [TaskId.parse(name) for name in names]
