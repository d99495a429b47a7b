"""Cancelling a run: one transaction under its lock."""

from __future__ import annotations

from collections import Counter
from functools import partial
from uuid import UUID

from headrace.engine import history
from headrace.engine.closing import count_and_close, stop_rest
from headrace.engine.program import Engine
from headrace.engine.stopping import stop_dispatches
from headrace.errors import NotFound, WrongState
from headrace.graph.dispatch import Dispatch
from headrace.graph.outcome import Verdict
from headrace.graph.states import RUN_ENDED, RunStatus, TaskStatus
from headrace.store import events, runs
from headrace.store.db import Tx


async def cancel_run(engine: Engine, run_id: UUID) -> list[Dispatch]:
    """Cancels all that has not ended, except `finally` nodes; they run, then the run ends `cancelled`.

    Returns what to tell the queue and the workers. Raises NotFound, and WrongState for a run that has ended
    or is being cancelled.
    """
    return await engine.db.transact(partial(_cancel, engine, run_id))


async def _cancel(engine: Engine, run_id: UUID, tx: Tx) -> list[Dispatch]:
    locked = await runs.lock(tx, [run_id])
    if run_id not in locked:
        raise NotFound("Workflow run not found")
    run = locked[run_id]
    if run.status in RUN_ENDED:
        raise WrongState(f"The run has ended: it is {run.status}")
    if run.verdict is not None:
        raise WrongState("The run is already being stopped")
    program = await engine.programs.one(tx, run.program)
    await events.append(tx, history.run_cancelling(run_id))
    cancelled = await stop_rest(tx, run, program, Verdict(RunStatus.CANCELLED, "the run was cancelled"))
    counts = {run_id: Counter({TaskStatus.CANCELLED: len(cancelled)})}
    follows = await count_and_close(tx, locked, {run_id: program}, counts)
    return follows + stop_dispatches(cancelled)
