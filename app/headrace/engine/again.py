"""Running again: the failed part of a run in place, or a new run that uses earlier results again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from uuid import UUID

from headrace.engine import history, turns
from headrace.engine.beginning import Beginning, begin
from headrace.engine.control import cancel_all, flat, resume_one, to_below
from headrace.engine.pinning import choose, require_kept
from headrace.engine.program import Engine, Program
from headrace.engine.release import release_within
from headrace.engine.reopening import open_again
from headrace.errors import InvalidInput, NotFound, Problem, WrongState
from headrace.graph.again import reopening, reused
from headrace.graph.dispatch import Dispatch, RunTask
from headrace.graph.json_types import JsonValue
from headrace.graph.plan import Plan
from headrace.graph.states import RUN_ENDED, RUN_REOPENS, RunStatus, TaskStatus
from headrace.store import again, batches, events, family, keeping, run_reading, runs
from headrace.store.db import Tx
from headrace.store.family import Above
from headrace.store.ids import new_id


async def retry_run(engine: Engine, run_id: UUID) -> list[Dispatch]:
    """Runs the failed and the cancelled part of an ended run again; completed tasks stay.

    Also those of a paused run, which has not ended: then it goes on, whether it runs for a task or not.
    So do paused runs below it: those that failed run their failed part again, the others are resumed. Where
    only these failed, it is for them that this run is retried. Raises NotFound, and WrongState for a run that
    has not failed or been cancelled, that was compensated, that a node ended, or whose task knows of its end.
    """
    refused, dispatches = None, list[Dispatch]()
    try:
        dispatches = await _retry_one(engine, run_id)
    except NothingToRetry as error:
        refused = error
    below = await to_below(engine, run_id, RunStatus.PAUSED, _retry_one)
    if refused is not None:
        if not below:
            raise refused
        with suppress(WrongState):  # it runs
            dispatches = await resume_one(engine, run_id)
    resumed = await to_below(engine, run_id, RunStatus.PAUSED, resume_one)
    return dispatches + flat(below) + flat(resumed)


class NothingToRetry(WrongState):
    """Nothing of the run itself failed or was cancelled; of those below it, something may have been."""


async def _retry_one(engine: Engine, run_id: UUID) -> list[Dispatch]:
    return await engine.db.transact(partial(_retry, engine, run_id))


async def _retry(engine: Engine, run_id: UUID, tx: Tx) -> list[Dispatch]:
    above = await family.above(tx, run_id)
    waiting = await batches.lock(tx, [one.task for one in above[:1]])  # always before the children's runs
    locked = await runs.lock(tx, [run_id])
    if run_id not in locked:
        raise NotFound("Workflow run not found")
    run = locked[run_id]
    program = await engine.programs.one(tx, run.program)
    plan = program.plan
    tasks = await again.stored(tx, run_id)
    if above and run.status in RUN_ENDED:
        await _require_awaited(tx, run_id, above, waiting)
    if run.status in RUN_ENDED:
        await _require_room(tx, run, plan)
    await _require_retryable(tx, run, [tasks[at].status for at in plan.compensations if at in tasks])
    if program.stored:
        await require_kept(tx, run_id, program.project)
    what = reopening(plan, tasks)
    if what.is_nothing:
        raise NothingToRetry("There is nothing to run again: no task failed or was cancelled")
    if run.parent is not None and run.status in RUN_ENDED:
        await keeping.take_back(tx, run_id)
    opened = await open_again(tx, run, program, what)
    await events.append(tx, _said(run))
    return [*opened.jobs, *await release_within(engine, opened.told, tx)]


async def _require_awaited(
    tx: Tx, run_id: UUID, above: Sequence[Above], waiting: Sequence[batches.Locked]
) -> None:
    """Raises WrongState unless the task that an ended run ran for still waits for its other children.

    Also where it only waits for those that are being stopped, because too many failed.
    """
    task, node = above[0].task, above[0].node_id
    is_awaited = any(one.is_awaited and not one.batch.is_over for one in waiting)
    if not is_awaited or not await keeping.is_counted(tx, run_id):
        ended = list(takewhile(lambda one: one.has_ended, above)) or above[:1]
        raise WrongState(
            f"The run belongs to task '{node}' of run {task.run_id}, which does not wait for it any more:"
            f" retry run {ended[-1].task.run_id}"
        )
    if any(one.batch.is_spoilt for one in waiting):
        raise WrongState(
            f"The run belongs to task '{node}' of run {task.run_id}, which gives up because too many of its"
            f" children failed: when that has ended, retry run {task.run_id}"
        )
    if not await keeping.has_room(tx, run_id):
        raise WrongState(
            f"As many children of task '{node}' of run {task.run_id} run as may run together:"
            " retry this one when another has ended"
        )
    if any(one.is_paused for one in waiting):
        raise WrongState(f"The run belongs to run {task.run_id}, which is paused: resume that one first")


async def _require_retryable(tx: Tx, run: runs.LockedRun, compensations: Sequence[TaskStatus]) -> None:
    if run.status not in RUN_ENDED and run.phase != "main":
        raise WrongState("The run is ending: its compensations or `finally` nodes are under way")
    if run.status not in RUN_REOPENS:
        raise NothingToRetry(
            f"Only a failed, cancelled or paused run can be retried: this one is {run.status}"
        )
    if TaskStatus.COMPLETED in compensations or TaskStatus.FAILED in compensations:
        raise WrongState("The run was compensated: start a rerun instead")
    if await again.endings(tx, run.id):
        raise WrongState("A node ended the run: start a rerun instead")


async def _require_room(tx: Tx, run: runs.LockedRun, plan: Plan) -> None:
    """Raises WrongState when the run, which counts again, would be one too many for its workflow's key."""
    stored = await run_reading.get(tx, run.id)
    if stored is None or stored.concurrency_key is None:
        return
    turn = await turns.ask(tx, plan, run.workflow_id, stored.input)
    if turn.is_queued or turn.outdated:
        raise WrongState(f"The key '{turn.key}' has no room for this run: retry it when another has ended")


def _said(run: runs.LockedRun) -> list[events.Event]:
    """A run that a failure paused has not ended, so that it only goes on."""
    return [history.run_reopened(run.id)] if run.status in RUN_ENDED else history.run_resumed(run.id)


@dataclass(frozen=True, slots=True)
class Rerun:
    """What to run again as a new run. nodes: from which on; empty: all of it.

    input: of the new run; `keeps_input` takes the earlier run's.
    """

    run_id: UUID
    nodes: Collection[str] = ()
    input: JsonValue = None
    keeps_input: bool = True


@dataclass(frozen=True, slots=True)
class Reran:
    """The new run, with what to push.

    reused: ids of the nodes whose results it uses again. outdated: runs in whose place it has begun.
    """

    run_id: UUID
    reused: Sequence[str]
    dispatches: Sequence[Dispatch]
    outdated: Sequence[UUID] = ()


async def rerun(engine: Engine, request: Rerun) -> Reran:
    """Starts a new run of the same version; results of what does not come after the nodes are used again.

    Raises NotFound, InvalidInput for a node that is not in the workflow, WrongState while the run goes on.
    """
    reran = await engine.db.transact(partial(_rerun, engine, request))
    return replace(reran, dispatches=[*reran.dispatches, *await cancel_all(engine, reran.outdated)])


async def _rerun(engine: Engine, request: Rerun, tx: Tx) -> Reran:
    await runs.lock(tx, [request.run_id])  # it is not deleted while its results are copied
    earlier = await run_reading.get(tx, request.run_id)
    if earlier is None or earlier.parent is not None:
        raise NotFound("Workflow run not found")
    if earlier.status not in RUN_ENDED:
        raise WrongState(f"The run goes on: it is {earlier.status}")
    program = await engine.programs.one(tx, earlier.program)
    plan, new = program.plan, new_id()
    kept = reused(plan, await again.stored(tx, earlier.id), _positions(program, request.nodes))
    run_input = earlier.input if request.keeps_input else request.input
    turn = await turns.ask(tx, plan, earlier.workflow_id, run_input)
    if turn.is_queued:
        raise WrongState(f"The key '{turn.key}' has no room for another run: rerun it when one has ended")
    beginning = Beginning(
        new,
        earlier.program,
        run_input,
        concurrency_key=turn.key,
        priority=earlier.priority,
        origin={"rerunOf": str(earlier.id), "from": [*sorted(request.nodes)]},
        pins=await choose(tx, program.stored, project=program.project),
    )
    jobs = await begin(tx, program, beginning)
    copied = await again.copy(tx, earlier.id, new, kept, plan.roots) if request.nodes else []
    notes = [history.task(task, node, TaskStatus(status), reason="reused") for task, node, status in copied]
    await events.append(tx, notes)
    told = [task for task, _, _ in copied]
    wanted = [job for job in jobs if not (isinstance(job, RunTask) and job.task in set(told))]
    jobs = wanted + await release_within(engine, told, tx)
    return Reran(new, [node for _, node, _ in copied], jobs, turn.outdated)


def _positions(program: Program, nodes: Collection[str]) -> set[int]:
    known = program.plan.by_id
    problems = [Problem("from", f"there is no node '{name}'") for name in nodes if name not in known]
    if problems:
        raise InvalidInput("The run cannot be repeated from there", problems)
    return {known[name].position for name in nodes}
