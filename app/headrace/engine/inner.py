"""The tasks inside a run's maps and loops, as people see them: `map[3]/node`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.engine.program import Engine
from headrace.errors import HeadraceError
from headrace.graph.inputs import Result, needed, node_input, taken_into
from headrace.graph.json_types import JsonValue
from headrace.graph.plan import Plan
from headrace.store import family, results
from headrace.store.db import Tx
from headrace.store.results import Task

MOST = 1_000
"""Tasks that are listed. A run with more lists none: the counts of its children say more."""


@dataclass(frozen=True, slots=True)
class InnerTask:
    """A task of a body. key: its place and its node, as `map[3]/node`. input: None if it had none."""

    key: str
    task: Task
    input: JsonValue


async def inner_tasks(engine: Engine, tx: Tx, run_id: UUID) -> list[InnerTask]:
    """The tasks in the bodies of a run, and in the bodies in these; none when there are more than MOST."""
    found: list[InnerTask] = []
    level = {run_id: ""}
    while level:
        runs = await family.body_runs(tx, level, MOST + 1)
        if len(found) + sum(run.total for run in runs) > MOST:
            return []
        programs = await engine.programs.load(tx, {run.program for run in runs})
        tasks: dict[UUID, list[Task]] = defaultdict(list)
        for task in await results.tasks_of_runs(tx, [run.id for run in runs]):
            tasks[task.id.run_id].append(task)
        for run in runs:
            inputs = task_inputs(programs[run.program].plan, tasks[run.id], run.input)
            found += [
                InnerTask(run.key + task.node_id, task, inputs.get(task.id.position))
                for task in tasks[run.id]
            ]
        level = {run.id: run.key for run in runs}
    return found


def task_inputs(plan: Plan, tasks: Sequence[Task], run_input: JsonValue) -> dict[int, JsonValue]:
    """What the nodes of a run's tasks got, by position; only of those that have begun."""
    left = {task.id.position: task.result() for task in tasks}
    return {task.id.position: _input(plan, task, left, run_input) for task in tasks if task.attempt}


def _input(plan: Plan, task: Task, left: Mapping[int, Result], run_input: JsonValue) -> JsonValue:
    """What the task's node got; None when it could not be built: the task's error says why.

    A task may keep it: one whose failure somebody handles, and one whose result another run has left.
    """
    if task.input is not None:
        return task.input
    position = task.id.position
    if not needed(plan, position, task.released_by) <= left.keys():
        return None
    try:
        taken = taken_into(plan, position, task.released_by, left)
        return node_input(plan, position, taken, left, run_input)
    except HeadraceError:
        return None
