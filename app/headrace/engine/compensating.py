"""Undoing what a run did that failed or was cancelled: one compensation after the other, last done first.

A compensation that fails does not keep the others from running; the run fails with it.
"""

from __future__ import annotations

from headrace.engine import history
from headrace.engine.holding import hold_back
from headrace.graph.decide import Ended
from headrace.graph.dispatch import Dispatch
from headrace.graph.ids import TaskId
from headrace.graph.plan import Plan
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store import events, releases, runs
from headrace.store.db import Tx
from headrace.store.runs import LockedRun

_NOTHING = "there is nothing to undo"


async def begin(tx: Tx, run: LockedRun, plan: Plan, status: RunStatus) -> list[Dispatch] | None:
    """Begins the phase: skips what is not needed, and queues the first compensation.

    status: how the run ends. None when there is nothing to undo: then the phase is over.
    """
    await runs.open_phase(tx, run.id, "compensating", len(plan.compensations))
    done = await releases.completed_last_first(tx, run.id, _undone_by(plan).keys())
    due = set() if status is RunStatus.SUCCEEDED else {_undone_by(plan)[position] for position in done}
    skipped = sorted(set(plan.compensations) - due)
    await _skip(tx, run, plan, skipped)
    return await go_on(tx, run, plan) if due else None


async def go_on(tx: Tx, run: LockedRun, plan: Plan) -> list[Dispatch]:
    """Queues the next compensation, when none is under way."""
    undone_by = _undone_by(plan)
    done = await releases.completed_last_first(tx, run.id, undone_by.keys())
    waiting = await releases.pending_among(tx, run.id, plan.compensations)
    due = next((undone_by[position] for position in done if undone_by[position] in waiting), None)
    if due is None:
        return []
    queued = await releases.move(tx, [releases.Move(TaskId(run.id, due), released_by=())])
    await events.append(tx, history.queued(queued))
    return [one.dispatch() for one in await hold_back(tx, {run.id: run}, queued)]


async def _skip(tx: Tx, run: LockedRun, plan: Plan, positions: list[int]) -> None:
    ended = {
        position: Ended(TaskStatus.SKIPPED, "", _NOTHING, plan.nodes[_undoes(plan, position)].id)
        for position in positions
    }
    await releases.move(tx, [releases.Move(TaskId(run.id, at), ended=end) for at, end in ended.items()])
    notes = [
        history.task(TaskId(run.id, at), plan.nodes[at].id, end.status, reason=end.reason)
        for at, end in ended.items()
    ]
    await events.append(tx, notes)
    if positions:
        await runs.count_down(tx, {run.id: {TaskStatus.SKIPPED: len(positions)}})


def _undone_by(plan: Plan) -> dict[int, int]:
    """The compensation of each node that has one."""
    return {_undoes(plan, position): position for position in plan.compensations}


def _undoes(plan: Plan, position: int) -> int:
    undone = plan.nodes[position].compensates
    assert undone is not None
    return undone
