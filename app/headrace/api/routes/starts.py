"""Starting runs."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from headrace.api.deps import House, PlainJson, Shared
from headrace.api.run_schemas import Executed
from headrace.api.schemas import NOT_FOUND, StartBody, Started
from headrace.engine import reading
from headrace.engine.start import StartRequest, start_run
from headrace.graph.holding import Debug
from headrace.graph.states import RUN_ENDED

router = APIRouter(
    prefix="/workflows/{workflow_id}", tags=["runs"], dependencies=[PlainJson], responses=NOT_FOUND
)

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="The same key with the same input starts one run, for 24 hours.",
    ),
]
Timeout = Annotated[float, Query(ge=0, le=3600, description="Seconds to wait for the run's end.")]


@router.post("/execute-async", status_code=201)
async def start(
    workflow_id: UUID, house: Shared, body: StartBody | None = None, idempotency_key: IdempotencyKey = None
) -> Started:
    """Starts a run of the current version. It is accepted: from now on it cannot be lost."""
    return Started(run_id=await _start(house, workflow_id, body, idempotency_key))


@router.post("/trigger", status_code=201)
async def trigger(
    workflow_id: UUID, house: Shared, body: StartBody | None = None, idempotency_key: IdempotencyKey = None
) -> Started:
    """The same under another name."""
    return await start(workflow_id, house, body, idempotency_key)


@router.post(
    "/execute",
    status_code=201,
    responses={202: {"model": Started, "description": "The run goes on; ask for its status."}},
)
async def execute(
    workflow_id: UUID,
    house: Shared,
    response: Response,
    body: StartBody | None = None,
    timeout: Timeout = 60,
    idempotency_key: IdempotencyKey = None,
) -> Executed | Started:
    """Starts a run and waits for its end; answers 202 when it takes longer than `timeout`."""
    run_id = await _start(house, workflow_id, body, idempotency_key)
    if await _ended(house, run_id, timeout):
        return Executed.of(await reading.run_detail(house.engine, run_id))
    response.status_code = 202
    return Started(run_id=run_id)


async def _start(house: House, workflow_id: UUID, body: StartBody | None, key: str | None) -> UUID:
    request = _request(workflow_id, body or StartBody(), key)
    started = await start_run(house.engine, request)
    if started.dispatches:
        house.meters.started.inc()
    await house.push(started.dispatches)
    return started.run_id


def _request(workflow_id: UUID, body: StartBody, key: str | None) -> StartRequest:
    debug = Debug(frozenset(body.breakpoints), body.steps)
    return StartRequest(
        workflow_id,
        body.input,
        key,
        version=body.version,
        priority=body.priority,
        mocks=body.mocks,
        debug=None if debug == Debug() else debug.as_json(),
        node=body.node,
    )


async def _ended(house: House, run_id: UUID, seconds: float) -> bool:
    """Whether the run ends in time; asks at growing intervals."""
    pause, deadline = _FIRST_PAUSE, time.monotonic() + seconds
    while (await reading.run_state(house.engine, run_id)).status not in RUN_ENDED:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return True
