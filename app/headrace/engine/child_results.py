"""What the children of a task answered, for the node that goes on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from uuid import UUID

from headrace.engine.program import Engine, Program
from headrace.errors import TooLarge
from headrace.graph.culprits import CHILD_FAILED, Culprit
from headrace.graph.ids import TaskId
from headrace.graph.inputs import MERGED_INPUT_LIMIT, Result
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outputs import body_output, output_positions, run_outputs
from headrace.graph.states import RunStatus
from headrace.store import children, culprits, results
from headrace.store.children import Answer
from headrace.store.db import Tx
from headrace.store.runs import ProgramKey

AT_ONCE = 100
"""Children whose results are read together: large ones must not fill the memory before they are counted."""


async def child_results(
    engine: Engine, tx: Tx, tasks: Sequence[TaskId]
) -> dict[TaskId, JsonValue | TooLarge]:
    """`{children: [{index, status, output, runId, error}]}` of each task's present batch, in order.

    TooLarge instead, when the outputs of one task's children have more than 8 MiB together.
    """
    answers = await children.answers(tx, tasks) if tasks else []
    programs = await engine.programs.load(tx, {one.program for one in answers})
    found: dict[TaskId, JsonValue | TooLarge] = {}
    for task in tasks:
        own = [one for one in answers if one.task == task]
        try:
            found[task] = {"children": await _described(tx, own, programs)}
        except TooLarge as error:
            found[task] = error
    return found


async def _described(
    tx: Tx, answers: Sequence[Answer], programs: Mapping[ProgramKey, Program]
) -> list[JsonValue]:
    described: list[JsonValue] = []
    size, left = 0, iter(answers)
    while group := list(islice(left, AT_ONCE)):
        wanted = [
            TaskId(one.run_id, position)
            for one in group
            if one.status is RunStatus.SUCCEEDED
            for position in output_positions(programs[one.program].plan)
        ]
        ended = await results.results(tx, wanted)
        size += sum(result.size for result in ended.values())
        if size > MERGED_INPUT_LIMIT:
            raise TooLarge(f"the outputs of {len(answers)} children have more than 8 MiB together")
        failed = [one.run_id for one in group if one.status is RunStatus.FAILED]
        why = await culprits.culprits(tx, failed) if failed else {}
        described += [_one(one, programs[one.program], ended) | _error(one, why) for one in group]
    return described


def _one(answer: Answer, program: Program, ended: Mapping[TaskId, Result]) -> JsonObject:
    tasks = (TaskId(answer.run_id, position) for position in output_positions(program.plan))
    left = {task.position: ended[task] for task in tasks if task in ended}
    is_well = answer.status is RunStatus.SUCCEEDED
    answered = body_output if answer.program.body else run_outputs
    return {
        "index": answer.index,
        "status": answer.status.value,
        "output": answered(program.plan, left, answer.input) if is_well else None,
        "runId": str(answer.run_id),
    }


def _error(answer: Answer, why: Mapping[UUID, Culprit]) -> JsonObject:
    """Why it did not end well: the node's error, if it was a node, and where that began."""
    if answer.status is RunStatus.SUCCEEDED:
        return {"error": None}
    error: JsonObject = {"type": CHILD_FAILED, "message": answer.reason or f"the run was {answer.status}"}
    if (culprit := why.get(answer.run_id)) is not None:
        error |= {"message": culprit.text, "root": culprit.as_root()}
    return {"error": error}
