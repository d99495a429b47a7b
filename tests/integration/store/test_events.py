"""The history is read in the order of commits: what commits late is read late, and never skipped."""

from __future__ import annotations

from uuid import UUID

import pytest

from headrace.store import events
from headrace.store.db import Database, Tx
from headrace.store.events import Cursor, Event

pytestmark = pytest.mark.anyio

RUN, OTHER = UUID(int=1), UUID(int=2)


async def _append(db: Database, *names: str, run: UUID = RUN) -> None:
    async with db.transaction() as tx:
        await events.append(tx, [Event(run, name) for name in names])


async def _after(db: Database, cursor: Cursor, limit: int = 1000) -> tuple[list[str], Cursor]:
    async with db.transaction() as tx:
        found = await events.after(tx, RUN, cursor, limit)
    return [one.event.type for one in found], found[-1].cursor if found else cursor


async def test_an_event_that_commits_late_is_not_skipped(db: Database) -> None:
    await _append(db, "before")
    async with db.transaction() as late:
        await events.append(late, [Event(RUN, "late")])
        await _append(db, "early")
        names, cursor = await _after(db, Cursor())
        assert names == ["before"]
    names, cursor = await _after(db, cursor)
    assert names == ["late", "early"]
    assert await _after(db, cursor) == ([], cursor)


async def test_an_event_of_a_transaction_that_fails_is_never_read(db: Database) -> None:
    async def work(tx: Tx) -> None:
        await events.append(tx, [Event(RUN, "never")])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await db.transact(work)
    await _append(db, "a")
    assert (await _after(db, Cursor()))[0] == ["a"]


async def test_events_keep_their_order_and_their_run_and_pages_meet(db: Database) -> None:
    await _append(db, *"abc")
    await _append(db, "x", run=OTHER)
    await _append(db, *"de")
    read: list[str] = []
    cursor = Cursor()
    while page := (await _after(db, cursor, limit=2))[0]:
        read += page
        cursor = (await _after(db, cursor, limit=2))[1]
    assert read == list("abcde")


async def test_a_run_that_is_over_is_read_to_its_end_whoever_else_writes(db: Database) -> None:
    async with db.transaction() as other:
        await events.append(other, [Event(OTHER, "open")])
        await _append(db, "last")
        assert (await _after(db, Cursor()))[0] == []
        async with db.transaction() as tx:
            found = await events.after(tx, RUN, Cursor(), is_complete=True)
        assert [one.event.type for one in found] == ["last"]


@pytest.mark.parametrize("text", ["", "7", "a-b", "1-", "-1"])
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid literal"):
        Cursor.parse(text)
    assert Cursor.parse(str(Cursor(7, 9))) == Cursor(7, 9)
