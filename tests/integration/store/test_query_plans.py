"""The plans of the hot statements: by the right index, in an empty database and among many rows."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from uuid import UUID

import pytest

from headrace.graph.decide import Ended
from headrace.graph.ids import TaskId
from headrace.graph.join import Tally
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store import (
    asking,
    claims,
    deletions,
    events,
    recovery,
    releases,
    results,
    run_reading,
    runs,
    shortcut,
    signals,
)
from headrace.store.claims import Delivery, Settlement
from headrace.store.db import Database, Record, Tx
from headrace.store.events import Cursor
from headrace.store.recovery import Lost
from headrace.store.releases import Move
from headrace.store.shortcut import Completion, Holder
from headrace.store.signals import Waiter
from headrace.store.tasks import Queued
from support.rows import sql

pytestmark = pytest.mark.anyio

RUN = UUID(int=5)
NOBODY = UUID(int=2**128 - 1)
TASK = TaskId(RUN, 3)
TASKS = [TaskId(RUN, position) for position in range(64)]
T = TaskStatus


class Explained(Tx):
    """Notes which indexes each statement reads, as planned once for all parameters, and then runs it."""

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx._connection)
        self.scans: list[str] = []

    async def fetch(self, sql: str, *args: object) -> list[Record]:
        await self._connection.execute(f"PREPARE explained AS {sql}")
        nothing = f"({', '.join(['NULL'] * len(args))})" if args else ""
        plan = await self._connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE explained{nothing}")
        await self._connection.execute("DEALLOCATE explained")
        self.scans += _scans(json.loads(plan)[0]["Plan"])
        return await super().fetch(sql, *args)


def _scans(node: JsonObject) -> Iterator[str]:
    """How a plan reads tables: by which index, and for a primary key by which of its columns."""
    kind = str(node["Node Type"])
    if "Index Name" in node:
        yield _index(node)
    elif kind == "Seq Scan":
        yield f"the whole of {node['Relation Name']}"
    children: JsonValue = node.get("Plans", [])
    assert isinstance(children, list)
    for child in children:
        assert isinstance(child, dict)
        yield from _scans(child)


def _index(node: JsonObject) -> str:
    index = str(node["Index Name"])
    if not index.endswith("_pkey"):
        return index
    condition = str(node.get("Index Cond", "")).replace('"', "")
    columns = [
        name
        for name in ("run_id", "position", "id", "hash")
        if re.search(rf"(\(|\.| ){name}\)? =", condition)
    ]
    return f"{index}({', '.join(columns)})"


BY_KEY = "workflow_tasks_pkey(run_id, position)"
BY_RUN = "workflow_tasks_pkey(run_id)"
UNTAKEN = "workflow_signals_untaken_idx"
WAITER = Waiter(TASK, "n3", "go", 1, is_paused=False)

Act = Callable[[Tx], Awaitable[object]]
HOT: dict[str, tuple[Act, set[str]]] = {
    "claim": (
        lambda tx: claims.claim(tx, [Delivery(task, 1, 1) for task in TASKS], 1, RUN, 30.0),
        {BY_KEY},
    ),
    "settle": (
        lambda tx: claims.settle(tx, [Settlement(task, 1, T.COMPLETED, "") for task in TASKS]),
        {BY_KEY},
    ),
    "renew": (
        lambda tx: claims.renew(tx, dict.fromkeys(TASKS, 1), 30.0),
        {BY_KEY},
    ),
    "hand_back": (lambda tx: claims.hand_back(tx, dict.fromkeys(TASKS, 1)), {BY_KEY}),
    "hand_over": (
        lambda tx: shortcut.complete(
            tx,
            [Completion(task, 1, "T", None, (task.position + 1,), ()) for task in TASKS],
            Holder(RUN, 1, 30.0),
        ),
        {BY_KEY, "workflow_runs_pkey(id)"},
    ),
    "lock_runs": (lambda tx: runs.lock(tx, [RUN]), {"workflow_runs_pkey(id)"}),
    "propagate": (lambda tx: releases.propagate(tx, TASKS), {BY_KEY}),
    "views": (lambda tx: releases.views(tx, dict.fromkeys(TASKS, 1)), {BY_KEY}),
    "outcomes": (lambda tx: releases.outcomes(tx, TASKS), {BY_KEY}),
    "results": (lambda tx: results.results(tx, TASKS), {BY_KEY, "payloads_pkey(hash)"}),
    "move": (
        lambda tx: releases.move(
            tx, [Move(task, Tally.fresh(1), None, Ended(T.SKIPPED, "", "r", "c")) for task in TASKS]
        ),
        {BY_KEY},
    ),
    "count_down": (
        lambda tx: runs.count_down(tx, {RUN: {T.COMPLETED: 0}}),
        {"workflow_runs_pkey(id)"},
    ),
    "wake": (
        lambda tx: recovery.wake(tx, 100),
        {"workflow_tasks_waiting_idx", BY_KEY, "workflow_runs_pkey(id)"},
    ),
    "next_wake": (recovery.seconds_to_next_wake, {"workflow_tasks_waiting_idx"}),
    "overdue": (
        lambda tx: recovery.overdue(tx, 10.0, 100),
        {"workflow_tasks_queued_idx"},
    ),
    "redeliver": (
        lambda tx: recovery.redeliver(tx, [Queued(task, "n", 1, 1, 1.0, 5) for task in TASKS]),
        {BY_KEY},
    ),
    "expired": (
        lambda tx: recovery.expired(tx, 100),
        {"workflow_tasks_running_idx"},
    ),
    "held_by": (
        lambda tx: recovery.held_by(tx, RUN, 100),
        {"workflow_tasks_running_idx"},
    ),
    "requeue": (
        lambda tx: recovery.requeue(tx, [Lost(task, 1, 0, 3) for task in TASKS]),
        {BY_KEY},
    ),
    "unpropagated": (
        lambda tx: recovery.unpropagated(tx, 10.0, 100),
        {"workflow_tasks_unpropagated_idx"},
    ),
    "cancel": (
        lambda tx: releases.cancel(tx, RUN, {task.position: "" for task in TASKS}, "r"),
        {BY_KEY},
    ),
    "could_take": (lambda tx: signals.could_take(tx, TASKS), {BY_KEY, UNTAKEN}),
    "waiting_for": (lambda tx: signals.waiting_for(tx, RUN, "go", None), {"workflow_tasks_signal_idx"}),
    "overlooked": (lambda tx: signals.overlooked(tx, 100), {"workflow_tasks_signal_idx", UNTAKEN}),
    "oldest_buffered": (lambda tx: signals.oldest_buffered(tx, WAITER), {UNTAKEN}),
    "open_ones": (
        lambda tx: asking.open_ones(tx, "approval", None, 100, 0),
        {"workflow_tasks_signal_idx", "workflow_runs_pkey(id)"},
    ),
    "events": (
        lambda tx: events.after(tx, RUN, Cursor()),
        {"workflow_events_run_id_id_idx"},
    ),
    "active_below": (
        lambda tx: run_reading.active_below(tx, NOBODY, RunStatus.PAUSED),
        {"workflow_runs_children_idx"},
    ),
    "lock_to_delete": (lambda tx: deletions.lock(tx, [NOBODY]), {"workflow_runs_pkey(id)"}),
    "kin": (
        lambda tx: deletions.kin(tx, [NOBODY]),
        {"workflow_runs_pkey(id)", "workflow_runs_children_idx"},
    ),
    "delete": (
        lambda tx: deletions.delete(tx, [NOBODY]),
        {"workflow_runs_pkey(id)", "workflow_events_run_id_id_idx", "workflow_variables_pkey()"},
    ),
}

_MANY = """
INSERT INTO workflow_tasks (run_id, position, node_id, node_type, attempt_timeout, max_lost, status, attempt,
  delivery, token, lease_until, worker_id, wake_at, waits_for, edges_unresolved, outcomes, propagated,
  queued_at, finished_at)
SELECT r.id, p, 'n' || p, 'noop', 300, 3, s, 1, 1,
  CASE WHEN s = 'running' THEN 1 END, CASE WHEN s = 'running' THEN now() END,
  CASE WHEN s = 'running' THEN r.id END,
  CASE WHEN s = 'waiting' THEN now() + interval '1 h' END, CASE WHEN s = 'waiting' THEN 'timer' END,
  0, CASE WHEN s = 'completed' THEN '' END, p % 50 <> 0, now(), CASE WHEN s = 'completed' THEN now() END
FROM workflow_runs r, generate_series(0, 99) AS p,
  LATERAL (SELECT CASE WHEN p = 96 THEN 'queued' WHEN p = 97 THEN 'running' WHEN p = 98 THEN 'waiting'
                       WHEN p = 99 THEN 'pending' ELSE 'completed' END AS s) AS status
"""


async def _fill(db: Database) -> None:
    """200,000 tasks of 2,000 runs, most of them over."""
    await sql(db, "INSERT INTO workflows (id, name, version) VALUES ($1, 'w', 1)", RUN)
    await sql(db, "INSERT INTO workflow_versions VALUES ($1, 1, '{}', now())", RUN)
    await sql(
        db,
        "INSERT INTO workflow_runs (id, workflow_id, version, status, open, total)"
        " SELECT lpad(to_hex(n), 32, '0')::uuid, $1, 1, 'running', 100, 100 FROM generate_series(1, 2000) n",
        RUN,
    )
    await sql(db, _MANY)
    await sql(
        db,
        "INSERT INTO workflow_events (run_id, type)"
        " SELECT r.id, 'log' FROM workflow_runs r, generate_series(1, 10)",
    )
    async with db.connection() as tx:
        for table in ("workflow_tasks", "workflow_runs", "workflow_events"):
            await tx.fetch(f"ANALYZE {table}")


@pytest.mark.parametrize("rows", ["no rows", "many rows"])
async def test_hot_statements_find_their_rows_by_the_right_index(db: Database, rows: str) -> None:
    if rows == "many rows":
        await _fill(db)
    wrong = {}
    for name, (act, wanted) in HOT.items():
        async with db.transaction() as tx:
            explained = Explained(tx)
            await act(explained)
            # A cancel that names half of a run's tasks may as well read them all.
            scans = {BY_KEY if name == "cancel" and one == BY_RUN else one for one in explained.scans}
            if scans != wanted:
                wrong[name] = scans
    assert wrong == {}
