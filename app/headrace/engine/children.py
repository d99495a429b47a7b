"""Looking after the children of tasks: the next ones start, all that ended wake their parent, and those that
nobody wants any more are cancelled.

Each look concerns what is new only. It takes locks in one order: the rows that count children, the children's
runs, the parents' tasks; never the runs of parents.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from headrace.engine import history
from headrace.engine.beginning import add_tasks_to_all
from headrace.engine.control import cancel_all
from headrace.engine.halving import spared
from headrace.engine.holding import hold_if_paused
from headrace.engine.program import Engine
from headrace.engine.reopening import open_children
from headrace.engine.stopping import fail_run
from headrace.graph.children import Batch
from headrace.graph.dispatch import Dispatch
from headrace.graph.ids import TaskId
from headrace.log import Log
from headrace.store import batches, events
from headrace.store.batches import Begun, Locked
from headrace.store.db import Tx

AT_ONCE = 500
"""Children that are told to stop between two looks at their parent."""

_log = Log("headrace.engine")


async def look(engine: Engine, tasks: Sequence[TaskId]) -> list[Dispatch]:
    """Looks at those of the tasks that have children: some of these ended, or are no longer wanted.

    Run twice, nothing happens. A run whose children cannot be looked after fails with EngineError; the others
    go on.
    """
    async with engine.db.connection() as tx:
        parents = await batches.with_children(tx, tasks)

    async def work(group: Sequence[TaskId]) -> list[Dispatch]:
        return await _look(engine, group)

    async def give_up(task: TaskId, error: Exception) -> None:
        _log.exception("children_not_looked_after", task=str(task))
        await fail_run(engine, task.run_id, f"EngineError: {error}")

    return await spared(parents, work, give_up)


async def _look(engine: Engine, tasks: Sequence[TaskId]) -> list[Dispatch]:
    dispatches, spoilt, unwanted = await engine.db.transact(partial(advance, engine, tasks))
    for task in spoilt:
        dispatches += await cancel_all(engine, await engine.db.transact(partial(_running, task)))
    for task in unwanted:
        while ids := await engine.db.transact(partial(_part, task)):
            dispatches += await cancel_all(engine, ids)
    return dispatches


async def advance(
    engine: Engine, tasks: Sequence[TaskId], tx: Tx
) -> tuple[list[Dispatch], list[TaskId], list[TaskId]]:
    """Counts the news of tasks and starts their next children, or wakes them.

    Returns what to push; the tasks too many of whose children have failed; those that want none any more.
    """
    locked = await batches.lock(tx, tasks)
    awaited = [one for one in locked if one.is_awaited]
    news = await batches.report(tx, awaited) if awaited else {}
    dispatches: list[Dispatch] = []
    spoilt: list[TaskId] = []
    changed: dict[TaskId, Batch] = {}
    for one in awaited:
        batch = one.batch.reported(*news.get(one.task, (0, 0)))
        if not one.is_paused:
            batch, begun = await _begin_next(engine, tx, one, batch)
            dispatches += begun
        if batch.is_spoilt and not batch.is_over:
            spoilt.append(one.task)
            if not one.batch.is_spoilt:
                batch = await _drop_rest(tx, one, batch)
        changed[one.task] = batch
    if changed:
        await batches.save(tx, changed)
    woken = await batches.wake(tx, {task: batch for task, batch in changed.items() if batch.is_over})
    await events.append(tx, history.queued(woken))
    dispatches += [one.dispatch() for one in await hold_if_paused(tx, woken)]
    return dispatches, spoilt, [one.task for one in locked if one.is_unwanted]


async def _begin_next(engine: Engine, tx: Tx, locked: Locked, batch: Batch) -> tuple[Batch, list[Dispatch]]:
    """Starts as many of the next children as may run."""
    dispatches: list[Dispatch] = []
    while count := batch.to_start():
        turns = await batches.begin_next(tx, locked, batch, count)
        batch = batch.begun(count, gone=count - len(turns.begun) - turns.well, well=turns.well)
        dispatches += await _begin(engine, tx, [one for one in turns.begun if not one.runs_again])
        dispatches += await open_children(engine, tx, [one.id for one in turns.begun if one.runs_again])
    return batch, dispatches


async def _begin(engine: Engine, tx: Tx, begun: Sequence[Begun]) -> list[Dispatch]:
    """Gives children their tasks."""
    if not begun:
        return []
    keys = {one.id: one.program for one in begun}
    programs = await engine.programs.load(tx, keys.values())
    is_debugged = any(one.is_debugged for one in begun)
    dispatches = await add_tasks_to_all(tx, programs, keys, begun[0].priority, is_debugged=is_debugged)
    for key, program in programs.items():
        if program.plan.timeout is not None:
            ids = [run_id for run_id in keys if keys[run_id] == key]
            await batches.set_deadlines(tx, ids, program.plan.timeout)
    return dispatches


async def _drop_rest(tx: Tx, locked: Locked, batch: Batch) -> Batch:
    """Cancels the children whose turn has not come."""
    dropped = await batches.drop(tx, locked.task, locked.first_index + batch.started)
    await events.append(tx, history.runs_dropped(dropped, batches.NOT_STARTED))
    return batch.dropped()


async def _running(task: TaskId, tx: Tx) -> list[UUID]:
    """The children that run, of a task that still waits for them."""
    locked = await batches.lock(tx, [task])
    awaited = any(one.is_awaited for one in locked)
    return await batches.active(tx, task, max(one.batch.total for one in locked)) if awaited else []


async def _part(task: TaskId, tx: Tx) -> list[UUID]:
    """The next children to stop of a task that does not want them any more; without any, they are forgotten.

    It looks again, under the lock: a next attempt of the task may want children of its own meanwhile.
    """
    unwanted = [one for one in await batches.lock(tx, [task]) if one.is_unwanted]
    if not unwanted:
        return []
    await batches.report(tx, unwanted)
    if not unwanted[0].abandons:
        dropped = await batches.drop(tx, task)
        await events.append(tx, history.runs_dropped(dropped, batches.NOT_STARTED))
    ids = await batches.active(tx, task, AT_ONCE)
    if not ids:
        await batches.forget(tx, [task])
    return [] if unwanted[0].abandons else ids
