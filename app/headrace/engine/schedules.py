"""Acting on schedules: each slot starts at most one run, whoever acts and however often.

A slot becomes a row first. Its key is the schedule and the moment, so it is there once; the run begins in the
transaction that marks the row as started. Everything is decided under the schedule's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from uuid import UUID

from headrace.engine.control import cancel_all
from headrace.engine.program import Engine, UnknownVersion
from headrace.engine.start import Started, StartRequest, start_within
from headrace.engine.timetables import clock_of, due_of
from headrace.errors import InvalidInput, NotFound, StoreUnavailable, TooLarge, WrongState
from headrace.graph import cron
from headrace.graph.dispatch import Dispatch
from headrace.graph.json_types import JsonObject
from headrace.graph.overlap import Fate, Overlap, admit, due_at
from headrace.log import Log
from headrace.store import schedules, slots
from headrace.store.codec import plain
from headrace.store.db import Tx
from headrace.store.recovery import try_lead
from headrace.store.schedules import Due, Schedule
from headrace.store.slots import Slot

AT_ONCE = 100
"""Schedules that one tick looks at, and slots of one schedule that one transaction decides."""

MOST_WAITING = 1_000
"""Slots of a schedule that wait. Further ones are not looked at before there is room."""

REMEMBERED = timedelta(days=400)
"""How long a slot's row says what came of it."""

INSTANT = timedelta(microseconds=1)
"""Slots are asked for after a moment; this much before it, the moment itself is one of them."""

_PATIENCE = timedelta(minutes=1)
_BUSY = "an earlier run goes on"
_REPLACED = "a later slot took its place"
_REFUSALS = (InvalidInput, NotFound, TooLarge, UnknownVersion, WrongState)

_log = Log("headrace.engine")


@dataclass(frozen=True, slots=True)
class Fired:
    """What to push, the runs to cancel so that another can begin, and those in whose place one has begun."""

    dispatches: Sequence[Dispatch] = ()
    to_cancel: Sequence[UUID] = ()
    outdated: Sequence[UUID] = ()


async def fire_due(engine: Engine, now: datetime | None = None) -> list[Dispatch]:
    """Starts the runs whose slots have come, and those that waited for an earlier run.

    now: the database's clock, unless a test says otherwise. Cheap when there is nothing: one statement.
    """
    async with engine.db.connection() as tx:
        look = await schedules.look(tx, now)
        if not look.is_pending:
            return []
        pending = [*await schedules.due(tx, look.now, AT_ONCE), *await slots.startable(tx, AT_ONCE)]
    dispatches: list[Dispatch] = []
    for schedule_id in dict.fromkeys(pending):
        dispatches += await _fire(engine, schedule_id, look.now)
    return dispatches


async def _fire(engine: Engine, schedule_id: UUID, now: datetime) -> list[Dispatch]:
    """One schedule. What goes wrong with it must not stop the others, nor come back with each tick."""
    try:
        fired = await engine.db.transact(partial(_fire_one, engine, schedule_id, now))
        return await make_room(engine, schedule_id, fired)
    except StoreUnavailable:
        raise
    except Exception as error:  # whatever it is, it is this schedule's
        _log.exception("schedule_failed", schedule=str(schedule_id))
        await engine.db.transact(partial(_give_up, schedule_id, now, plain(str(error))))
        return []


async def _fire_one(engine: Engine, schedule_id: UUID, now: datetime, tx: Tx) -> Fired:
    if not await try_lead(tx, f"schedule {schedule_id}"):
        return Fired()
    schedule = await schedules.lock(tx, schedule_id)
    if schedule is None:
        return Fired()
    if not schedule.timing.is_paused:
        await _take_due(tx, schedule, now)
    return await admit_waiting(engine, schedule, tx)


async def _take_due(tx: Tx, schedule: Schedule, now: datetime) -> None:
    """Makes rows of the slots whose time has come, and moves the schedule on to the first that has not."""
    timing, due = schedule.timing, schedule.due
    if due is None or due.at > now:
        return
    oldest = now - timedelta(seconds=timing.catch_up + timing.jitter)
    if due.slot < oldest:
        reason = f"nobody acted in time on this slot and those after it; it went on at {now.isoformat()}"
        await slots.miss(tx, schedule.id, due.slot, timing.overlap, reason)
        coming = cron.slots(*clock_of(timing), oldest - INSTANT)
    else:
        coming = chain([due.slot], cron.slots(*clock_of(timing), due.slot))
    following = next(coming, None)
    room = min(AT_ONCE, MOST_WAITING - await slots.count_waiting(tx, schedule.id))
    moments: list[datetime] = []
    while following is not None and len(moments) < room and _is_due(schedule, following, now):
        moments.append(following)
        following = next(coming, None)
    await slots.add(tx, schedule.id, moments, "clock", timing.overlap)
    await schedules.advance(tx, schedule.id, due_of(schedule.id, timing, following))
    await slots.forget(tx, schedule.id, now - REMEMBERED)


def _is_due(schedule: Schedule, slot: datetime, now: datetime) -> bool:
    return due_at(schedule.id, slot, schedule.timing.jitter) <= now


async def admit_waiting(engine: Engine, schedule: Schedule, tx: Tx) -> Fired:
    """Starts a schedule's waiting slots, lets them wait or drops them. The schedule must be locked."""
    waiting = await slots.waiting(tx, schedule.id, schedule.timing.is_paused, AT_ONCE)
    if not waiting:
        return Fired()
    running = await slots.running(tx, schedule.id)
    fates = list(zip(waiting, admit([one.overlap for one in waiting], bool(running)), strict=True))
    dispatches: list[Dispatch] = []
    outdated: list[UUID] = []
    for slot in [slot for slot, fate in fates if fate is Fate.START]:
        started = await _start(engine, schedule, slot, tx)
        if started is None:
            # What seemed to have to wait for this one need not.
            rest = await admit_waiting(engine, schedule, tx)
            return Fired([*dispatches, *rest.dispatches], rest.to_cancel, [*outdated, *rest.outdated])
        dispatches += started.dispatches
        outdated += started.outdated
    await slots.drop(tx, schedule.id, "skipped", _skipped(fates))
    return Fired(dispatches, running if any(fate is Fate.CANCEL for _, fate in fates) else (), outdated)


def _skipped(fates: Sequence[tuple[Slot, Fate]]) -> dict[datetime, str]:
    is_replaced = any(fate is Fate.CANCEL or slot.overlap is Overlap.CANCEL_OTHER for slot, fate in fates)
    reason = _REPLACED if is_replaced else _BUSY
    return {slot.slot: reason for slot, fate in fates if fate is Fate.SKIP}


async def _start(engine: Engine, schedule: Schedule, slot: Slot, tx: Tx) -> Started | None:
    """Starts a slot's run; None when it cannot be started: then the slot says why."""
    origin: JsonObject = {"type": "schedule", "scheduleId": str(schedule.id), "slot": _iso(slot.slot)}
    request = StartRequest(schedule.timing.workflow_id, _run_input(schedule, slot), origin=origin)
    try:
        started = await start_within(engine, request, tx)
    except _REFUSALS as error:
        _log.warning("slot_failed", str(error), schedule=str(schedule.id))
        await slots.drop(tx, schedule.id, "failed", {slot.slot: plain(str(error))})
        return None
    await slots.start(tx, schedule.id, slot.slot, started.run_id)
    return started


def _run_input(schedule: Schedule, slot: Slot) -> JsonObject:
    return {
        "trigger_type": "schedule",
        "schedule_id": str(schedule.id),
        "cron_expression": schedule.timing.cron,
        "scheduled_at": _iso(slot.slot),
        **schedule.timing.input,
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def make_room(engine: Engine, schedule_id: UUID, fired: Fired) -> list[Dispatch]:
    """Cancels the runs that stand in the way; if they have ended with that, the next one begins at once."""
    dispatches = [
        *fired.dispatches,
        *await cancel_all(engine, fired.outdated),
        *await cancel_all(engine, fired.to_cancel),
    ]

    async def work(tx: Tx) -> Fired:
        schedule = await schedules.lock(tx, schedule_id)
        return Fired() if schedule is None else await admit_waiting(engine, schedule, tx)

    if fired.to_cancel:
        begun = await engine.db.transact(work)
        dispatches += [*begun.dispatches, *await cancel_all(engine, begun.outdated)]
    return dispatches


async def _give_up(schedule_id: UUID, now: datetime, reason: str, tx: Tx) -> None:
    """Fails what waits and what is due, and goes on with the slot after that."""
    schedule = await schedules.lock(tx, schedule_id)
    if schedule is None:
        return
    due = schedule.due
    if due is not None and due.at <= now:
        if (following := _following(schedule, now)) is None:
            await schedules.advance(tx, schedule_id, Due(due.slot, now + _PATIENCE))
            return
        await slots.add(tx, schedule_id, [due.slot], "clock", schedule.timing.overlap)
        await schedules.advance(tx, schedule_id, following)
    waiting = await slots.waiting(tx, schedule_id, is_paused=False, limit=MOST_WAITING)
    await slots.drop(tx, schedule_id, "failed", {one.slot: reason for one in waiting})


def _following(schedule: Schedule, now: datetime) -> Due | None:
    """The next slot; None when this process cannot read the schedule, as where its zone is not known."""
    with suppress(InvalidInput):
        cron_and_zone = clock_of(schedule.timing)
        return due_of(schedule.id, schedule.timing, cron.next_slot(*cron_and_zone, now))
    return None
