"""Beginning a run inside a transaction: its row, its tasks, the jobs of its roots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from headrace.engine import history
from headrace.engine.holding import hold_back
from headrace.engine.pinning import Pins
from headrace.engine.program import Program
from headrace.graph.dispatch import Dispatch
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.plan import Plan
from headrace.graph.states import RunStatus
from headrace.store import events, runs, tasks
from headrace.store.db import Tx
from headrace.store.runs import NewRun, Parent, ProgramKey


@dataclass(frozen=True, slots=True)
class Beginning:
    """A run to begin. priority: None for the workflow's. origin: what started it.

    mocks: answers of nodes that are not run. debug: breakpoints. parent: the task that it runs for.
    concurrency_key: of the workflow, filled in. is_queued: it waits for its turn, without tasks yet.
    pins: hashes of the stored activities that it uses, by name.
    """

    id: UUID
    key: ProgramKey
    input: JsonValue = None
    priority: int | None = None
    origin: JsonObject | None = None
    mocks: JsonObject | None = None
    debug: JsonObject | None = None
    parent: Parent | None = None
    concurrency_key: str | None = None
    is_queued: bool = False
    pins: Pins = field(default_factory=dict)


async def begin(tx: Tx, program: Program, new: Beginning) -> list[Dispatch]:
    """Adds a run with its tasks; returns the jobs of its roots."""
    plan = program.plan
    status = RunStatus.QUEUED if new.is_queued else RunStatus.RUNNING
    run = NewRun(
        id=new.id,
        workflow_id=new.key.workflow_id,
        version=new.key.version,
        input=new.input,
        open=plan.main_size,
        total=len(plan.nodes),
        status=status,
        priority=plan.priority if new.priority is None else new.priority,
        timeout=None if new.is_queued else plan.timeout,
        origin=new.origin,
        mocks=new.mocks,
        debug=new.debug,
        concurrency_key=new.concurrency_key,
        body=new.key.body,
        parent=new.parent,
        pins=new.pins,
        project=program.project,
    )
    await runs.insert(tx, run)
    if new.is_queued:
        await events.append(tx, [history.run_queued(new.id)])
        return []
    return await add_tasks(tx, program, new.id, run.priority, is_debugged=new.debug is not None)


async def add_tasks(
    tx: Tx, program: Program, run_id: UUID, priority: int, is_debugged: bool = False
) -> list[Dispatch]:
    """Adds the tasks of a run that runs from now on; returns the jobs of its roots. priority: of the run."""
    roots = await _add_tasks(tx, program, [run_id], priority)
    if is_debugged:
        roots = await hold_back(tx, await runs.lock(tx, [run_id]), roots)
    return [one.dispatch() for one in roots]


async def add_tasks_to_all(
    tx: Tx,
    programs: Mapping[ProgramKey, Program],
    keys: Mapping[UUID, ProgramKey],
    priority: int,
    is_debugged: bool = False,
) -> list[Dispatch]:
    """The same for many runs, as the items of a map are. keys: what each of them executes."""
    groups: dict[ProgramKey, list[UUID]] = {}
    for run_id, key in keys.items():
        groups.setdefault(key, []).append(run_id)
    roots = [
        one
        for key, run_ids in groups.items()
        for one in await _add_tasks(tx, programs[key], run_ids, priority)
    ]
    if is_debugged:
        roots = await hold_back(tx, await runs.lock(tx, list(keys)), roots)
    return [one.dispatch() for one in roots]


async def _add_tasks(tx: Tx, program: Program, run_ids: Sequence[UUID], priority: int) -> list[tasks.Queued]:
    plan = program.plan
    await tasks.insert(tx, run_ids, _tasks(plan, priority), program.project)
    roots = [_root(program, run_id, position, priority) for run_id in run_ids for position in plan.roots]
    started = [event for run_id in run_ids for event in history.run_started(run_id)]
    await events.append(tx, [*started, *history.queued(roots)])
    return roots


def _tasks(plan: Plan, priority: int) -> list[tasks.NewTask]:
    roots = set(plan.roots)
    return [
        tasks.NewTask(
            position=node.position,
            node_id=node.id,
            node_type=node.type,
            in_degree=len(node.in_edges),
            attempt_timeout=node.attempt_timeout,
            max_lost=node.max_lost,
            is_queued=node.position in roots,
            priority=priority if node.priority is None else node.priority,
            queue_timeout=node.queue_timeout,
            total_timeout=node.total_timeout,
        )
        for node in plan.nodes
    ]


def _root(program: Program, run_id: UUID, position: int, priority: int) -> tasks.Queued:
    node = program.plan.nodes[position]
    own = priority if node.priority is None else node.priority
    return tasks.Queued(TaskId(run_id, position), node.id, 1, 1, node.attempt_timeout, own, program.project)
