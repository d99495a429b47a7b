"""Recording the answers of nodes: completed, failed, or parked until a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import assert_never

from headrace.engine import history
from headrace.engine.ahead import run_ahead
from headrace.engine.control import cancel_all
from headrace.engine.execute import Finished, discreet
from headrace.engine.halving import in_halves
from headrace.engine.handover import NOBODY, Completed, HandedOver, Ran, Taker, hand_over, is_quick
from headrace.engine.line import give_back
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine
from headrace.engine.signals import take_buffered
from headrace.engine.spawning import NOTHING_BEGUN, Begun, Spawning, lock_batches, spawn
from headrace.errors import HeadraceError, StoreUnavailable
from headrace.graph.dispatch import Dispatch, Release
from headrace.graph.edges import Ending, On, Resolution, resolve_edges
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Held, Spawned, Waiting
from headrace.graph.retry import next_try
from headrace.graph.states import TaskStatus
from headrace.graph.statistics import End
from headrace.log import Log
from headrace.nodes.base import LogLine
from headrace.store import claims, events
from headrace.store.codec import dump_optional, plain, size_of
from headrace.store.db import Tx
from headrace.store.ids import new_id
from headrace.store.payloads import INLINE_LIMIT
from headrace.store.recovery import CHILDREN, RETRY

OUTPUT_LIMIT = 8 * 1024 * 1024
"""Bytes of JSON that one node may answer."""

_log = Log("headrace.engine")


@dataclass(frozen=True, slots=True)
class Settled:
    """What a settlement did.

    dispatches: what to push. released: tasks whose successors were told in the same transaction. taken:
    successors that this process now holds. ran: those that ran ahead. late: tasks whose result came too late
    and was dropped. ends: how the attempts ended that did not succeed.
    """

    dispatches: Sequence[Dispatch]
    released: Sequence[TaskId]
    taken: Sequence[Execution]
    ran: Sequence[Ran]
    late: Sequence[TaskId]
    ends: Mapping[TaskId, End]


async def settle(
    engine: Engine,
    finished: Sequence[Finished],
    taker: Taker = NOBODY,
    jitter: Callable[[], float] = random.random,
) -> Settled:
    """Records answers in one transaction, or in two.

    Completions that counters decide release their successors at once; for the others there is a dependency
    job. jitter: random numbers in [0, 1) for back-offs.
    """
    # A job that stood in the queue twice may have run its task twice in this process: one answer counts.
    once = {one.execution.task: one for one in finished}
    entries = [_readable(one, jitter()) for one in once.values()]
    quick = [entry for entry in entries if _is_quick(entry)]
    handed = await _hand_over(engine, quick, taker)
    done = {*handed.released, *handed.settled}
    slow = entries if handed is _NOTHING else _without(entries, quick)
    written = await in_halves(slow, partial(_write, engine), _refused)
    late = [entry.settlement.task for entry in entries if entry.settlement.task not in done | written.keys()]
    ended = [entry.settlement.task for entry in written.values() if _is_news(entry)]
    if late:
        _log.info("late_results", tasks=len(late))
    dispatches: list[Dispatch] = [*handed.dispatches]
    if ended or handed.settled:
        dispatches.append(Release((*handed.settled, *ended)))
    dispatches += await _signalled(engine, written.values())
    dispatches += await give_back(engine, [entry.finished.execution for entry in written.values()])
    dispatches += [job for entry in written.values() for job in entry.begun.jobs]
    dispatches += await _make_way(engine, written.values())
    return Settled(dispatches, handed.released, handed.taken, handed.ran, late, _ends(written))


def _ends(written: Mapping[TaskId, _Entry]) -> dict[TaskId, End]:
    """Of what was recorded the ordinary way: what was handed over succeeded."""
    found = {}
    for task, entry in written.items():
        if entry.settlement.status is TaskStatus.FAILED:
            found[task] = End.FAILURE
        elif entry.settlement.waits_for == RETRY:
            found[task] = End.RETRY
        elif entry.settlement.status is TaskStatus.WAITING:
            found[task] = End.PARKED
    return found


@dataclass(frozen=True, slots=True)
class _Entry:
    """A settlement with the events that go with it. spawning: runs that start with it."""

    finished: Finished
    settlement: claims.Settlement
    events: Sequence[events.Event]
    spawning: Spawning | None = None
    begun: Begun = NOTHING_BEGUN


def _without(entries: Sequence[_Entry], gone: Sequence[_Entry]) -> list[_Entry]:
    tasks = {entry.settlement.task for entry in gone}
    return [entry for entry in entries if entry.settlement.task not in tasks]


def _is_quick(entry: _Entry) -> bool:
    has_children = entry.spawning is not None or entry.finished.execution.claim.waits_for == CHILDREN
    return not has_children and is_quick(entry.finished.execution, entry.settlement)


def _is_news(entry: _Entry) -> bool:
    """Whether a dependency job must look at the task: it ended, or its next attempt wants other children."""
    had_children = entry.finished.execution.claim.waits_for == CHILDREN
    wants_others = had_children and entry.settlement.waits_for == RETRY
    return wants_others or entry.settlement.outcomes is not None


_NOTHING = HandedOver((), (), (), (), ())


async def _hand_over(engine: Engine, entries: Sequence[_Entry], taker: Taker) -> HandedOver:
    """What a batch came to; nothing when it cannot be stored as one: then the ordinary way finds out why."""
    if not entries:
        return _NOTHING
    batch = [_handed(entry) for entry in entries]
    try:
        return await hand_over(engine, batch, taker, _ahead(engine, batch, taker))
    except StoreUnavailable:
        raise
    except Exception as error:  # whatever PostgreSQL says of one row
        _log.warning("hand_over_refused", str(error), tasks=len(entries))
        return _NOTHING


def _ahead(engine: Engine, batch: Sequence[Completed], taker: Taker) -> Sequence[Completed]:
    """What runs ahead of a batch; nothing where that goes wrong: the ordinary way finds out why."""
    if taker.perform is None:
        return ()
    try:
        return run_ahead(engine.runs, batch, partial(_at_once, taker.perform))
    except Exception:
        _log.exception("not_run_ahead", tasks=len(batch))
        return ()


def _at_once(perform: Callable[[Execution], Finished], execution: Execution) -> Completed | None:
    """Runs a node ahead; None when it did not end in a way that is handed over."""
    began = monotonic()
    entry = _readable(perform(execution), 0.0)
    is_short = len(entry.settlement.output or "") <= INLINE_LIMIT
    return replace(_handed(entry), began=began) if is_short and _is_quick(entry) else None


def _handed(entry: _Entry) -> Completed:
    finished = entry.finished
    output = finished.outcome.output if isinstance(finished.outcome, Done) else None
    return Completed(finished.execution, entry.settlement, entry.events, output, ended=finished.at)


async def _signalled(engine: Engine, written: Iterable[_Entry]) -> list[Dispatch]:
    """What follows for those that wait for a signal which is already there."""
    waiting = [entry.settlement.task for entry in written if entry.settlement.signal is not None]
    try:
        return await take_buffered(engine, waiting)
    except StoreUnavailable:
        # The answers are recorded: nobody may record them again. The sweep looks once more.
        return []


async def _make_way(engine: Engine, written: Iterable[_Entry]) -> list[Dispatch]:
    """What follows from cancelling the runs in whose place others were started."""
    try:
        return await cancel_all(engine, [run_id for entry in written for run_id in entry.begun.outdated])
    except StoreUnavailable:
        return []


async def _write(engine: Engine, entries: Sequence[_Entry]) -> dict[TaskId, _Entry]:
    async def work(tx: Tx) -> dict[TaskId, _Entry]:
        earlier = await lock_batches(tx, [entry.spawning for entry in entries if entry.spawning])
        held = await claims.settle(tx, [entry.settlement for entry in entries])
        written = {entry.settlement.task: entry for entry in entries if entry.settlement.task in held}
        await events.append(tx, [event for entry in written.values() for event in entry.events])
        spawned = await spawn(engine, tx, [one.spawning for one in written.values() if one.spawning], earlier)
        return written | {task: replace(written[task], begun=begun) for task, begun in spawned.items()}

    return await engine.db.transact(work)


def _readable(finished: Finished, jitter: float) -> _Entry:
    try:
        if finished.execution.redaction is not None:
            finished = replace(finished, outcome=discreet(finished.execution, finished.outcome))
        return _entry(finished, jitter)
    except Exception as error:  # an answer that is none, of a node type that is wrong
        _log.exception("answer_not_read", task=str(finished.execution.task))
        return _failed_for(finished, f"the answer cannot be read: {type(error).__name__}: {error}")


def _refused(entry: _Entry, error: Exception) -> _Entry:
    """The one entry of a batch that cannot be stored: its task fails instead."""
    if entry.spawning is not None and isinstance(error, HeadraceError):
        return _failed_for(entry.finished, error.message, error.code)
    return _failed_for(entry.finished, f"the result cannot be stored: {error}")


def _failed_for(finished: Finished, reason: str, kind: str = "BadOutput") -> _Entry:
    """The entry of an execution whose answer, or log, nobody can keep."""
    execution = replace(finished.execution, log=[])
    return _entry(Finished(execution, Failed(reason, kind=kind, retryable=False)), 0.0)


def _entry(finished: Finished, jitter: float) -> _Entry:
    execution, outcome = finished.execution, finished.outcome
    spawning: Spawning | None = None
    match outcome:
        case Done():
            settlement, notes = _completed(execution, outcome)
        case Failed():
            failure = replace(outcome, message=plain(outcome.message))
            settlement, notes = _failed(execution, failure, jitter)
        case Waiting():
            settlement = _parked(execution, outcome.seconds, outcome.for_what)
            settlement = replace(settlement, signal=outcome.signal, memory=outcome.memory)
            notes = []
        case Held():
            settlement = _parked(execution, outcome.seconds, None)
            settlement = replace(settlement, held_for=outcome.held_for)
            notes = []
        case Spawned():
            spawning = Spawning(execution, outcome, new_id() if outcome.is_detached else None)
            settlement, notes = _spawning(spawning)
        case _:
            assert_never(outcome)
    return _Entry(finished, settlement, _events(execution, settlement, notes), spawning)


def _spawning(spawning: Spawning) -> tuple[claims.Settlement, list[str]]:
    """It waits for its children; one that does not want to know of their end has completed."""
    if spawning.detached_id is not None:
        return _completed(spawning.execution, Done({"runId": str(spawning.detached_id)}))
    settlement = _parked(spawning.execution, spawning.spawned.seconds, CHILDREN)
    return replace(settlement, memory=spawning.spawned.memory), []


def _completed(execution: Execution, done: Done) -> tuple[claims.Settlement, list[str]]:
    try:
        output = dump_optional(done.output)
    except HeadraceError as error:
        return _ended_badly(execution, Failed(error.message, kind="BadOutput", retryable=False))
    size = size_of(output or "")
    if size > OUTPUT_LIMIT:
        message = f"the output has {size} bytes, more than the limit of {OUTPUT_LIMIT}"
        return _ended_badly(execution, Failed(message, kind="BadOutput", retryable=False))
    ending = _ending(execution, TaskStatus.COMPLETED, done.output, branches=done.branches)
    resolution = _resolve(execution, ending)
    settlement = claims.Settlement(
        execution.task,
        execution.claim.token,
        TaskStatus.COMPLETED,
        outcomes=resolution.outcomes,
        output=output,
    )
    if done.verdict is not None:
        settlement = replace(settlement, ends_run=done.verdict.status, reason=done.verdict.reason)
    return settlement, resolution.warnings


def _failed(execution: Execution, failure: Failed, jitter: float) -> tuple[claims.Settlement, list[str]]:
    delay = next_try(execution.node.retry, execution.claim.attempt, failure, jitter)
    if delay is None:
        return _ended_badly(execution, failure)
    parked = _parked(execution, delay, RETRY)
    return replace(parked, error=failure.as_error(), reason=failure.message), []


def _ended_badly(execution: Execution, failure: Failed) -> tuple[claims.Settlement, list[str]]:
    error = failure.as_error()
    resolution = _resolve(execution, _ending(execution, TaskStatus.FAILED, None, error=error))
    is_handled = any(
        edge.on is not On.SUCCESS for edge in execution.program.plan.out(execution.task.position)
    )
    settlement = claims.Settlement(
        execution.task,
        execution.claim.token,
        TaskStatus.FAILED,
        outcomes=resolution.outcomes,
        error=error,
        input=execution.scope.input if is_handled else None,
        reason=failure.message,
        memory=execution.claim.memory if execution.claim.waits_for == CHILDREN else None,
    )
    return settlement, resolution.warnings


def _parked(execution: Execution, wait: float | None, for_what: str | None) -> claims.Settlement:
    return claims.Settlement(
        execution.task, execution.claim.token, TaskStatus.WAITING, wake_seconds=wait, waits_for=for_what
    )


def _ending(
    execution: Execution,
    status: TaskStatus,
    output: JsonValue,
    error: JsonObject | None = None,
    branches: frozenset[str] = frozenset(),
) -> Ending:
    return Ending(status, branches, output, error, execution.scope.input, execution.run.names)


def _resolve(execution: Execution, ending: Ending) -> Resolution:
    edges = execution.program.plan.out(execution.task.position)
    return resolve_edges(edges, ending, execution.node.allow_failure)


def _events(execution: Execution, settlement: claims.Settlement, notes: Sequence[str]) -> list[events.Event]:
    node, task = execution.node, execution.task
    log = [*execution.log, *(LogLine("info", "warning", note) for note in notes)]
    if settlement.reason is not None and settlement.ends_run is None:
        log.append(LogLine("error", "error", settlement.reason))
    moved = history.task(
        task,
        node.id,
        settlement.status,
        attempt=execution.claim.attempt,
        reason=settlement.reason,
        waitsFor=settlement.waits_for,
        seconds=settlement.wake_seconds,
    )
    return [*history.lines(task, node.id, node.name, log), moved]
