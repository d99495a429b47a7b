"""What a worker process does with one job, and what its tick does, in the process of a test."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TypeVar, cast
from uuid import uuid4

from headrace.activities.notes import Hear, hearer
from headrace.engine import clocks
from headrace.engine.execute import claim, perform
from headrace.engine.program import Engine
from headrace.engine.release import release
from headrace.engine.settle import settle
from headrace.engine.sweep import wake_due
from headrace.graph.dispatch import Dispatch, Release, RunTask
from headrace.graph.json_types import JsonValue
from headrace.nodes.base import Http
from headrace.nodes.lanes import Lanes, NoLanes, Program, Sandboxed, SandboxLimits
from headrace.sandbox.lane import opened
from headrace.store.claims import Delivery

T = TypeVar("T")

_WORKER = uuid4()


class Threads(NoLanes):
    """Runs code in threads, also what a worker would run in another process, and programs in sandboxes."""

    async def run_sync(self, call: Callable[[], T]) -> T:
        return await asyncio.to_thread(call)

    async def run_isolated(self, function: str, payload: JsonValue, hear: Hear | None = None) -> JsonValue:
        return await asyncio.to_thread(_isolated, function, payload, hear)

    async def run_sandboxed(self, program: Program, payload: JsonValue, limits: SandboxLimits) -> Sandboxed:
        async with opened() as lane:  # a new one each time: tests have many loops
            return await lane.run(program, payload, limits)


def _isolated(function: str, payload: JsonValue, hear: Hear | None) -> JsonValue:
    if hear is not None:
        hearer.set(hear)
    module, _, name = function.partition(":")
    output = getattr(import_module(module), name)(json.loads(json.dumps(payload)))
    if inspect.iscoroutine(output):
        output = asyncio.run(output)
    return cast(JsonValue, json.loads(json.dumps(output)))


THREADS = Threads()


async def deliver(
    engine: Engine, dispatch: Dispatch, http: Http, lanes: Lanes = THREADS
) -> Sequence[Dispatch]:
    """Does what a worker does with one job; returns what follows. What is no job does nothing."""
    match dispatch:
        case RunTask(task=task, attempt=attempt, delivery=delivery):
            executions = await claim(engine, [Delivery(task, attempt, delivery)], _WORKER)
            finished = [await perform(execution, http, lanes) for execution in executions]
            return (await settle(engine, finished)).dispatches
        case Release(tasks=tasks):
            return await release(engine, tasks)
        case _:
            return []


async def tick(engine: Engine) -> list[Dispatch]:
    """Wakes what is due, and ends what took too long. Schedules are left alone: they go by the calendar."""
    dispatches: list[Dispatch] = []
    while woken := await wake_due(engine):
        dispatches += woken
    return dispatches + await clocks.enforce(engine)
