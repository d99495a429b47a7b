"""One worker process: a task lane, a dependency lane and a clock, on one loop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Coroutine
from contextlib import aclosing
from dataclasses import replace
from functools import partial

import uvloop

from headrace import config, log
from headrace.activities.registry import REGISTRY
from headrace.config import Settings
from headrace.engine.lacking import declare
from headrace.errors import StoreUnavailable
from headrace.graph.json_types import JsonObject
from headrace.log import Log
from headrace.queues.connection import connect_async
from headrace.queues.live import FILLED, STOPS, Connected, QueueFilled, TasksStopped, subscribe
from headrace.queues.names import DEPENDENCIES, task_queues
from headrace.store import workers
from headrace_worker.beside import BesideTheQueues
from headrace_worker.concurrent_worker import ConcurrentWorker
from headrace_worker.dependency_lane import DependencyLane
from headrace_worker.projects import Projects, listed, require_projects
from headrace_worker.runtime import Runtime, open_runtime, patiently
from headrace_worker.task_lane import TaskLane
from headrace_worker.ticker import tick_for_ever
from headrace_worker.usage import Usage, memory_mb, versions

HEARTBEAT_SECONDS = 10.0
_DEPENDENCY_SLOTS = 256
_LEAVE_SECONDS = 5.0

_log = Log("headrace.worker")


def run() -> None:
    """Works until SIGTERM or SIGINT. Raises InvalidSettings."""
    settings = config.load()
    log.configure(settings.log_level, settings.log_json)
    require_projects(settings)
    for name in config.unknown_names():
        _log.warning("unknown_setting", f"{name} is no setting of Headrace")
    uvloop.run(work(settings))


async def work(settings: Settings) -> None:
    """Serves both lanes until a signal; then finishes or hands back what runs, and leaves."""
    async with open_runtime(settings) as runtime:
        lane = TaskLane(runtime)
        tasks, dependencies = _lanes(runtime, lane)
        projects = Projects(runtime, tasks)
        stopping = asyncio.Event()
        _stop_on_signals(tasks, stopping)
        await patiently(
            lambda: runtime.engine.db.transact(partial(workers.register, worker=_row(runtime, projects)))
        )
        await _announce(runtime)
        lane.open(BesideTheQueues(tasks, dependencies))
        chores = [
            asyncio.create_task(chore)
            for chore in (
                tick_for_ever(runtime),
                _beat(runtime, lane),
                _hear_news(runtime, lane, projects),
                projects.look_for_ever(),
                _say_stopping(runtime, stopping),
                lane.counting.tell_for_ever(runtime.engine.db),
            )
        ]
        _log.info("worker_started", "Worker is ready to process jobs...", worker=str(runtime.worker_id))
        try:
            await _serve(tasks, dependencies)
        finally:
            await _leave(runtime, lane, chores)


async def _serve(tasks: ConcurrentWorker, dependencies: ConcurrentWorker) -> None:
    """Until the task lane has stopped and drained; only then the other, which is shown what it released."""
    async with asyncio.TaskGroup() as group:
        group.create_task(dependencies.serve())
        await tasks.serve()
        dependencies.request_stop()


def _lanes(runtime: Runtime, lane: TaskLane) -> tuple[ConcurrentWorker, ConcurrentWorker]:
    settings, name = runtime.settings, runtime.worker_id.hex
    tasks = ConcurrentWorker(
        task_queues(settings.project_names[0]),
        others=[task_queues(project) for project in settings.project_names[1:]],
        connection=runtime.redis,
        lane=lane,
        slots=settings.worker_concurrency,
        threads=settings.worker_threads,
        name=f"{name}-tasks",
        grace=settings.grace_seconds,
    )
    dependencies = ConcurrentWorker(
        [DEPENDENCIES],
        connection=runtime.redis,
        lane=DependencyLane(runtime),
        slots=_DEPENDENCY_SLOTS,
        threads=1,
        name=f"{name}-dependencies",
        grace=settings.grace_seconds,
    )
    return tasks, dependencies


def _stop_on_signals(tasks: ConcurrentWorker, stopping: asyncio.Event) -> None:
    def stop() -> None:
        _log.info("worker_stopping")
        stopping.set()
        tasks.request_stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def _row(runtime: Runtime, projects: Projects) -> workers.NewWorker:
    host, pid = socket.gethostname(), os.getpid()
    return workers.NewWorker(
        id=runtime.worker_id,
        name="+".join([*runtime.settings.activity_names, f"{host}-{pid}"]),
        host=host,
        pid=pid,
        queues=projects.queues,
        concurrency=runtime.settings.worker_concurrency,
        projects=listed(runtime.settings),
        versions=versions() | _generation(runtime.settings),
    )


def _generation(settings: Settings) -> JsonObject:
    generation = settings.worker_generation
    return {} if generation is None else {workers.GENERATION: generation}


async def _announce(runtime: Runtime) -> None:
    """Says which activities this process has; tasks that have waited for one go on."""
    await runtime.push(
        await patiently(
            lambda: declare(
                runtime.engine,
                runtime.worker_id,
                runtime.settings.project_names[0],
                {one.name: one.declaration.as_json() for one in REGISTRY},
                [one.as_json() for one in runtime.load_problems],
            )
        )
    )


async def _beat(runtime: Runtime, lane: TaskLane) -> None:
    """Says in the worker's row that it lives, what it does and what it uses."""
    usage = Usage()
    while True:
        load = replace(lane.load, cpu_percent=usage.cpu_percent(), memory_mb=memory_mb())
        try:
            await runtime.engine.db.transact(
                partial(workers.heartbeat, worker_id=runtime.worker_id, load=load)
            )
        except Exception as error:  # a worker that does not beat is taken for dead
            _log.warning("heartbeat_failed", f"{type(error).__name__}: {error}")
        await asyncio.sleep(HEARTBEAT_SECONDS)


async def _hear_news(runtime: Runtime, lane: TaskLane, projects: Projects) -> None:
    """Stops the code of cancelled tasks at once; what is not heard, the next renewal tells.

    Begins at once with what was queued for projects on whose queues nobody blocks.
    """
    async with (
        connect_async(runtime.urls.redis) as connection,
        aclosing(subscribe(connection, (STOPS, FILLED))) as news,
    ):
        async for one in news:
            match one:
                case TasksStopped(tasks, grace):
                    lane.stop_tasks(tasks, grace)
                case QueueFilled(queue):
                    await projects.filled(queue)
                case Connected():
                    await projects.missed_news()


async def _leave(runtime: Runtime, lane: TaskLane, chores: list[asyncio.Task[None]]) -> None:
    await _quietly(_mark(runtime, "stopping"))
    for chore in chores:
        chore.cancel()
    await asyncio.gather(*chores, return_exceptions=True)
    await _quietly(lane.hand_back())
    await _quietly(lane.counting.tell(runtime.engine.db))
    await _quietly(_mark(runtime, "stopped"))
    _log.info("worker_stopped")


async def _say_stopping(runtime: Runtime, stopping: asyncio.Event) -> None:
    """At once, so that nobody counts on a worker that only finishes what it has begun."""
    await stopping.wait()
    await _quietly(_mark(runtime, "stopping"))


async def _mark(runtime: Runtime, state: str) -> None:
    await runtime.engine.db.transact(partial(workers.mark, worker_id=runtime.worker_id, state=state))


async def _quietly(call: Coroutine[None, None, None]) -> None:
    """At the end of a process: without PostgreSQL, leases and heartbeats run out by themselves."""
    try:
        async with asyncio.timeout(_LEAVE_SECONDS):
            await call
    except (StoreUnavailable, TimeoutError) as error:
        _log.warning("leave", str(error))
