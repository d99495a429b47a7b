"""Starting a run: one transaction, then push."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial

from headrace.engine.control import cancel_run
from headrace.engine.program import Engine
from headrace.engine.starting import Started, StartRequest, require_input, start_within
from headrace.errors import WrongState
from headrace.graph.dispatch import Dispatch

__all__ = ["StartRequest", "Started", "require_input", "start_run", "start_within"]


async def start_run(engine: Engine, request: StartRequest) -> Started:
    """Starts a run of the current version.

    Raises NotFound, InvalidInput when a root refuses the input, IdempotencyConflict when the key was used
    with another input, WrongState when the workflow lets no more runs start. The same key with the same input
    answers the first run again.
    """
    started = await engine.db.transact(partial(start_within, engine, request))
    return await _without_outdated(engine, started) if started.outdated else started


async def _without_outdated(engine: Engine, started: Started) -> Started:
    """Cancels the runs whose place the new one takes."""
    dispatches: list[Dispatch] = list(started.dispatches)
    for run_id in started.outdated:
        with suppress(WrongState):  # it ended by itself
            dispatches += await cancel_run(engine, run_id)
    return replace(started, dispatches=dispatches)
