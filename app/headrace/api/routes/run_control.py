"""What operators do to runs: pause, resume, retry, rerun, debug; and to many of them at once."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field

from headrace.api.deps import PlainJson, Shared
from headrace.api.routes.runs import belongs
from headrace.api.schemas import NOT_FOUND, WRONG_STATE, Body, Model, Moment
from headrace.engine import debugging
from headrace.engine.again import Rerun, rerun, retry_run
from headrace.engine.bulk import BulkAction, BulkRequest, BulkResult, act_on_many
from headrace.engine.control import pause_run, resume_run
from headrace.graph.holding import Debug
from headrace.graph.json_types import JsonValue
from headrace.graph.states import RunStatus

_one = APIRouter(responses=NOT_FOUND | WRONG_STATE, dependencies=[PlainJson])


class Turned(Model):
    """A run that was told to do something. status: where it stands now."""

    run_id: UUID
    status: RunStatus


@_one.post("/{run_id}/pause")
async def pause(run_id: UUID, house: Shared) -> Turned:
    """Holds all that has not begun; what runs finishes. 409 when the run is not running."""
    await house.push(await pause_run(house.engine, run_id))
    return Turned(run_id=run_id, status=RunStatus.PAUSED)


@_one.post("/{run_id}/resume")
async def resume(run_id: UUID, house: Shared) -> Turned:
    """Lets a paused run go on. 409 when it is not paused."""
    await house.push(await resume_run(house.engine, run_id))
    return Turned(run_id=run_id, status=RunStatus.RUNNING)


@_one.post("/{run_id}/retry")
async def retry(run_id: UUID, house: Shared) -> Turned:
    """Runs what failed or was cancelled again, in place; what completed stays. 409 when there is nothing."""
    await house.push(await retry_run(house.engine, run_id))
    return Turned(run_id=run_id, status=RunStatus.RUNNING)


class RerunBody(Body):
    """from: ids of nodes; what does not come after them is used again. input: instead of the run's own."""

    nodes: list[str] = Field(default=[], alias="from", max_length=20_000)
    input: JsonValue = None


class Reran(Model):
    """The new run. reused: the nodes whose results it uses again."""

    run_id: UUID
    reused: list[str]


@_one.post("/{run_id}/rerun", status_code=201)
async def run_again(run_id: UUID, house: Shared, body: RerunBody | None = None) -> Reran:
    """Starts a new run of the same version, from the given nodes on, or as a whole."""
    asked = body or RerunBody()
    keeps_input = "input" not in asked.model_fields_set
    request = Rerun(run_id, asked.nodes, asked.input, keeps_input)
    new = await rerun(house.engine, request)
    house.meters.started.inc()
    await house.push(new.dispatches)
    return Reran(run_id=new.run_id, reused=list(new.reused))


class DebugBody(Body):
    """breakpoints: nodes before which the run stops, in a body as `map/node`. steps: it stops before each."""

    breakpoints: list[str] = Field(default=[], max_length=20_000)
    steps: bool = False


class StoppedOut(Model):
    task_id: str
    node_id: str
    path: str = Field(description="Where it is in the run: `node`, or `map[3]/node` in a body.")


class DebugOut(Model):
    """stopped: the tasks that stand at breakpoints."""

    stopped: list[StoppedOut]


@_one.put("/{run_id}/debug")
async def set_debug(run_id: UUID, house: Shared, body: DebugBody) -> DebugOut:
    """Sets where the run stops from now on."""
    await debugging.set_debug(house.engine, run_id, Debug(frozenset(body.breakpoints), body.steps))
    return await get_debug(run_id, house)


@_one.get("/{run_id}/debug")
async def get_debug(run_id: UUID, house: Shared) -> DebugOut:
    """What stands at breakpoints."""
    found = await debugging.stopped(house.engine, run_id)
    return DebugOut(
        stopped=[StoppedOut(task_id=str(one.task), node_id=one.node_id, path=one.path) for one in found]
    )


class StepBody(Body):
    """nodes: which of those that stand at breakpoints go on; none named: all.

    In bodies by path: `map[3]/node`, or `map/node` for each item.
    """

    nodes: list[str] = Field(default=[], max_length=20_000)


@_one.post("/{run_id}/step")
async def step(run_id: UUID, house: Shared, body: StepBody | None = None) -> DebugOut:
    """Lets what stands at breakpoints go on. 409 when nothing does."""
    await house.push(await debugging.step(house.engine, run_id, body.nodes if body else ()))
    return await get_debug(run_id, house)


class SearchBody(Body):
    """Which runs, oldest first; dryRun only finds them."""

    workflow_id: UUID | None = None
    status: RunStatus | None = None
    started_after: Moment | None = None
    started_before: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    dry_run: bool = False

    def to(self, action: BulkAction) -> BulkRequest:
        """The request to do this to the runs that match."""
        return BulkRequest(
            action=action,
            workflow_id=self.workflow_id,
            status=self.status,
            after=self.started_after,
            before=self.started_before,
            limit=self.limit,
            is_dry=self.dry_run,
        )


class BulkBody(SearchBody):
    """What to do, and to which runs."""

    action: Literal[BulkAction.CANCEL, BulkAction.RETRY, BulkAction.RERUN]


class RefusalOut(Model):
    run_id: UUID
    message: str


class BulkOut(Model):
    """matched: runs that were found; done: those to which it was done; created: the new runs of a rerun."""

    matched: list[UUID]
    done: list[UUID]
    refused: list[RefusalOut]
    created: list[UUID]

    @classmethod
    def of(cls, result: BulkResult) -> BulkOut:
        return cls(
            matched=list(result.matched),
            done=list(result.done),
            refused=[RefusalOut(run_id=one.run_id, message=one.message) for one in result.refused],
            created=list(result.created),
        )


router = APIRouter(tags=["runs"])


@router.post("/runs/bulk", dependencies=[PlainJson])
async def bulk(house: Shared, body: BulkBody) -> BulkOut:
    """Cancels, retries or reruns all runs that match, oldest first; what one refuses stops nobody else."""
    result = await act_on_many(house.engine, body.to(body.action))
    await house.push(result.dispatches)
    return BulkOut.of(result)


@router.post("/runs/delete", dependencies=[PlainJson])
async def delete_many(house: Shared, body: SearchBody) -> BulkOut:
    """Deletes all runs that match and have ended, oldest first, as `DELETE /runs/{id}` does with each."""
    return BulkOut.of(await act_on_many(house.engine, body.to(BulkAction.DELETE)))


router.include_router(_one, prefix="/workflows/runs")
router.include_router(_one, prefix="/workflows/{workflow_id}/runs", dependencies=[Depends(belongs)])
router.include_router(_one, prefix="/runs")
