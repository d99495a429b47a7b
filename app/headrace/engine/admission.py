"""Whether a claimed task may run now: concurrency keys, rate limits, and results that are used again."""

from __future__ import annotations

import hashlib
from functools import partial

from headrace.engine.prepare import Execution
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Done, Held, Outcome
from headrace.graph.project import DEFAULT_PROJECT
from headrace.graph.rates import Begins, Waits, ask
from headrace.graph.settings import Concurrency, Rate
from headrace.graph.template import render, uses
from headrace.store import limits, rates, step_cache
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
        refused = await _paced(execution, node.rate, tx)
        if refused is not None:
            return refused
    if key is not None:
        await limits.take(tx, key, execution.task, execution.claim.token)
    return None


async def _paced(execution: Execution, rate: Rate, tx: Tx) -> Held | None:
    """Counts the execution against its rate; or promises it a time of its own, and counts nothing."""
    key = _rate_key(execution, rate)
    state = await rates.lock(tx, key)
    is_new = (execution.claim.attempt, execution.claim.delivery) == (1, 1)
    match ask(rate, state, is_new):
        case Begins(free_at):
            await rates.count(tx, key, free_at)
            return None
        case Waits(until):
            await rates.promise(tx, key, until)
            return Held(RATE + key, (until - state.now).total_seconds())


def concurrency_key(execution: Execution, concurrency: Concurrency) -> str:
    """The key that an execution counts against: as written, or one of the node's own."""
    return _key(execution, concurrency.key)


def _rate_key(execution: Execution, rate: Rate) -> str:
    return _key(execution, rate.key)


def _key(execution: Execution, template: str) -> str:
    """What is written is the same for all workflows of a project, and of no other."""
    written = render(template, execution.scope).text
    if not written:
        return f"{execution.run.names['workflowId']}/{execution.node.id}"
    project = execution.program.project
    return written if project == DEFAULT_PROJECT else f"{project}: {written}"
