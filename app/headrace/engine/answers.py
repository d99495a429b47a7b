"""What a node's answer comes to: the settlement to record, the events, and the runs that start with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from headrace.engine import history
from headrace.engine.execute import Finished, discreet
from headrace.engine.prepare import Execution
from headrace.engine.spawning import NOTHING_BEGUN, Begun, Spawning
from headrace.errors import HeadraceError
from headrace.graph.edges import Ending, On, Resolution, resolve_edges
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Held, Spawned, Waiting
from headrace.graph.retry import next_try
from headrace.graph.states import TaskStatus
from headrace.log import Log
from headrace.nodes.base import LogLine
from headrace.store import claims, events
from headrace.store.codec import dump_optional, plain, size_of
from headrace.store.ids import new_id
from headrace.store.recovery import CHILDREN, RETRY

OUTPUT_LIMIT = 8 * 1024 * 1024
"""Bytes of JSON that one node may answer."""

_log = Log("headrace.engine")


@dataclass(frozen=True, slots=True)
class Answered:
    """A settlement with its events. spawning: runs that start with it; begun: what came of them."""

    finished: Finished
    settlement: claims.Settlement
    events: Sequence[events.Event]
    spawning: Spawning | None = None
    begun: Begun = NOTHING_BEGUN

    @property
    def is_news(self) -> bool:
        """Whether a dependency job must look at it: it ended, or its next attempt wants other children."""
        had_children = self.finished.execution.claim.waits_for == CHILDREN
        wants_others = had_children and self.settlement.waits_for == RETRY
        return wants_others or self.settlement.outcomes is not None


def read_answer(finished: Finished, jitter: float) -> Answered:
    """Never raises: what cannot be read fails its task. jitter: a random number in [0, 1) for a back-off."""
    try:
        if finished.execution.redaction is not None:
            finished = replace(finished, outcome=discreet(finished.execution, finished.outcome))
        return _entry(finished, jitter)
    except Exception as error:  # an answer that is none, of a node type that is wrong
        _log.exception("answer_not_read", task=str(finished.execution.task))
        return _failed_for(finished, f"the answer cannot be read: {type(error).__name__}: {error}")


def refused(entry: Answered, error: Exception) -> Answered:
    """The one entry of a batch that cannot be stored: its task fails instead."""
    if entry.spawning is not None and isinstance(error, HeadraceError):
        return _failed_for(entry.finished, error.message, error.code)
    return _failed_for(entry.finished, f"the result cannot be stored: {error}")


def _failed_for(finished: Finished, reason: str, kind: str = "BadOutput") -> Answered:
    """The entry of an execution whose answer, or log, nobody can keep."""
    execution = replace(finished.execution, log=[])
    return _entry(Finished(execution, Failed(reason, kind=kind, retryable=False)), 0.0)


def _entry(finished: Finished, jitter: float) -> Answered:
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
    return Answered(finished, settlement, _events(execution, settlement, notes), spawning)


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
