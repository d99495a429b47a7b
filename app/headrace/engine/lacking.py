"""Tasks of activities that the process which claimed them does not have: they wait for one that does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

from headrace.engine import history
from headrace.engine.holding import hold_if_paused
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine
from headrace.errors import StoreUnavailable
from headrace.graph.dispatch import Dispatch
from headrace.graph.json_types import JsonObject
from headrace.graph.outcome import Held
from headrace.store import activities_seen, events, holds
from headrace.store.activities_seen import LACK
from headrace.store.db import Tx

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 5.0
_AT_ONCE_WAIT = 0.01
_WAIT_FOR_NOBODY = 30.0
"""Seconds until a task is offered again although no worker has its activity: one that starts wakes it."""

_MOST = 1000


def lacked(execution: Execution) -> str | None:
    """The activity that this process would need for a task, and has not; or its run has no version of it."""
    position = execution.task.position
    kind, config = execution.program.types[position], execution.program.configs[position]
    name = kind.lacks(config) or kind.stored_activity(config)
    return None if name is None or execution.run.stored.has(name) else name


async def wait_for_worker(execution: Execution, name: str) -> Held:
    """Hands the task back: to another worker soon if one has the activity, else when one does.

    An activity that was stored since the run began is this run's from now on, unless workers of its own
    project have one of that name.
    """
    try:
        async with execution.db.connection() as tx:
            found = await activities_seen.find(tx, [name])
            crew = await activities_seen.count_crew(tx, execution.program.project)
        having = {one.project for one in found if one.workers}
        is_free = execution.program.project not in having
        if is_free and await execution.run.stored.adopt(execution.task.run_id, name):
            return Held(LACK + name, _AT_ONCE_WAIT)
        if having:
            return Held(LACK + name, pause_before(execution.claim.delivery, crew))
    except StoreUnavailable:
        pass
    return Held(LACK + name, _WAIT_FOR_NOBODY)


def pause_before(delivery: int, crew: int) -> float:
    """Seconds until a task is offered again that has come to the wrong one of so many workers.

    Any of them may take it: it stays short until each has most likely had it, and only then grows.
    """
    doublings = min((delivery - 1) // (2 * max(1, crew)), 10)
    return min(_FIRST_WAIT * 2.0**doublings, _LONGEST_WAIT)


async def declare(
    engine: Engine,
    worker_id: UUID,
    project: str,
    declarations: Mapping[str, JsonObject],
    problems: Sequence[JsonObject],
) -> list[Dispatch]:
    """Notes which activities a worker has, and lets go the tasks that wait for one of them.

    declarations: `Declaration.as_json` by name. problems: what it could not load.
    """

    async def work(tx: Tx) -> list[Dispatch]:
        await activities_seen.declare(tx, worker_id, project, declarations, problems)
        return await let_go(tx, sorted(declarations))

    dispatches = await engine.db.transact(work)
    while more := await engine.db.transact(partial(let_go, names=sorted(declarations))):
        dispatches += more
    return dispatches


async def let_go(tx: Tx, names: Sequence[str]) -> list[Dispatch]:
    """Lets tasks go that wait for one of these activities, at most 1,000 of them."""
    tasks = await activities_seen.waiting_for(tx, names, _MOST)
    queued = await holds.let_go(tx, tasks)
    await events.append(tx, history.queued(queued))
    return [one.dispatch() for one in await hold_if_paused(tx, queued)]
