"""What a task that runs again in place keeps of its earlier children: those that ended well count at once,
and those that did not are opened again instead of being made anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from headrace.engine import history
from headrace.engine.program import Engine
from headrace.graph.again import can_reopen
from headrace.graph.ids import TaskId
from headrace.graph.outcome import Child
from headrace.graph.states import RunStatus
from headrace.store import again, events, keeping
from headrace.store.codec import dump_optional
from headrace.store.db import Tx
from headrace.store.keeping import Earlier
from headrace.store.runs import ProgramKey


async def take_over(
    engine: Engine, tx: Tx, task: TaskId, wanted: Sequence[tuple[Child, ProgramKey]], is_full: bool
) -> frozenset[int]:
    """Makes earlier children a part of the task's next batch; returns their indexes: the others must be made.

    wanted: the children that the task asks for, with what each of them executes. is_full: there is no room
    for one more that runs. A child is the same if it has the same place, workflow and input.
    """
    inputs = {child.index: dump_optional(child.input) for child, _ in wanted}
    asked = {child.index: (child, key) for child, key in wanted}
    earlier = [one for one in await keeping.earlier(tx, task, inputs) if _is_same(one, *asked[one.index])]
    kept = [one for one in earlier if one.status is RunStatus.SUCCEEDED]
    failed = [] if is_full else await _reopenable(engine, tx, earlier)
    await keeping.keep(tx, [one.run_id for one in kept], [one.run_id for one in failed])
    await events.append(tx, [history.run_reopened(one.run_id) for one in failed])
    return frozenset(one.index for one in (*kept, *failed))


def _is_same(one: Earlier, child: Child, key: ProgramKey) -> bool:
    """An open version stays the one that it was: the child goes on with what it began with."""
    is_version_open = child.workflow is not None and child.version is None
    known = one.program._replace(version=key.version) if is_version_open else one.program
    return known == key


async def _reopenable(engine: Engine, tx: Tx, earlier: Sequence[Earlier]) -> list[Earlier]:
    ended = [one for one in earlier if one.status is not RunStatus.SUCCEEDED and one.has_begun]
    if not ended:
        return []
    programs = await engine.programs.load(tx, {one.program for one in ended})
    tasks: Mapping[UUID, again.StoredTasks] = await again.stored_of(tx, [one.run_id for one in ended])
    return [one for one in ended if can_reopen(programs[one.program].plan, tasks.get(one.run_id, {}))]
