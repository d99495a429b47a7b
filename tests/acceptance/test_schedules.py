"""A schedule for every second, kept by worker processes that are killed and started again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from headrace.engine.timetables import change_schedule
from headrace.graph.overlap import Overlap
from support.fleet import eventually, fleet
from support.schedules import hourly, slots_by_time

pytestmark = pytest.mark.anyio


async def test_every_slot_starts_one_run_whoever_lives(database_url: str, redis_url: str) -> None:
    async with fleet(database_url, redis_url) as crew:
        schedule_id, first = await hourly(crew.engine, Overlap.ALLOW, cron="* * * * * *")

        async def started(count: int) -> bool:
            return len(await slots_by_time(crew.engine, schedule_id)) >= count

        async def succeeded(count: int) -> bool:
            return (await crew.statuses()).get("succeeded", 0) >= count

        crew.start(3)
        await eventually(lambda: started(2), 30, "the first slots")
        crew.kill(crew.workers[0])
        await eventually(lambda: started(4), 10, "slots after one worker was killed")
        for worker in list(crew.workers):
            crew.kill(worker)
        before = len(await slots_by_time(crew.engine, schedule_id))
        crew.start(2)
        await eventually(lambda: started(before + 4), 30, "slots after all workers were killed")
        await change_schedule(crew.engine, schedule_id, {"is_paused": True})
        slots = await slots_by_time(crew.engine, schedule_id)
        # None is missing, also of the time when nobody lived, and none is there twice.
        wanted = [first + timedelta(seconds=number) for number in range(len(slots))]
        assert [slot.slot for slot in slots] == wanted
        assert {slot.state for slot in slots} <= {"started", "ended"}
        assert len({slot.run_id for slot in slots}) == len(slots)
        assert sum((await crew.statuses()).values()) == len(slots)
        # What the killed ones had taken comes back later; all the others have run.
        await eventually(lambda: succeeded(len(slots) - 3), 20, "the runs of the slots")
