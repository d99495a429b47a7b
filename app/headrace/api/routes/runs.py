"""Runs: list, read, explain, cancel, delete, follow. They have addresses below workflows and without."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse

from headrace.api.deps import House, Limit, Offset, OfProject, Shared
from headrace.api.events import EVENT_STREAM, follow, read_cursor
from headrace.api.explain_schemas import ExplanationOut
from headrace.api.run_schemas import Cancelled, Logs, RunList, RunOut, RunSummary, WorkflowRunLine
from headrace.api.schemas import NOT_FOUND, WRONG_STATE, Deleted
from headrace.engine import reading
from headrace.engine.control import cancel_run
from headrace.engine.deleting import delete_run
from headrace.engine.explain import Looks, explain
from headrace.engine.reading import RunFilter
from headrace.errors import QueueUnavailable
from headrace.graph.explain_facts import QueueLook
from headrace.graph.states import RunStatus
from headrace.queues.inspect import LOST

LOOK_SECONDS = 3.0
"""How long an explanation waits for Redis; without it, it rests on what PostgreSQL knows."""

_one = APIRouter(responses=NOT_FOUND)
Status = Annotated[RunStatus | None, Query(description="Only runs with this status.")]
Children = Annotated[bool, Query(description="Also what its maps, loops and sub-workflows do.")]


Grace = Annotated[
    float,
    Query(
        alias="graceSeconds",
        ge=0,
        le=3600,
        description="In which code that runs may end by itself; its tasks are cancelled at once.",
    ),
]


@_one.get("/{run_id}")
@_one.get("/{run_id}/status")
async def get_run(run_id: UUID, house: Shared) -> RunOut:
    """A run with its tasks, their inputs and outputs, and its log."""
    return RunOut.of_detail(await reading.run_detail(house.engine, run_id))


@_one.get("/{run_id}/children")
async def get_children(
    run_id: UUID, house: Shared, status: Status = None, limit: Limit = 100, offset: Offset = 0
) -> RunList:
    """The runs of its maps, loops and sub-workflows, in the order of nodes and items."""
    wanted = RunFilter(status=status, limit=limit, offset=offset)
    found = await reading.children_of(house.engine, run_id, wanted)
    return RunList(items=[RunSummary.of(run) for run in found])


@_one.get("/{run_id}/logs")
async def get_logs(run_id: UUID, house: Shared, children: Children = False) -> Logs:
    """A run's log, oldest line first."""
    return Logs.of(await reading.run_log(house.engine, run_id, children))


@_one.get("/{run_id}/explain")
async def get_explanation(
    run_id: UUID,
    house: Shared,
    node: Annotated[str | None, Query(description="Only this node; 404 if the run has none such.")] = None,
) -> ExplanationOut:
    """Why the run does not go on, and each task that does not run: chains of causes down to their roots."""
    return ExplanationOut.of(await explain(house.engine, run_id, await _look(house), node))


async def _look(house: House) -> Looks:
    """The queues; nothing is known of them while Redis is away."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            depths = await asyncio.to_thread(house.depths)
            listening = await asyncio.to_thread(house.rq_workers)
    except (QueueUnavailable, TimeoutError):
        return {}
    alive = [worker for worker in listening if worker.state != LOST]
    listeners = Counter(queue for worker in alive for queue in worker.queues)
    return {one.name: QueueLook(one.queued, listeners[one.name]) for one in depths}


@_one.post("/{run_id}/cancel", status_code=201, responses=WRONG_STATE)
async def cancel(run_id: UUID, house: Shared, grace_seconds: Grace = 0) -> Cancelled:
    """Cancels all that has not ended; 409 when the run has ended or is being cancelled."""
    dispatches = await cancel_run(house.engine, run_id, grace_seconds)
    house.meters.cancelled.inc()
    await house.push(dispatches)
    return Cancelled()


@_one.delete("/{run_id}", responses=WRONG_STATE)
async def delete(run_id: UUID, house: Shared) -> Deleted:
    """Deletes a run that has ended, with those below it; 409 while one of them, or one above it, goes on."""
    await delete_run(house.engine, run_id)
    return Deleted()


@_one.get("/{run_id}/events", response_class=StreamingResponse, responses={200: {"content": EVENT_STREAM}})
async def get_events(
    run_id: UUID,
    house: Shared,
    last_event_id: Annotated[str | None, Header()] = None,
    children: Children = False,
) -> StreamingResponse:
    """What happens in a run, as server-sent events. `Last-Event-ID` goes on where a client stopped."""
    cursor = read_cursor(last_event_id)
    await reading.run_state(house.engine, run_id)
    return StreamingResponse(
        follow(house.engine, run_id, cursor, children),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def belongs(workflow_id: UUID, run_id: UUID, house: Shared) -> None:
    """404 unless the run is one of the workflow's."""
    await reading.require_run_of(house.engine, workflow_id, run_id)


router = APIRouter(tags=["runs"])
router.include_router(_one, prefix="/workflows/runs")
router.include_router(_one, prefix="/workflows/{workflow_id}/runs", dependencies=[Depends(belongs)])
router.include_router(_one, prefix="/runs")


@router.get("/workflows/{workflow_id}/runs", response_model_exclude_none=True, responses=NOT_FOUND)
async def list_runs_of_workflow(
    workflow_id: UUID, house: Shared, status: Status = None, limit: Limit = 1000, offset: Offset = 0
) -> list[WorkflowRunLine]:
    """A workflow's runs, newest first."""
    wanted = RunFilter(status=status, limit=limit, offset=offset)
    return [WorkflowRunLine.of(run) for run in await reading.runs_of(house.engine, workflow_id, wanted)]


WorkflowId = Annotated[UUID | None, Query(alias="workflowId", description="Only runs of this workflow.")]


@router.get("/runs")
async def list_runs(
    house: Shared,
    status: Status = None,
    workflow_id: WorkflowId = None,
    limit: Limit = 100,
    offset: Offset = 0,
    project: OfProject = None,
) -> RunList:
    """Runs of all workflows, newest first."""
    wanted = RunFilter(workflow_id, status, limit, offset, project)
    return RunList(items=[RunSummary.of(run) for run in await reading.find_runs(house.engine, wanted)])
