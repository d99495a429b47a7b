"""The clock and the safety net. Every worker process ticks; one acts at a time, in short transactions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from headrace.engine import history, line, turns
from headrace.engine.control import cancel_all
from headrace.engine.execute import Finished, recall
from headrace.engine.holding import hold_if_paused
from headrace.engine.program import Engine
from headrace.engine.settle import settle
from headrace.engine.signals import take_buffered
from headrace.graph.dispatch import Dispatch, Release
from headrace.graph.outcome import Failed
from headrace.graph.states import TaskStatus
from headrace.log import Log
from headrace.store import (
    activities_seen,
    batches,
    events,
    idempotency,
    limits,
    payloads,
    rates,
    recovery,
    signals,
    step_cache,
    workers,
)
from headrace.store.db import Tx
from headrace.store.recovery import Lost
from headrace.store.tasks import Queued
from headrace.store.workers import UNHEALTHY_SECONDS

BATCH = 500
"""Tasks that one transaction of the sweep moves."""

_HOUR = 3600.0

_log = Log("headrace.engine")


async def wake_due(engine: Engine) -> list[Dispatch]:
    """Queues the tasks whose waits are over. Cheap when there is none: one look at an index."""
    async with engine.db.transaction() as tx:
        seconds = await recovery.seconds_to_next_wake(tx)
    if seconds is None or seconds > 0:
        return []
    return await engine.db.transact(_wake)


async def _wake(tx: Tx) -> list[Dispatch]:
    if not await recovery.try_lead(tx, "wake"):
        return []
    queued = await recovery.wake(tx, BATCH)
    await events.append(tx, history.queued(queued))
    return [one.dispatch() for one in queued]


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """Seconds: between two sweeps, until a delivery is asked for, until a release is repeated."""

    every: float = 5.0
    lost_delivery: float = 10.0
    forgotten_release: float = 10.0


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found. overdue: queued tasks whose jobs may be lost; `redeliver` those that are."""

    dispatches: Sequence[Dispatch]
    overdue: Sequence[Queued]


async def sweep(engine: Engine, settings: SweepSettings) -> Swept | None:
    """Repairs what got lost, if a sweep is due; None when it is not, or when another process sweeps."""
    steady = await engine.db.transact(partial(_turn, settings))
    if steady is None:
        return None
    dispatches: list[Dispatch] = []
    # While nobody swept, PostgreSQL may have been away and nobody could renew: leases get their time anew.
    if steady >= engine.lease_seconds:
        dispatches += await _recover(engine, await engine.db.transact(_expired))
    async with engine.db.transaction() as tx:
        forgotten = await recovery.unpropagated(tx, settings.forgotten_release, BATCH)
        overdue = await recovery.overdue(tx, settings.lost_delivery, BATCH * 20)
        overlooked = await signals.overlooked(tx, BATCH)
        forgotten += await batches.overlooked(tx, settings.forgotten_release, BATCH)
    dispatches += await take_buffered(engine, overlooked)
    dispatches += await line.move_up(engine)
    dispatches += await turns.repair(engine)
    dispatches += await cancel_all(engine, await turns.crowding(engine))
    if forgotten:
        _log.warning("release_repeated", tasks=len(forgotten))
        dispatches.append(Release(tuple(forgotten)))
    if steady >= UNHEALTHY_SECONDS:
        for worker_id in await engine.db.transact(partial(workers.reap, seconds=UNHEALTHY_SECONDS)):
            dispatches += await expire_worker(engine, worker_id)
    return Swept(dispatches, overdue)


async def _turn(settings: SweepSettings, tx: Tx) -> float | None:
    if not await recovery.try_lead(tx, "sweep"):
        return None
    # Twice, because a process that missed one renewal tries the next after a third of its lease: as long as
    # this pause is not longer than that, nobody who lives has lost a lease when it is over.
    steady = await recovery.take_turn(tx, "sweep", settings.every, gap=2 * settings.every)
    if steady is not None:
        await idempotency.forget_old(tx)
        await workers.forget_old(tx)
        await payloads.forget_unused(tx, BATCH)
        await batches.forget_late(tx, BATCH)
        await step_cache.forget_old(tx, BATCH)
        await limits.forget_stale(tx, BATCH)
        await rates.forget_old(tx, BATCH)
        if await recovery.take_turn(tx, "hourly", _HOUR, gap=2 * _HOUR) is not None:
            await activities_seen.forget_old(tx)
    return steady


async def redeliver(engine: Engine, overdue: Sequence[Queued], live: Collection[str]) -> list[Dispatch]:
    """Delivers again what stands as queued but has no job. live: ids of the jobs that the queue still has."""
    lost = [one for one in overdue if one.dispatch().job_id not in live]
    if not lost:
        return []
    _log.warning("redelivered", tasks=len(lost))
    again = await engine.db.transact(partial(recovery.redeliver, lost=lost))
    return [one.dispatch() for one in again]


async def expire_worker(engine: Engine, worker_id: UUID) -> list[Dispatch]:
    """Takes back at once what a worker held that is known to be dead."""
    return await _recover(engine, await engine.db.transact(partial(_held_by, worker_id)))


@dataclass(frozen=True, slots=True)
class _Taken:
    """Lost tasks: queued again, or lost once too often."""

    again: Sequence[Queued]
    doomed: Sequence[Lost]


async def _expired(tx: Tx) -> _Taken:
    if not await recovery.try_lead(tx, "leases"):
        return _Taken((), ())
    return await _take_back(tx, await recovery.expired(tx, BATCH))


async def _held_by(worker_id: UUID, tx: Tx) -> _Taken:
    return await _take_back(tx, await recovery.held_by(tx, worker_id, BATCH * 20))


async def _take_back(tx: Tx, lost: Sequence[Lost]) -> _Taken:
    again = await recovery.requeue(tx, [one for one in lost if one.lost < one.max_lost])
    await events.append(
        tx,
        [
            history.task(
                one.task, one.node_id, TaskStatus.QUEUED, delivery=one.delivery, reason="worker lost"
            )
            for one in again
        ],
    )
    return _Taken(await hold_if_paused(tx, again), [one for one in lost if one.lost >= one.max_lost])


async def _recover(engine: Engine, taken: _Taken) -> list[Dispatch]:
    """Fails the tasks that lost their worker once too often; the others go to the queue."""
    if taken.again or taken.doomed:
        _log.warning("tasks_taken_back", again=len(taken.again), failed=len(taken.doomed))
    executions = await recall(engine, {one.task: one.token for one in taken.doomed})
    failure = Failed("its worker was lost too often", kind="WorkerLost", retryable=False)
    settled = await settle(engine, [Finished(execution, failure) for execution in executions])
    return [one.dispatch() for one in taken.again] + list(settled.dispatches)
