"""Starting a run: one transaction, then push."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from headrace.engine import history
from headrace.engine.program import Engine, Program
from headrace.errors import IdempotencyConflict, InvalidInput, NotFound
from headrace.graph.dispatch import Dispatch, RunTask
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.graph.plan import Plan
from headrace.graph.states import TaskStatus
from headrace.store import events, idempotency, runs, tasks, workflows
from headrace.store.codec import dump
from headrace.store.db import Tx
from headrace.store.ids import new_id


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What to start. key: an Idempotency-Key, or None."""

    workflow_id: UUID
    input: JsonValue = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A run that is `running`, with the jobs of its roots to push."""

    run_id: UUID
    dispatches: Sequence[Dispatch]


async def start_run(engine: Engine, request: StartRequest) -> Started:
    """Starts a run of the current version.

    Raises NotFound, InvalidInput when a root refuses the input, IdempotencyConflict when the key was used
    with another input. The same key with the same input answers the first run again.
    """
    return await engine.db.transact(partial(start_within, engine, request))


async def start_within(engine: Engine, request: StartRequest, tx: Tx) -> Started:
    """The same within the caller's transaction. Until it commits, nothing may be pushed."""
    version = await workflows.current_version(tx, request.workflow_id)
    if version is None:
        raise NotFound("Workflow not found")
    run_id = new_id()
    if request.key is not None and (known := await _earlier(tx, request, run_id)):
        return Started(known, ())
    program = await engine.programs.one(tx, request.workflow_id, version)
    _require_input(program, request.input)
    plan = program.plan
    open_tasks = len(plan.nodes) - len(plan.finals)
    new_run = runs.NewRun(run_id, request.workflow_id, version, request.input, open_tasks, len(plan.nodes))
    await runs.insert(tx, new_run)
    await tasks.insert(tx, run_id, _tasks(plan))
    roots = [TaskId(run_id, position) for position in plan.roots]
    queued = [
        history.task(root, plan.nodes[root.position].id, TaskStatus.QUEUED, attempt=1, delivery=1)
        for root in roots
    ]
    await events.append(tx, [*history.run_started(run_id), *queued])
    return Started(run_id, [_first_job(plan, root) for root in roots])


async def _earlier(tx: Tx, request: StartRequest, run_id: UUID) -> UUID | None:
    """The run that this key has started before, or None: then the key is now this run's."""
    digest = hashlib.sha256(dump(request.input).encode()).hexdigest()
    known = await idempotency.remember(tx, request.workflow_id, request.key or "", digest, run_id)
    if known is not None and known.digest != digest:
        raise IdempotencyConflict
    return None if known is None else known.run_id


def _require_input(program: Program, run_input: JsonValue) -> None:
    problems = [
        problem
        for position in program.plan.roots
        for problem in program.types[position].check_start(program.configs[position], run_input)
    ]
    if problems:
        raise InvalidInput("The input is not valid", problems)


def _tasks(plan: Plan) -> list[tasks.NewTask]:
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
        )
        for node in plan.nodes
    ]


def _first_job(plan: Plan, task: TaskId) -> RunTask:
    node = plan.nodes[task.position]
    return RunTask(task, attempt=1, delivery=1, node_id=node.id, timeout=node.attempt_timeout)
