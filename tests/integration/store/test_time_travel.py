"""Skipping time moves every time that a run's history knows, and none of the calendar's."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.graph.json_types import JsonObject
from headrace.graph.statistics import Key, Tally
from headrace.store import statistics, time_travel
from headrace.store.db import Database
from support.build import node, workflow
from support.drive import drain
from support.rows import sql

pytestmark = pytest.mark.anyio

CALENDAR = {"workflow_schedules", "schedule_slots", "attempt_statistics"}
PROCESSES = {"workflow_workers", "worker_targets", "sweeps"}
DAY = 86_400.0

_COLUMNS = """
SELECT table_name AS name, array_agg(column_name::text ORDER BY column_name) AS times
FROM information_schema.columns
WHERE table_schema = 'public' AND data_type = 'timestamp with time zone' GROUP BY table_name
"""


async def times(db: Database) -> dict[str, list[datetime | None]]:
    """All times that the database holds, by table."""
    found = {}
    for table in await sql(db, _COLUMNS):
        columns = ", ".join(table.times)
        rows = await sql(db, f"SELECT {columns} FROM {table.name} ORDER BY {columns}")
        found[table.name] = [row[column] for row in rows for column in table.times]
    return found


async def skip(db: Database, seconds: float) -> None:
    async with db.transaction() as tx:
        await time_travel.skip(tx, seconds)


async def next_due(db: Database) -> float | None:
    async with db.transaction() as tx:
        return await time_travel.seconds_to_next_due(tx)


async def waiting(engine: Engine, wait: JsonObject, **options: str) -> None:
    started = await start_run(
        engine, StartRequest(await create_workflow(engine, workflow([wait], [], **options)))
    )
    await drain(engine, started.dispatches)


async def test_every_time_moves_by_the_same(db: Database, engine: Engine) -> None:
    await waiting(engine, node("ask", "approval", config={"timeout": "30d"}), timeout="60d")
    await sql(
        db,
        "INSERT INTO sweeps (name, last_at, since) VALUES ('sweep', now(), now())",
    )
    await db.transact(partial(statistics.add, news={Key("default", "approval"): Tally()}))
    before = await times(db)

    await skip(db, DAY)

    after = await times(db)
    assert sum(len(found) for found in before.values()) > 10
    for table, found in before.items():
        moved = 0.0 if table in CALENDAR | PROCESSES else DAY
        assert after[table] == [one and one - timedelta(seconds=moved) for one in found], table


async def test_what_is_due_next_is_the_earliest_of_all_clocks(db: Database, engine: Engine) -> None:
    assert await next_due(db) is None
    await waiting(engine, node("ask", "approval"))
    assert await next_due(db) is None, "it waits for ever"

    for wait, options, seconds in (
        (node("ask", "approval"), {"timeout": "3d"}, 3 * DAY),
        (node("ask", "approval", timeouts={"total": "2d"}), {}, 2 * DAY),
        (node("ask", "approval", config={"timeout": "1d"}), {}, DAY),
    ):
        await waiting(engine, wait, **options)
        assert await next_due(db) == pytest.approx(seconds, abs=30)

    await skip(db, 10 * DAY)
    assert await next_due(db) == 0
