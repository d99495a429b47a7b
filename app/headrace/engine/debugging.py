"""Breakpoints and steps. They are stored with the run, so whichever worker comes by obeys them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from headrace.engine import history
from headrace.engine.naming import Place, require_named
from headrace.engine.program import Engine
from headrace.errors import NotFound, WrongState
from headrace.graph.dispatch import Dispatch
from headrace.graph.holding import Debug
from headrace.graph.ids import TaskId
from headrace.graph.states import RUN_ENDED
from headrace.store import events, family, holds, run_reading, runs
from headrace.store.db import Tx
from headrace.store.runs import LockedRun


@dataclass(frozen=True, slots=True)
class Stopped:
    """A task that a breakpoint holds. path: where it is in the run: `node`, or `map[3]/node` in a body."""

    task: TaskId
    node_id: str
    path: str

    @property
    def names(self) -> frozenset[str]:
        """How a step may call it: `map/node` is the node in each item."""
        return frozenset((self.path, _INDEX.sub("/", self.path)))


_INDEX = re.compile(r"\[\d+\]/")


async def set_debug(engine: Engine, run_id: UUID, debug: Debug) -> None:
    """Sets where a run, with all that runs in it, stops from now on; an empty `Debug` ends the debugging, and
    what it held goes on with the next step.

    Raises NotFound, WrongState for an ended run, InvalidInput for a breakpoint at a node that is not there.
    """

    async def work(tx: Tx) -> None:
        await holds.change_breakpoints(tx, run_id)
        run = await _lock(tx, run_id)
        place = Place(run.program, await engine.programs.one(tx, run.program))
        await require_named(engine, tx, place, debug)
        below = await family.open_below(tx, run_id)
        await runs.lock(tx, [one.id for one in below])
        debugs = {run_id: debug}
        for one in below:
            debugs[one.id] = debugs[one.parent_id].within(one.node_id)
        await runs.set_debug(tx, {one: debug.as_stored() for one, debug in debugs.items()})

    await engine.db.transact(work)


async def stopped(engine: Engine, run_id: UUID) -> list[Stopped]:
    """The tasks that breakpoints hold, in the run and in all that runs in it. Raises NotFound."""
    async with engine.db.transaction() as tx:
        if await run_reading.state(tx, run_id) is None:
            raise NotFound("Workflow run not found")
        return await _stopped(tx, run_id)


async def _stopped(tx: Tx, run_id: UUID) -> list[Stopped]:
    paths = {run_id: ""}
    for one in await family.open_below(tx, run_id):
        paths[one.id] = f"{paths[one.parent_id]}{one.node_id}[{one.index}]/"
    held = await holds.at_breakpoints(tx, list(paths))
    return [Stopped(task, node, paths[task.run_id] + node) for task, node in held.items()]


async def step(engine: Engine, run_id: UUID, nodes: Collection[str] = ()) -> list[Dispatch]:
    """Lets what breakpoints hold go on, also in bodies and sub-workflows: these nodes, or all of them.

    nodes: as `Stopped.names`. Raises NotFound, and WrongState when none of them stands at a breakpoint.
    """

    async def work(tx: Tx) -> list[Dispatch]:
        await _lock(tx, run_id)
        held = await _stopped(tx, run_id)
        wanted = [one.task for one in held if not nodes or not one.names.isdisjoint(nodes)]
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
