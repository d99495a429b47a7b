"""The clock: wakes what is due and sweeps. Every process has one; PostgreSQL picks who acts."""

from __future__ import annotations

import asyncio

from headrace.engine import clocks
from headrace.engine.schedules import fire_due
from headrace.engine.sweep import SweepSettings, Swept, redeliver, sweep, wake_due
from headrace.errors import QueueUnavailable, StoreUnavailable
from headrace.log import Log
from headrace.queues.inspect import live_job_ids
from headrace.queues.names import TASKS
from headrace_worker.runtime import Runtime

TICK_SECONDS = 0.2

_log = Log("headrace.worker")


async def tick_for_ever(runtime: Runtime) -> None:
    """Ticks until it is cancelled. Servers that are away cost ticks, nothing else."""
    settings = SweepSettings(
        every=runtime.settings.sweep_seconds, lost_delivery=runtime.settings.lost_delivery_seconds
    )
    while True:
        try:
            await tick(runtime, settings)
        except (StoreUnavailable, QueueUnavailable) as error:
            _log.debug("tick_missed", str(error))
        except Exception:  # a tick must never be the last one
            _log.exception("tick_failed")
        await asyncio.sleep(TICK_SECONDS)


async def tick(runtime: Runtime, settings: SweepSettings) -> None:
    """Wakes due waits, starts the runs of due schedules, ends what took too long; sweeps if it is time."""
    while woken := await wake_due(runtime.engine):
        await runtime.push(woken)
    await runtime.push(await fire_due(runtime.engine))
    await runtime.push(await clocks.enforce(runtime.engine))
    swept = await sweep(runtime.engine, settings)
    if swept is not None:
        await runtime.push(swept.dispatches)
        await _deliver_again(runtime, swept)


async def _deliver_again(runtime: Runtime, swept: Swept) -> None:
    """Asks the queue which of the overdue jobs it still has; without an answer, none is delivered again."""
    if swept.overdue:
        live = await asyncio.to_thread(live_job_ids, runtime.redis, TASKS)
        await runtime.push(await redeliver(runtime.engine, swept.overdue, live))
