"""What explanations read goes by indexes, also as PostgreSQL plans it in an empty database."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from headrace.graph.ids import TaskId
from headrace.store import standing
from headrace.store.db import Database, Record, Tx

pytestmark = pytest.mark.anyio

RUN = UUID(int=1)


class Explained(Tx):
    """Notes by which index each statement reads, and what it reads as a whole."""

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx._connection)
        self.read: set[str] = set()

    async def fetch(self, sql: str, *args: object) -> list[Record]:
        await self._connection.execute(f"PREPARE explained AS {sql}")
        plan = await self._connection.fetch(f"EXPLAIN EXECUTE explained({', '.join(['NULL'] * len(args))})")
        await self._connection.execute("DEALLOCATE explained")
        for (line,) in plan:
            self.read |= set(re.findall(r"(?:Index.* Scan (?:using|on)|Seq Scan on) (\w+)", line))
        return await super().fetch(sql, *args)


async def test_explanations_read_no_table_as_a_whole_but_that_of_the_workers(db: Database) -> None:
    async with db.transaction() as tx:
        explained = Explained(tx)
        assert await standing.runs(explained, [RUN]) == []
        assert await standing.tasks(explained, [RUN]) == {}
        assert await standing.children(explained, [TaskId(RUN, 0)]) == {}
        assert await standing.holders(explained, ["key k", "rate r"]) == {}
        assert await standing.turn(explained, RUN, "k") == ([], 0)
        assert (await standing.pulse(explained, 60)).listeners == {}
    assert explained.read == {
        "workflow_runs_pkey",
        "workflow_events_run_id_id_idx",
        "workflow_tasks_pkey",
        "task_children_pkey",
        "workflow_runs_children_idx",
        "workflow_signals_pkey",
        "concurrency_slots_pkey",
        "workflow_runs_concurrency_idx",
        "workflow_workers",
    }
