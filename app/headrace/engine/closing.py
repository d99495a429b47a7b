"""Counting down a run's open tasks, and what happens when none is left. The run is locked by the caller.

A run has up to three phases: its graph, the compensations of a run that failed or was cancelled, and its
`finally` nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from headrace.engine import compensating, ending, history
from headrace.engine.holding import hold_back
from headrace.engine.program import Engine, Program
from headrace.graph.dispatch import Dispatch
from headrace.graph.ids import TaskId
from headrace.graph.join import EdgeOutcome
from headrace.graph.outcome import Verdict
from headrace.graph.plan import Plan
from headrace.graph.settings import OnFailure
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store import events, releases, runs
from headrace.store.db import Tx
from headrace.store.releases import Cancelled
from headrace.store.runs import LockedRun


async def count_and_close(
    engine: Engine,
    tx: Tx,
    locked: Mapping[UUID, LockedRun],
    programs: Mapping[UUID, Program],
    ended: Mapping[UUID, Mapping[TaskStatus, int]],
) -> list[Dispatch]:
    """Counts ended tasks; a run without open ones goes on to its next phase, or ends.

    Returns what follows: the first tasks of the phase, or news for the task that the run ran for.
    """
    open_tasks = await runs.count_down(tx, {run_id: counts for run_id, counts in ended.items() if counts})
    dispatches: list[Dispatch] = []
    for run_id, left in sorted(open_tasks.items()):
        run, plan = locked[run_id], programs[run_id].plan
        if left == 0:
            dispatches += await _next_phase(engine, tx, run, plan)
        elif run.phase == "compensating":
            dispatches += await compensating.go_on(tx, run, plan)
    return dispatches


async def close_if_over(engine: Engine, tx: Tx, run: LockedRun) -> list[Dispatch]:
    """Closes a run that is not paused any more, if a failure paused it when all its tasks had ended."""
    if run.open:
        return []
    program = await engine.programs.one(tx, run.program)
    return await _next_phase(engine, tx, run, program.plan)


async def stop_rest(tx: Tx, run: LockedRun, program: Program, verdict: Verdict) -> list[Cancelled]:
    """Decides how the run will end and cancels what has not ended of its graph."""
    plan, reason = program.plan, verdict.reason
    await runs.set_verdict(tx, run.id, verdict.status, reason)
    outcomes = {
        node.position: EdgeOutcome.CANCELLED.value * len(node.out_edges)
        for node in plan.nodes
        if node.is_main
    }
    cancelled = await releases.cancel(tx, run.id, outcomes, reason)
    await events.append(
        tx,
        [
            history.task(one.task, one.node_id, TaskStatus.CANCELLED, was=one.was.value, reason=reason)
            for one in cancelled
        ],
    )
    return cancelled


async def _next_phase(engine: Engine, tx: Tx, run: LockedRun, plan: Plan) -> list[Dispatch]:
    if await _is_kept_open(tx, run, plan):
        return []
    if run.phase == "main" and plan.compensations:
        verdict = await ending.verdict(tx, run, plan)
        jobs = await compensating.begin(tx, run, plan, verdict.status)
        if jobs is not None:  # none of them may be deliverable now, and yet the phase has begun
            return jobs
    if run.phase != "finally" and plan.finals:
        return await _begin_finals(tx, run, plan)
    return await ending.finish(engine, tx, run, plan)


async def _is_kept_open(tx: Tx, run: LockedRun, plan: Plan) -> bool:
    """Whether somebody is to look at the failure before anything is undone and the run ends."""
    may_wait = run.status is RunStatus.PAUSED and run.phase == "main" and run.verdict is None
    if not may_wait or plan.on_failure is not OnFailure.PAUSE:
        return False
    return (await ending.verdict(tx, run, plan)).status is RunStatus.FAILED


async def _begin_finals(tx: Tx, run: LockedRun, plan: Plan) -> list[Dispatch]:
    await runs.open_phase(tx, run.id, "finally", len(plan.finals))
    first = [position for position in plan.finals if not plan.nodes[position].in_edges]
    moves = [releases.Move(TaskId(run.id, position), released_by=()) for position in first]
    queued = await releases.move(tx, moves)
    await events.append(tx, history.queued(queued))
    return [one.dispatch() for one in await hold_back(tx, {run.id: run}, queued)]
