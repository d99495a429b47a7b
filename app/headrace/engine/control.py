"""Cancelling, pausing and resuming a run: one transaction each, under its lock."""

from __future__ import annotations

from collections import Counter
from functools import partial
from uuid import UUID

from headrace.engine import history
from headrace.engine.closing import count_and_close, stop_rest
from headrace.engine.holding import pause
from headrace.engine.program import Engine
from headrace.engine.stopping import stop_dispatches
from headrace.errors import NotFound, WrongState
from headrace.graph.dispatch import Dispatch, Release
from headrace.graph.outcome import Verdict
from headrace.graph.states import RUN_ENDED, RunStatus, TaskStatus
from headrace.store import events, holds, runs
from headrace.store.db import Tx
from headrace.store.runs import LockedRun


async def cancel_run(engine: Engine, run_id: UUID) -> list[Dispatch]:
    """Cancels all that has not ended, except `finally` nodes; they run, then the run ends `cancelled`.

    Returns what to tell the queue and the workers. Raises NotFound, and WrongState for a run that has ended
    or is being cancelled.
    """
    return await engine.db.transact(partial(_cancel, engine, run_id))


async def _cancel(engine: Engine, run_id: UUID, tx: Tx) -> list[Dispatch]:
    run = await _lock(tx, run_id)
    program = await engine.programs.one(tx, run.program)
    await events.append(tx, history.run_cancelling(run_id))
    cancelled = await stop_rest(tx, run, program, Verdict(RunStatus.CANCELLED, "the run was cancelled"))
    counts = {run_id: Counter({TaskStatus.CANCELLED: len(cancelled)})}
    follows = await count_and_close(tx, {run_id: run}, {run_id: program}, counts)
    return follows + stop_dispatches(cancelled)


async def pause_run(engine: Engine, run_id: UUID, reason: str = "asked for") -> list[Dispatch]:
    """Holds all that has not begun; what runs finishes, and nothing follows it until the run is resumed.

    Raises NotFound, and WrongState for a run that is not running.
    """

    async def work(tx: Tx) -> list[Dispatch]:
        run = await _lock(tx, run_id)
        if run.status is not RunStatus.RUNNING:
            raise WrongState(f"The run is {run.status}")
        return await pause(tx, run, reason)

    return await engine.db.transact(work)


async def resume_run(engine: Engine, run_id: UUID) -> list[Dispatch]:
    """Lets a paused run go on. What is due is woken by the next tick.

    Raises NotFound, and WrongState for a run that is not paused.
    """

    async def work(tx: Tx) -> list[Dispatch]:
        run = await _lock(tx, run_id)
        if run.status is not RunStatus.PAUSED:
            raise WrongState(f"The run is not paused: it is {run.status}")
        await runs.turn(tx, run_id, RunStatus.RUNNING)
        parents = await holds.resume(tx, run_id)
        await events.append(tx, history.run_resumed(run_id))
        return [Release(tuple(parents))] if parents else []

    return await engine.db.transact(work)


async def _lock(tx: Tx, run_id: UUID) -> LockedRun:
    """Locks a run that has not ended and is not ending. Raises NotFound, WrongState."""
    run = (await runs.lock(tx, [run_id])).get(run_id)
    if run is None:
        raise NotFound("Workflow run not found")
    if run.status in RUN_ENDED:
        raise WrongState(f"The run has ended: it is {run.status}")
    if run.verdict is not None:
        raise WrongState("The run is already being stopped")
    return run
