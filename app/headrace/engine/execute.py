"""Executing tasks: claim a batch, perform each. `headrace.engine.settle` records what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic
from uuid import UUID

from headrace.engine import history
from headrace.engine.admission import admit, keep
from headrace.engine.halving import spared
from headrace.engine.holding import hold_if_paused
from headrace.engine.lacking import lacked, wait_for_worker
from headrace.engine.prepare import Execution, prepare
from headrace.engine.program import Engine, KnownRun
from headrace.engine.stopping import fail_run
from headrace.engine.variables import TaskVariables
from headrace.errors import HeadraceError, StoreUnavailable
from headrace.graph.dispatch import Dispatch
from headrace.graph.ids import TaskId
from headrace.graph.mocks import read_mock
from headrace.graph.outcome import Failed, Outcome
from headrace.log import Log
from headrace.nodes.base import Http, NodeContext
from headrace.nodes.lanes import NO_LANES, AttemptFailed, Lanes, failure_of
from headrace.store import claims, events
from headrace.store.db import Tx
from headrace.store.ids import new_token
from headrace.store.tasks import Queued

_ASK_AGAIN_SECONDS = 0.5

_log = Log("headrace.engine")


@dataclass(frozen=True, slots=True)
class Finished:
    """An execution with its node's answer. at: when it was given, on this process's monotonic clock."""

    execution: Execution
    outcome: Outcome
    at: float = field(default_factory=monotonic)


async def claim(engine: Engine, deliveries: Sequence[claims.Delivery], worker_id: UUID) -> list[Execution]:
    """Takes the delivered tasks that are still to be had, with the inputs of their nodes."""
    return await make_ready(engine, await take(engine, deliveries, worker_id))


async def take(engine: Engine, deliveries: Sequence[claims.Delivery], worker_id: UUID) -> list[claims.Claim]:
    """Takes the delivered tasks that are still to be had: from now on they are this process's to run."""
    if not deliveries:
        return []
    # A claim that a crash of the server forgets only repeats a node: it need not wait for the disk.
    async with engine.relaxed.connection() as tx:
        return await claims.claim(tx, deliveries, new_token(), worker_id, engine.lease_seconds)


async def make_ready(engine: Engine, claimed: Sequence[claims.Claim]) -> list[Execution]:
    """Loads what taken tasks need. It may be called again when PostgreSQL did not answer.

    A run whose task cannot be prepared fails with EngineError; the others go on.
    """

    async def work(batch: Sequence[claims.Claim]) -> list[Execution]:
        async with engine.relaxed.connection() as tx:
            return await prepare(engine, tx, batch)

    async def give_up(one: claims.Claim, error: Exception) -> None:
        await _unprepared(engine, one.task, error)

    return await spared(claimed, work, give_up)


async def recall(engine: Engine, held: Mapping[TaskId, int]) -> list[Execution]:
    """The executions of running tasks, by their tokens, for one who ends them in their worker's place.

    A run whose task cannot be prepared fails with EngineError; the others go on.
    """

    async def work(batch: Sequence[tuple[TaskId, int]]) -> list[Execution]:
        async with engine.db.connection() as tx:
            return await prepare(engine, tx, await claims.held(tx, dict(batch)))

    async def give_up(one: tuple[TaskId, int], error: Exception) -> None:
        await _unprepared(engine, one[0], error)

    return await spared(list(held.items()), work, give_up)


async def _unprepared(engine: Engine, task: TaskId, error: Exception) -> None:
    _log.exception("task_not_prepared", task=str(task))
    await fail_run(engine, task.run_id, f"EngineError: {error}")


async def hand_back(engine: Engine, held: Mapping[TaskId, int]) -> list[Dispatch]:
    """Gives running tasks back to the queue, by their tokens: what a process cannot finish any more."""

    async def work(tx: Tx) -> list[Queued]:
        queued = await claims.hand_back(tx, held)
        await events.append(tx, history.queued(queued))
        return await hold_if_paused(tx, queued)

    return [one.dispatch() for one in await engine.db.transact(work)]


async def perform(execution: Execution, http: Http, lanes: Lanes = NO_LANES) -> Finished:
    """Runs the node's code outside any transaction, under its timeout. Never raises but CancelledError.

    lanes: where code runs that is not async; without them it fails.
    """
    if (known := _known(execution)) is not None:
        return Finished(execution, known)
    limit = asyncio.timeout(execution.node.attempt_timeout)
    try:
        async with limit:
            return Finished(execution, await _guarded(execution, http, lanes))
    except (Exception, SystemExit) as error:
        if limit.expired() and not isinstance(error, HeadraceError):
            message = f"the attempt took longer than {execution.node.attempt_timeout:g} s"
            return Finished(execution, Failed(message, kind="Timeout"))
        return _crashed(execution, error)


async def _guarded(execution: Execution, http: Http, lanes: Lanes) -> Outcome:
    """The node's answer, unless a limit or a kept result comes first."""
    if (lack := lacked(execution)) is not None:
        return await wait_for_worker(execution, lack)
    if (instead := await _admitted(execution)) is not None:
        return instead
    outcome = discreet(execution, await _step(execution, http, lanes))
    with suppress(StoreUnavailable):  # the result stands; it is only not kept for others
        await keep(execution, outcome)
    return outcome


async def _admitted(execution: Execution) -> Outcome | None:
    """Asks until PostgreSQL answers, or the attempt's time is up."""
    while True:
        try:
            return await admit(execution)
        except StoreUnavailable:
            await asyncio.sleep(_ASK_AGAIN_SECONDS)


def _known(execution: Execution) -> Outcome | None:
    """The answer of a node that is not run: it cannot begin, or its run has one ready for it."""
    if execution.failure is not None or execution.node.id not in execution.run.mocks:
        return execution.failure
    return read_mock(execution.run.mocks[execution.node.id])


def is_instant(execution: Execution) -> bool:
    """Whether `perform_at_once` may run it."""
    return execution.failure is not None or takes_no_time(execution.run, execution.task.position)


def takes_no_time(run: KnownRun, position: int) -> bool:
    """Whether a node runs on the spot: its type says so and no limit comes first, or its answer is known."""
    node = run.program.plan.nodes[position]
    return node.id in run.mocks or (run.program.types[position].is_instant and not node.is_guarded)


def perform_at_once(execution: Execution, http: Http) -> Finished:
    """As `perform`, for a node that never waits: without a task of the loop and without a timeout."""
    if (known := _known(execution)) is not None:
        return Finished(execution, known)
    step = _step(execution, http, NO_LANES)
    try:
        step.send(None)
    except StopIteration as end:
        return Finished(execution, end.value)
    except (Exception, SystemExit) as error:
        return _crashed(execution, error)
    step.close()
    return _crashed(execution, RuntimeError(f"a node of type '{execution.node.type}' must not wait"))


def _step(execution: Execution, http: Http, lanes: Lanes) -> Coroutine[None, None, Outcome]:
    position = execution.task.position
    kind, config = execution.program.types[position], execution.program.configs[position]
    step = kind.resume if execution.is_resumed else kind.start
    return step(_context(execution, http, lanes), config)


def discreet(execution: Execution, outcome: Outcome) -> Outcome:
    """A node's answer, and what it wrote into the log, without the secrets that it knew."""
    hidden = execution.redaction
    if hidden is None:
        return outcome
    execution.log[:] = [replace(line, message=hidden.text(line.message)) for line in execution.log]
    return hidden.outcome(outcome)


def _crashed(execution: Execution, error: BaseException) -> Finished:
    """The one place that makes a failure of what a node's code raised."""
    if not isinstance(error, (HeadraceError, AttemptFailed)):
        # A traceback has the error's text, which may hold a secret.
        tell = _log.exception if execution.redaction is None else _log.warning
        tell("node_crashed", type(error).__name__, task=str(execution.task), node=execution.node.id)
    return Finished(execution, failure_of(error))


def _context(execution: Execution, http: Http, lanes: Lanes) -> NodeContext:
    node, edges = execution.node, execution.program.plan.out(execution.task.position)
    return NodeContext(
        run_id=str(execution.task.run_id),
        node_id=node.id,
        node_name=node.name,
        attempt=execution.claim.attempt,
        idempotency_key=str(execution.task),
        scope=execution.scope,
        http=http,
        log=execution.log,
        memory=execution.claim.memory,
        wake=execution.claim.wake,
        drawn=frozenset(edge.branch for edge in edges if edge.branch),
        lanes=lanes,
        stored=execution.run.stored,
        cancelled=execution.cancelled,
        variables=_variables(execution),
        hidden=execution.redaction,
    )


def _variables(execution: Execution) -> TaskVariables:
    names = execution.run.names
    owner, workflow = str(names["rootId"]), str(names["workflowId"])
    program = execution.program
    return TaskVariables(
        db=execution.db,
        task=execution.task,
        run_id=owner,
        workflow_id=workflow,
        project=program.project,
        types=program.types,
        hidden=execution.redaction,
    )
