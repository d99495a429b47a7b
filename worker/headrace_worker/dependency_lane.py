"""The dependency lane: jobs of `workflow-dependencies`. All that wait are released in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from headrace.engine.release import release
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.queues.names import RELEASE
from headrace_worker.rq_claim import ClaimedJob
from headrace_worker.runtime import Runtime, patiently


class DependencyLane:
    """Releases the successors of ended tasks. A job's result is how many tasks became ready."""

    functions = frozenset({RELEASE})
    settling = 0

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[list[TaskId], asyncio.Future[JsonValue]]] = []
        self._working: asyncio.Task[None] | None = None

    def begin(self, jobs: Sequence[ClaimedJob]) -> Sequence[asyncio.Future[JsonValue]]:
        """Takes jobs; they are released together with others that wait."""
        futures: list[asyncio.Future[JsonValue]] = [self._loop.create_future() for _ in jobs]
        for job, future in zip(jobs, futures, strict=True):
            try:
                self._waiting.append((tasks_of(job), future))
            except ValueError as error:
                future.set_exception(error)
        if self._working is None:
            self._working = self._loop.create_task(self._release_all())
        return futures

    def stop(self, job: ClaimedJob) -> None:
        """A release is a short transaction and is not interrupted."""

    async def _release_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            tasks = list(dict.fromkeys(task for named, _ in group for task in named))
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


def tasks_of(job: ClaimedJob) -> list[TaskId]:
    """The tasks that a job of `workflow-dependencies` names; raises ValueError when it names none."""
    match job.args:
        case [[*names]] if all(isinstance(name, str) for name in names):
            return [TaskId.parse(str(name)) for name in names]
    raise ValueError(f"job {job.id} is no release of tasks")
