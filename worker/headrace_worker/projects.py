"""Which projects a process serves. One that serves all learns of new ones while it runs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from redis.exceptions import RedisError

from headrace.config import Settings
from headrace.errors import InvalidSettings, StoreUnavailable
from headrace.graph.project import EVERY_PROJECT, PROJECT_RULE, is_project
from headrace.log import Log
from headrace.queues.inspect import known_projects
from headrace.queues.names import DEPENDENCIES, project_of, task_queues
from headrace.store import workers
from headrace_worker.concurrent_worker import ConcurrentWorker
from headrace_worker.runtime import Runtime

_LOOK_SECONDS = 2.0
"""News of a queue may get lost: so often somebody looks which projects there are."""

_log = Log("headrace.worker")


def require_projects(settings: Settings) -> None:
    """Raises InvalidSettings unless HEADRACE_PROJECTS is a list of projects."""
    bad = [name for name in settings.project_names if not is_project(name)]
    if bad or not settings.project_names:
        raise InvalidSettings(
            f"HEADRACE_PROJECTS: '{settings.projects}' is no list of projects; a name has {PROJECT_RULE};"
            " * is all of them"
        )


def listed(settings: Settings) -> tuple[str, ...]:
    """The projects as the worker's row shows them."""
    return settings.project_names + ((EVERY_PROJECT,) if settings.serves_all_projects else ())


class Projects:
    """Those that the task lane of this process serves: the named ones, and maybe all that there are.

    It listens on the queues of the first. Of the others' it is told, and it looks at least every 2 s.
    """

    def __init__(self, runtime: Runtime, tasks: ConcurrentWorker) -> None:
        self._runtime = runtime
        self._tasks = tasks
        self._all = runtime.settings.serves_all_projects
        self._served = set(runtime.settings.project_names)

    @property
    def queues(self) -> list[str]:
        """All that the process takes jobs from."""
        return [*(name for project in sorted(self._served) for name in task_queues(project)), DEPENDENCIES]

    async def filled(self, queue: str) -> None:
        """A queue that was empty holds a job."""
        project = project_of(queue)
        if project in self._served:
            self._tasks.look_again()
        elif project is not None and self._all:
            await self._meet(project)

    async def missed_news(self) -> None:
        """Queues may have been filled without anybody's saying so."""
        self._tasks.look_again()
        await self._look()

    async def look_for_ever(self) -> None:
        """Looks now and then which projects there are, if it serves them all. Until it is cancelled."""
        while self._all:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        if not self._all:
            return
        with suppress(RedisError):  # others notice that it is away, and say so
            found = await asyncio.to_thread(known_projects, self._runtime.redis)
            for project in sorted(found - self._served):
                await self._meet(project)

    async def _meet(self, project: str) -> None:
        try:
            await self._tasks.serve_also(task_queues(project))
        except RedisError:  # the next look finds it again
            return
        self._served.add(project)
        _log.info("project", f"serves the project {project}, too", project=project)
        tell = partial(workers.set_queues, worker_id=self._runtime.worker_id, queues=self.queues)
        with suppress(StoreUnavailable):  # it is for people to read
            await self._runtime.engine.db.transact(tell)
