"""Those who stand in line behind a key or a rate: who goes next, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import replace
from datetime import timedelta
from functools import partial

from headrace.engine import history
from headrace.engine.admission import concurrency_key
from headrace.engine.holding import hold_if_paused
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine
from headrace.errors import StoreUnavailable
from headrace.graph.dispatch import Dispatch
from headrace.graph.ids import TaskId
from headrace.graph.plan import PlanNode
from headrace.graph.rates import interval_of
from headrace.log import Log
from headrace.store import events, limits, rates
from headrace.store.db import Tx
from headrace.store.limits import KEY, RATE, Called, Head, Line
from headrace.store.rates import Pace

_log = Log("headrace.engine")


async def give_back(engine: Engine, executions: Sequence[Execution]) -> list[Dispatch]:
    """Lets the next tasks go that wait for the keys of these, which ended or were parked.

    Also for one that was parked because its key was full: the place may have come free in between.
    """
    keys = Counter(
        (concurrency_key(execution, execution.node.concurrency), execution.node.concurrency.limit)
        for execution in executions
        if execution.node.concurrency is not None
    )
    lines = [Line(key, limit, count) for (key, limit), count in sorted(keys.items())]
    try:
        return await engine.db.transact(partial(_let_next, lines)) if lines else []
    except StoreUnavailable:
        # Their ends are recorded, and nobody may record them again. The sweep lets the next go.
        return []


async def move_up(engine: Engine) -> list[Dispatch]:
    """Lets go whose key has room, and brings forward who waits longer for a rate than it takes.

    Processes that held a place may be gone, and tasks may have given up: nobody gives back for them. The
    first in a line says what its limit is: versions may differ.
    """
    lines: list[Line] = []
    paces: list[Pace] = []
    async with engine.db.transaction() as tx:
        for head in await limits.heads(tx):
            node = await _node(engine, tx, head)
            if node is not None:
                lines += _lines(head.held_for, node)
                paces += _paces(head.held_for, node)
    if paces:
        await engine.db.transact(partial(rates.move_up, paces=paces))
    return await engine.db.transact(partial(_let_next, lines)) if lines else []


async def _node(engine: Engine, tx: Tx, head: Head) -> PlanNode | None:
    """None when this process cannot read its workflow, as one of another version may: another process can."""
    try:
        program = await engine.programs.one(tx, head.program)
    except StoreUnavailable:
        raise
    except Exception as error:  # one workflow that cannot be read must not keep all the others waiting
        _log.warning("line_not_read", f"{type(error).__name__}: {error}", task=str(head.task))
        return None
    return program.plan.nodes[head.task.position]


def _lines(held_for: str, node: PlanNode) -> list[Line]:
    if node.concurrency is None or not held_for.startswith(KEY):
        return []
    limit = node.concurrency.limit
    return [Line(held_for.removeprefix(KEY), limit, most=limit)]


def _paces(held_for: str, node: PlanNode) -> list[Pace]:
    if node.rate is None or not held_for.startswith(RATE):
        return []
    interval = interval_of(node.rate)
    return [Pace(held_for.removeprefix(RATE), interval, timedelta(seconds=node.rate.per) - interval)]


async def _let_next(lines: Sequence[Line], tx: Tx) -> list[Dispatch]:
    """A place for which a task of a paused run was called is the next one's: that task waits for its run."""
    dispatches: list[Dispatch] = []
    while lines:
        called = await limits.let_next(tx, lines)
        queued = [one.queued for one in called]
        await events.append(tx, history.queued(queued))
        going = await hold_if_paused(tx, queued)
        dispatches += [one.dispatch() for one in going]
        lines = _left(lines, called, {one.task for one in going})
    return dispatches


def _left(lines: Sequence[Line], called: Sequence[Called], going: Set[TaskId]) -> list[Line]:
    """The places that were not taken by those who were called for them."""
    left = Counter(one.key for one in called if one.queued.task not in going)
    return [replace(line, most=count) for line in lines if (count := left.pop(line.key, 0))]
