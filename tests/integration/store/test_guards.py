"""What the store's functions do to a task in each state: only the moves of the table, and each of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from headrace.graph.decide import Ended
from headrace.graph.holding import Hold
from headrace.graph.ids import TaskId
from headrace.graph.states import ENDED, NOT_ENDED, TASK_MOVES, TaskStatus
from headrace.store import claims, holds, recovery, releases, shortcut, signals
from headrace.store.claims import Delivery, Settlement
from headrace.store.db import Database, Record, Tx
from headrace.store.recovery import Lost
from headrace.store.releases import Move
from headrace.store.shortcut import Completion, Holder, Outcome
from headrace.store.tasks import Queued
from support.rows import add_run, sql

pytestmark = pytest.mark.anyio

T = TaskStatus
STATES = list(TaskStatus)
TOKEN = 7
RUN = UUID(int=1)
ALL = [TaskId(RUN, position) for position, _ in enumerate(STATES)]

Act = Callable[[Tx], Awaitable[object]]


@dataclass(frozen=True)
class Operation:
    """One of the store's functions, told to move a task of every state. moves: those that must follow."""

    name: str
    moves: frozenset[T]
    target: T
    act: Act


def _settling(status: T) -> Act:
    outcomes = "" if status in ENDED else None
    wait = 60.0 if status is T.WAITING else None
    return lambda tx: claims.settle(
        tx, [Settlement(task, TOKEN, status, outcomes, wake_seconds=wait, waits_for="timer") for task in ALL]
    )


def _ending(status: T) -> Act:
    return lambda tx: releases.move(
        tx, [Move(task, ended=Ended(status, "", "reason", "cause")) for task in ALL]
    )


def _operation(name: str, target: T, sources: set[T], act: Act) -> Operation:
    return Operation(name, frozenset(sources), target, act)


def _hand_over(tx: Tx, token: int) -> Awaitable[Outcome]:
    done = [Completion(task, token, "", None, (), ()) for task in ALL]
    return shortcut.complete(tx, done, Holder(RUN, TOKEN, 30.0))


async def _signal(tx: Tx) -> None:
    for task in ALL:
        await signals.wake(tx, task, {"signal": {}})


TOKENS = dict.fromkeys(ALL, TOKEN)
OPERATIONS = [
    _operation(
        "claim",
        T.RUNNING,
        {T.QUEUED},
        lambda tx: claims.claim(tx, [Delivery(task, 1, 1) for task in ALL], TOKEN, uuid4(), 30.0),
    ),
    _operation("complete", T.COMPLETED, {T.RUNNING}, _settling(T.COMPLETED)),
    _operation("fail", T.FAILED, {T.RUNNING}, _settling(T.FAILED)),
    _operation("park", T.WAITING, {T.RUNNING}, _settling(T.WAITING)),
    _operation("hand over", T.COMPLETED, {T.RUNNING}, lambda tx: _hand_over(tx, TOKEN)),
    _operation("hand back", T.QUEUED, {T.RUNNING}, lambda tx: claims.hand_back(tx, TOKENS)),
    _operation(
        "queue",
        T.QUEUED,
        {T.PENDING},
        lambda tx: releases.move(tx, [Move(task, released_by=()) for task in ALL]),
    ),
    _operation("skip", T.SKIPPED, {T.PENDING}, _ending(T.SKIPPED)),
    _operation("fail upstream", T.UPSTREAM_FAILED, {T.PENDING}, _ending(T.UPSTREAM_FAILED)),
    _operation("cancel a pending one", T.CANCELLED, {T.PENDING}, _ending(T.CANCELLED)),
    _operation(
        "cancel",
        T.CANCELLED,
        set(NOT_ENDED),
        lambda tx: releases.cancel(tx, RUN, {task.position: "" for task in ALL}, "reason"),
    ),
    _operation("abandon", T.CANCELLED, set(NOT_ENDED), lambda tx: releases.abandon(tx, RUN, "reason")),
    _operation("wake", T.QUEUED, {T.WAITING}, lambda tx: recovery.wake(tx, 100)),
    _operation("signal", T.QUEUED, {T.WAITING}, lambda tx: _signal(tx)),
    _operation(
        "hold",
        T.WAITING,
        {T.QUEUED},
        lambda tx: holds.hold(tx, dict.fromkeys(ALL, Hold(is_paused=False, held_for="breakpoint n"))),
    ),
    _operation("pause", T.WAITING, {T.QUEUED, T.WAITING}, lambda tx: holds.pause(tx, RUN)),
    _operation(
        "requeue",
        T.QUEUED,
        {T.RUNNING},
        lambda tx: recovery.requeue(tx, [Lost(task, TOKEN, 0, 3) for task in ALL]),
    ),
    _operation(
        "redeliver",
        T.QUEUED,
        {T.QUEUED},
        lambda tx: recovery.redeliver(tx, [Queued(task, "n", 1, 1, 300.0, 5) for task in ALL]),
    ),
]

_ADD = """
INSERT INTO workflow_tasks (run_id, position, node_id, node_type, attempt_timeout, max_lost, status, attempt,
  delivery, token, lease_until, worker_id, wake_at, waits_for, edges_unresolved, outcomes, queued_at,
  finished_at)
SELECT $1::uuid, $2, $3::text, 'noop', 300, 3, $3, 1, 1, CASE WHEN $3 = 'running' THEN $4::bigint END,
  CASE WHEN $3 = 'running' THEN now() + interval '30 s' END, CASE WHEN $3 = 'running' THEN $1 END,
  CASE WHEN $3 = 'waiting' THEN now() - interval '1 s' END, CASE WHEN $3 = 'waiting' THEN 'timer' END,
  0, CASE WHEN $5 THEN '' END, now(), CASE WHEN $5 THEN now() END
"""


async def _one_of_each(db: Database) -> dict[T, Record]:
    await add_run(db, RUN, len(STATES))
    for task, status in zip(ALL, STATES, strict=True):
        await sql(db, _ADD, RUN, task.position, status.value, TOKEN, status in ENDED)
    return await _rows(db)


async def _rows(db: Database) -> dict[T, Record]:
    rows = await sql(db, "SELECT * FROM workflow_tasks WHERE run_id = $1 ORDER BY position", RUN)
    return dict(zip(STATES, rows, strict=True))


def _but_propagated(row: Record) -> Mapping[str, object]:
    return {key: value for key, value in row.items() if key != "propagated"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_a_function_moves_what_the_table_lets_it_and_leaves_all_else_alone(
    db: Database, operation: Operation
) -> None:
    before = await _one_of_each(db)
    async with db.transaction() as tx:
        await operation.act(tx)
    after = await _rows(db)
    for status in STATES:
        if status in operation.moves:
            assert after[status].status == operation.target, status
            assert after[status] != before[status], status
        else:
            assert _but_propagated(after[status]) == _but_propagated(before[status]), status


def test_the_functions_make_every_move_of_the_table_and_no_other() -> None:
    made = {(source, operation.target) for operation in OPERATIONS for source in operation.moves}
    table = {(source, target) for source, targets in TASK_MOVES.items() for target in targets}
    assert made - {(T.WAITING, T.WAITING)} == table


async def test_propagating_marks_ended_tasks_alone_and_once(db: Database) -> None:
    await _one_of_each(db)
    for expected in (set(ENDED), set()):
        async with db.transaction() as tx:
            told = await releases.propagate(tx, ALL)
        assert {one.status for one in told} == expected
    assert {status for status, row in (await _rows(db)).items() if row.propagated} == ENDED


@pytest.mark.parametrize(
    ("attempt", "delivery"), [(1, 2), (2, 1), (0, 1), (1, 0)], ids=lambda number: str(number)
)
async def test_a_claim_needs_the_present_attempt_and_delivery(
    db: Database, attempt: int, delivery: int
) -> None:
    before = await _one_of_each(db)
    async with db.transaction() as tx:
        wanted = [Delivery(task, attempt, delivery) for task in ALL]
        assert await claims.claim(tx, wanted, TOKEN, uuid4(), 30.0) == []
    assert await _rows(db) == before


async def test_whoever_has_another_token_changes_nothing(db: Database) -> None:
    before = await _one_of_each(db)
    other = dict.fromkeys(ALL, TOKEN + 1)
    async with db.transaction() as tx:
        assert (
            await claims.settle(tx, [Settlement(task, TOKEN + 1, T.COMPLETED, "") for task in ALL]) == set()
        )
        assert await _hand_over(tx, TOKEN + 1) == Outcome([], [], [], [], [], {})
        assert await claims.renew(tx, other, 30.0) == set()
        assert await claims.hand_back(tx, other) == []
        assert await claims.held(tx, other) == []
        assert await recovery.requeue(tx, [Lost(task, TOKEN + 1, 0, 3) for task in ALL]) == []
    assert await _rows(db) == before


async def test_a_renewal_prolongs_the_lease_by_the_database_s_clock(db: Database) -> None:
    await _one_of_each(db)
    async with db.transaction() as tx:
        assert await claims.renew(tx, TOKENS, 300.0) == {ALL[STATES.index(T.RUNNING)]}
    (row,) = await sql(
        db,
        "SELECT extract(epoch FROM lease_until - now())::float8 AS left FROM workflow_tasks"
        " WHERE status = 'running'",
    )
    assert 290 < row.left <= 300


async def _hand_over_to(db: Database, status: T) -> Outcome:
    """The running task completes; its one edge leads to the task of the given state."""
    running, target = (STATES.index(one) for one in (T.RUNNING, status))
    async with db.transaction() as tx:
        done = Completion(ALL[running], TOKEN, "T", None, [target], [])
        return await shortcut.complete(tx, [done], Holder(RUN, 8, 30.0))


async def test_a_hand_over_releases_a_successor_whose_last_edge_this_was(db: Database) -> None:
    await _one_of_each(db)
    await sql(db, "UPDATE workflow_tasks SET edges_unresolved = 1 WHERE status = 'pending'")
    outcome = await _hand_over_to(db, T.PENDING)
    assert [one.task for one in outcome.queued] == [ALL[STATES.index(T.PENDING)]]
    assert (await _rows(db))[T.PENDING].status == T.QUEUED


@pytest.mark.parametrize("status", [one for one in STATES if one not in (T.PENDING, T.RUNNING)])
async def test_a_hand_over_leaves_a_successor_alone_that_is_not_pending(db: Database, status: T) -> None:
    before = await _one_of_each(db)
    outcome = await _hand_over_to(db, status)
    assert (len(outcome.released), list(outcome.queued), list(outcome.claimed)) == (1, [], [])
    assert (await _rows(db))[status] == before[status]
