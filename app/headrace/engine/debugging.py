"""Breakpoints and steps. They are stored with the run, so whichever worker comes by obeys them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from headrace.engine import history
from headrace.engine.program import Engine
from headrace.errors import InvalidInput, NotFound, Problem, WrongState
from headrace.graph.dispatch import Dispatch
from headrace.graph.holding import Debug
from headrace.graph.ids import TaskId
from headrace.graph.states import RUN_ENDED
from headrace.store import events, holds, runs
from headrace.store.db import Tx
from headrace.store.runs import LockedRun


@dataclass(frozen=True, slots=True)
class Stopped:
    """A task that a breakpoint holds."""

    task: TaskId
    node_id: str


async def set_debug(engine: Engine, run_id: UUID, debug: Debug) -> None:
    """Sets where a run stops from now on; an empty `Debug` ends the debugging, and what it held goes on
    with the next step.

    Raises NotFound, WrongState for an ended run, InvalidInput for a breakpoint at a node that is not there.
    """

    async def work(tx: Tx) -> None:
        run = await _lock(tx, run_id)
        known = (await engine.programs.one(tx, run.program)).plan.by_id
        problems = [
            Problem("breakpoints", f"there is no node '{name}'")
            for name in sorted(debug.breakpoints - known.keys())
        ]
        if problems:
            raise InvalidInput("The breakpoints are not valid", problems)
        await runs.set_debug(tx, run_id, debug.as_json() if debug != Debug() else None)

    await engine.db.transact(work)


async def stopped(engine: Engine, run_id: UUID) -> list[Stopped]:
    """The tasks that breakpoints hold. Raises NotFound."""
    async with engine.db.transaction() as tx:
        if run_id not in await runs.lock(tx, [run_id]):
            raise NotFound("Workflow run not found")
        return [Stopped(task, node) for task, node in (await holds.at_breakpoints(tx, run_id)).items()]


async def step(engine: Engine, run_id: UUID, nodes: Collection[str] = ()) -> list[Dispatch]:
    """Lets what breakpoints hold go on: these nodes, or all of them.

    Raises NotFound, and WrongState when none of them stands at a breakpoint.
    """

    async def work(tx: Tx) -> list[Dispatch]:
        await _lock(tx, run_id)
        held = await holds.at_breakpoints(tx, run_id)
        wanted = [task for task, node in held.items() if not nodes or node in nodes]
        if not wanted:
            raise WrongState(
                "Nothing stands at a breakpoint" if not nodes else "None of them stands at a breakpoint"
            )
        queued = await holds.let_go(tx, wanted)
        await events.append(tx, history.queued(queued))
        return [one.dispatch() for one in queued]

    return await engine.db.transact(work)


async def _lock(tx: Tx, run_id: UUID) -> LockedRun:
    run = (await runs.lock(tx, [run_id])).get(run_id)
    if run is None:
        raise NotFound("Workflow run not found")
    if run.status in RUN_ENDED:
        raise WrongState(f"The run has ended: it is {run.status}")
    return run
