"""Signals: what a run is told from outside, once. One that comes early waits for the task that wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from headrace.engine import history
from headrace.engine.addressing import addressed
from headrace.engine.halving import spared
from headrace.engine.program import Engine, Program
from headrace.errors import InvalidInput, NotFound, Problem, TooLarge, WrongState
from headrace.graph.dispatch import Dispatch
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.graph.states import RUN_ENDED, RunStatus
from headrace.log import Log
from headrace.store import events, family, run_reading, runs, signals
from headrace.store.codec import dump, size_of
from headrace.store.db import Tx
from headrace.store.ids import new_id
from headrace.store.runs import LockedRun
from headrace.store.signals import KeptSignal, NewSignal, Signal, Waiter

_log = Log("headrace.engine")

SIGNAL_LIMIT = 256 * 1024
"""Bytes of JSON that a signal may carry."""


class SignalConflict(WrongState):
    """Another signal with this id was sent before."""

    code = "SignalConflict"


@dataclass(frozen=True, slots=True)
class SignalRequest:
    """What a run is told. id: the sender's, so that it counts once; None for a new one.

    node_id: the one node that it is for, None for whichever waits for a signal of this name. One in a body or
    a sub-workflow is named by its path, as `map[3]/wait`; see `headrace.engine.addressing`.
    """

    run_id: UUID
    name: str
    payload: JsonValue = None
    id: str | None = None
    node_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A signal that is kept. run_id: of the run that keeps it, which may be one below the addressed one.

    position: of the task that took it, None while it waits for one.
    """

    id: str
    position: int | None
    dispatches: Sequence[Dispatch]
    run_id: UUID


async def send_signal(engine: Engine, request: SignalRequest) -> Sent:
    """Wakes the task that waits for the signal, or keeps it until one does.

    The same id again, with the same content, answers the same and does nothing. Raises NotFound, TooLarge,
    SignalConflict, WrongState when the run has ended, and InvalidInput when the task that waits refuses it:
    then it goes on waiting, and the signal was never there. One that came early and was refused later is told
    so, too, when it comes again.
    """
    if size_of(dump(request.payload)) > SIGNAL_LIMIT:
        raise TooLarge(f"A signal carries at most {SIGNAL_LIMIT // 1024} KiB")
    return await engine.db.transact(partial(_send, engine, request))


async def _send(engine: Engine, request: SignalRequest, tx: Tx) -> Sent:
    if request.node_id is not None:
        place = await addressed(tx, request.run_id, request.node_id)
        request = replace(request, run_id=place.run_id, node_id=place.node_id)
    run = await _locked_run(tx, request.run_id)
    if request.id is not None and (known := await signals.get(tx, run.id, request.id)):
        return _again(request, known)
    if run.status in RUN_ENDED:
        raise WrongState(f"The run has ended: it is {run.status}")
    program = await engine.programs.one(tx, run.program)
    if request.node_id is not None and request.node_id not in {node.id for node in program.plan.nodes}:
        raise NotFound(f"The run has no node '{request.node_id}'")
    waiter = await signals.waiting_for(tx, run.id, request.name, request.node_id)
    return await _keep(tx, run, request, _Taker(waiter, program) if waiter else None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a task of a certain node type is told. delivery: which waiting is meant, None for the present."""

    task: TaskId
    node_type: str
    payload: JsonValue
    delivery: int | None = None


async def answer_task(engine: Engine, answer: Answer) -> Sent:
    """Wakes a task that waits for a signal, now or never: nothing is kept for later.

    Raises NotFound, TooLarge, WrongState when it does not wait any more, and InvalidInput when it refuses.
    """
    if size_of(dump(answer.payload)) > SIGNAL_LIMIT:
        raise TooLarge(f"An answer carries at most {SIGNAL_LIMIT // 1024} KiB")
    return await engine.db.transact(partial(_answer, engine, answer))


async def _answer(engine: Engine, answer: Answer, tx: Tx) -> Sent:
    run = await _locked_run(tx, answer.task.run_id)
    program = await engine.programs.one(tx, run.program)
    kinds = dict(enumerate(one.type for one in program.types))
    if kinds.get(answer.task.position) != answer.node_type:
        raise NotFound(f"There is no such {answer.node_type}")
    waiter = await signals.waiting_task(tx, answer.task)
    if waiter is None or answer.delivery not in (None, waiter.delivery):
        raise WrongState("It is not waiting any more")
    request = SignalRequest(run.id, waiter.signal, answer.payload, node_id=waiter.node_id)
    return await _keep(tx, run, request, _Taker(waiter, program))


@dataclass(frozen=True, slots=True)
class _Taker:
    """A task that waits for a signal, with the program that says what it accepts."""

    waiter: Waiter
    program: Program

    def problems(self, payload: JsonValue) -> list[Problem]:
        position = self.waiter.task.position
        kind, config = self.program.types[position], self.program.configs[position]
        try:
            return list(kind.check_signal(config, payload))
        except Exception as error:  # of a node type that is wrong
            _log.exception("signal_not_checked", task=str(self.waiter.task))
            return [Problem("", f"it cannot be checked: {type(error).__name__}: {error}")]


async def _locked_run(tx: Tx, run_id: UUID) -> LockedRun:
    locked = await runs.lock(tx, [run_id])
    if run_id not in locked:
        raise NotFound("Workflow run not found")
    return locked[run_id]


def _again(request: SignalRequest, known: Signal) -> Sent:
    same = (known.name, known.payload, known.node_id) == (request.name, request.payload, request.node_id)
    if not same:
        raise SignalConflict
    if known.refused is not None:
        raise InvalidInput("It came early and is not what the node waited for", [Problem("", known.refused)])
    return Sent(known.id, known.position, (), request.run_id)


async def _keep(tx: Tx, run: LockedRun, request: SignalRequest, taker: _Taker | None) -> Sent:
    if taker is not None and (problems := taker.problems(request.payload)):
        raise InvalidInput("This is not what the node waits for", problems)
    position = taker.waiter.task.position if taker else None
    new = NewSignal(
        run.id, request.id or str(new_id()), request.name, request.payload, request.node_id, position
    )
    signal = await signals.insert(tx, new)
    await events.append(tx, [history.signal_received(run.id, signal, taker.waiter if taker else None)])
    dispatches = await _wake(tx, run, taker.waiter, signal) if taker else []
    return Sent(signal.id, position, dispatches, run.id)


async def signals_of(
    engine: Engine, run_id: UUID, limit: int, offset: int, with_children: bool = False
) -> Sequence[KeptSignal]:
    """The signals that a run was sent, oldest first; with_children: and those below it. Raises NotFound."""
    async with engine.db.transaction() as tx:
        if await run_reading.state(tx, run_id) is None:
            raise NotFound("Workflow run not found")
        below = await family.descendants(tx, run_id) if with_children else []
        return await signals.of_runs(tx, [run_id, *below], limit, offset)


async def _wake(tx: Tx, run: LockedRun, waiter: Waiter, signal: Signal) -> list[Dispatch]:
    if waiter.is_paused or run.status is RunStatus.PAUSED:
        await signals.wake_once_resumed(tx, waiter.task, signal.as_wake())
        return []
    queued = await signals.wake(tx, waiter.task, signal.as_wake())
    await events.append(tx, history.queued(queued))
    return [one.dispatch() for one in queued]


async def take_buffered(engine: Engine, tasks: Sequence[TaskId]) -> list[Dispatch]:
    """Gives tasks that have begun to wait the signals that came before them.

    It locks the runs: a signal whose sender did not see the task wait has been committed then.
    """

    async def work(batch: Sequence[TaskId]) -> list[Dispatch]:
        return await engine.db.transact(partial(_take_buffered, engine, batch))

    async def give_up(task: TaskId, _: Exception) -> None:
        _log.exception("signal_not_taken", task=str(task))

    return await spared(tasks, work, give_up)


async def _take_buffered(engine: Engine, tasks: Sequence[TaskId], tx: Tx) -> list[Dispatch]:
    locked = await runs.lock(tx, [task.run_id for task in tasks])
    dispatches: list[Dispatch] = []
    for waiter in await signals.could_take(tx, tasks):
        run = locked[waiter.task.run_id]
        taker = _Taker(waiter, await engine.programs.one(tx, run.program))
        if (signal := await _first_accepted(tx, taker)) is not None:
            await signals.mark_taken(tx, waiter.task, signal.id)
            dispatches += await _wake(tx, run, waiter, signal)
    return dispatches


async def _first_accepted(tx: Tx, taker: _Taker) -> Signal | None:
    """The oldest signal that the task accepts; those before it are refused for good."""
    waiter = taker.waiter
    while (signal := await signals.oldest_buffered(tx, waiter)) is not None:
        problems = taker.problems(signal.payload)
        if not problems:
            return signal
        reason = "; ".join(f"{one.path}: {one.message}" if one.path else one.message for one in problems)
        await signals.mark_refused(tx, waiter.task.run_id, signal.id, reason)
        node = taker.program.plan.nodes[waiter.task.position]
        await events.append(tx, history.signal_refused(waiter, node.name, signal, reason))
    return None
