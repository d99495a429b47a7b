"""Signals: what a run is told from outside. A run has an address below its workflow and one without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from headrace.api.deps import Limit, Offset, PlainJson, Shared
from headrace.api.people_schemas import SignalBody, SignalList, SignalOut, SignalSent
from headrace.api.schemas import NOT_FOUND, WRONG_STATE
from headrace.engine import reading
from headrace.engine.signals import SignalRequest, send_signal, signals_of
from headrace.errors import InvalidInput, Problem
from headrace.graph.ids import TaskId

_one = APIRouter(responses=NOT_FOUND | WRONG_STATE, dependencies=[PlainJson])

SignalName = Annotated[str, Path(min_length=1, max_length=200, description="What the run waits for.")]


@_one.get("/{run_id}/signals")
async def list_signals(
    run_id: UUID,
    house: Shared,
    children: Annotated[bool, Query(description="Also those of the runs below it.")] = False,
    limit: Limit = 100,
    offset: Offset = 0,
) -> SignalList:
    """What the run was sent, oldest first: buffered until a task wants it, consumed, or refused."""
    found = await signals_of(house.engine, run_id, limit, offset, children)
    return SignalList(items=[SignalOut.of(one) for one in found])


@_one.post("/{run_id}/signals/{name:path}")
async def signal(run_id: UUID, name: SignalName, house: Shared, body: SignalBody | None = None) -> SignalSent:
    """Wakes the task that waits for this signal, or keeps it until one does.

    422 when the task that waits refuses it: then it goes on waiting. 409 when the run has ended, or when
    another signal had this id.
    """
    said = body or SignalBody()
    try:
        sent = await send_signal(
            house.engine, SignalRequest(run_id, name, said.payload, id=said.id, node_id=said.node)
        )
    except InvalidInput as error:
        raise InvalidInput(error.message, [_as_sent(one) for one in error.problems]) from error
    await house.push(sent.dispatches)
    task_id = None if sent.position is None else str(TaskId(sent.run_id, sent.position))
    return SignalSent(id=sent.id, name=name, task_id=task_id, run_id=sent.run_id)


def _as_sent(problem: Problem) -> Problem:
    dot = "" if not problem.path or problem.path.startswith("[") else "."
    return replace(problem, path=f"payload{dot}{problem.path}")


async def _belongs(workflow_id: UUID, run_id: UUID, house: Shared) -> None:
    await reading.require_run_of(house.engine, workflow_id, run_id)


router = APIRouter(tags=["people"])
router.include_router(_one, prefix="/workflows/runs")
router.include_router(_one, prefix="/workflows/{workflow_id}/runs", dependencies=[Depends(_belongs)])
router.include_router(_one, prefix="/runs")
