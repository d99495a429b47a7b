"""What the database's errors mean: the server is away, the value is bad, or somebody else is to blame."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from headrace.errors import InvalidInput, StoreUnavailable
from headrace.store.db import BadValue, Database, Deadlock, Tx
from support.rows import sql
from support.servers import on_path

pytestmark = pytest.mark.anyio


async def _raise(db: Database, state: str) -> None:
    await sql(db, f"DO $$ BEGIN RAISE EXCEPTION 'test' USING ERRCODE = '{state}'; END $$")


AWAY = {
    "08006": "connection failure",
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
    "57014": "query cancelled",
    "57P01": "shutting down",
    "57P03": "starting up",
    "58030": "io error",
    "25006": "read-only standby",
    "55P03": "lock not available",
}


async def test_a_server_in_trouble_is_nobody_s_fault(db: Database) -> None:
    for state in AWAY:
        with pytest.raises(StoreUnavailable):
            await _raise(db, state)
    assert (await sql(db, "SELECT 1 AS one"))[0].one == 1


async def test_a_value_that_does_not_fit_is_the_caller_s(db: Database) -> None:
    for state in ("22003", "22P02", "22021"):
        with pytest.raises(BadValue):
            await _raise(db, state)
    assert issubclass(BadValue, InvalidInput)


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", 7], ids=["NUL", "surrogate", "no text"])
async def test_what_the_driver_refuses_is_a_bad_value_and_no_server_that_is_away(
    db: Database, value: object
) -> None:
    with pytest.raises(BadValue):
        await sql(db, "SELECT $1::text", value)


async def test_other_errors_pass_as_they_are(db: Database) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await _raise(db, "23505")


async def test_a_database_that_lets_nobody_in_does_not_answer(
    db: Database, database_url: str, admin_dsn: str
) -> None:
    name = database_url.rsplit("/", 1)[1]
    admin = Database(on_path(admin_dsn, "postgres"), pool_size=1)
    async with admin.connection() as tx:
        await tx.fetch(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    try:
        with pytest.raises(StoreUnavailable):
            await sql(db, "SELECT 1")
    finally:
        async with admin.connection() as tx:
            await tx.fetch(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await admin.close()


async def test_a_server_that_is_not_there_does_not_answer() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailable):
        await sql(nowhere, "SELECT 1")
    await nowhere.close()


async def test_a_connection_that_is_cut_does_not_answer_and_the_next_one_does(db: Database) -> None:
    with pytest.raises(StoreUnavailable):
        await sql(db, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert (await sql(db, "SELECT 1 AS one"))[0].one == 1


async def test_of_two_transactions_that_block_each_other_both_get_done(db: Database) -> None:
    await sql(db, "CREATE TABLE pair (id int PRIMARY KEY, n int)")
    await sql(db, "INSERT INTO pair VALUES (1, 0), (2, 0)")
    met = asyncio.Barrier(2)
    attempts = []

    async def both(first: int, second: int) -> None:
        async def work(tx: Tx) -> None:
            attempts.append(first)
            await tx.fetch("UPDATE pair SET n = n + 1 WHERE id = $1", first)
            if len(attempts) <= 2:
                await met.wait()
            await tx.fetch("UPDATE pair SET n = n + 1 WHERE id = $1", second)

        await db.transact(work)

    await asyncio.gather(both(1, 2), both(2, 1))
    assert [row.n for row in await sql(db, "SELECT n FROM pair ORDER BY id")] == [2, 2]
    assert len(attempts) >= 3


async def test_a_deadlock_has_a_name_outside_of_transact(db: Database) -> None:
    with pytest.raises(Deadlock):
        await _raise(db, "40P01")
