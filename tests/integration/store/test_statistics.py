"""Statistics in the database: what many processes add comes out added up."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from headrace.graph.statistics import End, Key, Stretch, Tally
from headrace.store import statistics
from headrace.store.db import Database
from headrace.store.statistics import Wanted
from support.rows import sql

pytestmark = pytest.mark.anyio

SEND, DELAY = Key("default", "sendEmail"), Key("default", "delay")
ELSEWHERE = Key("other", "delay")


def tally(*seconds: float, end: End = End.SUCCESS, died: bool = False) -> Tally:
    made = Tally()
    for one in seconds:
        made.add(Stretch(one, one / 2, end, died))
    return made


async def read(db: Database, wanted: Wanted | None = None) -> dict[Key, Tally]:
    counted = await db.transact(partial(statistics.read, wanted=wanted or Wanted()))
    return {one.key: one.tally for one in counted}


async def test_figures_come_back_as_they_were_counted(db: Database) -> None:
    news = {
        SEND: tally(0.1, 4.0, 0.0).merged(tally(2.0, end=End.RETRY, died=True)),
        DELAY: tally(0.5, end=End.PARKED),
    }
    await db.transact(partial(statistics.add, news=news))
    assert await read(db) == news


async def test_many_processes_add_to_the_same_rows_at_once(db: Database) -> None:
    parts = [tally(0.001 * number, 10.0 / (1 + number)) for number in range(20)]
    await asyncio.gather(
        *(db.transact(partial(statistics.add, news={SEND: one, DELAY: one})) for one in parts[::2]),
        *(db.transact(partial(statistics.add, news={DELAY: one, SEND: one})) for one in parts[1::2]),
    )
    total = Tally()
    for one in parts:
        total = total.merged(one)
    assert await read(db) == {SEND: total, DELAY: total}


async def test_a_window_and_a_project_can_be_chosen(db: Database) -> None:
    await db.transact(partial(statistics.add, news={SEND: tally(1.0), ELSEWHERE: tally(2.0)}))
    await sql(db, "UPDATE attempt_statistics SET hour = hour - interval '5 hours'")
    await db.transact(partial(statistics.add, news={SEND: tally(3.0)}))
    now = datetime.now(UTC)
    assert await read(db) == {SEND: tally(1.0, 3.0), ELSEWHERE: tally(2.0)}
    assert await read(db, Wanted(since=now - timedelta(hours=2))) == {SEND: tally(3.0)}
    assert await read(db, Wanted(since=now - timedelta(hours=6))) == await read(db)
    assert await read(db, Wanted(project="other")) == {ELSEWHERE: tally(2.0)}


async def test_old_hours_are_forgotten(db: Database) -> None:
    await db.transact(partial(statistics.add, news={SEND: tally(1.0)}))
    await sql(db, "UPDATE attempt_statistics SET hour = hour - interval '31 days'")
    await db.transact(partial(statistics.add, news={SEND: tally(2.0)}))
    await db.transact(statistics.forget_old)
    assert await read(db) == {SEND: tally(2.0)}
