"""Connections and transactions, straight on asyncpg: a statement is one round trip.

SQLAlchemy holds the tables and the migrations (`tables`, `schema`). Between the hot statements and the driver
it would cost more than the statements themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias, TypeVar

import asyncpg

from headrace.errors import HeadraceError, InvalidInput, StoreUnavailable

T = TypeVar("T")

_DEADLOCK = "40P01"
_SERIALIZATION = "40001"
_AWAY = ("08", "28", "3D", "53", "57", "58", "25006", "25P03", "55000", "55P03")
"""SQLSTATEs, or their first characters, of a server that cannot serve now, whatever it is asked.

Connections, logins, a database that is gone or closed, resources (disk, memory, connections), operators (shut
down, starting, cancelled), the system, a standby that is read-only, a transaction that idled too long, a lock
that was not to be had. None of them says anything about the rows at hand, so no run may fail of them.
"""

_SESSION = {
    "application_name": "headrace",
    "jit": "off",
    # Every hot statement finds its rows by key. Its plan is made once, often while the tables are empty, and
    # must still be right when they hold millions of rows.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_CONNECT_SECONDS = 5.0
_CLOSE_SECONDS = 3.0
_ACQUIRE_SECONDS = 10.0
_IDLE_SECONDS = 300.0


class BadValue(InvalidInput):
    """PostgreSQL refuses a value."""

    code = "BadValue"


class Deadlock(HeadraceError):
    """PostgreSQL ended the transaction so that others can go on; it can be run again."""

    code = "Deadlock"


class Record(asyncpg.Record):  # type: ignore[misc]  # asyncpg has no type stubs
    """A row of an answer: its columns are its attributes."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # what a column holds, only its statement knows
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    def get_reset_query(self) -> str:
        """Nothing: no session state is ever changed here, and resetting it would be a round trip a use."""
        return ""


_Connected: TypeAlias = "asyncpg.pool.PoolConnectionProxy"


class Tx:
    """An open transaction, or a connection on which each statement is one of its own."""

    def __init__(self, connection: _Connected) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *args: object) -> list[Record]:
        """Runs one statement with `$1` parameters."""
        rows: list[Record] = await self._connection.fetch(sql, *args)
        return rows

    async def row(self, sql: str, *args: object) -> Record | None:
        rows = await self.fetch(sql, *args)
        return rows[0] if rows else None


class Database:
    """A pool of connections to one database; it opens with its first use, on the loop of that use."""

    def __init__(
        self, url: str, pool_size: int = 10, is_relaxed: bool = False, answer_seconds: float = 30.0
    ) -> None:
        """url: `postgresql://...`. is_relaxed: commits do not wait for the disk: for what may be repeated.

        answer_seconds: a statement without an answer for so long counts as PostgreSQL being away.
        """
        self.url = url
        self._pool_size = pool_size
        self._answer_seconds = answer_seconds
        self._settings = dict(_SESSION)
        if is_relaxed:
            self._settings["synchronous_commit"] = "off"
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Tx]:
        """Each statement commits by itself. Raises StoreUnavailable when PostgreSQL does not answer."""
        with translating():
            pool = self._pool or await self._open()
            async with pool.acquire(timeout=_ACQUIRE_SECONDS) as connection:
                yield Tx(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Commits at the end of the block. Raises StoreUnavailable when PostgreSQL does not answer."""
        async with self.connection() as tx, tx._connection.transaction():
            yield tx

    async def transact(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Runs `work` in a transaction of its own, again when PostgreSQL ended it to break a deadlock."""
        while True:
            try:
                async with self.transaction() as tx:
                    return await work(tx)
            except Deadlock:
                continue

    async def close(self) -> None:
        """Closes the connections, hard after some seconds: a server that is gone says no goodbye."""
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), _CLOSE_SECONDS)
            except TimeoutError:
                self._pool.terminate()

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self.url,
                    min_size=0,
                    max_size=self._pool_size,
                    max_inactive_connection_lifetime=_IDLE_SECONDS,
                    timeout=_CONNECT_SECONDS,
                    command_timeout=self._answer_seconds,
                    connection_class=_Connection,
                    record_class=Record,
                    server_settings=self._settings,
                )
        return self._pool


@contextmanager
def translating() -> Iterator[None]:
    """Turns what the driver raises into StoreUnavailable, Deadlock or BadValue."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _translated(error) from error
    except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
        raise StoreUnavailable(f"PostgreSQL does not answer: {error}") from error


def _translated(error: asyncpg.PostgresError) -> Exception:
    state = error.sqlstate or ""
    if state in (_DEADLOCK, _SERIALIZATION):
        return Deadlock()
    if state.startswith(_AWAY):
        return StoreUnavailable(f"PostgreSQL does not answer: {error}")
    return BadValue(str(error)) if state.startswith("22") else error
