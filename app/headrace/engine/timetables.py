"""Schedules as people keep them: create, change, pause, resume. `engine.schedules` acts on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

from headrace.engine.program import Engine
from headrace.engine.required import found, require_workflow
from headrace.errors import InvalidInput, NotFound, Problem
from headrace.graph.cron import Cron, next_slot, next_slots, parse_cron
from headrace.graph.json_types import JsonObject
from headrace.graph.overlap import Overlap, due_at
from headrace.store import schedules, slots
from headrace.store.db import Tx
from headrace.store.ids import new_id
from headrace.store.schedules import Due, Schedule, Timing
from headrace.store.slots import Slot

_NO_SCHEDULE: Final = "Schedule not found"


class Changes(TypedDict, total=False):
    """What to change of a schedule."""

    workflow_id: UUID
    name: str
    cron: str
    time_zone: str
    input: JsonObject
    overlap: Overlap
    jitter: float
    catch_up: float
    is_paused: bool


def zone_of(name: str) -> ZoneInfo:
    """The time zone with a name of the IANA's. Raises InvalidInput."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown, or no name at all
        unknown = Problem("timeZone", f"unknown time zone '{name}'", "a name such as Europe/Berlin, or UTC")
        raise InvalidInput("The schedule is not valid", [unknown]) from error


def clock_of(timing: Timing) -> tuple[Cron, ZoneInfo]:
    """The parsed expression and the zone. Raises InvalidInput."""
    return parse_cron(timing.cron), zone_of(timing.time_zone)


async def create_schedule(engine: Engine, timing: Timing) -> UUID:
    """Stores a schedule; its first slot is the next one from now on. Raises NotFound, InvalidInput."""
    new = new_id()
    await engine.db.transact(partial(_create, new, timing))
    return new


async def _create(schedule_id: UUID, timing: Timing, tx: Tx) -> None:
    await require_workflow(tx, timing.workflow_id)
    await schedules.add(tx, schedule_id, timing, _first(schedule_id, timing, await schedules.now(tx)))


async def change_schedule(engine: Engine, schedule_id: UUID, changes: Changes) -> None:
    """Changes what is given. With another time, or after a pause, it goes on with the next slot from now on.

    Slots that wait for an earlier run keep waiting. Raises NotFound, InvalidInput.
    """
    await engine.db.transact(partial(_change, schedule_id, changes))


async def _change(schedule_id: UUID, changes: Changes, tx: Tx) -> None:
    present = found(await schedules.lock(tx, schedule_id), _NO_SCHEDULE)
    timing = replace(present.timing, **changes)
    if timing.workflow_id != present.timing.workflow_id:
        await require_workflow(tx, timing.workflow_id)
    is_kept = _time(timing) == _time(present.timing)
    due = present.due if is_kept else _first(schedule_id, timing, await schedules.now(tx))
    await schedules.replace(tx, schedule_id, timing, due)


async def delete_schedule(engine: Engine, schedule_id: UUID) -> None:
    """Deletes a schedule and what waits; runs that it has started go on. Raises NotFound."""
    async with engine.db.transaction() as tx:
        if not await schedules.delete(tx, schedule_id):
            raise NotFound(_NO_SCHEDULE)


async def schedule_of(engine: Engine, schedule_id: UUID) -> Schedule:
    """Raises NotFound."""
    async with engine.db.transaction() as tx:
        return found(await schedules.get(tx, schedule_id), _NO_SCHEDULE)


async def find_schedules(
    engine: Engine,
    workflow_id: UUID | None = None,
    limit: int = 100,
    offset: int = 0,
    project: str | None = None,
) -> list[Schedule]:
    """Schedules of one workflow, of one project's or of all, newest first."""
    async with engine.db.transaction() as tx:
        return await schedules.find(tx, workflow_id, limit, offset, project)


async def slots_of(engine: Engine, schedule_id: UUID, limit: int, offset: int) -> list[Slot]:
    """What came of a schedule's slots, newest first. Raises NotFound."""
    await schedule_of(engine, schedule_id)
    async with engine.db.transaction() as tx:
        return await slots.history(tx, schedule_id, limit, offset)


async def coming(engine: Engine, cron: str, time_zone: str, count: int) -> list[datetime]:
    """When an expression comes next, in its zone. Raises InvalidInput."""
    zone = zone_of(time_zone)
    async with engine.db.transaction() as tx:
        now = await schedules.now(tx)
    return [moment.astimezone(zone) for moment in next_slots(parse_cron(cron), zone, now, count)]


def due_of(schedule_id: UUID, timing: Timing, slot: datetime | None) -> Due | None:
    """When to look at a slot."""
    return None if slot is None else Due(slot, due_at(schedule_id, slot, timing.jitter))


def _first(schedule_id: UUID, timing: Timing, now: datetime) -> Due | None:
    cron, zone = clock_of(timing)
    return due_of(schedule_id, timing, next_slot(cron, zone, now))


def _time(timing: Timing) -> tuple[str, str, float, bool]:
    return timing.cron, timing.time_zone, timing.jitter, timing.is_paused
