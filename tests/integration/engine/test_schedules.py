"""Schedules on a real database: each slot once, whoever acts; what comes of slots that meet a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from headrace.engine import schedules as acting
from headrace.engine.control import cancel_run
from headrace.engine.extra_slots import Range, backfill_schedule, trigger_schedule
from headrace.engine.program import Engine
from headrace.engine.reading import RunFilter, find_runs, run_detail
from headrace.engine.save import delete_workflow
from headrace.engine.schedules import fire_due
from headrace.engine.timetables import change_schedule, create_schedule, schedule_of, slots_of
from headrace.errors import InvalidInput, NotFound, StoreUnavailable
from headrace.graph.dispatch import Dispatch, RunTask
from headrace.graph.overlap import Overlap
from headrace.store import slots
from headrace.store.db import Database
from headrace.store.schedules import Timing
from support.build import node, workflow
from support.drive import drain, status_of
from support.rows import sql
from support.schedules import HOUR, hourly, runs_of, slots_by_time, states, tally
from support.scripted import with_script

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)


async def due_of(engine: Engine, schedule_id: UUID) -> datetime | None:
    due = (await schedule_of(engine, schedule_id)).due
    return due and due.slot


async def test_a_slot_starts_a_run_when_it_comes_and_not_before(engine: Engine) -> None:
    schedule_id, slot = await hourly(engine, input={"who": "Ada"})
    assert await fire_due(engine, slot - SECOND) == []
    dispatches = await fire_due(engine, slot)
    assert len(dispatches) == 1
    (run_id,) = await runs_of(engine, schedule_id)
    run = (await run_detail(engine, run_id)).run
    assert run.input == {
        "trigger_type": "schedule",
        "schedule_id": str(schedule_id),
        "cron_expression": "0 * * * *",
        "scheduled_at": slot.isoformat().replace("+00:00", "Z"),
        "who": "Ada",
    }
    assert await due_of(engine, schedule_id) == slot + HOUR
    assert await fire_due(engine, slot) == []
    await drain(engine, dispatches)
    assert await status_of(engine, run_id) == "succeeded"


async def test_time_is_the_database_s(engine: Engine, db: Database) -> None:
    schedule_id, _ = await hourly(engine)
    assert await fire_due(engine) == []
    await sql(db, "UPDATE workflow_schedules SET next_slot = now() - interval '1 s', due_at = now()")
    assert len(await fire_due(engine)) == 1
    assert await states(engine, schedule_id) == ["started"]


@pytest.fixture
async def rivals(database_url: str) -> AsyncIterator[list[Engine]]:
    """Eight processes' engines, as far as PostgreSQL can tell: each with connections of its own."""
    async with AsyncExitStack() as stack:
        engines = []
        for _ in range(8):
            db = Database(database_url, pool_size=2)
            stack.push_async_callback(db.close)
            engines.append(Engine.over(db, with_script()))
        yield engines


async def test_however_many_act_at_once_a_slot_starts_one_run(engine: Engine, rivals: list[Engine]) -> None:
    made = [await hourly(engine) for _ in range(5)]
    first = min(slot for _, slot in made)
    for hour in range(6):
        now = first + hour * HOUR
        fired = await asyncio.gather(*(fire_due(rival, now) for rival in rivals * 2))
        assert sum(map(len, fired)) == len(made)
    for schedule_id, _ in made:
        assert await tally(engine, schedule_id) == {"started": 6}
        assert len(set(await runs_of(engine, schedule_id))) == 6
    assert len(await find_runs(engine, RunFilter(limit=1000))) == 30


async def test_acting_at_once_with_backfills_and_triggers_starts_nothing_twice(
    engine: Engine, rivals: list[Engine]
) -> None:
    schedule_id, slot = await hourly(engine)
    past = Range(slot - 25 * HOUR, slot - HOUR, Overlap.ALLOW)
    await asyncio.gather(
        *(backfill_schedule(rival, schedule_id, past) for rival in rivals),
        *(fire_due(rival, slot + 2 * HOUR) for rival in rivals),
        *(trigger_schedule(rival, schedule_id) for rival in rivals),
    )
    await fire_due(engine, slot + 2 * HOUR)
    started = [one.origin for one in await slots_by_time(engine, schedule_id) if one.state == "started"]
    assert {origin: started.count(origin) for origin in started} == {"backfill": 24, "trigger": 8, "clock": 3}
    assert len(await find_runs(engine, RunFilter(limit=1000))) == 35


async def test_a_slot_and_its_run_are_there_together_or_not_at_all(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id, slot = await hourly(engine)

    async def away(*_: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(slots, "start", away)
        with pytest.raises(StoreUnavailable):
            await fire_due(engine, slot)
    assert await find_runs(engine, RunFilter()) == []
    assert await states(engine, schedule_id) == []
    assert len(await fire_due(engine, slot)) == 1


async def test_what_was_missed_is_made_up_for_within_the_window(engine: Engine) -> None:
    schedule_id, slot = await hourly(engine, catch_up=2.5 * 3600)
    await fire_due(engine, slot + 10 * HOUR)
    found = await slots_by_time(engine, schedule_id)
    assert [((one.slot - slot) / HOUR, one.state) for one in found] == [
        (0, "missed"),
        (8, "started"),
        (9, "started"),
        (10, "started"),
    ]
    assert "nobody acted in time" in (found[0].reason or "")
    assert await due_of(engine, schedule_id) == slot + 11 * HOUR


async def test_a_long_catch_up_goes_in_steps(engine: Engine) -> None:
    schedule_id, slot = await hourly(engine, catch_up=86_400.0 * 30)
    now = slot + 249 * HOUR
    assert [len(await fire_due(engine, now)) for _ in range(4)] == [100, 100, 50, 0]
    assert await tally(engine, schedule_id) == {"started": 250}


async def finish_run(engine: Engine, run_id: UUID) -> None:
    tasks = [task.id for task in (await run_detail(engine, run_id)).tasks]
    await drain(engine, [RunTask(task, 1, 1, "", 300) for task in tasks])


STORIES: dict[Overlap, tuple[list[str], list[str]]] = {
    # Three slots come while the first one's run goes on; then it ends, and time is looked at again.
    Overlap.SKIP: (["started", "skipped", "skipped"], ["started", "skipped", "skipped"]),
    Overlap.BUFFER_ONE: (["started", "waiting", "skipped"], ["ended", "started", "skipped"]),
    Overlap.BUFFER_ALL: (["started", "waiting", "waiting"], ["ended", "started", "waiting"]),
    Overlap.ALLOW: (["started", "started", "started"], ["started", "started", "started"]),
}


@pytest.mark.parametrize("overlap", STORIES)
async def test_slots_that_meet_a_run(engine: Engine, overlap: Overlap) -> None:
    before, after = STORIES[overlap]
    schedule_id, slot = await hourly(engine, overlap)
    for hour in range(3):
        await fire_due(engine, slot + hour * HOUR)
    assert await states(engine, schedule_id) == before
    await finish_run(engine, (await runs_of(engine, schedule_id))[0])
    await fire_due(engine, slot + 2 * HOUR + SECOND)
    assert await states(engine, schedule_id) == after


async def test_all_that_was_buffered_runs_in_order(engine: Engine) -> None:
    schedule_id, slot = await hourly(engine, Overlap.BUFFER_ALL)
    now = slot + 4 * HOUR
    for done in range(5):
        await fire_due(engine, now)
        assert await tally(engine, schedule_id) == {
            state: number
            for state, number in (("ended", done), ("started", 1), ("waiting", 4 - done))
            if number
        }
        await finish_run(engine, (await runs_of(engine, schedule_id))[-1])
    starts = [
        (await run_detail(engine, run_id)).run.started_at for run_id in await runs_of(engine, schedule_id)
    ]
    assert starts == sorted(starts)


async def test_a_slot_that_cancels_the_other_takes_its_place_at_once(engine: Engine) -> None:
    schedule_id, slot = await hourly(engine, Overlap.CANCEL_OTHER)
    await fire_due(engine, slot)
    await fire_due(engine, slot + HOUR)
    first, second = await runs_of(engine, schedule_id)
    assert (await status_of(engine, first), await status_of(engine, second)) == ("cancelled", "running")


async def test_a_slot_that_cancels_the_other_waits_until_it_has_tidied_up(engine: Engine) -> None:
    document = workflow([node("a"), node("tidy", **{"finally": True})], [])
    schedule_id, slot = await hourly(engine, Overlap.CANCEL_OTHER, document)
    await fire_due(engine, slot)
    (first,) = await runs_of(engine, schedule_id)
    stops = await fire_due(engine, slot + HOUR)
    assert await states(engine, schedule_id) == ["started", "waiting"]
    assert await fire_due(engine, slot + HOUR + SECOND) == []
    await drain(engine, stops)
    assert await status_of(engine, first) == "cancelled"
    await fire_due(engine, slot + HOUR + 2 * SECOND)
    assert await states(engine, schedule_id) == ["ended", "started"]


async def test_a_slot_whose_process_dies_before_it_cancels_the_other_is_taken_up_by_the_next_tick(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id, slot = await hourly(engine, Overlap.CANCEL_OTHER)
    await fire_due(engine, slot)

    async def dies(*_: object) -> list[Dispatch]:
        raise StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr("headrace.engine.schedules.make_room", dies)
        with pytest.raises(StoreUnavailable):
            await fire_due(engine, slot + HOUR)
    assert await states(engine, schedule_id) == ["started", "waiting"]
    await fire_due(engine, slot + HOUR + SECOND)
    first, second = await runs_of(engine, schedule_id)
    assert (await status_of(engine, first), await status_of(engine, second)) == ("cancelled", "running")


async def test_a_slot_s_run_takes_the_place_of_another_by_its_workflow_s_key(engine: Engine) -> None:
    document = {**workflow([node("a")], []), "concurrency": {"limit": 1, "onLimit": "cancel_oldest"}}
    schedule_id, slot = await hourly(engine, Overlap.ALLOW, document)
    for hour in range(2):
        await fire_due(engine, slot + hour * HOUR)
    first, second = await runs_of(engine, schedule_id)
    assert (await status_of(engine, first), await status_of(engine, second)) == ("cancelled", "running")


async def test_a_pause_makes_nothing_up_and_holds_what_waits(engine: Engine) -> None:
    schedule_id, slot = await hourly(engine, Overlap.BUFFER_ALL)
    for hour in range(2):
        await fire_due(engine, slot + hour * HOUR)
    await change_schedule(engine, schedule_id, {"is_paused": True})
    await finish_run(engine, (await runs_of(engine, schedule_id))[0])
    assert await fire_due(engine, slot + 5 * HOUR) == []
    assert await states(engine, schedule_id) == ["started", "waiting"]
    await change_schedule(engine, schedule_id, {"is_paused": False})
    assert await due_of(engine, schedule_id) == slot
    await fire_due(engine, slot - SECOND)
    assert await states(engine, schedule_id) == ["ended", "started"]


async def test_what_is_asked_for_runs_during_a_pause_too(engine: Engine) -> None:
    schedule_id, slot = await hourly(engine, Overlap.SKIP, is_paused=True)
    triggered = await trigger_schedule(engine, schedule_id)
    assert (triggered.slot.state, triggered.slot.origin, len(triggered.dispatches)) == (
        "started",
        "trigger",
        1,
    )
    again = await trigger_schedule(engine, schedule_id)
    assert (again.slot.state, again.slot.reason) == ("skipped", "an earlier run goes on")
    assert (await trigger_schedule(engine, schedule_id, Overlap.ALLOW)).slot.state == "started"
    filled = await backfill_schedule(engine, schedule_id, Range(slot - 4 * HOUR, slot - HOUR))
    assert (filled.added, filled.dispatches) == (3, [])
    for run_id in await runs_of(engine, schedule_id):
        await cancel_run(engine, run_id)
    assert len(await fire_due(engine, slot - HOUR)) == 1


async def test_a_backfill_adds_what_is_not_there_yet(engine: Engine) -> None:
    schedule_id, slot = await hourly(engine)
    past = Range(slot - 5 * HOUR, slot - 2 * HOUR, Overlap.ALLOW)
    first = await backfill_schedule(engine, schedule_id, past)
    assert (first.added, len(first.dispatches)) == (3, 3)
    wider = await backfill_schedule(engine, schedule_id, Range(past.first - HOUR, past.end, Overlap.ALLOW))
    assert (wider.added, len(wider.dispatches)) == (1, 1)
    assert [(one.slot - slot) / HOUR for one in await slots_by_time(engine, schedule_id)] == [-6, -5, -4, -3]


@pytest.mark.parametrize(("first", "end"), [(-1, 2), (-1, -1), (-1, -2), (-1002, -1)])
async def test_ranges_that_are_none(engine: Engine, first: int, end: int) -> None:
    schedule_id, slot = await hourly(engine)
    with pytest.raises(InvalidInput, match="The range is not valid"):
        await backfill_schedule(engine, schedule_id, Range(slot + first * HOUR, slot + end * HOUR))


async def test_a_run_that_cannot_begin_says_so_and_the_schedule_goes_on(engine: Engine, db: Database) -> None:
    schedule_id, slot = await hourly(engine, Overlap.SKIP)
    await sql(db, "UPDATE workflows SET version = 99")
    healthy, _ = await hourly(engine)
    assert len(await fire_due(engine, slot)) == 1
    (failed,) = await slots_by_time(engine, schedule_id)
    assert failed.state == "failed"
    assert "has no version 99" in (failed.reason or "")
    assert await states(engine, healthy) == ["started"]
    await sql(db, "UPDATE workflows SET version = 1")
    assert len(await fire_due(engine, slot + HOUR)) == 2


async def test_a_backfill_takes_again_what_has_started_nothing(engine: Engine) -> None:
    schedule_id, slot = await hourly(engine, Overlap.SKIP, catch_up=3600.0 * 1.5)
    await fire_due(engine, slot + 5 * HOUR)
    assert await states(engine, schedule_id) == ["missed", "started", "skipped"]
    await change_schedule(engine, schedule_id, {"is_paused": True})
    async with engine.db.transaction() as tx:
        added = await slots.add(tx, schedule_id, [slot + n * HOUR for n in range(6)], "clock", Overlap.ALLOW)
        assert [(one - slot) / HOUR for one in added] == [1, 2, 3]
        added = await slots.add(
            tx, schedule_id, [slot + n * HOUR for n in range(6)], "backfill", Overlap.ALLOW
        )
        assert [(one - slot) / HOUR for one in added] == [0, 5]


async def test_a_zone_that_this_machine_does_not_know(engine: Engine, db: Database) -> None:
    """Another machine may know it: the slot is not given up, and the others do not wait for it."""
    lost, slot = await hourly(engine)
    healthy, _ = await hourly(engine)
    await sql(db, "UPDATE workflow_schedules SET time_zone = 'Mars/Olympus' WHERE id = $1", lost)
    assert len(await fire_due(engine, slot)) == 1
    assert await fire_due(engine, slot + SECOND) == []
    assert (await states(engine, lost), await states(engine, healthy)) == ([], ["started"])
    await sql(db, "UPDATE workflow_schedules SET time_zone = 'UTC' WHERE id = $1", lost)
    await fire_due(engine, slot + 61 * SECOND)
    assert [(one.slot, one.state) for one in await slots_by_time(engine, lost)] == [(slot, "started")]


async def test_a_fault_of_one_schedule_stops_neither_the_others_nor_itself_for_ever(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, slot = await hourly(engine)
    healthy, _ = await hourly(engine)
    begin = acting.start_within

    async def begin_or_break(engine: Engine, request: acting.StartRequest, tx: object) -> object:
        run_input = request.input
        assert isinstance(run_input, dict)
        if run_input["schedule_id"] == str(broken):
            raise RuntimeError("out of order")
        return await begin(engine, request, tx)

    with monkeypatch.context() as patch:
        patch.setattr(acting, "start_within", begin_or_break)
        assert len(await fire_due(engine, slot)) == 1
        assert await fire_due(engine, slot) == []
    assert (await states(engine, broken), await states(engine, healthy)) == (["failed"], ["started"])
    assert len(await fire_due(engine, slot + HOUR)) == 2


async def test_jitter_delays_a_slot_but_not_its_name(engine: Engine) -> None:
    schedule_id, slot = await hourly(engine, jitter=600.0)
    due = (await schedule_of(engine, schedule_id)).due
    assert due is not None
    assert slot < due.at <= slot + timedelta(minutes=10)
    assert await fire_due(engine, due.at - SECOND) == []
    await fire_due(engine, due.at)
    assert [one.slot for one in await slots_by_time(engine, schedule_id)] == [slot]


async def test_a_schedule_goes_by_its_zone_over_the_change_of_the_clock(engine: Engine, db: Database) -> None:
    schedule_id, _ = await hourly(engine, cron="30 2 * * *", time_zone="Europe/Berlin", catch_up=86_400.0 * 9)
    before = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
    await sql(db, "UPDATE workflow_schedules SET next_slot = $1, due_at = $1", before)
    await fire_due(engine, before + timedelta(days=3))
    assert [one.slot.strftime("%d %H:%M") for one in await slots_by_time(engine, schedule_id)] == [
        "28 01:30",
        "29 01:00",  # there is no 02:30 in Berlin: at 03:00 of the summer
        "30 00:30",
        "31 00:30",
    ]


async def test_schedules_go_with_their_workflow(engine: Engine) -> None:
    schedule_id, slot = await hourly(engine)
    await fire_due(engine, slot)
    workflow_id = (await schedule_of(engine, schedule_id)).timing.workflow_id
    await delete_workflow(engine, workflow_id, is_forced=True)
    with pytest.raises(NotFound):
        await slots_of(engine, schedule_id, 10, 0)
    assert await fire_due(engine, slot + HOUR) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"cron": "every day"}, "cron"),
        ({"time_zone": "Mars/Olympus"}, "timeZone"),
        ({"time_zone": ""}, "timeZone"),
    ],
)
async def test_what_is_no_schedule(engine: Engine, change: dict[str, str], path: str) -> None:
    schedule_id, _ = await hourly(engine)
    timing = (await schedule_of(engine, schedule_id)).timing
    with pytest.raises(InvalidInput) as raised:
        await change_schedule(engine, schedule_id, change)
    assert [problem.path for problem in raised.value.problems] == [path]
    assert (await schedule_of(engine, schedule_id)).timing == timing


async def test_a_schedule_needs_a_workflow(engine: Engine) -> None:
    schedule_id, _ = await hourly(engine)
    timing = (await schedule_of(engine, schedule_id)).timing
    nobody = UUID(int=1)
    with pytest.raises(NotFound, match="Workflow not found"):
        await change_schedule(engine, schedule_id, {"workflow_id": nobody})
    with pytest.raises(NotFound, match="Workflow not found"):
        await create_schedule(engine, Timing(**{**_fields(timing), "workflow_id": nobody}))


def _fields(timing: Timing) -> dict[str, object]:
    return {name: getattr(timing, name) for name in Timing.__slots__}


async def test_a_workflow_may_go_while_its_schedules_act(engine: Engine, rivals: list[Engine]) -> None:
    for _ in range(5):
        schedule_id, slot = await hourly(engine, Overlap.ALLOW)
        workflow_id = (await schedule_of(engine, schedule_id)).timing.workflow_id
        await asyncio.gather(
            *(fire_due(rival, slot + 3 * HOUR) for rival in rivals[:3]),
            delete_workflow(rivals[3], workflow_id, is_forced=True),
            *(fire_due(rival, slot + 3 * HOUR) for rival in rivals[4:]),
        )
        with pytest.raises(NotFound):
            await schedule_of(engine, schedule_id)
    assert await find_runs(engine, RunFilter()) == []
