"""The statements of each tick go by small indexes, also as PostgreSQL plans them in an empty database."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from headrace.store import schedules, slots
from headrace.store.db import Database, Record, Tx

pytestmark = pytest.mark.anyio

ID = UUID(int=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Explained(Tx):
    """Notes by which index each statement reads which table, planned once for all parameters."""

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx._connection)
        self.read: set[str] = set()

    async def fetch(self, sql: str, *args: object) -> list[Record]:
        await self._connection.execute(f"PREPARE explained AS {sql}")
        nothing = f"({', '.join(['NULL'] * len(args))})" if args else ""
        plan = await self._connection.fetch(f"EXPLAIN EXECUTE explained{nothing}")
        await self._connection.execute("DEALLOCATE explained")
        for (line,) in plan:
            self.read |= set(re.findall(r"Index.* Scan (?:using|on) (\w+)", line))
            assert "Seq Scan" not in line, plan
        return await super().fetch(sql, *args)


async def test_each_tick_looks_at_small_indexes(db: Database) -> None:
    async with db.transaction() as tx:
        explained = Explained(tx)
        await schedules.look(explained, None)
        assert explained.read == {"workflow_schedules_due_idx", "schedule_slots_waiting_idx"}
        await schedules.due(explained, NOW, 10)
        assert explained.read == {"workflow_schedules_due_idx", "schedule_slots_waiting_idx"}


async def test_whether_earlier_runs_go_on_is_asked_of_these_runs_alone(db: Database) -> None:
    async with db.transaction() as tx:
        explained = Explained(tx)
        await slots.startable(explained, 10)
        await slots.running(explained, ID)
        await slots.waiting(explained, ID, is_paused=False, limit=10)
        await slots.count_waiting(explained, ID)
        assert explained.read == {
            "schedule_slots_waiting_idx",
            "schedule_slots_started_idx",
            "workflow_schedules_pkey",
            "workflow_runs_pkey",
        }
