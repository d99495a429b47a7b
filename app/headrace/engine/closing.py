"""Counting down a run's open tasks, and what happens when none is left. The run is locked by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from headrace.engine import history
from headrace.engine.holding import hold_back
from headrace.engine.program import Program
from headrace.graph.decide import is_unhandled, run_verdict
from headrace.graph.dispatch import Dispatch, Release
from headrace.graph.ids import TaskId
from headrace.graph.join import EdgeOutcome
from headrace.graph.outcome import Verdict
from headrace.graph.plan import Plan
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store import events, releases, runs
from headrace.store.db import Tx
from headrace.store.releases import Cancelled
from headrace.store.runs import LockedRun


async def count_and_close(
    tx: Tx,
    locked: Mapping[UUID, LockedRun],
    programs: Mapping[UUID, Program],
    ended: Mapping[UUID, Mapping[TaskStatus, int]],
) -> list[Dispatch]:
    """Counts ended tasks; a run without open ones begins its `finally` nodes, or ends.

    Returns what follows: the first of the `finally` nodes, or news for the task that the run ran for.
    """
    open_tasks = await runs.count_down(tx, {run_id: counts for run_id, counts in ended.items() if counts})
    dispatches: list[Dispatch] = []
    for run_id in sorted(run_id for run_id, left in open_tasks.items() if left == 0):
        run, plan = locked[run_id], programs[run_id].plan
        if run.phase == "main" and plan.finals:
            dispatches += await _begin_finals(tx, run, plan)
        else:
            dispatches += await _finish(tx, run, plan)
    return dispatches


async def stop_rest(tx: Tx, run: LockedRun, program: Program, verdict: Verdict) -> list[Cancelled]:
    """Decides how the run will end and cancels all that has not ended, except `finally` nodes."""
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


async def _begin_finals(tx: Tx, run: LockedRun, plan: Plan) -> list[Dispatch]:
    await runs.open_finals(tx, run.id, len(plan.finals))
    first = [position for position in plan.finals if not plan.nodes[position].in_edges]
    moves = [releases.Move(TaskId(run.id, position), released_by=()) for position in first]
    queued = await releases.move(tx, moves)
    await events.append(tx, history.queued(queued))
    return [one.dispatch() for one in await hold_back(tx, {run.id: run}, queued)]


async def _finish(tx: Tx, run: LockedRun, plan: Plan) -> list[Dispatch]:
    status, reason = await _verdict(tx, run, plan)
    await runs.finish(tx, run.id, status, reason)
    await events.append(tx, history.run_ended(run.id, status, reason))
    return [Release((run.parent,))] if run.parent else []


async def _verdict(tx: Tx, run: LockedRun, plan: Plan) -> tuple[RunStatus, str | None]:
    """How the run ends and why, read after the lock and the last count."""
    verdict = await runs.verdict(tx, run.id)
    if verdict.early is RunStatus.FAILED:
        return RunStatus.FAILED, verdict.reason
    failures = await runs.failures(tx, run.id) if verdict.failed else []
    outcomes = {failure.position: failure.outcomes for failure in failures}
    met = await runs.met_joins(tx, run.id, _failed_targets(plan, outcomes))
    status = run_verdict(plan, outcomes, met, verdict.early is RunStatus.CANCELLED)
    if status is RunStatus.FAILED:
        culprit = next(one for one in failures if is_unhandled(plan, one.position, one.outcomes, met))
        return status, f"node '{culprit.node_id}' failed"
    return status, verdict.reason


def _failed_targets(plan: Plan, outcomes: Mapping[int, str]) -> list[int]:
    return sorted(
        {
            edge.target
            for position, letters in outcomes.items()
            for edge, letter in zip(plan.out(position), letters, strict=True)
            if letter == EdgeOutcome.FAILED
        }
    )
