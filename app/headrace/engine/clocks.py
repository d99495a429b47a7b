"""The four clocks: of the queue, of an attempt, of all attempts, of a run. The ticker enforces them.

A stuck process cannot be asked to keep its own time: whoever ticks takes the task from it and fails it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from headrace.engine.control import fail_late_run
from headrace.engine.execute import Finished, recall
from headrace.engine.program import Engine
from headrace.engine.settle import settle
from headrace.graph.dispatch import Dispatch, Stop
from headrace.graph.ids import TaskId
from headrace.graph.outcome import Failed
from headrace.log import Log
from headrace.store import clocks, recovery
from headrace.store.clocks import Overdue
from headrace.store.db import Tx
from headrace.store.ids import new_token

GRACE_SECONDS = 5.0
"""How much later than a process itself the ticker ends an attempt."""

_BATCH = 500

_log = Log("headrace.engine")


async def enforce(engine: Engine) -> list[Dispatch]:
    """Fails the tasks and stops the runs whose time is up. Cheap when there are none."""
    async with engine.db.transaction() as tx:
        late_runs = await clocks.late_runs(tx, _BATCH)
        overdue = [
            *await clocks.overdue_tasks(tx, _BATCH),
            *await clocks.overdue_attempts(tx, GRACE_SECONDS, _BATCH),
        ]
    dispatches = await _fail(engine, overdue) if overdue else []
    for run_id in late_runs:
        dispatches += await fail_late_run(engine, run_id)
    return dispatches


async def _fail(engine: Engine, overdue: Sequence[Overdue]) -> list[Dispatch]:
    why = {one.task: one for one in overdue}
    token = new_token()
    seized = await engine.db.transact(partial(_seize, overdue, token))
    _log.warning("time_is_up", tasks=len(seized))
    executions = await recall(engine, dict.fromkeys(seized, token))
    settled = await settle(engine, [Finished(one, _failure(why[one.task])) for one in executions])
    return [*settled.dispatches, Stop(tuple(seized))]


async def _seize(overdue: Sequence[Overdue], token: int, tx: Tx) -> list[TaskId]:
    if not await recovery.try_lead(tx, "clocks"):
        return []
    return await clocks.seize(tx, overdue, token)


_KINDS: Mapping[str, str] = {"attempt": "Timeout", "queue": "QueueTimeout", "total": "TotalTimeout"}
_WORDS: Mapping[str, str] = {
    "attempt": "the attempt took longer than",
    "queue": "the task stood in the queue for longer than",
    "total": "the task took, with all its attempts, longer than",
}


def _failure(late: Overdue) -> Failed:
    message = f"{_WORDS[late.which]} {late.seconds:g} s"
    return Failed(message, kind=_KINDS[late.which], retryable=late.which == "attempt")
