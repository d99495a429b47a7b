"""Slots that people ask for: one for now, or those of a range of the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
from uuid import UUID

from headrace.engine.program import Engine
from headrace.engine.schedules import INSTANT, MOST_WAITING, Fired, admit_waiting, make_room
from headrace.engine.timetables import clock_of
from headrace.errors import InvalidInput, NotFound, Problem
from headrace.graph import cron
from headrace.graph.dispatch import Dispatch
from headrace.graph.overlap import Overlap
from headrace.store import schedules, slots
from headrace.store.db import Tx
from headrace.store.schedules import Schedule
from headrace.store.slots import Slot


@dataclass(frozen=True, slots=True)
class Triggered:
    """A slot that somebody asked for, and what to push."""

    slot: Slot
    dispatches: Sequence[Dispatch]


async def trigger_schedule(engine: Engine, schedule_id: UUID, overlap: Overlap | None = None) -> Triggered:
    """Adds a slot for now, also while the schedule is paused; overlap: instead of the schedule's own.

    Raises NotFound.
    """

    async def work(tx: Tx) -> tuple[datetime, Fired]:
        schedule = await _locked(tx, schedule_id)
        now = await schedules.now(tx)
        await slots.add(tx, schedule_id, [now], "trigger", overlap or schedule.timing.overlap)
        return now, await admit_waiting(engine, schedule, tx)

    moment, fired = await engine.db.transact(work)
    dispatches = await make_room(engine, schedule_id, fired)
    async with engine.db.transaction() as tx:
        slot = await slots.get(tx, schedule_id, moment)
    if slot is None:
        raise NotFound("Schedule not found")
    return Triggered(slot, dispatches)


@dataclass(frozen=True, slots=True)
class Range:
    """Moments from `first` on and before `end`, and what to do while an earlier run goes on."""

    first: datetime
    end: datetime
    overlap: Overlap = Overlap.BUFFER_ALL


@dataclass(frozen=True, slots=True)
class Backfilled:
    """How many slots were added: those that wait or have started a run are not."""

    added: int
    dispatches: Sequence[Dispatch]


async def backfill_schedule(engine: Engine, schedule_id: UUID, wanted: Range) -> Backfilled:
    """Adds the slots of a range of the past that have started no run, also while the schedule is paused.

    Raises NotFound; InvalidInput for a range that is empty, reaches beyond now, or has over 1,000 slots.
    """

    async def work(tx: Tx) -> tuple[int, Fired]:
        schedule = await _locked(tx, schedule_id)
        moments = _moments_in(schedule, wanted, await schedules.now(tx))
        added = await slots.add(tx, schedule_id, moments, "backfill", wanted.overlap)
        return len(added), await admit_waiting(engine, schedule, tx)

    added, fired = await engine.db.transact(work)
    return Backfilled(added, await make_room(engine, schedule_id, fired))


def _moments_in(schedule: Schedule, wanted: Range, now: datetime) -> list[datetime]:
    if wanted.end <= wanted.first:
        raise _no_range("to", "must be after `from`")
    if wanted.end > now:
        raise _no_range("to", "must not be after now", "only the past is filled in; the clock does the rest")
    coming = cron.slots(*clock_of(schedule.timing), wanted.first - INSTANT)
    moments = list(islice(takewhile(lambda moment: moment < wanted.end, coming), MOST_WAITING + 1))
    if len(moments) > MOST_WAITING:
        raise _no_range("from", f"the range has more than {MOST_WAITING:,} slots", "take a shorter one")
    return moments


def _no_range(path: str, message: str, hint: str = "") -> InvalidInput:
    return InvalidInput("The range is not valid", [Problem(path, message, hint)])


async def _locked(tx: Tx, schedule_id: UUID) -> Schedule:
    schedule = await schedules.lock(tx, schedule_id)
    if schedule is None:
        raise NotFound("Schedule not found")
    return schedule
