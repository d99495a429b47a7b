"""Connections and transactions.

`Tx` speaks PostgreSQL's own `$1` parameters, as the hot statements are written, and SQLAlchemy statements.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
from sqlalchemy import Executable, NullPool, Row
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from headrace.errors import HeadraceError, InvalidInput, StoreUnavailable

T = TypeVar("T")
Record = Row[tuple[object, ...]]
"""A row of an answer: its attributes are named as the columns."""

_DEADLOCK = "40P01"
_SERIALIZATION = "40001"
_AWAY = ("08", "53", "57", "58", "25006", "25P03", "55P03")
"""SQLSTATEs, or their first characters, of a server that cannot serve now, whatever it is asked.

Connections, resources (disk, memory, connections), operators (shut down, starting, cancelled), the system, a
standby that is read-only, a transaction that idled too long, a lock that was not to be had. None of them
says anything about the rows at hand, so no run may fail of them.
"""


class BadValue(InvalidInput):
    """PostgreSQL refuses a value."""

    code = "BadValue"


class Tx:
    """An open transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *args: object) -> Sequence[Record]:
        """Runs one statement with `$1` parameters; rows have attributes named as the columns."""
        result = await self._connection.exec_driver_sql(sql, args)
        return result.all() if result.returns_rows else ()

    async def row(self, sql: str, *args: object) -> Record | None:
        rows = await self.fetch(sql, *args)
        return rows[0] if rows else None

    async def run(self, statement: Executable) -> Sequence[Record]:
        """Runs a SQLAlchemy statement."""
        result = await self._connection.execute(statement)
        return result.all() if result.returns_rows else ()


class Database:
    """A pool of connections to one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    def connect(cls, url: str, pool_size: int = 10) -> Database:
        """url: `postgresql://...`. pool_size 0: a new connection each time, for processes that fork."""
        target = make_url(url).set(drivername="postgresql+asyncpg")
        options = {"timeout": 5, "server_settings": {"application_name": "headrace", "jit": "off"}}
        pool = {"pool_size": pool_size, "max_overflow": pool_size, "pool_timeout": 5}
        # JSON comes as text: its size counts, and much of it is passed on unread.
        return cls(
            create_async_engine(
                target,
                connect_args=options,
                json_deserializer=str,
                **(pool if pool_size else {"poolclass": NullPool}),
            )
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Commits at the end of the block. Raises StoreUnavailable when PostgreSQL does not answer."""
        async with self.connection() as connection:
            yield Tx(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction, for what needs SQLAlchemy's own; errors as of `transaction()`."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except PoolTimeout as error:
            raise StoreUnavailable from error
        except DBAPIError as error:
            raise _translated(error) from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # SQLAlchemy translates what statements raise, but not what connecting does.
            raise StoreUnavailable(f"PostgreSQL does not answer: {error}") from error

    async def transact(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Runs `work` in a transaction of its own, again when PostgreSQL ended it to break a deadlock."""
        while True:
            try:
                async with self.transaction() as tx:
                    return await work(tx)
            except Deadlock:
                continue

    async def close(self) -> None:
        await self._engine.dispose()


class Deadlock(HeadraceError):
    """PostgreSQL ended the transaction so that others can go on; it can be run again."""

    code = "Deadlock"


def _translated(error: DBAPIError) -> Exception:
    state = getattr(error.orig, "sqlstate", None) or ""
    if state in (_DEADLOCK, _SERIALIZATION):
        return Deadlock()
    if error.connection_invalidated or state.startswith(_AWAY):
        return StoreUnavailable()
    if not state and isinstance(error, OperationalError | InterfaceError):
        return StoreUnavailable()
    if state.startswith("22"):
        return BadValue(str(error.orig))
    return error
