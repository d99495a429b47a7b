"""Executing tasks: claim a batch, perform each. `headrace.engine.settle` records what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from headrace.engine import history
from headrace.engine.halving import spared
from headrace.engine.program import Engine, Program
from headrace.engine.stopping import fail_run
from headrace.errors import HeadraceError
from headrace.graph.ids import TaskId
from headrace.graph.inputs import Result, needed, node_scope
from headrace.graph.json_types import JsonObject
from headrace.graph.outcome import Failed, Outcome
from headrace.graph.plan import PlanNode
from headrace.graph.states import TaskStatus
from headrace.graph.template import Scope
from headrace.log import Log
from headrace.nodes.base import Http, LogLine, NodeContext
from headrace.store import claims, events, results, runs
from headrace.store.db import Tx
from headrace.store.ids import new_token
from headrace.store.recovery import RETRY

_log = Log("headrace.engine")


@dataclass(slots=True)
class Execution:
    """A claimed task with all that its node needs. failure: why it cannot even begin."""

    claim: claims.Claim
    program: Program
    run: JsonObject
    scope: Scope
    failure: Failed | None = None
    log: list[LogLine] = field(default_factory=list)

    @property
    def task(self) -> TaskId:
        return self.claim.task

    @property
    def node(self) -> PlanNode:
        return self.program.plan.nodes[self.task.position]


@dataclass(frozen=True, slots=True)
class Finished:
    """An execution with its node's answer."""

    execution: Execution
    outcome: Outcome


async def claim(engine: Engine, deliveries: Sequence[claims.Delivery], worker_id: UUID) -> list[Execution]:
    """Takes the delivered tasks that are still to be had, with the inputs of their nodes.

    A run whose task cannot be prepared fails with EngineError; the others go on.
    """

    async def work(batch: Sequence[claims.Delivery]) -> list[Execution]:
        return await engine.db.transact(partial(_claim, engine, batch, worker_id))

    async def give_up(delivery: claims.Delivery, error: Exception) -> None:
        await _unprepared(engine, delivery.task, error)

    return await spared(deliveries, work, give_up)


async def _claim(
    engine: Engine, deliveries: Sequence[claims.Delivery], worker_id: UUID, tx: Tx
) -> list[Execution]:
    claimed = await claims.claim(tx, deliveries, new_token(), worker_id, engine.lease_seconds)
    await events.append(
        tx,
        [
            history.task(
                one.task, one.node_id, TaskStatus.RUNNING, attempt=one.attempt, delivery=one.delivery
            )
            for one in claimed
        ],
    )
    return await _prepared(engine, claimed, tx)


async def recall(engine: Engine, held: Mapping[TaskId, int]) -> list[Execution]:
    """The executions of running tasks, by their tokens, for one who ends them in their worker's place.

    A run whose task cannot be prepared fails with EngineError; the others go on.
    """

    async def work(batch: Sequence[tuple[TaskId, int]]) -> list[Execution]:
        async with engine.db.transaction() as tx:
            return await _prepared(engine, await claims.held(tx, dict(batch)), tx)

    async def give_up(one: tuple[TaskId, int], error: Exception) -> None:
        await _unprepared(engine, one[0], error)

    return await spared(list(held.items()), work, give_up)


async def _unprepared(engine: Engine, task: TaskId, error: Exception) -> None:
    _log.exception("task_not_prepared", task=str(task))
    await fail_run(engine, task.run_id, f"EngineError: {error}")


async def _prepared(engine: Engine, claimed: Sequence[claims.Claim], tx: Tx) -> list[Execution]:
    if not claimed:
        return []
    contexts = await runs.contexts(tx, [one.task.run_id for one in claimed])
    versions = {run.id: (run.workflow_id, run.version) for run in contexts.values()}
    programs = await engine.programs.load(tx, versions.values())
    pairs = [(one, programs[versions[one.task.run_id]]) for one in claimed]
    found = await results.results(tx, _needed(pairs))
    return [_prepare(one, program, contexts[one.task.run_id], found) for one, program in pairs]


def _needed(pairs: Sequence[tuple[claims.Claim, Program]]) -> list[TaskId]:
    return sorted(
        {
            TaskId(one.task.run_id, position)
            for one, program in pairs
            for position in needed(program.plan, one.task.position, one.released_by)
        }
    )


def _prepare(
    claimed: claims.Claim, program: Program, context: runs.RunContext, found: Mapping[TaskId, Result]
) -> Execution:
    run_id, position = claimed.task
    positions = needed(program.plan, position, claimed.released_by)
    inputs = {one: found[TaskId(run_id, one)] for one in positions}
    run = run_names(context)
    try:
        scope = node_scope(program.plan, position, claimed.released_by, inputs, run)
        return Execution(claimed, program, run, scope)
    except HeadraceError as error:
        failure = Failed(error.message, kind=error.code, retryable=False)
        return Execution(claimed, program, run, Scope(None, {}), failure)


def run_names(context: runs.RunContext) -> JsonObject:
    """What `run` is in templates and conditions."""
    return {
        "id": str(context.id),
        "workflowId": str(context.workflow_id),
        "version": context.version,
        "input": context.input,
        "startedAt": context.started_at.isoformat(),
    }


async def perform(execution: Execution, http: Http) -> Finished:
    """Runs the node's code outside any transaction, under its timeout. Never raises but CancelledError."""
    if execution.failure is not None:
        return Finished(execution, execution.failure)
    position, node = execution.task.position, execution.node
    kind, config = execution.program.types[position], execution.program.configs[position]
    context = _context(execution, http)
    step = kind.resume if execution.claim.waits_for not in (None, RETRY) else kind.start
    limit = asyncio.timeout(node.attempt_timeout)
    try:
        async with limit:
            return Finished(execution, await step(context, config))
    except HeadraceError as error:
        return Finished(execution, Failed(error.message, kind=error.code, retryable=False))
    except (Exception, SystemExit) as error:  # the one place that makes a failure of a node's crash
        if limit.expired():
            message = f"the attempt took longer than {node.attempt_timeout:g} s"
            return Finished(execution, Failed(message, kind="Timeout"))
        _log.exception("node_crashed", task=str(execution.task), node=node.id)
        return Finished(execution, Failed(f"{type(error).__name__}: {error}", kind=type(error).__name__))


def _context(execution: Execution, http: Http) -> NodeContext:
    node = execution.node
    return NodeContext(
        run_id=str(execution.task.run_id),
        node_id=node.id,
        node_name=node.name,
        attempt=execution.claim.attempt,
        idempotency_key=str(execution.task),
        scope=execution.scope,
        http=http,
        log=execution.log,
    )
