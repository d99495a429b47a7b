"""Keeping tasks that are ready from being delivered: their run is paused, or debugged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from headrace.engine import history
from headrace.graph.dispatch import Dispatch, Withdraw
from headrace.graph.holding import Debug, Hold, hold_for
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store import events, holds, run_reading, runs
from headrace.store.db import Tx
from headrace.store.runs import LockedRun
from headrace.store.tasks import Queued


async def pause(tx: Tx, run: LockedRun, reason: str) -> list[Dispatch]:
    """Pauses a running run and holds all that is queued or waits; returns the jobs to take back."""
    await runs.turn(tx, run.id, RunStatus.PAUSED, reason)
    jobs = await holds.pause(tx, run.id)
    await events.append(tx, history.run_paused(run.id, reason))
    return [Withdraw(tuple(jobs))] if jobs else []


async def unpaused(tx: Tx, run: LockedRun) -> LockedRun:
    """A run that is stopped is not paused any more: its compensations and `finally` nodes must run."""
    if run.status is not RunStatus.PAUSED:
        return run
    await holds.resume(tx, run.id)
    await events.append(tx, history.run_resumed(run.id))
    return replace(run, status=RunStatus.RUNNING)


async def hold_if_paused(tx: Tx, queued: Sequence[Queued]) -> list[Queued]:
    """As `hold_back`, for tasks that are queued without a lock on their runs; their rows are locked.

    A pause that comes meanwhile waits for these rows, and finds the tasks queued.
    """
    paused = await run_reading.paused_among(tx, sorted({one.task.run_id for one in queued}))
    held = {one.task: Hold(is_paused=True) for one in queued if one.task.run_id in paused}
    if held:
        await holds.hold(tx, held)
    return [one for one in queued if one.task not in held]


async def hold_back(tx: Tx, locked: Mapping[UUID, LockedRun], queued: Sequence[Queued]) -> list[Queued]:
    """Parks those of the queued tasks that may not be delivered now; returns the others."""
    held = {}
    for one in queued:
        run = locked[one.task.run_id]
        if hold := hold_for(run.status, Debug.read(run.debug), one.node_id):
            held[one.task] = hold
    if held:
        await holds.hold(tx, held)
        nodes = {one.task: one.node_id for one in queued}
        parked = [
            history.task(task, nodes[task], TaskStatus.WAITING, waitsFor=hold.held_for or "resume")
            for task, hold in held.items()
        ]
        await events.append(tx, parked)
    return [one for one in queued if one.task not in held]
