"""The clock: wakes what is due and sweeps. Every process has one; PostgreSQL picks who acts."""

from __future__ import annotations

import asyncio
import itertools

from headrace.engine import clocks
from headrace.engine.schedules import fire_due
from headrace.engine.sweep import SweepSettings, Swept, redeliver, sweep, wake_due
from headrace.errors import QueueUnavailable, StoreUnavailable
from headrace.log import Log
from headrace.queues.inspect import live_job_ids
from headrace.queues.names import task_queue
from headrace_worker.runtime import Runtime

TICK_SECONDS = 0.2
_CLOCKS_EVERY = 5
"""Ticks between two looks at the clocks: a second."""

_log = Log("headrace.worker")


async def tick_for_ever(runtime: Runtime) -> None:
    """Ticks until it is cancelled. Servers that are away cost ticks, nothing else."""
    settings = SweepSettings(
        every=runtime.settings.sweep_seconds, lost_delivery=runtime.settings.lost_delivery_seconds
    )
    for number in itertools.count():
        try:
            await tick(runtime, settings)
            if number % _CLOCKS_EVERY == 0:
                await runtime.push(await clocks.enforce(runtime.engine))
        except (StoreUnavailable, QueueUnavailable) as error:
            _log.debug("tick_missed", str(error))
        except Exception:  # a tick must never be the last one
            _log.exception("tick_failed")
        await asyncio.sleep(TICK_SECONDS)


async def tick(runtime: Runtime, settings: SweepSettings) -> None:
    """Wakes due waits, starts the runs of due schedules; sweeps if a sweep is due."""
    while woken := await wake_due(runtime.engine):
        await runtime.push(woken)
    await runtime.push(await fire_due(runtime.engine))
    swept = await sweep(runtime.engine, settings)
    if swept is not None:
        await runtime.push(swept.dispatches)
        await _deliver_again(runtime, swept)


async def _deliver_again(runtime: Runtime, swept: Swept) -> None:
    """Asks the queue which of the overdue jobs it still has; without an answer, none is delivered again."""
    if swept.overdue:
        queues = {task_queue(one.priority, one.project) for one in swept.overdue}
        live = await asyncio.to_thread(live_job_ids, runtime.redis, *sorted(queues))
        await runtime.push(await redeliver(runtime.engine, swept.overdue, live))
