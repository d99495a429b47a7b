"""Short ways to make schedules in tests and to look at what came of them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.timetables import create_schedule, schedule_of
from headrace.graph.json_types import JsonObject
from headrace.graph.overlap import Overlap
from headrace.store import slots
from headrace.store.schedules import Timing
from headrace.store.slots import Slot
from support.build import chain

HOUR = timedelta(hours=1)


async def hourly(
    engine: Engine, overlap: Overlap = Overlap.ALLOW, document: JsonObject | None = None, **more: object
) -> tuple[UUID, datetime]:
    """A schedule for every full hour, and its first slot."""
    workflow_id = await create_workflow(engine, document or chain(1))
    given: dict[str, object] = {
        "workflow_id": workflow_id,
        "name": "hourly",
        "cron": "0 * * * *",
        "time_zone": "UTC",
        "input": {},
        "overlap": overlap,
        "jitter": 0.0,
        "catch_up": 86_400.0,
        "is_paused": False,
    }
    schedule_id = await create_schedule(engine, Timing(**{**given, **more}))
    due = (await schedule_of(engine, schedule_id)).due
    assert due is not None
    return schedule_id, due.slot


async def slots_by_time(engine: Engine, schedule_id: UUID) -> list[Slot]:
    """All slots, oldest first."""
    async with engine.db.transaction() as tx:
        return (await slots.history(tx, schedule_id, 10_000, 0))[::-1]


async def states(engine: Engine, schedule_id: UUID) -> list[str]:
    return [slot.state for slot in await slots_by_time(engine, schedule_id)]


async def tally(engine: Engine, schedule_id: UUID) -> dict[str, int]:
    return dict(Counter(await states(engine, schedule_id)))


async def runs_of(engine: Engine, schedule_id: UUID) -> list[UUID]:
    """The runs that it has started, oldest slot first."""
    return [slot.run_id for slot in await slots_by_time(engine, schedule_id) if slot.run_id is not None]
