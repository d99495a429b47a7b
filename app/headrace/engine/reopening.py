"""Opening an ended run again: its failed part runs once more, in place. The run is locked by the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.engine import history
from headrace.engine.holding import hold_back
from headrace.engine.program import Engine, Program
from headrace.graph.again import Reopening, reopening
from headrace.graph.dispatch import Dispatch, Release
from headrace.graph.ids import TaskId
from headrace.graph.states import ENDED, RunStatus, TaskStatus
from headrace.store import again, events, holds, runs
from headrace.store.db import Tx

_STOPPED = (TaskStatus.FAILED, TaskStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class Opened:
    """What follows. jobs: to push. told: ended tasks whose successors are to be told of them once more."""

    jobs: Sequence[Dispatch]
    told: Sequence[TaskId]


async def open_again(tx: Tx, run: runs.LockedRun, program: Program, what: Reopening) -> Opened:
    """Queues what begins at once and lets the rest wait for it; tasks keep children that ended well.

    A paused run goes on with it.
    """
    plan, run_id = program.plan, run.id
    stored = await again.stored(tx, run_id)
    compensations = dict.fromkeys(plan.compensations, 0)
    again_at = sorted(what.reopened | compensations.keys())
    in_degrees = {position: len(plan.into(position)) for position in what.pending} | compensations
    stopped = [at for at in what.reopened - set(plan.finals) if stored[at].status in _STOPPED]
    await again.keep_children(tx, run_id, stopped)
    queued = await again.queue_again(tx, run_id, (*what.requeued, *what.started))
    await again.wait_again(tx, run_id, in_degrees)
    await again.tell_again(tx, run_id, what.told)
    await again.forget_effects(tx, run_id, again_at)
    await again.reopen_run(tx, run_id, plan.main_size, plan.timeout)
    ended = [at for at in again_at if stored[at].status in ENDED]
    notes = [history.task_reopened(TaskId(run_id, at), plan.nodes[at].id) for at in ended]
    told = [TaskId(run_id, at) for at in what.told]
    notes += [history.task_reopened(task, plan.nodes[task.position].id, is_told=True) for task in told]
    await events.append(tx, [*notes, *history.queued(queued)])
    locked = await runs.lock(tx, [run_id])
    parents = await holds.resume(tx, run_id) if run.status is RunStatus.PAUSED else []
    jobs: list[Dispatch] = [one.dispatch() for one in await hold_back(tx, locked, queued)]
    if parents:
        jobs.append(Release(tuple(parents)))
    return Opened(jobs, told)


async def open_children(engine: Engine, tx: Tx, run_ids: Sequence[UUID]) -> list[Dispatch]:
    """Opens children whose turn to run again has come."""
    dispatches: list[Dispatch] = []
    for run_id, run in (await runs.lock(tx, run_ids) if run_ids else {}).items():
        program = await engine.programs.one(tx, run.program)
        what = reopening(program.plan, await again.stored(tx, run_id))
        opened = await open_again(tx, run, program, what)
        dispatches += opened.jobs
        if opened.told:
            dispatches.append(Release(tuple(opened.told)))
    return dispatches
