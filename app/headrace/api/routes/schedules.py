"""Schedules: keep them, act on them, ask when they come next."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from headrace.api.deps import Limit, Offset, OfProject, PlainJson, Shared
from headrace.api.schemas import NOT_FOUND, Body, Deleted, Model, Moment
from headrace.engine import extra_slots, timetables
from headrace.engine.timetables import Changes
from headrace.graph.json_types import JsonObject
from headrace.graph.overlap import Overlap
from headrace.store.schedules import Schedule, Timing
from headrace.store.slots import Slot

router = APIRouter(prefix="/schedules", tags=["schedules"])

_YEAR = 366 * 86_400.0

Cron = Annotated[str, Field(max_length=100, examples=["*/15 9-17 * * mon-fri"])]
Zone = Annotated[str, Field(max_length=100, examples=["Europe/Berlin"])]
Name = Annotated[str, Field(max_length=255)]
Jitter = Annotated[float, Field(ge=0, le=86_400, description="Seconds over which slots are spread.")]
CatchUp = Annotated[
    float,
    Field(ge=10, le=_YEAR, description="Seconds for which a slot is made up for when nobody acted on it."),
]
Count = Annotated[int, Query(ge=1, le=1000, description="How many.")]


class NewScheduleBody(Body):
    """A schedule to add. overlap: what becomes of a slot while an earlier run goes on."""

    workflow_id: UUID
    name: Name = ""
    cron: Cron
    time_zone: Zone = "UTC"
    input: JsonObject = Field(default_factory=dict, description="Goes into each run's input.")
    overlap: Overlap = Overlap.SKIP
    jitter: Jitter = 0
    catch_up: CatchUp = 86_400
    is_paused: bool = False


class ScheduleChange(Body):
    """What to change; what is absent stays."""

    workflow_id: UUID = Field(default=UUID(int=0))
    name: Name = ""
    cron: Cron = ""
    time_zone: Zone = ""
    input: JsonObject = Field(default_factory=dict)
    overlap: Overlap = Overlap.SKIP
    jitter: Jitter = 0
    catch_up: CatchUp = 86_400


class TriggerBody(Body):
    """overlap: instead of the schedule's own."""

    overlap: Overlap | None = None


class BackfillBody(Body):
    """A range of the past: from `from` on and before `to`."""

    first: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    overlap: Overlap = Overlap.BUFFER_ALL


class ScheduleOut(Model):
    """A schedule. nextSlot: null when it never comes again. dueAt: the same with its jitter."""

    id: UUID
    workflow_id: UUID
    name: str
    cron: str
    time_zone: str
    input: JsonObject
    overlap: Overlap
    jitter: float
    catch_up: float
    is_paused: bool
    next_slot: datetime | None
    due_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleOut:
        timing, due = schedule.timing, schedule.due
        return cls(
            **{name: getattr(timing, name) for name in Timing.__slots__},
            id=schedule.id,
            next_slot=None if due is None else due.slot,
            due_at=None if due is None else due.at,
            created_at=schedule.created_at,
            updated_at=schedule.updated_at,
        )


class ScheduleList(Model):
    """Schedules, newest first."""

    items: list[ScheduleOut]


class SlotOut(Model):
    """A slot and what came of it. origin: clock, trigger or backfill. started: whatever its run does."""

    slot: datetime
    origin: str
    overlap: Overlap
    state: str = Field(examples=["waiting", "started", "skipped", "missed", "failed"])
    run_id: UUID | None
    reason: str | None

    @classmethod
    def of(cls, slot: Slot) -> SlotOut:
        facts = {name: getattr(slot, name) for name in Slot.__slots__}
        # That a run has ended is noted when the next slot comes; until then the row cannot say so.
        return cls(**facts | {"state": "started" if slot.state == "ended" else slot.state})


class SlotList(Model):
    """Slots, newest first."""

    items: list[SlotOut]


class Times(Model):
    """When it comes next, in its zone."""

    times: list[datetime]


class Added(Model):
    """How many slots were added; those that wait or have started a run are not."""

    added: int


@router.get("")
async def list_schedules(
    house: Shared,
    workflow_id: Annotated[UUID | None, Query(alias="workflowId", description="Only of this one.")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
    project: OfProject = None,
) -> ScheduleList:
    """Schedules, newest first."""
    found = await timetables.find_schedules(house.engine, workflow_id, limit, offset, project)
    return ScheduleList(items=[ScheduleOut.of(one) for one in found])


@router.post("", status_code=201, dependencies=[PlainJson], responses=NOT_FOUND)
async def create_schedule(body: NewScheduleBody, house: Shared) -> ScheduleOut:
    """Adds a schedule; its first slot is the next one from now on."""
    timing = Timing(**{name: getattr(body, name) for name in Timing.__slots__})
    return await get_schedule(await timetables.create_schedule(house.engine, timing), house)


@router.get("/next")
async def preview(
    house: Shared,
    cron: Annotated[str, Query(max_length=100)],
    time_zone: Annotated[str, Query(alias="timeZone", max_length=100)] = "UTC",
    count: Count = 10,
) -> Times:
    """When a cron expression comes next, without a schedule."""
    return Times(times=await timetables.coming(house.engine, cron, time_zone, count))


@router.get("/{schedule_id}", responses=NOT_FOUND)
async def get_schedule(schedule_id: UUID, house: Shared) -> ScheduleOut:
    """One schedule."""
    return ScheduleOut.of(await timetables.schedule_of(house.engine, schedule_id))


@router.put("/{schedule_id}", dependencies=[PlainJson], responses=NOT_FOUND)
async def update_schedule(schedule_id: UUID, body: ScheduleChange, house: Shared) -> ScheduleOut:
    """Changes what is given of a schedule."""
    changes = cast(Changes, {name: getattr(body, name) for name in body.model_fields_set})
    await timetables.change_schedule(house.engine, schedule_id, changes)
    return await get_schedule(schedule_id, house)


@router.delete("/{schedule_id}", responses=NOT_FOUND)
async def delete_schedule(schedule_id: UUID, house: Shared) -> Deleted:
    """Deletes a schedule and its slots; the runs that it has started go on."""
    await timetables.delete_schedule(house.engine, schedule_id)
    return Deleted()


@router.get("/{schedule_id}/next", responses=NOT_FOUND)
async def get_next(schedule_id: UUID, house: Shared, count: Count = 10) -> Times:
    """When a schedule comes next."""
    timing = (await timetables.schedule_of(house.engine, schedule_id)).timing
    return Times(times=await timetables.coming(house.engine, timing.cron, timing.time_zone, count))


@router.get("/{schedule_id}/slots", responses=NOT_FOUND)
async def list_slots(schedule_id: UUID, house: Shared, limit: Limit = 100, offset: Offset = 0) -> SlotList:
    """What came of a schedule's slots, newest first."""
    found = await timetables.slots_of(house.engine, schedule_id, limit, offset)
    return SlotList(items=[SlotOut.of(one) for one in found])


@router.post("/{schedule_id}/pause", responses=NOT_FOUND)
async def pause(schedule_id: UUID, house: Shared) -> ScheduleOut:
    """Stops it until it is resumed. What comes meanwhile is not made up for."""
    await timetables.change_schedule(house.engine, schedule_id, {"is_paused": True})
    return await get_schedule(schedule_id, house)


@router.post("/{schedule_id}/resume", responses=NOT_FOUND)
async def resume(schedule_id: UUID, house: Shared) -> ScheduleOut:
    """Lets it go on with the next slot from now on."""
    await timetables.change_schedule(house.engine, schedule_id, {"is_paused": False})
    return await get_schedule(schedule_id, house)


@router.post("/{schedule_id}/trigger", status_code=201, responses=NOT_FOUND)
async def trigger(schedule_id: UUID, house: Shared, body: TriggerBody | None = None) -> SlotOut:
    """Adds a slot for now, also while it is paused."""
    overlap = None if body is None else body.overlap
    triggered = await extra_slots.trigger_schedule(house.engine, schedule_id, overlap)
    await house.push(triggered.dispatches)
    return SlotOut.of(triggered.slot)


@router.post("/{schedule_id}/backfill", status_code=201, responses=NOT_FOUND)
async def backfill(schedule_id: UUID, body: BackfillBody, house: Shared) -> Added:
    """Adds the slots of a range of the past that have started no run, at most 1,000."""
    wanted = extra_slots.Range(body.first, body.end, body.overlap)
    filled = await extra_slots.backfill_schedule(house.engine, schedule_id, wanted)
    await house.push(filled.dispatches)
    return Added(added=filled.added)
