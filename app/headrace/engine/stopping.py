"""Ending what has not ended: a run that the engine cannot go on with, and whom to tell of cancelled tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from headrace.engine import history
from headrace.engine.program import Engine
from headrace.graph.dispatch import Dispatch, Release, Stop, Withdraw
from headrace.graph.states import RUN_ENDED, RunStatus, TaskStatus
from headrace.store import events, releases, runs
from headrace.store.codec import plain
from headrace.store.db import Tx
from headrace.store.recovery import CHILDREN
from headrace.store.releases import Cancelled


def stop_dispatches(cancelled: Sequence[Cancelled], grace: float = 0.0) -> list[Dispatch]:
    """What to tell the queue and the processes about cancelled tasks. grace: see `Stop`."""
    jobs = tuple(
        f"{one.task}-{one.attempt}-{one.delivery}" for one in cancelled if one.was is TaskStatus.QUEUED
    )
    running = tuple(one.task for one in cancelled if one.was is TaskStatus.RUNNING)
    parents = tuple(one.task for one in cancelled if one.waited_for == CHILDREN)
    dispatches: list[Dispatch] = []
    if parents:
        dispatches.append(Release(parents))
    if jobs:
        dispatches.append(Withdraw(jobs))
    if running:
        dispatches.append(Stop(running, grace))
    return dispatches


async def fail_run(engine: Engine, run_id: UUID, reason: str) -> None:
    """Ends a run that the engine cannot go on with, without its plan: all that is open is cancelled.

    Nobody is told: late jobs find nothing to claim, and running nodes learn it from their next renewal.
    """
    why = plain(reason)

    async def work(tx: Tx) -> None:
        locked = await runs.lock(tx, [run_id])
        if run_id not in locked or locked[run_id].status in RUN_ENDED:
            return
        abandoned = await releases.abandon(tx, run_id, why)
        await runs.close(tx, run_id, Counter(one.status for one in abandoned))
        await runs.finish(tx, run_id, RunStatus.FAILED, why)
        ended = [
            history.task(one.task, one.node_id, one.status, was=one.was.value, reason=why)
            for one in abandoned
            if one.status is not one.was
        ]
        await events.append(tx, [*ended, *history.run_ended(run_id, RunStatus.FAILED, why)])

    await engine.db.transact(work)
