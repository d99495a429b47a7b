"""Calling an activity's code: in the loop, in a thread, or in a process of its own."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import cast

from headrace.activities.context import ActivityContext, RunLogger, entered
from headrace.activities.declaration import Activity
from headrace.activities.signature import as_json
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.base import Http, HttpError, NodeContext
from headrace.nodes.json_text import storable_text

ISOLATED = "headrace.nodes.isolated_activity:run"
"""What calls an activity in a process of its own."""

_TYPES = {"error": "error", "warning": "info", "debug": "system"}
"""The types of lines in the run's log by their level; else it is `node-output`."""


_http: ContextVar[Http] = ContextVar("http")


async def perform(context: NodeContext, activity: Activity, payload: JsonValue) -> Outcome:
    """Calls the activity with a payload; what it returned, or its failure."""
    try:
        if activity.declaration.defaults.isolated:
            output = await _isolated(context, activity, payload)
        else:
            output = as_json(await _called(context, activity, payload))
    except Exception as error:
        if isinstance(error, HttpError):
            return Failed(error.message, kind=error.code, retryable=error.retryable)
        failure = activity.failure(error)
        if failure is None:
            raise
        return failure
    return activity.said_error(output) or Done(output)


async def _called(context: NodeContext, activity: Activity, payload: JsonValue) -> object:
    arguments = activity.signature.bind(payload)
    call = partial(activity.function, *arguments.positional, **arguments.named)
    token = _http.set(context.http)
    try:
        with entered(_context(context, activity)):
            if activity.is_async:
                return await cast("Awaitable[object]", call())
            return await context.run_sync(call)
    finally:
        _http.reset(token)


def http() -> Http:
    """Outgoing calls for the built-in activity that runs here, behind the guard that nodes have."""
    return _http.get()


def _context(context: NodeContext, activity: Activity) -> ActivityContext:
    return ActivityContext(
        run_id=context.run_id,
        node_id=context.node_id,
        node_name=context.node_name,
        activity=activity.name,
        attempt=context.attempt,
        idempotency_key=context.idempotency_key,
        input=context.input,
        logger=RunLogger(partial(_write, context)),
        _beat=context.heartbeat,
        _cancelled=context.cancelled,
    )


async def _isolated(context: NodeContext, activity: Activity, payload: JsonValue) -> JsonValue:
    module, _, qualname = activity.place.partition(":")
    given: JsonObject = {
        "module": module,
        "file": activity.file,
        "qualname": qualname,
        "payload": payload,
        "context": {
            "run_id": context.run_id,
            "node_id": context.node_id,
            "node_name": context.node_name,
            "activity": activity.name,
            "attempt": context.attempt,
            "idempotency_key": context.idempotency_key,
            "input": context.input,
        },
    }
    return await context.run_isolated(ISOLATED, given, partial(_hear, _context(context, activity)))


def _hear(here: ActivityContext, note: JsonValue) -> None:
    """What the code in the other process says. It may be anything: what is no note is passed over."""
    match note:
        case {"level": str(level), "text": str(text)}:
            here.logger.log(level, "%s", text)
        case {"progress": None | int() | float() as progress, "details": details}:
            with suppress(ValueError):
                here.heartbeat(progress, details)


def _write(context: NodeContext, level: str, text: str) -> None:
    context.say(level, storable_text(text), type=_TYPES.get(level, "node-output"))
