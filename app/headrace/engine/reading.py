"""What people ask of workflows and runs. Nothing here changes anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headrace.engine.explain import explain_in
from headrace.engine.inner import InnerTask, inner_tasks, task_inputs
from headrace.engine.program import Engine
from headrace.errors import NotFound
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outputs import run_outputs
from headrace.graph.states import NOT_ENDED, RUN_ENDED, RunStatus, TaskStatus
from headrace.store import (
    events,
    family,
    heartbeats,
    results,
    run_reading,
    worker_targets,
    workers,
    workflows,
)
from headrace.store import projects as project_rows
from headrace.store.db import Tx
from headrace.store.events import Cursor, StoredEvent
from headrace.store.family import ChildRun
from headrace.store.heartbeats import Beat
from headrace.store.projects import Project
from headrace.store.results import Task
from headrace.store.run_reading import Run, RunState
from headrace.store.workers import UNHEALTHY_SECONDS, Worker
from headrace.store.workflows import StoredWorkflow, WorkflowLine

LOG_LIMIT = 100_000
"""Lines of a run's log that are read at once, oldest first."""

EVENTS_AT_ONCE = 500

CHILD_RUNS = 100
"""Runs of its tasks that are shown with a run; `children_of` has all of them."""

_NO_RUN = "Workflow run not found"


async def workflow(engine: Engine, workflow_id: UUID) -> StoredWorkflow:
    """A workflow's current version. Raises NotFound."""
    async with engine.db.transaction() as tx:
        found = await workflows.get(tx, workflow_id)
    if found is None:
        raise NotFound("Workflow not found")
    return found


async def workflow_lines(
    engine: Engine, limit: int, offset: int, project: str | None = None
) -> list[WorkflowLine]:
    """Workflows, last changed first; of one project, or of all."""
    async with engine.db.transaction() as tx:
        return await workflows.lines(tx, limit, offset, project)


async def projects(engine: Engine) -> list[Project]:
    """All projects, by name."""
    async with engine.db.transaction() as tx:
        return await project_rows.find(tx, UNHEALTHY_SECONDS)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs, newest first. None: of all workflows, with any status, of all projects."""

    workflow_id: UUID | None = None
    status: RunStatus | None = None
    limit: int = 100
    offset: int = 0
    project: str | None = None


async def find_runs(engine: Engine, wanted: RunFilter) -> list[Run]:
    """The runs that match, over all workflows."""
    async with engine.db.transaction() as tx:
        page = (wanted.limit, wanted.offset)
        return await run_reading.find(tx, wanted.workflow_id, wanted.status, page, wanted.project)


async def runs_of(engine: Engine, workflow_id: UUID, wanted: RunFilter) -> list[Run]:
    """The runs of one workflow that match. Raises NotFound when there is no such workflow."""
    async with engine.db.transaction() as tx:
        if await workflows.current_version(tx, workflow_id) is None:
            raise NotFound("Workflow not found")
        return await run_reading.find(tx, workflow_id, wanted.status, (wanted.limit, wanted.offset))


async def run_state(engine: Engine, run_id: UUID) -> RunState:
    """Where a run stands: cheap, to be asked often. Raises NotFound."""
    async with engine.db.transaction() as tx:
        return await _state(tx, run_id)


async def require_run_of(engine: Engine, workflow_id: UUID, run_id: UUID) -> None:
    """Raises NotFound unless the run is one of this workflow's."""
    if (await run_state(engine, run_id)).workflow_id != workflow_id:
        raise NotFound(_NO_RUN)


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run with all that people see of it.

    inputs: of the tasks that got one, by position. outputs: None until the run has ended. children: how many
    runs its tasks started, by position and status; child_runs: the first of these. inner: the tasks of its
    maps and loops.
    explanations: a line for each task, of these too, that has not ended and does not run. beats: what nodes
    that run said last of how far they are.
    """

    run: Run
    tasks: Sequence[Task]
    inputs: Mapping[int, JsonValue]
    log: Sequence[StoredEvent]
    outputs: JsonObject | None
    children: Mapping[int, Mapping[str, int]]
    child_runs: Mapping[int, Sequence[ChildRun]]
    inner: Sequence[InnerTask]
    explanations: Mapping[TaskId, str]
    beats: Mapping[TaskId, Beat]


async def run_detail(engine: Engine, run_id: UUID) -> RunDetail:
    """A run with its tasks, their inputs, its log and, once it has ended, its outputs. Raises NotFound."""
    async with engine.db.transaction() as tx:
        found = await run_reading.get(tx, run_id)
        if found is None:
            raise NotFound(_NO_RUN)
        tasks = await results.tasks_of_run(tx, run_id)
        log = await events.log_lines(tx, [run_id], LOG_LIMIT)
        program = await engine.programs.one(tx, found.program)
        children = await family.counts(tx, run_id)
        child_runs = await family.child_runs(tx, run_id, CHILD_RUNS) if children else {}
        inner = await inner_tasks(engine, tx, run_id) if children else []
        explanations = await _lines(engine, tx, [*tasks, *(one.task for one in inner)])
        beats = await _beats(tx, [*tasks, *(one.task for one in inner)])
    left = {task.id.position: task.result() for task in tasks}
    ended = found.status in RUN_ENDED
    return RunDetail(
        run=found,
        tasks=tasks,
        inputs=task_inputs(program.plan, tasks, found.input),
        log=log,
        outputs=run_outputs(program.plan, left, found.input) if ended else None,
        children=children,
        child_runs=child_runs,
        inner=inner,
        explanations=explanations,
        beats=beats,
    )


async def _beats(tx: Tx, tasks: Sequence[Task]) -> dict[TaskId, Beat]:
    running = sorted({task.id.run_id for task in tasks if task.status is TaskStatus.RUNNING})
    return {one.task: one for one in await heartbeats.of_runs(tx, running)} if running else {}


async def _lines(engine: Engine, tx: Tx, tasks: Sequence[Task]) -> dict[TaskId, str]:
    """Why those of the tasks that have not ended do not run. What has ended costs nothing."""
    going_on = sorted({task.id.run_id for task in tasks if task.status in NOT_ENDED})
    explained = await explain_in(engine, tx, going_on) if going_on else {}
    return {task: line for one in explained.values() for task, line in one.lines().items()}


async def children_of(engine: Engine, run_id: UUID, wanted: RunFilter) -> list[Run]:
    """The runs that a run's tasks started and wait for, in the order of tasks and items. Raises NotFound."""
    async with engine.db.transaction() as tx:
        await _state(tx, run_id)
        return await run_reading.children(tx, run_id, wanted.status, wanted.limit, wanted.offset)


async def run_log(engine: Engine, run_id: UUID, with_children: bool = False) -> list[StoredEvent]:
    """The lines of a run's log, oldest first. Raises NotFound."""
    async with engine.db.transaction() as tx:
        await _state(tx, run_id)
        return await events.log_lines(tx, await _with(tx, run_id, with_children), LOG_LIMIT)


@dataclass(frozen=True, slots=True)
class EventPage:
    """The next events. ended: the run's final status when these are its last events, else None."""

    events: Sequence[StoredEvent]
    ended: RunStatus | None


async def events_after(
    engine: Engine, run_id: UUID, cursor: Cursor, with_children: bool = False
) -> EventPage:
    """What happened in a run after a place in its history. Raises NotFound.

    with_children: and in all runs below it; then the last events are those of the last of them to end.
    """
    async with engine.db.transaction() as tx:
        found = await _state(tx, run_id)
        run_ids = await _with(tx, run_id, with_children)
        # Whoever writes a run's events holds its row or one of its tasks that has not ended. So once the run
        # has ended, all of them are committed.
        ended = found.status in RUN_ENDED
        if ended and with_children:
            ended = not await family.any_active(tx, run_ids)
        page = await events.after_in(tx, run_ids, cursor, EVENTS_AT_ONCE, is_complete=ended)
    return EventPage(page, found.status if ended and len(page) < EVENTS_AT_ONCE else None)


async def beats_after(
    engine: Engine, run_id: UUID, after: datetime | None, with_children: bool = False
) -> list[Beat]:
    """What nodes of a run that run now said after a time of how far they are, oldest first."""
    async with engine.db.connection() as tx:
        return await heartbeats.of_runs(tx, await _with(tx, run_id, with_children), after)


async def _with(tx: Tx, run_id: UUID, with_children: bool) -> list[UUID]:
    return [run_id, *await family.descendants(tx, run_id)] if with_children else [run_id]


@dataclass(frozen=True, slots=True)
class Crew:
    """Worker processes. desired: how many there should be, None when nobody said."""

    workers: Sequence[Worker]
    desired: int | None


async def crew(engine: Engine, include_ended: bool = False) -> Crew:
    """The worker processes; those that ended (within a day) only when asked for."""
    async with engine.db.transaction() as tx:
        return Crew(await workers.all_workers(tx, include_ended), await worker_targets.target(tx))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are by status or state. tasks: those that have begun and not ended.

    workers: those without a heartbeat for a minute are `unhealthy`, whatever they were.
    """

    runs: Mapping[str, int]
    tasks: Mapping[str, int]
    workers: Mapping[str, int]


async def counts(engine: Engine) -> Counts:
    """What operators watch. Reads every run's status: not for every second."""
    async with engine.db.transaction() as tx:
        crew = await workers.all_workers(tx)
        by_state = Counter(worker.state for worker in crew)
        return Counts(await run_reading.count_by_status(tx), await results.count_active(tx), by_state)


async def _state(tx: Tx, run_id: UUID) -> RunState:
    found = await run_reading.state(tx, run_id)
    if found is None:
        raise NotFound(_NO_RUN)
    return found
