"""Runs behind a workflow's concurrency key: one more waits its turn, is refused, or takes another's place."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from headrace.engine.beginning import add_tasks
from headrace.engine.program import Engine, UnknownVersion
from headrace.errors import WrongState
from headrace.graph.dispatch import Dispatch
from headrace.graph.json_types import JsonValue
from headrace.graph.plan import Plan
from headrace.graph.settings import RunConcurrency
from headrace.graph.states import RunStatus
from headrace.graph.template import Scope, render
from headrace.store import batches, limits, run_reading, runs
from headrace.store.db import Tx


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a new run stands. key: that it counts against, None for none. outdated: runs to cancel for it."""

    key: str | None = None
    is_queued: bool = False
    outdated: Sequence[UUID] = ()


async def ask(tx: Tx, plan: Plan, workflow_id: UUID, run_input: JsonValue) -> Turn:
    """Whether a new run may begin at once. Raises WrongState when the workflow refuses one more."""
    concurrency = plan.concurrency
    if concurrency is None:
        return Turn()
    key = _key(concurrency, workflow_id, run_input)
    await limits.lock(tx, [key])
    active = await limits.active_runs(tx, key)
    if len(active) < concurrency.limit:
        return Turn(key)
    match concurrency.on_limit:
        case "queue":
            return Turn(key, is_queued=True)
        case "cancel_oldest":
            return Turn(key, outdated=active[: len(active) - concurrency.limit + 1])
        case "skip":
            raise WrongState(f"{len(active)} run(s) with the key '{key}' are under way: no more may start")


def _key(concurrency: RunConcurrency, workflow_id: UUID, run_input: JsonValue) -> str:
    scope = Scope(run_input, {"input": run_input})
    return f"{workflow_id}/{render(concurrency.key, scope).text}"


async def next_turns(engine: Engine, tx: Tx, key: str, limit: int) -> list[Dispatch]:
    """Begins the runs that come next, as far as the key has room."""
    await limits.lock(tx, [key])
    free = limit - len(await limits.active_runs(tx, key))
    dispatches: list[Dispatch] = []
    for run_id in await limits.next_runs(tx, key, free):
        run = await run_reading.get(tx, run_id)
        assert run is not None
        await runs.turn(tx, run_id, RunStatus.RUNNING)
        program = await engine.programs.one(tx, run.program)
        if program.plan.timeout is not None:  # its clock has not run while it stood in line
            await batches.set_deadlines(tx, [run_id], program.plan.timeout)
        dispatches += await add_tasks(tx, program, run_id, run.priority, is_debugged=True)
    return dispatches


async def repair(engine: Engine) -> list[Dispatch]:
    """Begins queued runs whose turn came unnoticed: a run before them ended without its plan."""

    async def work(tx: Tx) -> list[Dispatch]:
        dispatches: list[Dispatch] = []
        for key in await limits.keys_of_queued_runs(tx):
            dispatches += await next_turns(engine, tx, key, await _limit(engine, tx, key))
        return dispatches

    return await engine.db.transact(work)


async def crowding(engine: Engine) -> list[UUID]:
    """Runs in whose place others have begun, and that nobody cancelled: the process that was to is gone."""
    async with engine.db.transaction() as tx:
        crowds = await limits.crowds(tx)
        newest = await run_reading.contexts(tx, [ids[-1] for ids in crowds]) if crowds else {}
        crowding: list[UUID] = []
        for ids in crowds:
            with suppress(UnknownVersion):  # then its run cannot go on either, and is ended for that
                concurrency = (await engine.programs.one(tx, newest[ids[-1]].program)).plan.concurrency
                if concurrency is not None and concurrency.on_limit == "cancel_oldest":
                    crowding += ids[: -concurrency.limit]
        return crowding


async def _limit(engine: Engine, tx: Tx, key: str) -> int:
    """What the newest of the runs that wait says: versions may differ."""
    waiting = await limits.next_runs(tx, key, 1)
    run = await run_reading.get(tx, waiting[0]) if waiting else None
    if run is None:
        return 0
    concurrency = (await engine.programs.one(tx, run.program)).plan.concurrency
    return 0 if concurrency is None else concurrency.limit
