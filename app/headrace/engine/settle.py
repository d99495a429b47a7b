"""Recording the answers of nodes: completed, failed, or parked until a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic

from headrace.engine.ahead import run_ahead
from headrace.engine.answers import Answered, read_answer, refused
from headrace.engine.control import cancel_all
from headrace.engine.execute import Finished
from headrace.engine.halving import in_halves
from headrace.engine.handover import NOBODY, Completed, HandedOver, Ran, Taker, hand_over, is_quick
from headrace.engine.line import give_back
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine
from headrace.engine.signals import take_buffered
from headrace.engine.spawning import lock_batches, spawn
from headrace.errors import StoreUnavailable
from headrace.graph.dispatch import Dispatch, Release
from headrace.graph.ids import TaskId
from headrace.graph.outcome import Done
from headrace.graph.states import TaskStatus
from headrace.graph.statistics import End
from headrace.log import Log
from headrace.store import claims, events
from headrace.store.db import Tx
from headrace.store.payloads import INLINE_LIMIT
from headrace.store.recovery import CHILDREN, RETRY

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
    entries = [read_answer(one, jitter()) for one in once.values()]
    quick = [entry for entry in entries if _is_quick(entry)]
    handed = await _hand_over(engine, quick, taker)
    done = {*handed.released, *handed.settled}
    slow = entries if handed is _NOTHING else _without(entries, quick)
    written = await in_halves(slow, partial(_write, engine), refused)
    late = [entry.settlement.task for entry in entries if entry.settlement.task not in done | written.keys()]
    ended = [entry.settlement.task for entry in written.values() if entry.is_news]
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


def _ends(written: Mapping[TaskId, Answered]) -> dict[TaskId, End]:
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


def _without(entries: Sequence[Answered], gone: Sequence[Answered]) -> list[Answered]:
    tasks = {entry.settlement.task for entry in gone}
    return [entry for entry in entries if entry.settlement.task not in tasks]


def _is_quick(entry: Answered) -> bool:
    has_children = entry.spawning is not None or entry.finished.execution.claim.waits_for == CHILDREN
    return not has_children and is_quick(entry.finished.execution, entry.settlement)


_NOTHING = HandedOver((), (), (), (), ())


async def _hand_over(engine: Engine, entries: Sequence[Answered], taker: Taker) -> HandedOver:
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
    entry = read_answer(perform(execution), 0.0)
    is_short = len(entry.settlement.output or "") <= INLINE_LIMIT
    return replace(_handed(entry), began=began) if is_short and _is_quick(entry) else None


def _handed(entry: Answered) -> Completed:
    finished = entry.finished
    output = finished.outcome.output if isinstance(finished.outcome, Done) else None
    return Completed(finished.execution, entry.settlement, entry.events, output, ended=finished.at)


async def _signalled(engine: Engine, written: Iterable[Answered]) -> list[Dispatch]:
    """What follows for those that wait for a signal which is already there."""
    waiting = [entry.settlement.task for entry in written if entry.settlement.signal is not None]
    try:
        return await take_buffered(engine, waiting)
    except StoreUnavailable:
        # The answers are recorded: nobody may record them again. The sweep looks once more.
        return []


async def _make_way(engine: Engine, written: Iterable[Answered]) -> list[Dispatch]:
    """What follows from cancelling the runs in whose place others were started."""
    try:
        return await cancel_all(engine, [run_id for entry in written for run_id in entry.begun.outdated])
    except StoreUnavailable:
        return []


async def _write(engine: Engine, entries: Sequence[Answered]) -> dict[TaskId, Answered]:
    async def work(tx: Tx) -> dict[TaskId, Answered]:
        earlier = await lock_batches(tx, [entry.spawning for entry in entries if entry.spawning])
        held = await claims.settle(tx, [entry.settlement for entry in entries])
        written = {entry.settlement.task: entry for entry in entries if entry.settlement.task in held}
        await events.append(tx, [event for entry in written.values() for event in entry.events])
        spawned = await spawn(engine, tx, [one.spawning for one in written.values() if one.spawning], earlier)
        return written | {task: replace(written[task], begun=begun) for task, begun in spawned.items()}

    return await engine.db.transact(work)
