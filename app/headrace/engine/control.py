"""Cancelling, pausing and resuming a run: one transaction each, under its lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from uuid import UUID

from headrace.engine import ending, history
from headrace.engine.closing import close_if_over, count_and_close, stop_rest
from headrace.engine.holding import pause, unpaused
from headrace.engine.program import Engine
from headrace.engine.stopping import stop_dispatches
from headrace.errors import NotFound, WrongState
from headrace.graph.dispatch import Dispatch, Release
from headrace.graph.outcome import Verdict
from headrace.graph.states import RUN_ENDED, RunStatus, TaskStatus
from headrace.store import events, family, holds, run_reading, runs
from headrace.store.db import Tx
from headrace.store.runs import LockedRun

TIMED_OUT = "Timeout"
"""How the reason of a run begins whose own clock ended it."""


async def cancel_run(engine: Engine, run_id: UUID, grace: float = 0.0) -> list[Dispatch]:
    """Cancels all that has not ended, except `finally` nodes; they run, then the run ends `cancelled`.

    The tasks are cancelled at once, whatever their code still does: what it answers comes too late. grace:
    seconds in which code that runs may end by itself. Returns what to tell the queue and the workers. Raises
    NotFound, and WrongState for a run that has ended or is being cancelled.
    """
    dispatches = await engine.db.transact(partial(_cancel, engine, run_id, grace))
    return dispatches + await _cancel_children(engine, run_id, grace) if grace else dispatches


async def _cancel_children(engine: Engine, run_id: UUID, grace: float) -> list[Dispatch]:
    """Gives the code of children the same time. Without a grace, the look at their parents stops them."""
    async with engine.db.transaction() as tx:
        children = await family.of_cancelled(tx, run_id)
    dispatches: list[Dispatch] = []
    for child in children:
        with suppress(NotFound, WrongState):
            dispatches += await cancel_run(engine, child, grace)
    return dispatches


async def cancel_all(engine: Engine, run_ids: Sequence[UUID]) -> list[Dispatch]:
    """Cancels those of the runs that have not ended and are not ending."""
    dispatches: list[Dispatch] = []
    for run_id in run_ids:
        with suppress(NotFound, WrongState):
            dispatches += await cancel_run(engine, run_id)
    return dispatches


async def _cancel(engine: Engine, run_id: UUID, grace: float, tx: Tx) -> list[Dispatch]:
    run = await _lock(tx, run_id)
    await events.append(tx, history.run_cancelling(run_id))
    return await _stop(engine, tx, run, Verdict(RunStatus.CANCELLED, "the run was cancelled"), grace)


async def _stop(
    engine: Engine, tx: Tx, run: LockedRun, verdict: Verdict, grace: float = 0.0
) -> list[Dispatch]:
    program = await engine.programs.one(tx, run.program)
    run = await unpaused(tx, run)
    cancelled = await stop_rest(tx, run, program, verdict)
    if (said := await ending.said_by_node(tx, run.id, program.plan)) is not None and run.phase == "main":
        await runs.set_verdict(tx, run.id, said.status, said.reason)  # it was first, and not released yet
    if run.status is RunStatus.QUEUED:  # it has no tasks yet that could end
        return await ending.finish(engine, tx, run, program.plan)
    counts = {run.id: Counter({TaskStatus.CANCELLED: len(cancelled)})}
    follows = await count_and_close(engine, tx, {run.id: run}, {run.id: program}, counts)
    return follows + stop_dispatches(cancelled, grace)


async def _go_on(engine: Engine, tx: Tx, run: LockedRun) -> list[Dispatch]:
    parents = await holds.resume(tx, run.id)
    await events.append(tx, history.run_resumed(run.id))
    dispatches: list[Dispatch] = [Release(tuple(parents))] if parents else []
    return dispatches + await close_if_over(engine, tx, replace(run, status=RunStatus.RUNNING))


async def fail_late_run(engine: Engine, run_id: UUID) -> list[Dispatch]:
    """Stops a run that took longer than its workflow allows; it ends `failed`, after its `finally` nodes."""

    async def work(tx: Tx) -> list[Dispatch]:
        run = (await runs.lock(tx, [run_id])).get(run_id)
        if run is None or run.status in RUN_ENDED or run.verdict is not None:
            return []
        if run.status is RunStatus.PAUSED:  # since it was looked at, and its clock stands
            return []
        limit = (await engine.programs.one(tx, run.program)).plan.timeout or 0
        reason = f"{TIMED_OUT}: the run took longer than {limit:g} s"
        return await _stop(engine, tx, run, Verdict(RunStatus.FAILED, reason))

    return await engine.db.transact(work)


async def pause_run(engine: Engine, run_id: UUID, reason: str = "asked for") -> list[Dispatch]:
    """Holds all that has not begun, also in the runs below it; what runs finishes.

    Nothing follows until the run is resumed. Raises NotFound, and WrongState for a run that is not running.
    """
    return await _pause_one(reason, engine, run_id) + await pause_below(engine, run_id, reason)


async def pause_below(engine: Engine, run_id: UUID, reason: str) -> list[Dispatch]:
    """Pauses what runs below a run that is paused."""
    return flat(await to_below(engine, run_id, RunStatus.RUNNING, partial(_pause_one, reason)))


async def _pause_one(reason: str, engine: Engine, run_id: UUID) -> list[Dispatch]:
    async def work(tx: Tx) -> list[Dispatch]:
        run = await _lock(tx, run_id)
        if run.status is not RunStatus.RUNNING:
            raise WrongState(f"The run is {run.status}")
        return await pause(tx, run, reason)

    return await engine.db.transact(work)


async def resume_run(engine: Engine, run_id: UUID) -> list[Dispatch]:
    """Lets a paused run go on, with those below it. What is due is woken by the next tick; one that a failure
    paused when nothing else was left to do ends now.

    Raises NotFound, and WrongState for a run that is not paused. One below which others are counts as paused.
    """
    refused, dispatches = None, list[Dispatch]()
    try:
        dispatches = await resume_one(engine, run_id)
    except WrongState as error:
        refused = error
    below = await to_below(engine, run_id, RunStatus.PAUSED, resume_one)
    if refused is not None and not below:
        raise refused
    return dispatches + flat(below)


async def resume_one(engine: Engine, run_id: UUID) -> list[Dispatch]:
    """Lets a paused run go on, but none below it. Raises as `resume_run`."""

    async def work(tx: Tx) -> list[Dispatch]:
        run = await _lock(tx, run_id, is_ending_too=True)  # a node may have ended it since it was paused
        if run.status is not RunStatus.PAUSED:
            raise WrongState("The run is not paused")
        return await _go_on(engine, tx, run)

    return await engine.db.transact(work)


async def to_below(
    engine: Engine,
    run_id: UUID,
    status: RunStatus,
    act: Callable[[Engine, UUID], Awaitable[list[Dispatch]]],
) -> dict[UUID, list[Dispatch]]:
    """Does the same to the runs below that stand so, the upper ones first, each in a transaction of its own.

    Returns what follows from each; those that refused are not among them.
    """
    async with engine.db.transaction() as tx:
        below = await run_reading.active_below(tx, run_id, status)
    done: dict[UUID, list[Dispatch]] = {}
    for one in below:
        with suppress(WrongState):  # it has ended, or somebody was quicker
            done[one] = await act(engine, one)
    return done


def flat(done: Mapping[UUID, Sequence[Dispatch]]) -> list[Dispatch]:
    """All that follows."""
    return [*chain.from_iterable(done.values())]


async def _lock(tx: Tx, run_id: UUID, is_ending_too: bool = False) -> LockedRun:
    """Locks a run that has not ended and (unless one that is will do) is not ending.

    Raises NotFound, WrongState.
    """
    run = (await runs.lock(tx, [run_id])).get(run_id)
    if run is None:
        raise NotFound("Workflow run not found")
    if run.status in RUN_ENDED:
        raise WrongState(f"The run has ended: it is {run.status}")
    if run.verdict is not None and not is_ending_too:
        raise WrongState("The run is already being stopped")
    return run
