"""Whether a claimed task may run now: concurrency keys, rate limits, and results that are used again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

from headrace.engine import history
from headrace.engine.holding import hold_if_paused
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine
from headrace.graph.dispatch import Dispatch
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Done, Held, Outcome
from headrace.graph.settings import Concurrency, Rate
from headrace.graph.template import render, uses
from headrace.store import events, holds, limits, step_cache
from headrace.store.codec import dump
from headrace.store.db import Tx
from headrace.store.limits import KEY, RATE
from headrace.store.step_cache import CachedStep


async def admit(execution: Execution) -> Outcome | None:
    """None when the node may run now, else what comes of the task instead: a kept result, or a wait.

    A task that goes on after a wait of its own was admitted when it began.
    """
    node = execution.node
    if not node.is_guarded or execution.is_resumed:
        return None
    if node.cache is not None and (known := await _cached(execution)) is not None:
        return known
    if node.concurrency is None and node.rate is None:
        return None
    return await execution.db.transact(partial(_limited, execution))


async def keep(execution: Execution, outcome: Outcome) -> None:
    """Keeps the result of a node that says that it may be used again."""
    cache = execution.node.cache
    if cache is None or not isinstance(outcome, Done) or outcome.verdict is not None:
        return
    step = CachedStep(outcome.output, outcome.branches, execution.task.run_id)
    async with execution.db.connection() as tx:
        await step_cache.keep(tx, _cache_key(execution), step, cache.ttl)


async def _cached(execution: Execution) -> Done | None:
    async with execution.db.connection() as tx:
        found = await step_cache.find(tx, _cache_key(execution))
    if found is None:
        return None
    execution.say("cache", f"Result of run {found.run_id} used again")
    return Done(found.output, found.branches)


def _cache_key(execution: Execution) -> bytes:
    node, cache = execution.node, execution.node.cache
    assert cache is not None
    names = [str(execution.run.names["workflowId"]), node.id, node.type]
    by = render(cache.key, execution.scope).text if cache.key else _all_it_reads(execution)
    return hashlib.sha256(dump([*names, node.config, by]).encode()).digest()


def _all_it_reads(execution: Execution) -> JsonValue:
    """The node's input, and whatever else its templates may name."""
    named = {
        name: value for name, value in execution.scope.names.items() if uses(execution.node.config, name)
    }
    return [execution.scope.input, named]


async def _limited(execution: Execution, tx: Tx) -> Held | None:
    node = execution.node
    key = None if node.concurrency is None else concurrency_key(execution, node.concurrency)
    if key is not None and node.concurrency is not None:
        await limits.lock(tx, [key])
        if await limits.taken(tx, key) >= node.concurrency.limit:
            return Held(KEY + key)
    if node.rate is not None:
        rate = _rate_key(execution, node.rate)
        wait = await limits.allow(tx, rate, node.rate.count, node.rate.per)
        if wait > 0:
            return Held(RATE + rate, wait)
    if key is not None:
        await limits.take(tx, key, execution.task, execution.claim.token)
    return None


def concurrency_key(execution: Execution, concurrency: Concurrency) -> str:
    """The key that an execution counts against: as written, or one of the node's own."""
    return render(concurrency.key, execution.scope).text or _own_key(execution)


def _rate_key(execution: Execution, rate: Rate) -> str:
    return render(rate.key, execution.scope).text or _own_key(execution)


def _own_key(execution: Execution) -> str:
    return f"{execution.run.names['workflowId']}/{execution.node.id}"


async def give_back(engine: Engine, executions: Sequence[Execution]) -> list[Dispatch]:
    """Lets the next tasks try that wait for the keys of these, which ended or were parked."""
    keys = {
        concurrency_key(execution, execution.node.concurrency)
        for execution in executions
        if execution.node.concurrency is not None
    }
    return await engine.db.transact(partial(_let_next, sorted(keys), len(executions))) if keys else []


async def let_all_try(engine: Engine) -> list[Dispatch]:
    """Lets one task of each key that is waited for try again: a process that held a slot may be gone."""
    async with engine.db.transaction() as tx:
        keys = await limits.keys_waited_for(tx)
    return await engine.db.transact(partial(_let_next, keys, 1)) if keys else []


async def _let_next(keys: Sequence[str], count: int, tx: Tx) -> list[Dispatch]:
    tasks = [task for key in keys for task in await limits.waiting(tx, key, count)]
    queued = await holds.let_go(tx, tasks)
    await events.append(tx, history.queued(queued))
    return [one.dispatch() for one in await hold_if_paused(tx, queued)]
